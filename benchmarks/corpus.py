"""Runs all programs of tests/corpus and writes what is found into docs/corpus.md: `make corpus`.

Precision of a rule: of the programs in which it speaks up, the share whose header names it. Recall: of
the programs whose header names it, the share in which it is found, for the first rule of a header at the
marked lines and with the named parameters. A note is no alarm: where no header names it, it counts for
nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from corpus_programs import Answer, Program, ask, faults, programs
from forked import ROOT, Forked

from graddebug.diagnose.registry import all_rules

PAGE = ROOT / "docs" / "corpus.md"
_BEGIN, _END = "<!-- table -->", "<!-- /table -->"


@dataclass(slots=True)
class Score:
    """Programs in which a rule is expected, found where it is expected, and alarms where it is not."""

    expected: int = 0
    found: int = 0
    false: int = 0

    @property
    def precision(self) -> float:
        """Share of what was found that is right; 1 where nothing was."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        """Share of what is there that was found; 1 where nothing is."""
        return self.found / self.expected if self.expected else 1.0


@dataclass(slots=True)
class Tally:
    """What was found over the whole corpus."""

    rules: dict[str, Score] = field(default_factory=dict)
    programs: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, program: Program, answer: Answer) -> None:
        """Count one program."""
        self.programs[program.path.parent.name] += 1
        wrong = faults(program, answer)
        self.faults += [f"{program.path.parent.name}/{program.name}: {fault}" for fault in wrong]
        found = {one["rule"] for one in answer.checked}
        for place, code in enumerate(program.codes):
            score = self.rules.setdefault(code, Score())
            score.expected += 1
            score.found += code in found and not (place == 0 and wrong)
        for code in {one["rule"] for one in answer.alarms} - set(program.codes):
            self.rules.setdefault(code, Score()).false += 1


def run_all(chosen: Sequence[Program], *, workers: int) -> Iterator[tuple[Program, Answer]]:
    """Each program and its answer, several at a time, in order."""
    servers: SimpleQueue[Forked] = SimpleQueue()
    for _ in range(workers):
        servers.put(Forked())

    def answer(program: Program) -> tuple[Program, Answer]:
        server = servers.get()
        try:
            with tempfile.TemporaryDirectory() as folder:
                return program, ask(program.path, folder=Path(folder), forked=server)
        finally:
            servers.put(server)

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(answer, chosen)
    for _ in range(workers):
        servers.get().close()


def table(tally: Tally) -> str:
    """The rules in a Markdown table, and the programs in a sentence."""
    rules = all_rules()
    lines = [
        "| rule | programs with it | found | false alarms | precision | recall |",
        "|---|---|---|---|---|---|",
    ]
    for code in sorted(rules):
        score = tally.rules.get(code, Score())
        numbers = f"{score.expected} | {score.found} | {score.false}"
        shares = f"{score.precision:.0%} | {score.recall:.0%}"
        lines.append(f"| {code} `{rules[code].slug}` | {numbers} | {shares} |")
    scores = tally.rules.values()
    total = Score(*(sum(getattr(one, name) for one in scores) for name in ("expected", "found", "false")))
    shares = f"{total.precision:.0%} | {total.recall:.0%}"
    lines.append(f"| **all** | {total.expected} | {total.found} | {total.false} | {shares} |")
    counts = f"{tally.programs['buggy']} buggy programs and {tally.programs['correct']} correct ones."
    return "\n".join([counts, "", *lines])


def write(text: str) -> None:
    """Put the table into its page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")


def main() -> int:
    """Run, print, write; 1 if any header is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="renew the table in docs/corpus.md")
    arguments = parser.parse_args()
    tally = Tally()
    for program, answer in run_all([*programs("buggy"), *programs("correct")], workers=arguments.workers):
        tally.add(program, answer)
    text = table(tally)
    print(text)
    if arguments.write:
        write(text)
    print(*tally.faults, sep="\n", file=sys.stderr)
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
