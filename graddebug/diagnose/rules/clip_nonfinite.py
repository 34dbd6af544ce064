"""GD605: a clip by a norm that is NaN or inf destroys good gradients, and a step applies what is left."""

from __future__ import annotations

import math

from graddebug.diagnose.clips import Call, is_scaled
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import names, quoted, sentence
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import Clipped, OptimizerStepEnd, ParameterSet, Severity


class ClipNonfinite(Rule):
    """One bad gradient makes the norm bad, and the norm multiplies all of them: by 0, or by NaN."""

    code = "GD605"
    slug = "clip-nonfinite"
    title = "A clip by a norm that is NaN or inf destroyed good gradients"
    severity = Severity.ERROR
    needs = (CLIPPING,)
    why = (
        "clip_grad_norm_ multiplies every gradient by max_norm / norm. With a norm of inf that is 0, with "
        "NaN or with max_norm=inf it is NaN: one bad gradient, or a norm that overflows, takes all good ones "
        "with it. The step that follows teaches nothing, or makes all weights NaN."
    )
    fix = "Step only if the norm is finite, or pass `error_if_nonfinite=True`."
    example = (
        "clip_grad_norm_(model.parameters(), 1.0)              # wrong: whatever the norm is\n"
        "optimizer.step()\n"
        "\n"
        "norm = clip_grad_norm_(model.parameters(), 1.0)\n"
        "if norm.isfinite():                                   # right\n"
        "    optimizer.step()\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._waiting: dict[Line | None, Call] = {}
        self._applied: dict[int, list[Claim]] = {}

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """Which gradients were good when such a norm met them."""
        line = line_of(event.site)
        self._waiting.pop(line, None)
        if event.total_norm is None or math.isfinite(event.total_norm) or is_scaled(event):
            return None
        ledger_cohorts = ledger.cohorts.overlapping(event.params)
        good = {p for c in ledger_cohorts if c.life.fresh and not c.life.tainted for p in c.members}
        if good:
            self._waiting[line] = Call(event, ledger.tick, frozenset(good.intersection(event.params)))
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """A step is about to apply them; a scaler's fused kernel may still leave them alone."""
        if not self._waiting:
            return None
        harmed = frozenset(fact.step.nonfinite) | frozenset(fact.step.zero)
        claims = []
        for line, call in list(self._waiting.items()):
            if call.params.isdisjoint(fact.step.ready):
                continue
            del self._waiting[line]
            params = tuple(sorted(call.params & harmed))
            if params:
                claims.append(_claim(call.event, fact, params, ledger))
        if fact.step.closure:
            return claims
        self._applied[fact.step.order] = claims
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """It has applied them."""
        claims = self._applied.pop(event.begin, None)
        return None if event.skipped or event.failed else claims


def _claim(event: Clipped, fact: Consumed, params: ParameterSet, ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(fact.optimizer.index)
    clip, step = quoted(event.site, event.function), quoted(fact.step.site, f"{name}.step()")
    to_zero = frozenset(fact.step.zero).issuperset(params)
    bad = _bad(event, ledger)
    return Claim(
        step=fact.step.step,
        message=(
            f"{sentence(clip)} met a total norm of {event.total_norm}{_because(bad, ledger)}, and turned the "
            f"finite gradients of {PARAMETERS} into {'zeros' if to_zero else 'NaN'}. {sentence(step)} "
            f"applied {'them: it taught nothing' if to_zero else 'them'}."
        ),
        fix=_fix(event, bad, clip, step),
        roles=roles(clip=event.site, step=fact.step.site),
        parameters=params,
        evidence={
            "total_norm": event.total_norm,
            "max_norm": event.max_norm,
            "good_gradients": len(params),
            "bad_gradients": len(bad),
        },
        anchor=("clip",),
    )


def _bad(event: Clipped, ledger: Ledger) -> ParameterSet:
    """Those that the backward had written bad."""
    cohorts = ledger.cohorts.overlapping(event.params)
    return tuple(sorted(p for c in cohorts if c.life.tainted for p in c.members))


def _because(bad: ParameterSet, ledger: Ledger) -> str:
    if not bad:
        return ", though every gradient was finite: their squares do not fit into the dtype"
    return f", because of {names([ledger.parameter_name(p) for p in bad])}"


def _fix(event: Clipped, bad: ParameterSet, clip: str, step: str) -> str:
    if not bad:
        return f"Take the norm in float32, or clip elements first; take {step} only if the norm is finite."
    only_reads = event.max_norm is not None and math.isinf(event.max_norm)
    reading = " To read the norm alone, use `torch.nn.utils.get_total_norm`." if only_reads else ""
    return (
        f"Take {step} only if the norm that {clip} returns is finite, or pass `error_if_nonfinite=True`; "
        f"then mend what made it so.{reading}"
    )
