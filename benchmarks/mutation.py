"""Removes or moves one line of each correct program of tests/corpus, and looks what is said: `make mutation`.

A mutant is *caught* when there is an error or a warning, *noted* when there is a note that the original
has not; it *crashes* when Python or torch stops it; it *changed nothing* when all weights after all steps,
and the random state at the end, are the same bits. What is left changed training unseen, and has a reason.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from corpus_programs import Answer, Program, programs, run_only
from forked import ROOT, Forked
from mutants import Mutant, mutants
from mutation_reasons import reason

PAGE = ROOT / "docs" / "mutation.md"
_BEGIN, _END = "<!-- table -->", "<!-- /table -->"
_DIGEST = "digest of training: "

#: Goes before a program: the weights after each step, in any order (programs have threads), and at the end.
_PROLOGUE = f'''
import hashlib as _hashlib, torch as _torch
from torch.optim.optimizer import register_optimizer_step_post_hook as _after_step
_sum = [0]
def _bits(tensor):
    with _torch.no_grad():
        tensor = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
        return tensor.contiguous().reshape(-1).view(_torch.uint8).numpy().tobytes()
def _add(*data):
    _sum[0] += int.from_bytes(_hashlib.sha256(b"".join(data)).digest()[:8], "little")
_after_step(lambda optimizer, *_: _add(*(_bits(p) for g in optimizer.param_groups for p in g["params"])))
def _digest(names):
    for name in sorted(names):
        value = names[name]
        if isinstance(value, _torch.nn.Module):
            _add(name.encode(), *(_bits(t) for t in value.state_dict().values() if t.numel()))
        elif isinstance(value, _torch.Tensor) and value.is_leaf and value.requires_grad:
            _add(name.encode(), _bits(value))
    _add(_torch.get_rng_state().numpy().tobytes())
    print("{_DIGEST}%d" % _sum[0])
'''


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant; ``rules`` that caught or noted it."""

    program: str
    mutant: Mutant
    kind: str
    rules: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The program and the change, as reasons are keyed by."""
        return f"{self.program}: {self.mutant.change}"


class Runner:
    """Runs programs on a few servers at a time."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._servers: SimpleQueue[Forked] = SimpleQueue()
        for _ in range(workers):
            self._servers.put(Forked())

    def all(self, chosen: Sequence[Program]) -> Iterator[Outcome]:
        """The outcomes of all mutants of these programs, in order."""
        with ThreadPoolExecutor(self._workers) as pool:
            for outcomes in pool.map(self._one, chosen):
                yield from outcomes
        for _ in range(self._workers):
            self._servers.get().close()

    def _one(self, program: Program) -> list[Outcome]:
        server = self._servers.get()
        try:
            source = program.path.read_text(encoding="utf-8")
            original = _answer(source, name=program.path.name, forked=server)
            assert original is not None
            outcomes = []
            for mutant in mutants(source):
                answer = _answer(mutant.source, name=program.path.name, forked=server)
                kind, rules = _judged(original, answer)
                outcomes.append(Outcome(program.name, mutant, kind, rules))
            return outcomes
        finally:
            self._servers.put(server)


def _answer(source: str, *, name: str, forked: Forked) -> Answer | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(f"{_PROLOGUE}\n{source}\n_digest(dict(globals()))\n", encoding="utf-8")
        try:
            return run_only(path, folder=Path(folder), forked=forked)
        except AssertionError:  # it stopped before there was anything to record
            return None


def _judged(original: Answer, answer: Answer | None) -> tuple[str, tuple[str, ...]]:
    if answer is None:
        return "crashed", ()
    alarms = sorted({one["rule"] for one in answer.alarms})
    if answer.ran.code:
        return "crashed", tuple(alarms)
    if alarms:
        return "caught", tuple(alarms)
    if _digest(answer) == _digest(original):
        return "changed nothing", ()
    new = {one["rule"] for one in answer.checked} - {one["rule"] for one in original.checked}
    return ("noted", tuple(sorted(new))) if new else ("not caught", ())


def _digest(answer: Answer) -> str:
    return answer.ran.stdout.rpartition(_DIGEST)[2]


def report(outcomes: Sequence[Outcome]) -> str:
    """Counts by change, then every mutant that changed training unseen, with its reason."""
    kinds = ("caught", "noted", "crashed", "changed nothing", "not caught")
    changes = sorted({_family(one.mutant.change) for one in outcomes})
    lines = [
        f"{len(outcomes)} mutants.",
        "",
        f"| change | {' | '.join(kinds)} | caught by |",
        "|---" * 7 + "|",
    ]
    for change in changes:
        of_it = [one for one in outcomes if _family(one.mutant.change) == change]
        count = Counter(one.kind for one in of_it)
        rules = Counter(rule for one in of_it if one.kind == "caught" for rule in one.rules)
        by = ", ".join(f"{rule} {number}" for rule, number in sorted(rules.items()))
        lines.append(f"| {change} | {' | '.join(str(count[kind]) for kind in kinds)} | {by} |")
    total = Counter(one.kind for one in outcomes)
    lines.append(f"| **all** | {' | '.join(str(total[kind]) for kind in kinds)} | |")
    lines += ["", "## Changed training, not caught", "", "| program | change | why |", "|---|---|---|"]
    lines += [
        f"| {one.program}:{one.mutant.line} | {one.mutant.change} | "
        f"{reason(one.program, one.mutant.change)} |"
        for one in outcomes
        if one.kind == "not caught"
    ]
    return "\n".join(lines)


def _family(change: str) -> str:
    return change.partition(" behind")[0]


def main() -> int:
    """Run all, print, write; 1 if a mutant that changed training was not caught and has no reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="renew the table in docs/mutation.md")
    parser.add_argument("names", nargs="*", help="programs (default: all)")
    arguments = parser.parse_args()
    chosen = [one for one in programs("correct") if not arguments.names or one.name in arguments.names]
    outcomes = []
    for one in Runner(arguments.workers).all(chosen):
        print(
            f"{one.program}:{one.mutant.line} {one.mutant.change}: {one.kind} {' '.join(one.rules)}",
            file=sys.stderr,
        )
        outcomes.append(one)
    text = report(outcomes)
    print(text)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
        PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")
    unseen = [one for one in outcomes if one.kind == "not caught"]
    return int(any(not reason(one.program, one.mutant.change) for one in unseen))


if __name__ == "__main__":
    sys.exit(main())
