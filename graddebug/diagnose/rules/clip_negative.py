"""GD607: a clip's limit is negative or zero."""

from __future__ import annotations

from graddebug.diagnose.clips import is_scaled, known
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import literal, number, quoted, sentence
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import Clipped, OptimizerStepEnd, Severity


class ClipNegative(Rule):
    """Torch takes any number: a negative one turns the gradient around, zero takes it away."""

    code = "GD607"
    slug = "clip-negative"
    title = "A clip's limit is negative or zero"
    severity = Severity.ERROR
    needs = (CLIPPING,)
    why = (
        "Every gradient is multiplied by max_norm / norm: a negative limit turns its sign, and the step "
        "climbs the loss; 0, which a configuration may mean as 'no clipping', makes it zero. "
        "clip_grad_value_ with a negative number sets every element to it."
    )
    fix = "Pass a positive limit, and leave out the call where there is to be none."
    example = (
        "clip_grad_norm_(model.parameters(), args.clip)        # wrong: -1 or 0 means 'off' here\n"
        "\n"
        "if args.clip > 0:                                     # right\n"
        "    clip_grad_norm_(model.parameters(), args.clip)\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._waiting: dict[Line | None, Clipped] = {}
        self._applied: dict[int, list[Claim]] = {}

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """Such a call changes every gradient that is not zero."""
        self._waiting.pop(line_of(event.site), None)
        bound = _bound(event)
        if (
            event.params
            and bound is not None
            and bound <= 0
            and event.total_norm != 0
            and not is_scaled(event)
        ):
            self._waiting[line_of(event.site)] = event
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """A step is about to apply what it left; a scaler's fused kernel may still leave that alone."""
        claims = [claim for event in self._waiting.values() for claim in _judge(event, fact, ledger)]
        if fact.step.closure or not claims:
            return claims
        self._applied[fact.step.order] = claims
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """It has applied it."""
        claims = self._applied.pop(event.begin, None)
        return None if event.skipped or event.failed else claims


def _bound(event: Clipped) -> float | None:
    return event.clip_value if event.max_norm is None else event.max_norm


def _judge(event: Clipped, fact: Consumed, ledger: Ledger) -> list[Claim]:
    hit = [portion for portion in fact.portions if portion.fresh and portion.life.clip is event]
    if not hit:
        return []
    name = ledger.optimizer_name(fact.optimizer.index)
    clip, step = quoted(event.site, event.function), quoted(fact.step.site, f"{name}.step()")
    bound = _bound(event) or 0.0
    return [
        Claim(
            step=fact.step.step,
            message=(
                f"{sentence(clip)} was given a limit of {number(bound)}: it {_did(event, bound)} of "
                f"{PARAMETERS}, and {step} {_then(event, bound)}."
            ),
            fix=f"Give {clip} a positive limit; where {literal(bound)} is to mean 'off', leave out the call.",
            roles=roles(clip=event.site, step=fact.step.site),
            parameters=tuple(sorted(p for portion in hit for p in portion.members)),
            evidence=known(limit=bound, total_norm=event.total_norm),
            anchor=("clip",),
        )
    ]


def _did(event: Clipped, bound: float) -> str:
    if bound == 0:
        return "set to zero the gradients"
    if event.clip_value is not None:
        return f"set every element to {number(bound)} in the gradients"
    factor = bound / event.total_norm if event.total_norm else bound
    return f"multiplied by {number(factor)} the gradients"


def _then(event: Clipped, bound: float) -> str:
    if bound == 0:
        return "applied nothing"
    if event.clip_value is not None:
        return "applied that, whatever the loss says"
    return "went uphill, away from a smaller loss"
