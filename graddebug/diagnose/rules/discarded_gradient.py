"""GD102: gradients are cleared before a step has used them, window after window."""

from __future__ import annotations

from dataclasses import dataclass, field

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import quoted, sentence, that_clear, the_clear, times
from graddebug.ledger import Consumed, Contribution, Discarded, Ledger, Line, Portion, line_of
from graddebug.records import Backward, GradientsCleared, ParameterSet, Severity


@dataclass(frozen=True, slots=True)
class _Waste:
    """One clear of unused gradients of one optimizer: ``count`` backwards from one line."""

    line: Line | None
    count: int
    newest: Contribution
    event: GradientsCleared
    params: ParameterSet


@dataclass(slots=True)
class _Story:
    """What one optimizer's windows looked like so far."""

    wasted: list[_Waste] = field(default_factory=list)
    good: int = 0
    streak: int = 0
    bad: int = 0
    last_count: int = -1
    tails: int = 0
    tail_backwards: int = 0


class DiscardedGradient(Rule):
    """All but the last backward of each window, or the tail of each epoch, is thrown away."""

    code = "GD102"
    slug = "discarded-gradient"
    title = "Gradients are cleared before any step has used them"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "Gradient accumulation sums several backwards and steps once. A zero_grad inside the micro-batch "
        "loop leaves only the last of them, so that most of the batch is computed for nothing; a zero_grad "
        "at the start of an epoch throws away the micro-batches that did not fill a last window."
    )
    fix = (
        "Clear right after the step, not before each backward; at the end of an epoch, step once more or "
        "drop the rest on purpose."
    )
    example = (
        "for i, (x, y) in enumerate(loader):\n"
        "    optimizer.zero_grad()            # wrong: throws away the micro-batches before the last\n"
        "    (loss_fn(model(x), y) / 4).backward()\n"
        "    if (i + 1) % 4 == 0:\n"
        "        optimizer.step()\n"
        "\n"
        "for i, (x, y) in enumerate(loader):\n"
        "    (loss_fn(model(x), y) / 4).backward()\n"
        "    if (i + 1) % 4 == 0:\n"
        "        optimizer.step()\n"
        "        optimizer.zero_grad()        # right\n"
    )
    options = thresholds(
        windows="windows in a row, or ends of epochs, in which gradients were thrown away",
    )
    windows = 2

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._stories: dict[int, _Story] = {}

    def on_discarded(self, fact: Discarded, ledger: Ledger) -> Claims:
        """Note what was thrown away, by optimizer."""
        if fact.inside_step:
            return None
        for optimizer in {o for portion in fact.portions for o in portion.life.owners}:
            portions = [p for p in fact.portions if optimizer in p.life.owners]
            waste = _waste(fact.event, portions)
            if waste is not None and not ledger.served_another(waste.newest, optimizer):
                self._stories.setdefault(optimizer, _Story()).wasted.append(waste)
                del self._stories[optimizer].wasted[
                    :-64
                ]  # an optimizer that never steps must not pile them up
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Compare what was thrown away since the last step with what this one uses."""
        if not fact.portions or fact.step.parent is not None:
            return None
        story = self._stories.get(fact.optimizer.index)
        if story is None:
            story = self._stories[fact.optimizer.index] = _Story()
        if not story.wasted:
            story.good, story.streak = story.good + bool(fact.backwards), 0
            return None
        return self._compare(fact, story, ledger)

    def _compare(self, fact: Consumed, story: _Story, ledger: Ledger) -> Claims:
        wasted, story.wasted = story.wasted, []
        fresh = [part for portion in fact.portions for part in portion.fresh]
        if not fresh or any(portion.life.edited for portion in fact.portions):
            return None
        newest = max(fresh, key=lambda part: part.at)
        alike = [waste for waste in wasted if waste.line == newest.line]
        if not alike:
            return None
        if fact.backwards == 1:
            alike = [waste for waste in alike if not _first_pass(waste, ledger)]
            return self._loop(fact, story, alike, ledger) if alike else None
        return self._tail(fact, story, alike, fact.backwards, ledger)

    def _loop(self, fact: Consumed, story: _Story, wasted: list[_Waste], ledger: Ledger) -> Claims:
        number = sum(waste.count for waste in wasted)
        story.streak = story.streak + 1 if number == story.last_count or not story.streak else 1
        story.bad, story.last_count = story.bad + 1, number
        if story.streak < self.windows or story.bad <= story.good or _two_pass(number, wasted, ledger):
            return None
        share = f"{number} of {number + 1}"
        message = (
            f"{share} backwards of each window are thrown away: {_call(wasted)} clears the gradients of "
            f"{PARAMETERS} before `{_name(fact, ledger)}.step()` has used them, so that each step uses the "
            "last backward only."
        )
        fix = (
            f"Clear only after a step: move {that_clear(wasted[-1].event)} behind "
            f"{quoted(fact.step.site, 'step()')}, into the same branch."
        )
        return [_claim(fact, wasted, message, fix, {"discarded": number, "backwards_per_window": number + 1})]

    def _tail(
        self, fact: Consumed, story: _Story, wasted: list[_Waste], usual: int, ledger: Ledger
    ) -> Claims:
        partial = [waste for waste in wasted if waste.count < usual]
        if not partial or fact.optimizer.usual_count not in (None, usual):
            return None
        story.tails += 1
        story.tail_backwards += sum(waste.count for waste in partial)
        if story.tails < self.windows:
            return None
        last = partial[-1].count
        message = (
            f"{sentence(_call(partial))} cleared gradients of {PARAMETERS} that no step had used: "
            f"`{_name(fact, ledger)}` steps after {usual} backwards, and {times(last, 'backward')} left "
            f"over from an unfinished window {'was' if last == 1 else 'were'} thrown away, again and again."
        )
        fix = (
            f"Step once more before {_call(partial)} when a window is unfinished, or make the number of "
            f"batches a multiple of {usual}."
        )
        evidence: dict[str, object] = {
            "discarded": last,
            "backwards_per_window": usual,
            "discarded_so_far": story.tail_backwards,
        }
        return [_claim(fact, partial, message, fix, evidence)]


def _waste(event: GradientsCleared, portions: list[Portion]) -> _Waste | None:
    """What a clear threw away, if it was plain training gradient of one line."""
    parts = [part for portion in portions for part in portion.fresh]
    plain = all(isinstance(p.last, Backward) and not p.nonfinite and not p.evaluated for p in parts)
    from_inputs = any(isinstance(p.last, Backward) and p.last.other_leaves for p in parts)
    if not plain or from_inputs or len({part.line for part in parts}) != 1:
        return None
    count = max(sum(part.count for part in portion.fresh) for portion in portions)
    params = tuple(sorted(index for portion in portions for index in portion.members))
    return _Waste(parts[0].line, count, max(parts, key=lambda part: part.at), event, params)


def _first_pass(waste: _Waste, ledger: Ledger) -> bool:
    """The weights were moved by hand after that backward: its gradient was used, as in SAM's first pass."""
    moved = sum(ledger.cohorts.life(index).moved_at > waste.newest.at for index in waste.params)
    return 2 * moved >= len(waste.params)


def _two_pass(number: int, wasted: list[_Waste], ledger: Ledger) -> bool:
    """One discard a window by a clear that never clears used gradients: SAM's first pass looks like this."""
    lines = {line_of(waste.event.site or waste.event.noticed_at) for waste in wasted}
    return number == 1 and lines.isdisjoint(ledger.lines_clearing_used)


def _name(fact: Consumed, ledger: Ledger) -> str:
    return ledger.optimizer_name(fact.optimizer.index)


def _call(wasted: list[_Waste]) -> str:
    return the_clear(wasted[-1].event)


def _claim(
    fact: Consumed, wasted: list[_Waste], message: str, fix: str, evidence: dict[str, object]
) -> Claim:
    last = wasted[-1]
    return Claim(
        step=fact.step.step,
        message=message,
        fix=fix,
        roles=roles(backward=last.newest.site, step=fact.step.site, zero_grad=last.event.site),
        parameters=last.params,
        evidence=evidence,
    )
