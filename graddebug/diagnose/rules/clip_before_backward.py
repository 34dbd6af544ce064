"""GD602: a clip runs before the backward, when there is no gradient yet."""

from __future__ import annotations

from graddebug.diagnose.clips import Call, Cycle, bounds, finds_new, limit, meant, unclipped
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import place, quoted, sentence
from graddebug.ledger import Consumed, Ledger, Line, Portion, line_of, newest_of
from graddebug.records import Clipped, Forward, Severity


class ClipBeforeBackward(Rule):
    """It finds None, zeros or what an earlier step has used; the backward writes only then."""

    code = "GD602"
    slug = "clip-before-backward"
    title = "Gradients are clipped before the backward that writes them"
    severity = Severity.ERROR
    needs = (CLIPPING,)
    why = (
        "Before the backward `.grad` is None, zero or left over from the step before. A clip that runs there "
        "changes nothing that matters, and what the backward writes afterwards is applied in full length."
    )
    fix = "Call the clip between `loss.backward()` and `optimizer.step()`."
    example = (
        "loss = loss_fn(model(x), y)\n"
        "clip_grad_norm_(model.parameters(), 1.0)    # wrong: no gradient is there yet\n"
        "loss.backward()\n"
        "optimizer.step()\n"
        "\n"
        "loss.backward()\n"
        "clip_grad_norm_(model.parameters(), 1.0)    # right\n"
        "optimizer.step()\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._cycle = Cycle()
        self._early: dict[Line | None, Call] = {}

    def on_forward(self, event: Forward, ledger: Ledger) -> Claims:
        """Where in the cycle we are."""
        self._cycle.forward(event, ledger)
        return None

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """A clip that finds nothing new waits for what is written next."""
        if bounds(event) and not finds_new(event, ledger) and self._cycle.is_early(event, ledger):
            params = frozenset(meant(event, ledger)) if event.params or event.without else frozenset[int]()
            self._early[line_of(event.site)] = Call(event, ledger.tick, params)
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """The step applies what was written after the clip, and nothing has clipped it since."""
        if not self._early:
            return None
        waiting = [call for call in self._early.values() if call.at > fact.since]
        return [claim for call in waiting if (claim := _judge(call, fact, ledger)) is not None]


def _judge(call: Call, fact: Consumed, ledger: Ledger) -> Claim | None:
    late = [
        portion
        for portion in fact.portions
        if unclipped(portion) and newest_of(portion.fresh).at > call.at
        if not call.params or not call.params.isdisjoint(portion.members)
    ]
    return _claim(call, fact, late, ledger) if late else None


def _claim(call: Call, fact: Consumed, late: list[Portion], ledger: Ledger) -> Claim:
    event = call.event
    backward = max((newest_of(portion.fresh) for portion in late), key=lambda part: part.at).site
    name = ledger.optimizer_name(fact.optimizer.index)
    clip, step = quoted(event.site, event.function), quoted(fact.step.site, f"{name}.step()")
    found = "gradients that a step had used already" if event.params else "no gradient"
    written = quoted(backward, "backward()")
    return Claim(
        step=fact.step.step,
        message=(
            f"{sentence(clip)} ran before {written} and found {found}. What that backward wrote into "
            f"{PARAMETERS} afterwards was applied by {step} without being clipped to {limit(event)}."
        ),
        fix=f"Move {clip} behind {written}, in front of the step ({place(fact.step.site)}).",
        roles=roles(backward=backward, step=fact.step.site, clip=event.site),
        parameters=tuple(sorted(p for portion in late for p in portion.members)),
        evidence={"limit": event.clip_value if event.max_norm is None else event.max_norm},
        anchor=("clip",),
    )
