"""`graddebug check`: judge a recording again, and say what is wrong."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from graddebug.commands.command import FAIL_ON, JUDGING, Command, Exit, least_severity, option
from graddebug.records import Finding, NotObservable, StepEnd, StepRecord

if TYPE_CHECKING:
    from graddebug.diagnose.engine import Engine
    from graddebug.diagnose.evidence import Judgement
    from graddebug.diagnose.measured import Table
    from graddebug.known.configuration import Configuration
    from graddebug.report.report import Report
    from graddebug.trace.reader import Recording

#: The shapes of the answer, one file each in `graddebug.report`.
FORMATS = ("text", "json", "sarif", "github", "markdown", "junit")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about a recording."""

    findings: tuple[Finding, ...]
    not_observable: tuple[NotObservable, ...]
    judgements: tuple[Judgement, ...] = ()


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; exit 1 when one that is not acknowledged is at or above ``--fail-on``."""
    from graddebug.commands.recording import open_recording
    from graddebug.known.configuration import of_flags, of_project
    from graddebug.report.weigh import fails

    configuration = of_flags(arguments.ignore, arguments.option).over(of_project("."))
    recording = open_recording(arguments.run_folder)
    verdict = judge(recording, configuration)
    verdict = with_baseline(verdict, arguments, recording=recording, configuration=configuration)
    _say(recording, verdict, arguments)
    failed = fails(verdict.findings, least_severity(arguments.fail_on))
    return Exit.FINDINGS if failed else Exit.FINE


def with_baseline(
    verdict: Verdict,
    arguments: argparse.Namespace,
    *,
    recording: Recording,
    configuration: Configuration,
) -> Verdict:
    """Write the baseline that is to be written, and mark what the one to read, or that one, knows."""
    from graddebug.known import baseline
    from graddebug.known.recorded import acknowledged_in
    from graddebug.report.weigh import by_weight

    known, folder = None, recording.info.cwd
    if arguments.baseline is not None:
        known = baseline.read_baseline(Path(arguments.baseline))
    if arguments.write_baseline is not None:
        known = baseline.baseline_of(verdict.findings, Path(arguments.write_baseline), folder=folder)
        baseline.write_baseline(known)
    if known is None:
        return verdict
    findings, stale = baseline.accepted(known, verdict.findings, folder=folder)
    whole = recording.closed == "finished" and recording.cut is None and not verdict.not_observable
    if whole:
        notes = (baseline.stale_note(entry, known, step=recording.last_step or 0) for entry in stale)
        findings += map(acknowledged_in(recording, configuration).marked, notes)
    return replace(verdict, findings=tuple(by_weight(findings)))


def judge(recording: Recording, configuration: Configuration | None = None) -> Verdict:
    """Stream a recording's events and statistics through the rules, in the order of the run.

    What the run's own configuration acknowledges and sets holds here, too; ``configuration`` adds to it.
    """
    from graddebug.diagnose.engine import Engine
    from graddebug.diagnose.registry import all_rules
    from graddebug.known.configuration import NOTHING
    from graddebug.known.recorded import acknowledged_in, options_of
    from graddebug.report.weigh import by_weight

    configuration = NOTHING if configuration is None else configuration
    engine = Engine(
        recording.parameters,
        recording.optimizers,
        options=options_of(recording, configuration, all_rules()),
        acknowledged=acknowledged_in(recording, configuration),
    )
    measured = recording.measured() if engine.wants_statistics else iter(())
    for event in recording.events():
        engine.feed(event)
        if type(event) is StepEnd:
            _catch_up(engine, measured, event.step)
    return Verdict(tuple(by_weight(engine.findings)), tuple(engine.not_observable), tuple(engine.judgements))


def _catch_up(engine: Engine, measured: Iterator[tuple[StepRecord, Table | None]], step: int) -> None:
    """Hand over the statistics of a step that just ended; those of steps without events go unread."""
    for record, table in measured:
        if record.step == step:
            engine.measured(record, table)
        if record.step >= step:
            return


def _say(recording: Recording, verdict: Verdict, arguments: argparse.Namespace) -> None:
    from graddebug.report.terminal import emit

    if arguments.format == "text":
        _say_text(recording, verdict, arguments)
        return
    text = formatted(arguments.format, report_of(recording, verdict, arguments))
    if text:
        emit(text)


def formatted(name: str, report: Report) -> str:
    """The report in one of `FORMATS` but text, which depends on who looks."""
    if name == "sarif":
        from graddebug.diagnose.registry import all_rules
        from graddebug.report.sarif import sarif

        return sarif([report], all_rules())
    if name == "json":
        from graddebug.report.json import check_json, dumps

        return dumps(
            check_json(
                run=report.run,
                steps=report.steps,
                findings=report.findings,
                not_observable=report.not_observable,
                judgements=report.judgements,
                pages=report.pages,
            )
        )
    module = import_module(f"graddebug.report.{name}")
    return str(getattr(module, name)(report))


def report_of(recording: Recording, verdict: Verdict, arguments: argparse.Namespace) -> Report:
    """What there is to say, for a format to say it."""
    from graddebug.report.report import Report
    from graddebug.report.rule_page import addresses

    return Report(
        run=describe(recording, folder=arguments.run_folder),
        steps=len(recording),
        findings=verdict.findings,
        not_observable=verdict.not_observable,
        judgements=verdict.judgements,
        folders=(os.getcwd(), recording.info.cwd),
        least=least_severity(arguments.fail_on),
        pages=addresses({finding.rule for finding in verdict.findings}),
    )


def describe(recording: Recording, *, folder: str) -> dict[str, object]:
    """The recording's own data, for the ``run`` of the JSON."""
    info = recording.info
    return {
        "folder": folder,
        "title": info.title,
        "created": info.created,
        "argv": list(info.argv),
        "graddebug": info.graddebug,
        "torch": info.torch,
        "python": info.python,
        "rank": info.rank,
        "world": info.world,
        "closed": recording.closed,
        "cut": recording.cut,
    }


def _say_text(recording: Recording, verdict: Verdict, arguments: argparse.Namespace) -> None:
    import sys

    from graddebug.report.rule_page import addresses
    from graddebug.report.terminal import emit, terminal_width, wants_colour, wants_links
    from graddebug.report.text import render_finding
    from graddebug.report.weigh import open_ones

    colour, width, linking = wants_colour(sys.stdout), terminal_width(), wants_links(sys.stdout)
    emit(header(recording, folder=arguments.run_folder))
    pages = addresses({finding.rule for finding in verdict.findings})
    for finding in verdict.findings if arguments.verbose else open_ones(verdict.findings):
        page = pages.get(finding.rule, "")
        told, link = page if arguments.verbose else "", page if linking else ""
        emit("\n" + render_finding(finding, colour=colour, width=width, page=told, link=link))
    if arguments.verbose:
        emit("\n" + judgement_table(verdict.judgements))
    emit("\n" + footer(verdict, steps=len(recording), verbose=arguments.verbose))


def judgement_table(judgements: Sequence[Judgement]) -> str:
    """One line a rule: whether it found something, nothing, or could judge nothing, and why."""
    slugs = max((len(one.slug) for one in judgements), default=0)
    rows = [
        f"  {one.rule}  {one.slug:<{slugs}}  {one.outcome.value}{f': {one.reason}' if one.reason else ''}"
        for one in judgements
    ]
    return "\n".join(["what became of each rule:", *rows])


def header(recording: Recording, *, folder: str) -> str:
    """Which recording this is, and what is missing at its end, if something is."""
    from graddebug.commands.recording import state_of
    from graddebug.report.weigh import counted
    from graddebug.views.printable import printable

    info = recording.info
    lines = [
        f"{printable(folder)}: {counted(len(recording), 'step')}, recorded {printable(info.created)}, torch "
        f"{printable(info.torch)}"
    ]
    if info.argv:
        lines.append(f"  {printable(shlex.join(info.argv))}")
    state = state_of(recording)
    return "\n".join([*lines, *([f"  {printable(state)}"] if state else [])])


def footer(verdict: Verdict, *, steps: int, verbose: bool) -> str:
    """The count of findings, and what could not be seen."""
    from graddebug.report.weigh import counted, open_ones, tally

    known = len(verdict.findings) - len(open_ones(verdict.findings))
    hint = "" if verbose or not known else " (--verbose shows what is acknowledged)"
    lines = [f"{tally(verdict.findings)} in {counted(steps, 'step')}{hint}".capitalize()]
    lines += _unseen(verdict.not_observable, verbose=verbose)
    return "\n".join(lines)


def _unseen(not_observable: Sequence[NotObservable], *, verbose: bool) -> list[str]:
    from graddebug.report.weigh import counted
    from graddebug.views.printable import printable

    reasons = dict.fromkeys(
        f"  {printable(unseen.what)}: {printable(unseen.reason)}" for unseen in not_observable
    )
    if not reasons:
        return []
    title = f"{counted(len(reasons), 'thing')} could not be observed"
    return [f"{title}:", *reasons] if verbose else [f"{title} (--verbose lists them)"]


COMMAND = Command(
    name="check",
    summary="say what is wrong in a recording",
    options=(
        option("run_folder", metavar="RUN", help="the recording's folder"),
        option("--format", choices=FORMATS, default="text", help="default: text"),
        option(
            "--fail-on",
            choices=FAIL_ON,
            default="warning",
            help="exit 1 for findings at or above (default: warning)",
        ),
        *JUDGING,
        option(
            "--baseline",
            metavar="FILE",
            help="take the findings that this file knows as known: fail on what is new",
        ),
        option(
            "--write-baseline",
            metavar="FILE",
            help="write the findings that are not acknowledged into a baseline, and take them as known",
        ),
        option(
            "--verbose",
            action="store_true",
            help="show acknowledged findings, too, what became of each rule, and what could not be observed",
        ),
    ),
    run=run,
)
