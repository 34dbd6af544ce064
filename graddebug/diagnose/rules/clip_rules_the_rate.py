"""GD606: a clip acts on nearly every step, and so sets the length of all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graddebug.diagnose.clips import REMEMBERED, acted, is_scaled
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import number, quoted, sentence
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import Clipped, Severity


@dataclass(slots=True)
class _Calls:
    """Of one line: steps that used what it had clipped, those that it had cut, and by how much."""

    steps: int = 0
    cut: int = 0
    log_factors: float = 0.0


class ClipRulesTheRate(Rule):
    """A clip is there for the exception; where it is the rule, every step has the same length."""

    code = "GD606"
    slug = "clip-rules-the-rate"
    title = "A clip acts on nearly every step"
    severity = Severity.NOTE
    needs = (CLIPPING,)
    why = (
        "A clip that always acts makes every gradient one of the same length: with SGD the step is lr times "
        "max_norm, whatever the loss says, and the learning rate you tuned means something else. It may be "
        "meant; then know it when you change either number."
    )
    fix = "Raise `max_norm` to what the norm mostly is, or lower the learning rate and clip the exceptions."
    example = (
        "clip_grad_norm_(model.parameters(), 0.01)    # wrong: the norm is 3 in each step\n"
        "\n"
        "clip_grad_norm_(model.parameters(), 5.0)     # right: cuts what stands out\n"
    )
    options = thresholds(
        windows="steps to look at",
        share="share of them whose gradients were clipped",
    )
    #: Steps before a share means anything.
    windows = 20
    share = 0.9

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._newest: dict[Line | None, Clipped] = {}
        self._calls: dict[Line | None, _Calls] = {}

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """Remember the newest call of a line."""
        limited = event.max_norm is not None and 0 < event.max_norm < math.inf
        if (
            limited
            and event.total_norm is not None
            and math.isfinite(event.total_norm)
            and not is_scaled(event)
        ):
            self._newest[line_of(event.site)] = event
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Count what a step uses of it; what is cleared, as one sample's is in DP-SGD, does not count."""
        claims = []
        for line, event in list(self._newest.items()):
            if _uses(fact, event):
                del self._newest[line]
                claims += self._count(line, event, fact, ledger)
        return claims

    def _count(self, line: Line | None, event: Clipped, fact: Consumed, ledger: Ledger) -> list[Claim]:
        if len(self._calls) >= REMEMBERED and line not in self._calls:
            return []
        calls = self._calls.setdefault(line, _Calls())
        calls.steps += 1
        if not acted(event):
            return []
        assert event.max_norm is not None
        assert event.total_norm is not None
        calls.cut += 1
        calls.log_factors += math.log(event.total_norm / event.max_norm)
        often = calls.steps >= self.windows and calls.cut > self.share * calls.steps
        return [_claim(calls, event, fact, ledger)] if often else []


def _uses(fact: Consumed, event: Clipped) -> bool:
    return any(portion.fresh and portion.life.clip is event for portion in fact.portions)


def _claim(calls: _Calls, event: Clipped, fact: Consumed, ledger: Ledger) -> Claim:
    clip, factor = quoted(event.site, event.function), math.exp(calls.log_factors / calls.cut)
    name, limit = ledger.optimizer_name(fact.optimizer.index), number(event.max_norm or 0.0)
    return Claim(
        step=fact.step.step,
        message=(
            f"{sentence(clip)} acted on {calls.cut:,} of {calls.steps:,} steps: the norm is {number(factor)} "
            f"times its limit of {limit}, typically. What `{name}` then applies has the norm {limit}, "
            "whatever the gradient's own."
        ),
        fix=(
            f"If that is not meant, raise the limit towards {number(factor * (event.max_norm or 0.0))}, the "
            "typical norm, and let the learning rate set the length of the step."
        ),
        roles=roles(clip=event.site),
        evidence={"steps": calls.steps, "cut": calls.cut, "typical_factor": factor, "limit": event.max_norm},
        topic=name,
        latest=True,
    )
