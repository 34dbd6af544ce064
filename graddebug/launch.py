"""`graddebug run`: somebody's training program, unchanged, with a watch around it.

How a program is run is `graddebug.program`'s business; here are the folder, the watch and the end.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graddebug.errors import TraceError, UsageError, described
from graddebug.known.settings import Settings
from graddebug.program import Outcome, Program, check_exists, execute, flush_output
from graddebug.records import Finding, Severity
from graddebug.report.live import LivePrinter
from graddebug.report.place import near_path
from graddebug.report.terminal import emit, wants_colour
from graddebug.report.text import render_headline
from graddebug.report.weigh import by_weight, counted, fails, open_ones, tally
from graddebug.views.printable import printable
from graddebug.when_imported import when_imported

if TYPE_CHECKING:
    from graddebug.capture.measuring import NodesMode
    from graddebug.known.configuration import Configuration
    from graddebug.session import OnFinding, Run

_HEADLINES = 10
_RUNS = "graddebug-runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOptions:
    """How to watch a program.

    ``out`` is the recording's folder (None: a new one under ``graddebug-runs``), ``fail_on`` the
    least severity that turns exit code 0 into 1 (None: none does), ``on_finding`` and ``nodes`` are as for
    `graddebug.watch`, ``quiet`` leaves out graddebug's own lines. ``ignore`` and ``option`` are the flags of
    those names, as `graddebug.known.configuration` reads them.
    """

    out: str | None = None
    fail_on: Severity | None = None
    on_finding: OnFinding = "warn"
    nodes: NodesMode = "auto"
    quiet: bool = False
    ignore: tuple[str, ...] = ()
    option: tuple[str, ...] = ()


def launch(program: Program, options: LaunchOptions) -> Outcome:
    """Run a program under a watch; its own exit code, or 1 for findings that ``fail_on`` names.

    `UsageError` when there is no such program or the recording's folder cannot be used.
    """
    _check_working_directory()
    check_exists(program)
    settings = Settings(starts=_starts(program), ignore=options.ignore, option=options.option)
    settings.check()
    folder = prepare_folder(program, options.out, os.environ)
    watched = Watched(folder, program=program, options=options, settings=settings)
    give_up = when_imported("torch", watched.begin)
    try:
        outcome = execute(program)
    except UsageError:
        _remove_if_empty(folder)
        raise
    finally:
        give_up()
    return watched.end(outcome)


def _starts(program: Program) -> tuple[str, ...]:
    """Where to look for the project's configuration: beside the script, then in the working directory."""
    here = os.getcwd()
    return (here,) if program.is_module else (str(Path(program.name).absolute().parent), here)


class Watched:
    """The watch around one program: begun when the program imports torch, ended when it ends."""

    def __init__(self, folder: Path, *, program: Program, options: LaunchOptions, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._shown_folder = near_path(str(folder))  # the program may change the working directory
        self._program = program
        self._options = options
        self._process = os.getpid()
        self._run: Run | None = None
        self._blind = False

    def begin(self) -> None:
        """Start watching: without a recording where its folder cannot be used, not at all where we cannot.

        Called in the program's ``import torch``, which never fails because of us.
        """
        try:
            self._watch(self._folder)
        except (UsageError, OSError) as error:  # the program has used the folder, or removed it
            why = str(error).rstrip(".")
            LivePrinter().say(f"graddebug is not recording: {why}. Training goes on, findings still appear.")
            self._watch(None)
        except ImportError as error:
            LivePrinter().say(f"graddebug is not watching: {error}. Training goes on without it.")
            self._blind = True

    def _watch(self, out: Path | None) -> None:
        from graddebug.session import watch_program

        self._run = watch_program(
            out=out,
            on_finding=self._on_finding,
            nodes=self._options.nodes,
            title=self._program.title,
            configuration=self._configuration(),
        )
        self._run.__enter__()

    def _configuration(self) -> Configuration:
        from graddebug.known.configuration import NOTHING

        try:
            return self._settings.configuration()
        except UsageError as error:  # the program has changed the file that was checked before it began
            LivePrinter().say(f"graddebug goes without its configuration: {error}")
            return NOTHING

    @property
    def _on_finding(self) -> OnFinding:
        asked = self._options.on_finding
        return "silent" if self._options.quiet and asked == "warn" else asked

    def end(self, outcome: Outcome) -> Outcome:
        """Close the recording, say what it holds, and weigh the findings into the exit code."""
        if os.getpid() != self._process:  # a child the program forked has come back here: not its run
            return outcome
        if self._run is None:
            _remove_if_empty(self._folder)
            if not self._blind:  # else the reason has been told
                self._say("the program never imported torch: nothing was recorded")
            return outcome
        self._run.close(outcome.reason, detail=_detail(outcome.error))
        findings = by_weight(self._run.findings)
        kept = None if self._run.folder is None else _steps_kept(self._run.folder)
        self._say(*summary(findings, steps=self._run.steps, kept=kept, folder=self._shown_folder))
        if outcome.code == 0 and fails(findings, self._options.fail_on):
            return Outcome(1, outcome.error)
        return outcome

    def _say(self, *lines: str) -> None:
        if self._options.quiet:
            return
        flush_output()
        # The border to the user's program: it may have closed its stream, or put anything in its place.
        with suppress(Exception):
            emit("\n".join([f"graddebug: {lines[0]}", *lines[1:]]), sys.stderr)


def _steps_kept(folder: Path) -> int | None:
    """Steps that the recording holds: a full disk ends it early, and the program may have removed it."""
    from graddebug.trace.reader import Recording  # with numpy, which must not come before the program

    try:
        return len(Recording.open(folder))
    except TraceError:
        return None


def summary(findings: list[Finding], *, steps: int, kept: int | None, folder: str) -> list[str]:
    """The closing lines: what was recorded, the findings in one line each, how to look at them.

    ``kept`` is the number of steps in the recording, None where there is none.
    """
    colour = wants_colour(sys.stderr)
    shown = open_ones(findings)
    told = [f"  {render_headline(finding, colour=colour)}" for finding in shown[:_HEADLINES]]
    if len(shown) > _HEADLINES:
        told.append(f"  and {len(shown) - _HEADLINES} more")
    if kept is None:
        return [f"{counted(steps, 'step')} watched, {tally(findings)}", *told]
    command = f"graddebug-tui replay {shlex.quote(folder)}"
    return [
        f"{_counts(steps, kept)}, {tally(findings)}",
        *told,
        f"  recording: {printable(folder)}",
        f"  look at it: {printable(command)}",
    ]


def _counts(steps: int, kept: int) -> str:
    if kept == steps:
        return f"{counted(steps, 'step')} recorded"
    return f"{counted(steps, 'step')} watched, {kept} of them recorded"


def _check_working_directory() -> None:
    try:
        os.getcwd()
    except OSError:
        raise UsageError(
            "the working directory does not exist any more: change to one that does, and run again"
        ) from None


def prepare_folder(program: Program, out: str | None, environment: Mapping[str, str]) -> Path:
    """Make the empty folder the recording goes to; never one that holds something already.

    Under torchrun each rank gets ``rankN`` in a folder that all ranks of this machine agree on.
    `UsageError` when it is taken or cannot be made.
    """
    part = _rank_part(environment)
    if out is not None:
        return _make_empty(Path(out).absolute() / part)
    base = Path(_RUNS).absolute() / f"{program.title}-{_stamp(part)}"
    for number in range(1, 1000):
        folder = Path(f"{base}-{number}" if number > 1 else base) / part
        if not folder.exists():
            return _make_empty(folder)
    raise UsageError(f"{base} and 999 more like it exist already: name another folder with -o")


def _rank_part(environment: Mapping[str, str]) -> str:
    rank, world = environment.get("RANK", ""), environment.get("WORLD_SIZE", "")
    several = rank.isdigit() and world.isdigit() and int(world) > 1
    return f"rank{rank}" if several else ""


def _stamp(part: str) -> str:
    # Ranks start at slightly different seconds but have one parent, torchrun: its process id
    # is a name they share.
    return time.strftime("%Y%m%d-") + str(os.getppid()) if part else time.strftime("%Y%m%d-%H%M%S")


def _make_empty(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise UsageError(
            f"cannot make the recording's folder {folder}: {error.strerror}; name another with -o"
        ) from None
    if taken:
        raise UsageError(f"{folder} is not empty, and a recording is never overwritten: name another with -o")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into {folder}: name another folder with -o")
    return folder


def _remove_if_empty(folder: Path) -> None:
    made = [folder, folder.parent] if folder.parent.name == _RUNS else [folder]
    try:
        for empty in made:
            empty.rmdir()
    except OSError:  # not empty, or gone: not ours to remove
        return


def _detail(error: BaseException | None) -> str:
    return "" if error is None else described(error)
