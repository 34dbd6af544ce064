"""detect_anomaly and graddebug on programs that meet NaN or inf: answers and cost.

    python benchmarks/nonfinite.py [--rounds N] [--threads N] [--write FILE] [PROGRAM …]

Prints a table, or writes it as a page; ``make bench-nonfinite`` renews docs/nonfinite.md.
"""

from __future__ import annotations

import argparse
import linecache
import os
import platform
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nonfinite_answers as answers
import nonfinite_cost as cost
import torch
from nonfinite_answers import Answer
from nonfinite_cost import Cost
from nonfinite_programs import PROGRAMS, Program

PAGE = """# Where did the NaN come from?

{programs} small training programs that meet NaN or inf, each declaring the op and the line to blame
([benchmarks/nonfinite_programs](../benchmarks/nonfinite_programs)). Every one runs under
`torch.autograd.detect_anomaly()` and under `graddebug.watch(nodes="always")`. An answer is right when it
names the op at which the number was born, at its line; for bad data and bad weights when it says that no op
is to blame, at the line where they came in; where the bad number reaches neither the loss nor a gradient,
when it stays silent.

**detect_anomaly: {anomaly} of {programs} right. graddebug: {ours} of {programs} right.**

{answers}

## What it costs

Added time in percent of the bare step. Each round times the bare step, the step under anomaly mode, under a
watch without nodes (`nodes="off"`) and under one that measures every node of every backward
(`nodes="always"`), one after the other; shown is the median over {rounds} rounds, with quartiles. A share is
that of an added time in anomaly mode's. "Of which nodes" is what `always` adds to `off`.

{models}

On the programs themselves, whose steps take a millisecond or less: the same steps over and over from the same
state, the bad one included. Anomaly mode is timed up to its error, graddebug to the step's end.

{costs}

Made by `{command}` with torch {torch}, Python {python}, {threads} thread(s), {machine}.
"""


@dataclass(frozen=True)
class Row:
    """A program and all that was seen of it."""

    program: Program
    anomaly: Answer
    ours: Answer
    cost: Cost | None


def rows(names: list[str], *, rounds: int, repeats: int) -> Iterator[Row]:
    """Run the programs, one after the other."""
    for name in names:
        program = PROGRAMS[name]
        timed = cost.of_program(program, rounds=rounds, repeats=repeats) if rounds else None
        yield Row(program, answers.of_anomaly_mode(program), answers.of_graddebug(program), timed)


def said(answer: Answer, program: Program) -> str:
    """An answer in the words of the table."""
    if not (answer.op or answer.words):
        return "nothing"
    words = [
        answer.words,
        f"`{answer.op}`" if answer.op else "",
        f"line {answer.line}" if answer.line else "",
    ]
    return ", ".join(word for word in words if word)


def answer_table(all_rows: list[Row]) -> list[str]:
    """One line a program: what is to blame, and what each tool said."""
    lines = ["| program | to blame | detect_anomaly | | graddebug | |", "|---|---|---|---|---|---|"]
    for row in all_rows:
        mark = {True: "✓", False: "✗"}
        lines.append(
            f"| {row.program.title} | {blame(row.program)} | {said(row.anomaly, row.program)} | "
            f"{mark[row.anomaly.right]} | {said(row.ours, row.program)} | {mark[row.ours.right]} |"
        )
    return lines


def blame(program: Program) -> str:
    """The declared answer."""
    source = linecache.getline(program.file, program.line).partition("# origin")[0].strip()
    place = f"line {program.line}: `{source}`"
    if program.born == "nowhere":
        return f"nothing: {program.cause}"
    if program.born in ("data", "weights"):
        return f"the {program.born}: {program.cause}, {place}"
    return f"`{program.op}` in {program.born}: {program.cause}, {place}"


def percent(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else [*values] * 3
    return f"{middle:+.0%} ({low:+.0%} to {high:+.0%})"


def cost_table(named: list[tuple[str, Cost]]) -> list[str]:
    """One line a program or model."""
    lines = [
        "| steps of | bare | detect_anomaly adds | graddebug adds | share | of which nodes | share |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, timed in named:
        cells = [name, f"{timed.bare * 1e3:.2f} ms", percent(timed.anomaly)]
        for added in (timed.ours, timed.nodes):
            cells += [percent(added), f"{timed.share(added):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def machine() -> str:
    """The processor, in words."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        entries = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((e.partition(":")[2].strip() for e in entries if e.startswith("model name")), model)
    return f"{os.cpu_count()} cores of {model}"


def page(all_rows: list[Row], models: list[tuple[str, Cost]], asked: argparse.Namespace) -> str:
    """The whole page."""
    timed = [(f"`{row.program.name}`", row.cost) for row in all_rows if row.cost is not None]
    return PAGE.format(
        programs=len(all_rows),
        anomaly=sum(row.anomaly.right for row in all_rows),
        ours=sum(row.ours.right for row in all_rows),
        answers="\n".join(answer_table(all_rows)),
        models="\n".join(cost_table(models)),
        costs="\n".join(cost_table(timed)),
        rounds=asked.rounds,
        command=f"make bench-nonfinite ROUNDS={asked.rounds}",
        torch=torch.__version__,
        python=platform.python_version(),
        threads=asked.threads,
        machine=machine(),
    )


def main() -> None:
    """Run what is asked for, print or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="names of programs (default: all)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of timing, 0 for answers only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page instead of printing it")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    seen = []
    for row in rows(asked.programs or list(PROGRAMS), rounds=asked.rounds, repeats=10):
        seen.append(row)
        print("\n".join(answer_table([row])[2:]), file=sys.stderr, flush=True)
    names = cost.MODELS if asked.rounds else {}
    models = [(name, cost.of_model(name, rounds=asked.rounds, repeats=10)) for name in names]
    text = page(seen, models, asked)
    if asked.write:
        asked.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
