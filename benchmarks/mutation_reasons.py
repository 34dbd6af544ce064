"""Why a mutant that changes training is not caught: by program and change, else by the change alone."""

from __future__ import annotations

_COPIED = "the optimizer owns copies whose gradients the program fills by hand: they are its business"
_UNBOUNDED = "training without a bound is a choice; numbers that run away are GD507 and GD509"
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
    "lbfgs: step removed": _NEVER_CALLED,
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
