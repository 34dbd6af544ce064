"""Softmax, means, norms, normalisations and losses: what they do with nothing, with one, with -inf."""

from __future__ import annotations

from graddebug.diagnose.nonfinite.entry import (
    Entry,
    always,
    any_of,
    both,
    has_zeros,
    holds_inf,
    holds_nan,
    is_empty,
    makes_nan,
    only_inf,
    operands_finite,
    unless,
)
from graddebug.diagnose.nonfinite.facts import Facts

RUNNING_STATISTICS = "bad running statistics"
_FINITE_MASK = "mask with `torch.finfo(x.dtype).min` instead of -inf"


def _infinite_logits(facts: Facts) -> bool:
    """A row of -inf has as many NaN in its softmax; one +inf spoils a row alone."""
    it = facts.operand("self")
    return it is not None and 0 < it.inf < facts.origin.nan


MASKED = (
    Entry(
        ops=("Softmax", "LogSoftmax", "softmax", "log_softmax"),
        when=_infinite_logits,
        born="forward",
        cause="softmax of +inf",
        words="a softmax over logits that hold +inf, inf - inf ({self:bad})",
        fix="Keep the logits finite where they are made: they overflowed before this line.",
    ),
    Entry(
        ops=("Softmax", "LogSoftmax", "SparseSoftmax", "softmax", "log_softmax"),
        when=both(makes_nan, holds_inf("self")),
        born="forward",
        cause="softmax of a fully masked row",
        words="a softmax over a row that is -inf everywhere, which is 0/0 ({self:bad} in its input)",
        fix=f"Leave every row an element that is not masked, {_FINITE_MASK}, or use "
        "`F.scaled_dot_product_attention`, which gives 0 for a row that is masked as a whole in {torch}.",
    ),
    Entry(
        ops=("Softmax", "LogSoftmax"),
        born="backward",
        when=holds_nan("result"),
        cause="softmax of a fully masked row",
        words="a softmax over a row that is -inf everywhere, which is 0/0 (its result holds {result:bad}); "
        "that row is not used afterwards, but its gradient is 0·NaN",
        fix=f"Leave every row an element that is not masked, {_FINITE_MASK}, or use "
        "`F.scaled_dot_product_attention` (`need_weights=False` of `nn.MultiheadAttention`), "
        "which gives 0 for a row that is masked as a whole in {torch}.",
    ),
    Entry(
        ops=("Logsumexp", "Logcumsumexp", "Logaddexp", "Logaddexp2"),
        when=holds_inf("self|other"),
        cause="logsumexp of nothing",
        words="a logsumexp over elements that are all -inf ({self:bad}): its derivative is the softmax of "
        "that, 0/0",
        fix=f"Leave every row an element that is not masked, or {_FINITE_MASK}.",
    ),
    Entry(
        ops=("multi_head_attention_forward",),
        born="forward",
        when=both(makes_nan, unless(holds_nan("self|other|argument 3"))),
        cause="attention of a fully masked row",
        words="an attention with a query that may attend to nothing: a softmax over a row that is -inf "
        "everywhere",
        fix="Leave every query one key to attend to, or call it with `need_weights=False`: then such a row "
        "gives 0 in {torch}.",
    ),
    Entry(
        ops=(
            *("ScaledDotProductFlashAttention", "ScaledDotProductFlashAttentionForCpu"),
            *("ScaledDotProductEfficientAttention", "ScaledDotProductCudnnAttention"),
        ),
        when=both(makes_nan, unless(holds_nan("query|self"))),
        cause="attention of a fully masked row",
        words="an attention with a query that may attend to nothing: a softmax over a row that is -inf "
        "everywhere",
        fix="Leave every query one key to attend to, or use a newer torch: with 2.6 such a row gives 0.",
    ),
)

DIVERGENCES = (
    Entry(
        ops=("kl_div",),
        born="forward",
        when=holds_inf("self|other"),
        cause="divergence from a probability of 0",
        words="a KL divergence of log-probabilities that hold -inf ({inf_one:bad}): 0·inf is NaN",
        fix="Take log-probabilities from `F.log_softmax`, which has no -inf; give a target that has zeros "
        "as probabilities, without `log_target=True`.",
    ),
)

NOTHING = (
    Entry(
        ops=("NllLoss", "NllLoss2D"),
        when=both(makes_nan, unless(holds_nan("self")), unless(holds_inf("self"))),
        cause="mean over nothing",
        words="a cross-entropy averaged over no target: each of them is `ignore_index`, or has weight 0",
        fix='Skip such a batch, or sum and divide yourself: `F.cross_entropy(x, y, reduction="sum") / '
        "(y != -100).sum().clamp(min=1)`.",
    ),
    Entry(
        ops=("NllLoss", "NllLoss2D"),
        when=holds_inf("self"),
        cause="target is masked out",
        words="the cross-entropy of a class whose logit is -inf ({self:bad} in the logits): -log(0)",
        fix=f"Never mask the class that is the target, or {_FINITE_MASK}.",
    ),
    Entry(
        ops=("Mean", "mean", "MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BinaryCrossEntropy"),
        when=is_empty("self"),
        cause="mean over nothing",
        words="the mean of an empty tensor, 0/0: a mask or an index selected nothing",
        fix="Skip it when nothing is selected, or divide yourself: `x.sum() / max(x.numel(), 1)`.",
    ),
    Entry(
        ops=("Std", "Var", "StdMean", "VarMean", "std", "var"),
        when=operands_finite,
        cause="standard deviation of one element",
        words="a standard deviation or variance over one element: it divides by n - 1 = 0",
        fix="Use `x.std(correction=0)`, or leave out what has a single element.",
    ),
    Entry(
        ops=("CtcLoss", "CtcLossWithReduction", "ctc_loss"),
        when=always,
        cause="no alignment",
        words="a CTC loss whose target is longer than its input allows: no alignment exists, the loss is inf",
        fix="Pass `zero_infinity=True`, or leave such samples out.",
    ),
)


def _without_eps(facts: Facts) -> bool:
    eps = facts.operand("eps|argument 4")
    return eps is None or eps.maximum <= (2.0**-25 if facts.half else 0.0)


NORMALISATION = (
    Entry(
        ops=("NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"),
        when=any_of(
            holds_nan("running_mean|running_var|other|argument 3"),
            holds_inf("running_mean|running_var|other|argument 3"),
        ),
        cause=RUNNING_STATISTICS,
        words="a batch norm whose running statistics are not finite: an earlier bad batch left that there",
        fix="Find what made that batch bad, and call `reset_running_stats()` on the layer.",
    ),
    Entry(
        ops=("NativeLayerNorm", "NativeGroupNorm", "NativeBatchNorm", "CudnnBatchNorm"),
        when=both(makes_nan, operands_finite),
        cause="normalisation by 0",
        words="a normalisation of {input_or_self} whose variance is 0, with an eps that is 0 in {dtype}",
        fix="Give the normalisation an eps that its dtype can hold, 1e-5.",
    ),
    Entry(
        ops=("WeightNormInterface",),
        when=has_zeros("v"),
        cause="0/0",
        words="a weight norm of a direction that is 0: v/‖v‖ is 0/0",
        fix="Initialise the weight away from 0.",
    ),
    Entry(
        ops=("normalize", "rms_norm"),
        born="forward",
        when=both(makes_nan, unless(holds_nan("self|input")), _without_eps),
        cause="normalisation by 0",
        words="a vector of length 0 that was divided by its length, 0/0, with an eps that is 0 in {dtype}",
        fix="Give it an eps that its dtype can hold, or none: then torch takes its own.",
    ),
    Entry(
        ops=("Mul", "FusedRmsNorm"),
        born="forward",
        when=both(makes_nan, operands_finite, has_zeros("self|input")),
        cause="normalisation by 0",
        words="a normalisation of {self_or_input:zeros} in one call: inside, 1/0 met 0",
        fix="Give the normalisation an eps that its dtype can hold, 1e-5.",
    ),
)

NORMS = (
    Entry(
        ops=("LinalgVectorNorm", "Norm", "Var", "Std", "MseLoss"),
        born="forward",
        when=both(only_inf, operands_finite),
        cause="overflow",
        words="a sum of squares of {self:high}: over {limit}, the largest number of {dtype}",
        fix="Scale the numbers down before, or compute it in {wider}.",
    ),
)

ENTRIES = (*MASKED, *DIVERGENCES, *NOTHING, *NORMALISATION, *NORMS)
