"""Why a mutant that changes training is not caught: by program and change, else by the change alone."""

from __future__ import annotations

_COPIED = "the optimizer owns copies whose gradients the program fills by hand: they are its business"
_UNBOUNDED = "training without a bound is a choice; numbers that run away are GD507 and GD509"
_AVERAGE = "the average of weights follows one step later"
_SCALED_NORM = "a miss: the norm is read before unscale_ and its factor applied after it, as plain numbers"
_OWN_STEP = "inside an optimizer's own algorithm: how it combines two gradients is its business"
_ORDER = "the schedule moves before the step: torch itself warns of this order"
_CUT = "more gradient flows than before, into parameters that the optimizer owns: a design, not a slip"
_NEVER_CALLED = "nothing runs at all: no forward, no backward, no step"

#: Where the reason is the program's own.
_BY_PROGRAM = {
    "half_attention_with_master_weights: zero_grad removed": _COPIED,
    "half_attention_with_master_weights: step moved behind next line": "the copy of the weights lags by a "
    "step, as in asynchronous training",
    "lbfgs: backward removed": "a miss: GD107 leaves a step with a closure alone, even "
    "where no backward runs in it",
    "lbfgs: backward moved behind next line": "the same: the line behind is the closure's return",
    "long_warm_up: step moved behind step": "torch itself warns of this order",
    "adam_then_lbfgs: backward moved behind next line": "the same: the line behind is the closure's return",
    "byol: step moved behind next line": _AVERAGE,
    "target_network_copied: step moved behind next line": _AVERAGE,
    "target_network_detached: step moved behind next line": _AVERAGE,
    "clip_by_hand_before_unscale: unscale_ moved behind next line": _SCALED_NORM,
    "clip_with_norm_before_unscale: unscale_ moved behind next line": _SCALED_NORM,
    "clip_per_sample: backward moved behind clip_grad_norm_": "a miss: GD602 looks at steps, and this "
    "program fills .grad by hand before its step",
    "clip_per_sample: clip_grad_norm_ moved behind next line": "a miss: the sum of samples is kept in "
    "tensors of the program's own",
    "encoder_under_no_grad: no_grad removed": _CUT,
    "momentum_teacher_inside: no_grad removed": _CUT,
    "wgan_gp: no_grad removed": "the critic's loss runs through the generator, whose gradient the next "
    "zero_grad clears: waste, which GD102 tells of only where it is the rule",
    "wgan_gp: step moved behind next line": "the generator learns from the critic before its step",
    "gan_separate_backwards: backward moved behind step": "one of two terms then reaches the next step: the "
    "number of backwards a step is as before",
    "lr_finder: backward moved behind zero_grad": "gradients stay for a window; the next clear takes them",
    "lr_finder: zero_grad removed": "gradients summed before the first step are an accumulation",
    "sam: zero_grad removed": _OWN_STEP,
    "sam_by_hand: zero_grad removed": "a miss: two gradients of one window are an accumulation to us",
    "sam_by_hand: backward moved behind next line": "the same",
    "rate_to_zero: step moved behind step": _ORDER,
    "scheduler_and_swa: step moved behind step": _ORDER,
    "schedules_of_three_kinds: step moved behind step": _ORDER,
    "warm_up_per_micro_batch: step moved behind step": _ORDER,
    "lbfgs: step removed": _NEVER_CALLED,
    "critic_remembers_actor: update removed": _NEVER_CALLED,
    "inner_steps_in_one_autocast: update removed": _NEVER_CALLED,
    "amp_auxiliary_loss_not_scaled: backward moved behind step": "gradients cleared for some parameters only "
    "is how programs freeze them for a time",
}

#: Where it follows from what a rule can know. A change that is not here is a miss.
_BY_CHANGE = {
    "step removed": "in so few windows an optimizer may still wait for its turn, as in a warm-up (GD112); a "
    "schedule that does not move is a choice",
    "clip_grad_norm_ removed": _UNBOUNDED,
    "clip_grad_value_ removed": _UNBOUNDED,
    "backward removed": "a loss with a term less is a loss, and each parameter still gets a gradient",
    "detach removed": "where a path is to be cut only its author knows",
    "train removed": "training in eval mode can be meant",
    "eval removed": "layers in train mode at inference can be meant, as for Monte Carlo dropout",
    "zero_grad moved": "a gradient that is cleared before the next backward may have been read in "
    "between, as for adversarial examples",
}


def reason(program: str, change: str) -> str:
    """The reason, empty where none is known."""
    return _BY_PROGRAM.get(f"{program}: {change}", _BY_CHANGE.get(change.partition(" behind")[0], ""))
