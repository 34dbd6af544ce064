"""``watch()``: joins capture, record and judgement for as long as a block of the program runs.

A `Watch` is what the user configures; entering it gives a `Run`, the live session.
"""

from __future__ import annotations

import gc
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from graddebug.capture.capture import Capture
from graddebug.capture.context import Subjects
from graddebug.capture.measuring import NodesMode
from graddebug.capture.parameters import parameters_of
from graddebug.capture.sites import names_of_arguments, user_frame
from graddebug.capture.taps import close_taps, open_taps
from graddebug.diagnose.engine import Engine
from graddebug.errors import FindingRaised, UsageError, described
from graddebug.graph import BackwardGraph
from graddebug.known.configuration import NOTHING, Configuration, Options, of_call, of_project
from graddebug.known.live import LiveAcknowledged, Place
from graddebug.records import (
    Acknowledgement,
    ErrorRaised,
    Event,
    Finding,
    ModuleTable,
    NodeTable,
    NotObservable,
    OptimizerInfo,
    ParameterInfo,
    RunInfo,
    Severity,
    StepRecord,
)
from graddebug.report.live import LivePrinter
from graddebug.report.text import render_finding
from graddebug.trace.reader import Recording
from graddebug.trace.writer import TraceWriter

if TYPE_CHECKING:
    import numpy as np

OnFinding = Literal["warn", "raise", "silent"]


def watch(
    *objects: object,
    out: str | os.PathLike[str] | None = None,
    on_finding: OnFinding = "warn",
    nodes: NodesMode = "auto",
    title: str = "",
    ignore: Sequence[str | Mapping[str, object]] = (),
    options: Mapping[str, Mapping[str, float]] | None = None,
    **named: object,
) -> Run:
    """Watch training inside a ``with`` block and say what is wrong with its gradients.

    ``objects`` are modules and optimizers in any mix and order (schedulers and scalers are
    accepted); given as keywords they are called by that name in findings. With none, every module
    and optimizer that the block uses is watched. ``out`` is a folder to record into, which must be
    new or empty; without it nothing is written and `Run.findings` is all there is. ``on_finding``:
    ``"warn"`` prints each new finding once to standard error, ``"raise"`` raises `FindingRaised` at
    the guilty line before the harm is done (for errors and warnings; it waits for the device at
    each event), ``"silent"`` only collects.

    ``nodes`` says when every op of the forward and every node of the backward is measured, which is what
    names the line where a NaN was born: ``"always"``, ``"off"``, or ``"auto"``, which stays within 5 % of
    the time and measures every step around trouble.

    ``ignore`` names findings that are known: they are found and recorded, marked, and neither printed nor
    raised. Each is a rule's code, or says more exactly what is known and why:
    ``{"rule": "GD101", "params": "encoder.*", "at": "train.py:41", "reason": "momentum in .grad"}``.
    ``options`` sets thresholds of rules: ``{"GD204": {"windows": 40}}``. Both add to ``[tool.graddebug]`` of
    the nearest pyproject.toml above the calling file, and to comments ``# graddebug: ignore[GD101] reason``.

    Raises `UsageError` for objects that cannot be watched, for a folder that cannot be used, and for rules
    and options that there are not.

    >>> with graddebug.watch(model, optimizer, out="runs/demo") as run:
    ...     for x, y in loader:
    ...         with run.step():  # optional: otherwise steps are inferred
    ...             train_step(x, y)
    >>> run.findings
    """
    if on_finding not in ("warn", "raise", "silent"):
        raise UsageError(f'on_finding is "warn", "raise" or "silent", not {on_finding!r}.')
    if nodes not in ("auto", "always", "off"):
        raise UsageError(f'nodes is "auto", "always" or "off", not {nodes!r}.')
    names = names_of_arguments(len(objects))
    subjects = _subjects([*zip(names, objects, strict=True), *named.items()])
    configuration = of_call(ignore, options).over(_of_caller())
    folder = Path(out) if out is not None else None
    return Run(
        subjects, out=folder, on_finding=on_finding, nodes=nodes, title=title, configuration=configuration
    )


def _of_caller() -> Configuration:
    """The project's that the file calling `watch` lies in, else that of the working directory."""
    frame, _ = user_frame(3)
    file = Path(frame.f_code.co_filename) if frame is not None else None
    beside = [file.parent] if file is not None and file.is_file() else []
    return of_project(*beside, ".")


def watch_program(
    *,
    out: Path | None,
    on_finding: OnFinding,
    nodes: NodesMode,
    title: str,
    configuration: Configuration,
) -> Run:
    """A watch of everything, whose configuration was read before the program began."""
    return Run(
        Subjects(), out=out, on_finding=on_finding, nodes=nodes, title=title, configuration=configuration
    )


class Run:
    """A watch, live from ``with`` to its end; afterwards its findings and recording remain."""

    def __init__(
        self,
        subjects: Subjects,
        *,
        out: Path | None,
        on_finding: OnFinding,
        nodes: NodesMode,
        title: str,
        configuration: Configuration = NOTHING,
    ) -> None:
        self._subjects: Subjects | None = subjects
        self._nodes = nodes
        self._out = out
        self._title = title
        self._entered = False
        self._options = configuration.options
        self._recorder = Recorder(on_finding, configuration)
        self._capture: Capture | None = None

    def __enter__(self) -> Run:
        if self._entered:
            state = "is already open" if self._capture else "was already used"
            raise UsageError(f"This watch {state}. Make a new one with graddebug.watch(...) for each block.")
        assert self._subjects is not None
        if self._out is not None:
            self._recorder.record_into(TraceWriter(self._out, _run_info(self._title, self._options)))
        self._entered = True
        subjects, self._subjects = self._subjects, None
        eager = self._recorder.on_finding == "raise"
        capture = Capture(
            subjects, self._recorder, eager=eager, nodes=self._nodes, on_failure=self._recorder.failed
        )
        self._capture = capture
        try:
            open_taps(capture)
            if subjects.anything:
                _find_existing(capture)
        except BaseException as error:  # no `with` block was entered that could end the watch
            self.close(*_reason(type(error), error))
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(*_reason(kind, error))

    def close(self, reason: str = "finished", detail: str = "") -> None:
        """End the watch: ``"finished"``, ``"exception"`` or ``"interrupted"``. A second call does nothing."""
        capture, self._capture = self._capture, None
        if capture is None:
            return
        self._recorder.closing = True
        try:
            self._recorder.ending(capture.places)
            capture.finish(reason, detail)
        finally:
            close_taps(capture)
            capture.release()
            self._recorder.close(reason)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Mark one step of the training loop; without any marks, steps are inferred from the optimizers."""
        capture = self._capture
        if capture is None:
            raise UsageError("run.step() belongs inside the watch: `with graddebug.watch(...) as run:`.")
        capture.begin_marked_step()
        yield
        capture.end_marked_step()

    @property
    def findings(self) -> list[Finding]:
        """All findings so far, in order of first appearance, with their counts up to now."""
        return self._recorder.engine.findings

    @property
    def not_observable(self) -> list[NotObservable]:
        """What could not be seen, and why."""
        return self._recorder.engine.not_observable

    @property
    def steps(self) -> int:
        """Number of steps that are over."""
        return self._recorder.steps

    @property
    def folder(self) -> Path | None:
        """Where the run is recorded; None when it is not."""
        return self._out

    @property
    def recording(self) -> Recording:
        """The recording so far; `UsageError` when the watch has no ``out``."""
        if self._out is None:
            raise UsageError(
                'This watch recorded nothing. Give it a folder: graddebug.watch(..., out="runs/demo").'
            )
        return Recording.open(self._out)


class Recorder:
    """Capture's observer: judges each event, writes it down, and speaks up as asked."""

    def __init__(self, on_finding: OnFinding, configuration: Configuration = NOTHING) -> None:
        self.on_finding = on_finding
        self.parameters: list[ParameterInfo] = []
        self.optimizers: list[OptimizerInfo] = []
        self.acknowledged = LiveAcknowledged(configuration.acknowledgements, self._learned)
        self.engine = Engine(
            self.parameters,
            self.optimizers,
            options=configuration.options,
            acknowledged=self.acknowledged,
        )
        self.writer: TraceWriter | None = None
        self.steps = 0
        self.closing = False
        self._print = LivePrinter()

    def record_into(self, writer: TraceWriter) -> None:
        """Write down what happens from now on, and first what is acknowledged from the start."""
        self.writer = writer
        for entry in self.acknowledged.entries:
            self._learned(entry)

    def _learned(self, entry: Acknowledgement) -> None:
        if self.writer:
            self._write(lambda writer: writer.acknowledgement(entry))

    def parameter(self, info: ParameterInfo) -> None:
        """Enter a parameter into the tables."""
        self.parameters.append(info)
        if self.writer:
            self._write(lambda writer: writer.parameter(info))

    def optimizer(self, info: OptimizerInfo) -> None:
        """Enter an optimizer into the tables."""
        self.optimizers.append(info)
        if self.writer:
            self._write(lambda writer: writer.optimizer(info))

    def graph(self, graph: BackwardGraph) -> None:
        """Store a graph."""
        if self.writer:
            self._write(lambda writer: writer.graph(graph))

    def event(self, event: Event) -> None:
        """Record an event, then act on what the rules find in it."""
        if self.writer:
            self._write(lambda writer: writer.event(event))
        for finding in self.engine.feed(event):
            self._found(finding)

    def explain(self, event: ErrorRaised) -> list[str]:
        """The open findings that explain an exception of torch's; not printed: it says them itself."""
        if self.writer:
            self._write(lambda writer: writer.event(event))
        found = self.engine.feed(event)
        for finding in found:
            self._record(finding)
        told = [finding for finding in found if finding.acknowledged is None]
        return ["\n" + render_finding(finding, colour=False, width=100) for finding in told]

    def step(
        self, record: StepRecord, statistics: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None
    ) -> None:
        """Commit a step."""
        self.steps += 1
        if self.writer:
            self._write(lambda writer: writer.commit(record, statistics))
        for finding in self.engine.measured(record, statistics):
            self._found(finding)

    def nodes(self, table: NodeTable) -> None:
        """Store the nodes of a measured backward."""
        if self.writer:
            self._write(lambda writer: writer.nodes(table))

    def modules(self, table: ModuleTable) -> None:
        """Store the outputs of modules of a measured step."""
        if self.writer:
            self._write(lambda writer: writer.modules(table))

    def _record(self, finding: Finding) -> None:
        if self.writer:
            self._write(lambda writer: writer.finding(finding))

    def _found(self, finding: Finding) -> None:
        self._record(finding)
        if finding.acknowledged is not None:
            return
        if self.on_finding == "raise" and finding.severity >= Severity.WARNING and not self.closing:
            raise FindingRaised(finding, "\n" + render_finding(finding, colour=False, width=100))
        if self.on_finding == "warn":
            self._print(finding)

    def _write(self, act: Callable[[TraceWriter], None]) -> None:
        """Write, or give recording up with one word about why: training goes on."""
        assert self.writer is not None
        try:
            act(self.writer)
        except OSError as error:
            self.writer = None
            self._print.say(f"graddebug stopped recording: {error}. Training goes on, findings still appear.")

    def failed(self, error: Exception) -> None:
        """Capture itself failed: say so once, and that nothing from here on was seen."""
        reason = described(error)
        self._print.say(
            f"graddebug stopped watching because of an error of its own ({reason}). Training goes on."
        )
        order = sys.maxsize
        self.event(NotObservable(step=self.steps, order=order, what="everything from here on", reason=reason))

    def ending(self, places: Collection[Place]) -> None:
        """Before the last events: learn what the program acknowledges in all lines that it came by."""
        try:
            self.acknowledged.program_came_by(places)
        except Exception as error:  # the border to the user's program, whose training is over
            self._print.say(f"graddebug could not read comments of the program ({described(error)}).")

    def close(self, reason: str) -> None:
        """Write the findings as they ended and close the record; a failure of ours stays here."""
        try:
            self._finish(reason)
        except Exception as error:  # the border to the user's program, whose training is over
            self._print.say(f"graddebug could not finish the recording ({described(error)}).")

    def _finish(self, reason: str) -> None:
        for finding in self.engine.findings:
            if self.writer:
                self._write(lambda writer, finding=finding: writer.finding(finding))  # type: ignore[misc]
        if self.writer:
            self._write(lambda writer: writer.close(reason))


# --- what to watch ----------------------------------------------------------------------------


def _subjects(candidates: list[tuple[str, object]]) -> Subjects:
    subjects = Subjects()
    for name, thing in candidates:
        if isinstance(thing, nn.Module):
            if not parameters_of(thing):
                raise UsageError(
                    f"{name or type(thing).__name__} has no parameters, so it has no gradients to watch. "
                    "Was it built, and its layers registered as attributes or in an nn.ModuleList?"
                )
            subjects.modules[_free_name(name or type(thing).__name__, subjects.modules)] = thing
        elif isinstance(thing, torch.optim.Optimizer):
            subjects.optimizers[_free_name(name or type(thing).__name__, subjects.optimizers)] = thing
        elif isinstance(thing, torch.amp.GradScaler):
            subjects.scalers[_free_name(name or type(thing).__name__, subjects.scalers)] = thing
        elif not isinstance(thing, torch.optim.lr_scheduler.LRScheduler):
            raise UsageError(
                "graddebug.watch() takes modules, optimizers, schedulers and scalers; "
                f"{name or 'an argument'} is a {type(thing).__name__}."
            )
    return subjects


def _free_name(name: str, taken: Container[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    return free


def _find_existing(capture: Capture) -> None:
    """Tell a watch of everything about the optimizers that are already there."""
    # type() instead of isinstance(): asking proxies for their __class__ could run their code.
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.optim.Optimizer):
            capture.optimizer_created(thing)


def _reason(kind: type[BaseException] | None, error: BaseException | None) -> tuple[str, str]:
    if kind is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished", ""
    if issubclass(kind, KeyboardInterrupt):
        return "interrupted", ""
    return "exception", described(error) if error is not None else kind.__name__


def _run_info(title: str, options: Options) -> RunInfo:
    import graddebug

    return RunInfo(
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        graddebug=graddebug.__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        argv=tuple(sys.argv),
        cwd=os.getcwd(),
        host=socket.gethostname(),
        pid=os.getpid(),
        device=torch.cuda.get_device_name()
        if torch.cuda.is_available() and torch.cuda.is_initialized()
        else "cpu",
        rank=int(os.environ.get("RANK", "0") or 0),
        world=int(os.environ.get("WORLD_SIZE", "1") or 1),
        title=title,
        options={code: dict(values) for code, values in options.items()},
    )
