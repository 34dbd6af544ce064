"""GD604: a clip runs after each micro-batch, on sums that are not complete."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.clips import acted, bounds, finds_new, is_scaled, limit
from graddebug.diagnose.evidence import CLIPPING
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import place, quoted, sentence, times
from graddebug.ledger import Consumed, Ledger, Line, Portion, line_of, newest_of
from graddebug.records import Clipped, Severity, Site


@dataclass(slots=True)
class _Window:
    """Calls of one line on gradients that went on growing; ``cut`` of those before the last one acted."""

    event: Clipped
    at: int
    calls: int = 1
    cut: int = 0


class ClipPerMicroBatch(Rule):
    """Each call shrinks what all micro-batches before it have left, the first of them again and again."""

    code = "GD604"
    slug = "clip-per-micro-batch"
    title = "Gradients are clipped after each micro-batch of an accumulation"
    severity = Severity.WARNING
    needs = (CLIPPING,)
    why = (
        "While gradients accumulate, `.grad` is the sum of the micro-batches so far. A clip after each of "
        "them shrinks the early ones several times and the last one once: they do not weigh alike any more, "
        "and the sum is not what one large batch would have given."
    )
    fix = "Clip once for each step, when the last micro-batch's backward has run."
    example = (
        "loss.backward()\n"
        "clip_grad_norm_(model.parameters(), 1.0)        # wrong: of a sum that is not complete\n"
        "if (i + 1) % 4 == 0:\n"
        "    optimizer.step(); optimizer.zero_grad()\n"
        "\n"
        "loss.backward()\n"
        "if (i + 1) % 4 == 0:\n"
        "    clip_grad_norm_(model.parameters(), 1.0)    # right\n"
        "    optimizer.step(); optimizer.zero_grad()\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._windows: dict[Line | None, _Window] = {}
        self._idle: dict[Line | None, int] = {}

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """Count the calls of a line between which gradients grew that were clipped already."""
        if not bounds(event) or is_scaled(event):
            return None
        line = line_of(event.site)
        if not event.params or not finds_new(event, ledger):
            self._idle[line] = ledger.tick  # it stands in front of the backward: that is GD602
            return None
        known = self._windows.get(line)
        if known is None or not _grew(event, known, ledger):
            self._windows[line] = _Window(event, ledger.tick)
            return None
        known.cut += acted(known.event)
        known.calls += 1
        known.event, known.at = event, ledger.tick
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """The step applies a sum that was clipped while it grew."""
        claims, ready = [], frozenset(fact.step.ready)
        for line, window in list(self._windows.items()):
            if ready.isdisjoint(window.event.params):
                continue
            del self._windows[line]
            if window.calls > 1 and self._idle.get(line, -1) <= fact.since:
                claims += _claim(window, fact, ledger)
        return claims


def _grew(event: Clipped, known: _Window, ledger: Ledger) -> bool:
    """Whether a gradient holds what the call before has clipped, and something written since."""
    for cohort in ledger.cohorts.overlapping(event.params):
        fresh = cohort.life.fresh
        if not fresh or newest_of(fresh).at <= known.at:
            continue
        if any(part.first.order < known.event.order for part in fresh):
            return True
    return False


def _claim(window: _Window, fact: Consumed, ledger: Ledger) -> list[Claim]:
    event, clipped = window.event, frozenset(window.event.params)
    grown = [
        portion for portion in fact.portions if portion.fresh and not clipped.isdisjoint(portion.members)
    ]
    if not grown:
        return []
    name = ledger.optimizer_name(fact.optimizer.index)
    clip, step = quoted(event.site, event.function), quoted(fact.step.site, f"{name}.step()")
    backward = _newest_site(grown)
    return [
        Claim(
            step=fact.step.step,
            message=(
                f"{sentence(clip)} ran {times(window.calls, 'time')} for one {step}, each time on the sum of "
                f"the micro-batches so far in {PARAMETERS} ({times(fact.backwards, 'backward')} in all). "
                f"{_harm(window)}"
            ),
            fix=(
                f"Call {clip} once for each step, right before {step}: inside the condition that step stands "
                f"under ({place(fact.step.site)})."
            ),
            roles=roles(backward=backward, step=fact.step.site, clip=event.site),
            parameters=tuple(sorted(p for portion in grown for p in portion.members)),
            evidence={
                "clips": window.calls,
                "backwards": fact.backwards,
                "partial_sums_cut": window.cut,
                "limit": event.clip_value if event.max_norm is None else event.max_norm,
            },
            anchor=("clip",),
        )
    ]


def _newest_site(grown: list[Portion]) -> Site | None:
    return max((newest_of(portion.fresh) for portion in grown), key=lambda part: part.at).site


def _harm(window: _Window) -> str:
    if window.cut:
        cut = f"{window.cut} of the {window.calls - 1} partial sums"
        return f"It cut {cut} to {limit(window.event)}: early micro-batches weigh less than late ones."
    return (
        f"Where a partial sum exceeds {limit(window.event)}, early micro-batches are shrunk more often than "
        "late ones."
    )
