"""One step's events in order, each in words: who wrote gradients, who cleared them, who consumed them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from graddebug.records import (
    Backward,
    Clipped,
    Event,
    Finding,
    Forward,
    GradientsCleared,
    GradientsEdited,
    GraphReleased,
    ModulesInEval,
    NotObservable,
    OptimizerInfo,
    OptimizerOwns,
    OptimizerStep,
    OptimizerStepEnd,
    ParameterInfo,
    ParameterSet,
    ParametersUsed,
    QuietForwards,
    RunEnd,
    Site,
    StepEnd,
    TrainableChanged,
    WeightsMoved,
)
from graddebug.views.columns import Column
from graddebug.views.figures import number, seconds, several, size
from graddebug.views.findings import FindingRow, finding_row, findings_at
from graddebug.views.held import GradientsHeld, Groups, consumed
from graddebug.views.life_precision import precision_words
from graddebug.views.line import Line, Span, Tone, dim, line
from graddebug.views.printable import printable
from graddebug.views.quote import place

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

#: Steps looked back over to know what gradients held when the step began.
LOOK_BACK = 32
#: Heads the events that no whole step holds.
TAIL = "after the last whole step"
NO_STEP = "no whole step: all that was seen"


LIFE_COLUMNS = (
    Column("order", "#", 6, right=True, rank=3),
    Column("kind", "event", 10),
    Column("words", "what happened", 36, grow=24),
    Column("where", "where", 13, grow=1, rank=1, most=28, keeps_end=True),
    Column("found", "found", 9, rank=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRow:
    """One event in words.

    ``site`` is the line that did it, or, with ``noticed``, the line before which the state was seen
    to have changed. ``depth`` is 1 inside an optimizer's closure or another backward. ``tail`` marks
    events after the last whole step; a row that ``heads`` them is no event. ``params`` are the parameters
    it touched.
    """

    order: int
    word: str
    tone: Tone
    words: Line
    where: str
    site: Site | None
    noticed: bool
    params: ParameterSet
    depth: int
    tail: bool
    heads: bool = False
    findings: tuple[FindingRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A step's events, and the findings of the step that no event's line could be matched to.

    ``step`` is None where there is no whole step.
    """

    step: int | None
    rows: tuple[LifeRow, ...]
    unplaced: tuple[FindingRow, ...] = ()


def life(recording: Recording, step: int | None) -> Life:
    """The life of gradients in one step, with the tail of the recording behind its last step.

    Without ``step``, all that was seen, where the recording holds no whole step.
    """
    if step is None:
        telling = _Telling(recording.optimizers, recording.parameters, step=-1)
        told = Life(step=None, rows=_with_tail(telling.tell(list(recording.events())), NO_STEP))
        return _with_findings(told, recording.findings)
    is_last = step == recording.last_step
    telling = _Telling(recording.optimizers, recording.parameters, step)
    telling.prepare(recording.events(max(recording.first_step or 0, step - LOOK_BACK), step - 1))
    events = list(recording.events(step, None if is_last else step))
    told = Life(step=step, rows=_with_tail(telling.tell(events), TAIL))
    return _with_findings(told, findings_at(recording.findings, step))


def _with_tail(rows: Sequence[LifeRow], words: str) -> tuple[LifeRow, ...]:
    begin = next((place for place, row in enumerate(rows) if row.tail), None)
    if begin is None:
        return tuple(rows)
    heading = LifeRow(
        order=rows[begin].order,
        word="———",
        tone=Tone.DIM,
        words=(dim(words),),
        where="",
        site=None,
        noticed=False,
        params=(),
        depth=0,
        tail=True,
        heads=True,
    )
    return (*rows[:begin], heading, *rows[begin:])


def life_cells(row: LifeRow) -> list[Line]:
    """An event's cells, by `LIFE_COLUMNS`."""
    return [
        (dim("" if row.heads else f"{row.order}"),),
        (Span("  " * row.depth + row.word, row.tone),),
        row.words,
        (dim(f"before {row.where}" if row.noticed else row.where),),
        _found(row.findings),
    ]


def _found(findings: Sequence[FindingRow]) -> Line:
    if not findings:
        return ()
    more = f"+{len(findings) - 1}" if len(findings) > 1 else ""
    return (Span(f"{findings[0].glyph} {findings[0].code}{more}", findings[0].tone),)


def _with_findings(told: Life, findings: Sequence[Finding]) -> Life:
    lines = {(row.site.file, row.site.line) for row in told.rows if row.site}
    placed: dict[tuple[str, int], list[FindingRow]] = {}
    unplaced = []
    for finding in findings:
        places = {(role.site.file, role.site.line) for role in finding.roles} & lines
        if not places:
            unplaced.append(finding_row(finding))
        for where in places:
            placed.setdefault(where, []).append(finding_row(finding))
    return Life(step=told.step, rows=tuple(_marked(told.rows, placed)), unplaced=tuple(unplaced))


def _marked(rows: Iterable[LifeRow], placed: Mapping[tuple[str, int], list[FindingRow]]) -> Iterable[LifeRow]:
    for row in rows:
        found = placed.get((row.site.file, row.site.line)) if row.site else None
        yield replace(row, findings=tuple(found)) if found else row


@dataclass
class _Telling:
    """Puts events into words, knowing what every gradient holds at each of them."""

    optimizers: Sequence[OptimizerInfo]
    parameters: Sequence[ParameterInfo]
    step: int
    held: GradientsHeld = field(default_factory=GradientsHeld)
    ends: dict[int, OptimizerStepEnd] = field(default_factory=dict)

    def prepare(self, events: Iterable[Event]) -> None:
        for event in events:
            self.held.feed(event)

    def tell(self, events: Sequence[Event]) -> list[LifeRow]:
        self.ends = {event.begin: event for event in events if isinstance(event, OptimizerStepEnd)}
        rows = []
        for event in events:
            if row := self._row(event):
                rows.append(row)
            self.held.feed(event)
        return rows

    def _row(self, event: Event) -> LifeRow | None:
        told = self._words(event)
        if told is None:
            return None
        word, tone, words = told
        noticed = getattr(event, "noticed_at", None)
        site = event.site or noticed
        return LifeRow(
            order=event.order,
            word=word,
            tone=tone,
            words=words,
            where=place(site) if site else "",
            site=site,
            noticed=event.site is None and site is not None,
            params=_params(event),
            depth=_depth(event),
            tail=event.step > self.step,
        )

    def _words(self, event: Event) -> tuple[str, Tone, Line] | None:  # noqa: PLR0911 - one return a kind
        match event:
            case Forward():
                return "forward", Tone.DIM, _forward(event)
            case Backward():
                return "backward", Tone.ACCENT, self._backward(event)
            case GradientsCleared():
                return "cleared", Tone.GOOD, self._cleared(event)
            case GradientsEdited():
                return "edited", Tone.WARNING, self._edited(event)
            case Clipped():
                return "clipped", Tone.PLAIN, _clipped(event)
            case OptimizerStep():
                return "step", Tone.STRONG, self._step(event)
            case OptimizerStepEnd():
                return self._step_end(event)
            case _:
                return self._aside(event)

    def _aside(self, event: Event) -> tuple[str, Tone, Line] | None:  # noqa: PLR0911 - one return a kind
        match event:
            case OptimizerOwns():
                owns = f"{self._optimizer(event.optimizer)} owns {several(len(event.params), 'parameter')}"
                return "owns", Tone.DIM, line(owns)
            case TrainableChanged():
                return "trainable", Tone.DIM, line(self._trainable(event))
            case WeightsMoved():
                return "moved", Tone.DIM, line(f"{self._named(event.params)} changed outside of every step")
            case ParametersUsed():
                return "first use", Tone.DIM, line(f"{self._named(event.params)} ran with gradients on")
            case QuietForwards():
                return "quiet", Tone.DIM, line(self._quiet(event))
            case ModulesInEval():
                return "eval mode", Tone.DIM, line(_in_eval(event))
            case GraphReleased():
                return "released", Tone.WARNING, _released(event)
            case NotObservable():
                return "unseen", Tone.WARNING, line(printable(f"{event.what}: {event.reason}"))
            case StepEnd():
                return "step over", Tone.DIM, _over(event)
            case RunEnd():
                return "run end", Tone.DIM, line(printable(f"{event.reason} {event.detail}".strip()))
            case _:
                return precision_words(event, self._gradients)

    def _backward(self, event: Backward) -> Line:
        verb = "wrote" if event.accumulates else "autograd.grad over"
        loss = "" if event.loss is None else f", loss {number(event.loss)}"
        return line(
            Span("failed: " if event.failed else "", Tone.ERROR),
            _nonfinite(event.nonfinite),
            f"{verb} {self._gradients(event.written)}",
            self._on_top_of(event),
            loss,
            Span(_flags(event), Tone.DIM),
        )

    def _on_top_of(self, event: Backward) -> Span:
        before = self.held.of(event.written) if event.accumulates else {}
        used = sum(len(members) for held, members in before.items() if held.used)
        added = used or sum(map(len, before.values()))
        some = f", {added}" if added < len(event.written) else ""
        if used:
            return Span(f"{some} onto consumed ones", Tone.WARNING)
        return Span(f"{some} onto unconsumed ones" if added else "")

    def _cleared(self, event: GradientsCleared) -> Line:
        to = "to None" if event.to_none else "to zero"
        owner = f" of {printable(event.owner)}" if event.owner else ""
        lost = _fresh(self.held.of(event.params))
        waste = f"{lost} not consumed by any step: " if lost else ""
        return line(
            Span(waste, Tone.WARNING), f"{printable(event.how)}{owner}: {self._gradients(event.params)} {to}"
        )

    def _edited(self, event: GradientsEdited) -> Line:
        verb = "another tensor put into" if event.how == "assigned" else "changed in place:"
        return line(f"{verb} {self._gradients(event.params)}")

    def _step(self, event: OptimizerStep) -> Line:
        end = self.ends.get(event.order)
        who = self._optimizer(event.optimizer)
        rate = f", lr {number(event.lr[0])}" if event.lr else ""
        if end and (end.skipped or end.failed):
            why = "raised" if end.failed else "skipped: the weights were left alone"
            return line(f"{who} ", Span(why, Tone.WARNING))
        if event.closure:
            return line(f"{who} calls its closure{rate}")
        remark, backwards = self._history(event, end)
        bad = _nonfinite(event.nonfinite)
        return line(remark, bad, f"{who} consumed {self._gradients(event.ready)}{backwards}{rate}")

    def _history(self, event: OptimizerStep, end: OptimizerStepEnd | None) -> tuple[Span, str]:
        """What is remarkable about the contributions that a step consumed, and how many they are."""
        groups = self.held.of(consumed(event, end))
        stale = {held: members for held, members in groups.items() if held.used}
        most = max((held.backwards for held in groups), default=0)
        oldest = min((held.since for held in groups), default=self.step)
        beyond = 0 < oldest <= self.step - LOOK_BACK
        more = "+" if beyond else ""
        backwards = f" of {most}{more} backwards" if most > 1 else ""
        if not stale:
            return Span(""), backwards
        used = max(held.used for held in stale)
        since = f"since step {oldest}" if not beyond else f"since step {oldest} or before"
        return Span(f"{used}{more}{backwards} consumed before ({since}): ", Tone.ERROR), ""

    def _step_end(self, event: OptimizerStepEnd) -> tuple[str, Tone, Line] | None:
        who = self._optimizer(event.optimizer)
        if event.moved_idle:
            words = f"{who} moved {self._named(event.moved_idle)} without a new gradient"
            return "moved", Tone.WARNING, line(words)
        if event.holds_graph:
            words = f"the gradient of {self._named(event.holds_graph)} still holds its graph"
            return "kept graph", Tone.WARNING, line(words)
        if event.ready and not event.skipped and self._is_closure(event):
            return "consumed", Tone.STRONG, line(f"{who} consumed {self._gradients(event.ready)}")
        return None

    def _is_closure(self, event: OptimizerStepEnd) -> bool:
        begun = self.held.begun(event.begin)
        return begun is not None and begun.closure

    def _trainable(self, event: TrainableChanged) -> str:
        state = "trainable" if event.requires_grad else "frozen"
        return f"{self._named(event.params)} {state} from here on"

    def _quiet(self, event: QuietForwards) -> str:
        return (
            f"no gradient for {self._named(event.params)}, whose modules {_RAN.get(event.how, 'ran')} in "
            f"{several(event.steps, 'step')}"
        )

    def _optimizer(self, index: int) -> str:
        known = index < len(self.optimizers)
        return printable(self.optimizers[index].name) if known else f"optimizer {index}"

    def _gradients(self, params: ParameterSet) -> str:
        if len(params) == 1:
            return f"the gradient of {self._named(params)}"
        return several(len(params), "gradient") if params else "no gradient"

    def _named(self, params: ParameterSet) -> str:
        if len(params) == 1 and params[0] < len(self.parameters):
            return printable(self.parameters[params[0]].name)
        return several(len(params), "parameter")


def _nonfinite(params: ParameterSet) -> Span:
    return Span(f"NaN or inf in {several(len(params), 'gradient')}: " if params else "", Tone.ERROR)


def _params(event: Event) -> ParameterSet:
    if isinstance(event, Backward):
        return event.written
    if isinstance(event, OptimizerStep):
        return event.ready
    if isinstance(event, OptimizerStepEnd):
        return event.moved_idle or event.holds_graph or event.ready
    params: ParameterSet = getattr(event, "params", ())
    return params


def _depth(event: Event) -> int:
    inside = getattr(event, "parent", None) is not None or getattr(event, "inside_step", None) is not None
    return int(inside)


def _forward(event: Forward) -> Line:
    mode = "train" if event.training else "eval"
    name = printable(event.module or event.module_type or "model")
    kept = "built a graph" if event.built_graph else "built no graph"
    off = "" if event.grad_enabled else ", gradients off"
    cast = f", autocast {printable(event.autocast)}" if event.autocast else ""
    slip = event.built_graph and not event.training
    return line(f"{name} ran in {mode} mode, ", Span(kept, Tone.WARNING if slip else Tone.PLAIN), off, cast)


def _flags(event: Backward) -> str:
    flags = [
        f"{several(event.nodes, 'node')}" if event.nodes else "",
        "graph retained" if event.retain_graph and not event.create_graph else "",
        "graph of the gradient built" if event.create_graph else "",
        "inside another backward" if event.parent is not None else "",
        "inside the step's closure" if event.inside_step is not None else "",
    ]
    said = ", ".join(filter(None, flags))
    return f" ({said})" if said else ""


def _clipped(event: Clipped) -> Line:
    words = f"{printable(event.function)} over {several(len(event.params), 'gradient')}"
    if event.total_norm is None or event.max_norm is None:
        return line(words)
    cut = event.total_norm > event.max_norm
    verb = "cut to" if cut else "under the limit of"
    told = f", norm {number(event.total_norm)} {verb} {number(event.max_norm)}"
    return line(words, Span(told, Tone.WARNING if cut else Tone.PLAIN))


_RAN = {
    "graph": "ran with gradients on",
    "no_grad": "ran with gradients off",
    "checkpoint": "ran inside of a reentrant checkpoint",
}


def _in_eval(event: ModulesInEval) -> str:
    if not event.parts:
        return printable(f"{event.module} trains in train mode from here on")
    return printable(f"{', '.join(event.parts)} in eval mode, and trained so, from here on")


def _released(event: GraphReleased) -> Line:
    held = f", {size(event.saved_bytes)} held for backward" if event.saved_bytes else ""
    return line(f"graph of {printable(event.module or 'the model')} freed without a backward{held}")


def _over(event: StepEnd) -> Line:
    loss = "" if event.loss is None else f", loss {number(event.loss)}"
    return line(f"took {seconds(event.duration)}{loss}")


def _fresh(groups: Groups) -> int:
    return sum(len(members) for held, members in groups.items() if held.fresh)
