"""GD506: weights become NaN or inf in a step whose gradients were finite."""

from __future__ import annotations

import math

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.nonfinite.facts import LARGEST, number
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import names, quoted, sentence
from graddebug.ledger import Ledger
from graddebug.records import OptimizerStep, OptimizerStepEnd, ParameterInfo, Severity

_OPEN = 64


class OptimizerStateNonfinite(Rule):
    """The optimizer's own arithmetic overflowed, or divided 0 by 0."""

    code = "GD506"
    slug = "optimizer-state-nonfinite"
    title = "A step with finite gradients leaves NaN or inf"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "An optimizer computes too: Adam squares gradients and divides by a root plus eps. With eps=0, or an "
        "eps that float16 rounds to 0, a gradient of 0 is 0/0; the square of a gradient above 256 overflows "
        "float16; a learning rate that has become NaN or huge does the rest."
    )
    fix = "Keep weights and optimizer state in float32, with an eps that is not 0; look at the learning rate."
    example = (
        "model.half()\n"
        "optimizer = Adam(model.parameters())                 # wrong: float16 rounds eps=1e-8 to 0\n"
        "\n"
        "optimizer = Adam(model.parameters())                 # right: float32 weights, half in the forward\n"
        'with torch.autocast("cuda", dtype=torch.float16):\n'
        "    loss = loss_fn(model(x), y)\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._begun: dict[int, OptimizerStep] = {}

    def on_step(self, event: OptimizerStep, ledger: Ledger) -> Claims:
        """Remember what the step was given."""
        self._begun[event.order] = event
        if len(self._begun) > _OPEN:
            del self._begun[next(iter(self._begun))]
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """Judge what it left."""
        begin = self._begun.pop(event.begin, None)
        bad = tuple(sorted({*event.nonfinite_weights, *event.nonfinite_state}))
        if begin is None or not bad or not frozenset(begin.nonfinite).isdisjoint(bad):
            return None
        return [_claim(begin, event, ledger)]


def _claim(begin: OptimizerStep, event: OptimizerStepEnd, ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(begin.optimizer)
    bad = tuple(sorted({*event.nonfinite_weights, *event.nonfinite_state}))
    first = ledger.parameters[bad[0]] if bad[0] < len(ledger.parameters) else None
    left = "the weights" if event.nonfinite_weights else "state"
    cause, fix = _cause(begin, event, first)
    return Claim(
        step=begin.step,
        message=(
            f"{sentence(quoted(begin.site, f'{name}.step()'))} was given finite gradients and left NaN or "
            f"inf in {left} of {PARAMETERS}{_entries(event)}. {cause}"
        ),
        fix=fix,
        roles=roles(step=begin.site),
        parameters=bad,
        evidence={
            "weights": len(event.nonfinite_weights),
            "state": list(event.state_entries),
            "lr": max(begin.lr, default=math.nan),
            "dtype": first.dtype if first else "",
        }
        | ({} if event.eps is None else {"eps": event.eps}),
        topic=name,
    )


def _entries(event: OptimizerStepEnd) -> str:
    return f" ({names(event.state_entries)})" if event.state_entries else ""


def _cause(begin: OptimizerStep, event: OptimizerStepEnd, first: ParameterInfo | None) -> tuple[str, str]:
    dtype = first.dtype if first else "float32"
    bad_rate = next((rate for rate in begin.lr if not math.isfinite(rate) or rate > 1e4), None)
    if bad_rate is not None:
        return (
            f"Its learning rate is {number(bad_rate)}.",
            "Look at what sets the learning rate: a scheduler that divides by 0, or grows without bound.",
        )
    if event.eps is not None and _rounds_to_zero(event.eps, dtype):
        return (
            f"Its eps is {number(event.eps)}, which is 0 in {dtype}: a gradient of 0 makes 0/0.",
            "Keep the weights in float32 and use autocast for the forward, or give the optimizer `eps=1e-4`."
            if event.eps
            else "Give the optimizer an eps, `eps=1e-8`.",
        )
    return (
        f"Its own arithmetic left the range of {dtype}, whose largest number is "
        f"{number(LARGEST.get(dtype, LARGEST['float32']))}: a gradient's square, or the update, overflowed.",
        "Clip the gradients before the step, and keep weights and optimizer state in float32.",
    )


def _rounds_to_zero(eps: float, dtype: str) -> bool:
    """Whether the dtype cannot tell it from 0: float16 ends at 2**-24, half of which rounds up."""
    return eps == 0 or (dtype == "float16" and eps <= 2.0**-25)
