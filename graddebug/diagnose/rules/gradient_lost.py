"""GD205: a parameter received gradients, and receives none any more."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.causes import IDLE_WINDOWS
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.layers import row
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import names, quoted, times
from graddebug.ledger import Ledger, Life
from graddebug.records import ParameterSet, QuietForwards, RunEnd, Severity, Site

#: What is alive was written so many steps ago at most.
_LATELY = 16


@dataclass(slots=True)
class _Silence:
    """How long a parameter's module has run in vain since its last gradient at tick ``since``."""

    since: int
    now: int = 0
    steps: int = 0
    longest_before: int = 0
    how: str = "graph"
    site: Site | None = None
    in_front: ParameterSet = ()


class GradientLost(Rule):
    """Its module still runs, and what lay between it and the loss is still trained: it was cut off.

    That tells a cut from what ends by design. Of a loss that has ended the head that computed it is silent,
    too; an expert that is not chosen, a branch not taken does not run; what is frozen does not require grad.
    """

    code = "GD205"
    slug = "gradient-lost"
    title = "A parameter received gradients and receives none any more"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "A flag that was switched and not switched back, a detach() or no_grad block that begins at some "
        "step: from there on a part of the model stands still, and the optimizer skips it without a word, "
        "while the rest is trained as before."
    )
    fix = "Look for what changed between the part and the loss; freeze the part if that is meant."
    example = (
        "if step > warmup:\n"
        "    features = features.detach()          # wrong: the encoder is cut off\n"
        "\n"
        "if step == warmup:\n"
        "    encoder.requires_grad_(False)         # right, where that is meant\n"
    )
    options = thresholds(
        steps="steps without a gradient",
        steps_at_end="the same where the run is over",
        received="steps before in which it had one",
    )
    #: Steps without a gradient; never fewer than it had some in, as training may go in phases.
    steps = IDLE_WINDOWS
    #: The same where the run is over and no phase can follow.
    steps_at_end = 10
    #: Steps in which it had a gradient.
    received = 5

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._silent: dict[int, _Silence] = {}
        self._told: set[int] = set()

    def on_quiet(self, event: QuietForwards, ledger: Ledger) -> Claims:
        """Count how long modules run in vain."""
        if event.how == "no_grad" and not event.training:
            return None  # eval mode and no_grad: that is how one freezes by hand
        cut = [p for p in event.params if self._is_cut(p, event, ledger)]
        for index in cut:
            self._count(index, event, ledger.cohorts.life(index))
        return self._judge(cut, ledger, ended=False)

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Nothing can come back any more."""
        return self._judge(sorted(self._silent), ledger, ended=True)

    def _count(self, index: int, event: QuietForwards, life: Life) -> None:
        known = self._silent.get(index)
        if known is None or known.since != life.touched:
            longest = max(known.steps, known.longest_before) if known else 0
            known = self._silent[index] = _Silence(life.touched, longest_before=longest)
        known.steps += event.steps
        known.now = event.step
        known.how, known.site, known.in_front = event.how, event.site, event.in_front

    def _is_cut(self, index: int, event: QuietForwards, ledger: Ledger) -> bool:
        """Whether its optimizer still trains something in front of it, and no alternative to it."""
        life = ledger.cohorts.life(index)
        if not life.windows_ever or not life.trainable:
            return False
        alive = _alive(event.in_front, life, ledger, now=event.step)
        return bool(alive) and not _is_alternative(index, event, ledger)

    def _judge(self, params: list[int], ledger: Ledger, *, ended: bool) -> Claims:
        lost = [p for p in params if self._long_enough(p, ledger, ended=ended)]
        self._told.update(lost)
        together: dict[tuple[str, int], list[int]] = {}
        for index in lost:
            (owner, *_) = sorted(ledger.cohorts.life(index).owners)
            together.setdefault((self._silent[index].how, owner), []).append(index)
        return [self._claim(members, owner, ledger) for (_, owner), members in together.items()]

    def _long_enough(self, index: int, ledger: Ledger, *, ended: bool) -> bool:
        silence, life = self._silent[index], ledger.cohorts.life(index)
        if index in self._told or silence.since != life.touched or not life.trainable or not life.owners:
            return False
        if life.windows_ever < self.received:
            return False
        least = self.steps_at_end if ended else max(self.steps, life.windows_ever)
        return silence.steps >= least and silence.steps > 2 * silence.longest_before

    def _claim(self, params: list[int], owner: int, ledger: Ledger) -> Claim:
        silence, life = self._silent[params[0]], ledger.cohorts.life(params[0])
        newest, step = _last_backward(life), ledger.optimizers[owner].last
        name = ledger.optimizer_name(owner)
        alive = [ledger.parameter_name(p) for p in _alive(silence.in_front, life, ledger, now=silence.now)]
        return Claim(
            step=newest[1],
            message=(
                f"{PARAMETERS} received gradients in {times(life.windows_ever, 'step')}, the last one in "
                f"step {newest[1]}, and none in {times(silence.steps, 'step')} since, while "
                f"{names(alive)}, between {'it' if len(params) == 1 else 'them'} and the loss, "
                f"{'is' if len(alive) == 1 else 'are'} trained as before. {_HOW[silence.how]}"
            ),
            fix=(
                f"Find what begins after step {newest[1]} at {quoted(silence.site, 'forward')} or behind it: "
                f"{_LOOK_FOR[silence.how]}. If the part is to stand still from there on, freeze it with "
                "`requires_grad_(False)`."
            ),
            roles=roles(
                forward=silence.site,
                backward=newest[0],
                step=step.site if step else None,
            ),
            parameters=tuple(params),
            evidence={
                "steps_with_gradient": life.windows_ever,
                "steps_without": silence.steps,
                "last_step_with_gradient": newest[1],
                "still_trained": alive[:4],
            },
            anchor=("step",),
            topic=name,
            variant=silence.how,
        )


_HOW = {
    "graph": "The module still runs, so what it returns is cut off from the loss.",
    "no_grad": "The module still runs, but with gradients disabled.",
    "checkpoint": "The module still runs, in a reentrant checkpoint, none of whose inputs requires grad now.",
}
_LOOK_FOR = {
    "graph": "a `detach()`, a rebuilt tensor, an `argmax`",
    "no_grad": "a `no_grad` block, or a `set_grad_enabled(False)` that is never taken back",
    "checkpoint": "give the checkpoint `use_reentrant=False`",
}


def _alive(in_front: ParameterSet, life: Life, ledger: Ledger, *, now: int) -> list[int]:
    """Those that the same optimizer still trains."""
    lives = ((index, ledger.cohorts.life(index)) for index in in_front)
    stepping = _stepping(life, ledger, now)
    return [i for i, one in lives if not one.owners.isdisjoint(stepping) and _trained_since(life, one, now)]


def _stepping(life: Life, ledger: Ledger, now: int) -> frozenset[int]:
    """Its owners that step: one that another optimizer has replaced does not."""
    lasts = ((index, ledger.optimizers[index].last) for index in life.owners)
    return frozenset(index for index, last in lasts if last is not None and now - last.step <= _LATELY)


def _is_alternative(index: int, event: QuietForwards, ledger: Ledger) -> bool:
    """Whether one of a row of alike, not in front of it, is trained in its place (an expert, a head)."""
    alike, front = row(ledger.parameters[index]), frozenset(event.in_front)
    others = (p.index for p in ledger.parameters if p.index not in front and row(p) == alike)
    life = ledger.cohorts.life(index)
    return any(_trained_since(life, ledger.cohorts.life(other), event.step) for other in others)


def _trained_since(lost: Life, other: Life, now: int) -> bool:
    """Whether the other one got gradients after the last of the lost one, and lately."""
    last = other.last_write
    return last is not None and other.touched > lost.touched and now - last.last.step <= _LATELY


def _last_backward(life: Life) -> tuple[Site | None, int]:
    """The line and the step of the last backward that wrote it."""
    last = life.last_write
    return (last.site, last.last.step) if last is not None else (None, 0)
