"""GD504: an op near its singular point multiplies the gradient, finite and absurd."""

from __future__ import annotations

from graddebug.diagnose.evidence import MEASURED_NODES
from graddebug.diagnose.nonfinite import products, singular
from graddebug.diagnose.nonfinite.facts import Facts, number, stem
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import quoted, sentence
from graddebug.ledger import Consumed, Ledger
from graddebug.records import Amplified, Origin, Severity

_REMEMBERED = 64
#: A gradient that is so many times smaller at the parameters was made small again on the way.
_TAKEN_BACK = 1e3
_LOGITS = ("BinaryCrossEntropy",)

#: Ops whose derivative grows without bound as they near a point. What a linear op multiplies by (a matrix,
#: a constant, a loss scale) is the program's own number.
_UNBOUNDED = frozenset(
    op
    for entry in (
        *(*singular.ROOTS, *singular.QUOTIENTS, *singular.LOGARITHMS, *singular.INVERSES),
        *products.LINEAR_ALGEBRA,
    )
    for op in entry.ops
) - {"Mul"} | {*_LOGITS, "NativeLayerNorm", "NativeGroupNorm", "NativeBatchNorm", "Norm", "LinalgVectorNorm"}


class GradientAmplified(Rule):
    """The local derivative is so large that rounding decides the gradient's direction."""

    code = "GD504"
    slug = "gradient-amplified"
    title = "An op multiplies the gradient by more than a million"
    severity = Severity.WARNING
    needs = (MEASURED_NODES,)
    why = (
        "A tiny eps keeps a division by a norm finite and lets its derivative be 1/eps: for a vector of "
        "zeros `F.normalize` makes the gradient 1e12 times as large. No NaN appears and nothing warns; one "
        "such step throws the weights far away, or fills Adam's moments for a long time."
    )
    fix = "Keep zeros out of the op, or give it an eps as large as differences that matter."
    example = (
        "unit = F.normalize(x, dim=-1)               # wrong where x may be 0: the gradient grows by 1e12\n"
        "\n"
        "unit = F.normalize(x, dim=-1, eps=1e-3)     # right\n"
    )
    options = thresholds(
        ratio="norm that goes out of the op over the norm that comes in",
    )
    ratio: float = 1e6

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._seen: dict[int, Amplified] = {}

    def on_amplified(self, event: Amplified, ledger: Ledger) -> Claims:
        """Remember it until a step uses that backward's gradients."""
        if event.ratio > self.ratio and event.origins and _unbounded(event.origins[0]) and _arrived(event):
            self._seen[event.backward] = event
            if len(self._seen) > _REMEMBERED:
                del self._seen[next(iter(self._seen))]
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Judge what the step is about to apply."""
        if not self._seen:
            return None
        parts = [part for portion in fact.portions for part in portion.fresh if not part.nonfinite]
        orders = {part.last.order for part in parts} | {part.first.order for part in parts}
        used = [self._seen.pop(order) for order in sorted(orders & self._seen.keys())]
        return [_claim(event, fact, ledger) for event in used]


def _arrived(event: Amplified) -> bool:
    """Whether it is as large where it was written: the way on may take it back.

    The square root of a sum of squares near 0 multiplies by much, and the squares by as little.
    """
    return event.written is None or event.written * _TAKEN_BACK > event.norm_out


def _unbounded(origin: Origin) -> bool:
    name = stem(origin.op)
    if name == "Div":  # autograd keeps the numerator only if the divisor wants a gradient
        return Facts(origin).operand("self") is not None
    if name == "Pow":  # a square has no such point: its slope is as large as the error that is squared
        exponent = Facts(origin).operand("exponent")
        return exponent is None or not exponent.minimum >= 1
    return name in _UNBOUNDED


def _claim(event: Amplified, fact: Consumed, ledger: Ledger) -> Claim:
    origin = event.origins[0]
    parts = [part for portion in fact.portions for part in portion.fresh]
    written = next((part for part in parts if event.backward in (part.last.order, part.first.order)), None)
    step = quoted(fact.step.site, f"{ledger.optimizer_name(fact.optimizer.index)}.step()")
    line = quoted(origin.site, origin.op) if origin.site else f"`{origin.op}`"
    return Claim(
        step=fact.step.step,
        message=(
            f"{sentence(line)}{f' in {origin.module}' if origin.module else ''} made the gradient "
            f"{number(event.ratio)} times as large: norm {number(event.norm_in)} came into its {origin.op}, "
            f"{number(event.norm_out)} went out. All of it is finite, so that nothing else warns. {step} "
            f"applies it to {PARAMETERS}."
        ),
        fix=_fix(origin),
        roles=roles(backward=written.site if written else None, step=fact.step.site, forward_op=origin.site),
        parameters=tuple(sorted(p for portion in fact.portions for p in portion.members if portion.fresh)),
        evidence={
            "op": origin.op,
            "ratio": event.ratio,
            "norm_in": event.norm_in,
            "norm_out": event.norm_out,
        },
        anchor=("forward_op",) if origin.site else ("backward",),
        topic=f"{origin.module} {origin.op}",
        variant=origin.op,
    )


def _fix(origin: Origin) -> str:
    name = stem(origin.op)
    if name in _LOGITS:
        return "Give the logits to `F.binary_cross_entropy_with_logits` instead of their sigmoid."
    if name == "Div":
        return (
            "Keep zeros out of the divisor, or give it an eps of a size that matters: "
            "`F.normalize(x, dim=-1, eps=1e-3)`, `x / (x.norm() + 1e-3)`."
        )
    return (
        "Keep its input away from the point where the derivative grows without bound: clamp, or add an eps."
    )
