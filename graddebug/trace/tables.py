"""What a recording says beside its steps: parameters, optimizers, definitions, findings, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from graddebug.records import Acknowledgement, Finding, OptimizerInfo, ParameterInfo
from graddebug.trace import format as layout
from graddebug.trace.codec import ACKNOWLEDGEMENT, FINDING, OPTIMIZER, PARAMETER, Codec
from graddebug.trace.dropped import Dropped
from graddebug.trace.format import Damaged
from graddebug.trace.interning import Definitions
from graddebug.trace.lines import Lines
from graddebug.trace.measured import MeasuredReader


class Ending(NamedTuple):
    """How a recording ended, with so many steps; the events after the last one are its tail."""

    reason: str
    steps: int
    block: int
    tail_at: int
    tail_length: int
    tail_crc: int
    nodes: int = 0
    modules: int = 0


class Tables:
    """The tables of a recording, read as they grow; each as far as its lines are whole."""

    def __init__(self, folder: Path, rank: Path) -> None:
        self.parameters: list[ParameterInfo] = []
        self.optimizers: list[OptimizerInfo] = []
        self.definitions = Definitions()
        self.findings: dict[str, Finding] = {}
        self.acknowledgements: dict[Acknowledgement, Acknowledgement] = {}
        self.dropped = Dropped()
        self.nodes = MeasuredReader(rank, layout.NODES)
        self.modules = MeasuredReader(rank, layout.MODULES)
        self.ending: Ending | None = None
        self._files: list[tuple[Lines, Callable[[dict[str, Any]], None]]] = [
            (Lines(folder / layout.PARAMETERS), self._add_parameter),
            (Lines(folder / layout.OPTIMIZERS), self._add_optimizer),
            (Lines(rank / layout.INTERNED), self._define),
            (Lines(folder / layout.FINDINGS), self._add_finding),
            (Lines(folder / layout.ACKNOWLEDGEMENTS), self._add_acknowledgement),
            (Lines(rank / layout.DROPPED), self.dropped.learn),
            (Lines(rank / layout.numbers_lines(layout.NODES)), self.nodes.learn),
            (Lines(rank / layout.numbers_lines(layout.MODULES)), self.modules.learn),
            (Lines(rank / layout.CLOSED), self._end),
        ]

    def refresh(self) -> bool:
        """Read what was added; whether there was anything."""
        learned = [_learn(lines, take) for lines, take in self._files]
        return any(learned)

    def damages(self) -> Iterator[str]:
        """What is wrong with the files of tables."""
        yield from (lines.damage for lines, _ in self._files if lines.damage)
        counts = ((self.nodes, self.ending.nodes), (self.modules, self.ending.modules)) if self.ending else ()
        yield from (f"{table.name} ends too early" for table, count in counts if table.lines < count)

    def damage_of(self, name: str) -> str:
        """Why a file holds fewer lines than the steps need."""
        damages = (damage for damage in self.damages() if damage.startswith(f"{name}: "))
        return next(damages, f"{name} ends too early")

    def _add_parameter(self, plain: dict[str, Any]) -> None:
        self.parameters.append(_in_order(PARAMETER, plain, len(self.parameters)))

    def _add_optimizer(self, plain: dict[str, Any]) -> None:
        self.optimizers.append(_in_order(OPTIMIZER, plain, len(self.optimizers)))

    def _define(self, plain: dict[str, Any]) -> None:
        self.definitions.learn(plain, parameters=len(self.parameters))

    def _add_finding(self, plain: dict[str, Any]) -> None:
        finding = FINDING.decode(plain)
        self.findings[finding.id] = finding

    def _add_acknowledgement(self, plain: dict[str, Any]) -> None:
        entry = ACKNOWLEDGEMENT.decode(plain)
        self.acknowledgements[replace(entry, reached=False)] = entry  # it may be reached later

    def _end(self, plain: dict[str, Any]) -> None:
        try:
            measured = (plain.get("nodes", 0), plain.get("modules", 0))
            numbers = (plain["steps"], plain["block"], *plain["tail"], *measured)
            self.ending = Ending(str(plain["reason"]), *(int(number) for number in numbers))
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"no proper ending: {error}") from None


def _learn(lines: Lines, take: Callable[[dict[str, Any]], None]) -> bool:
    """Take in the new lines of a file; whether there were any."""
    learned = False
    for plain in lines.new():
        try:
            take(plain)
        except Damaged as error:
            lines.refuse(error)
            return True
        learned = True
    return learned


def _in_order(codec: Codec[Any], plain: dict[str, Any], index: int) -> Any:
    info = codec.decode(plain)
    if info.index != index:
        raise Damaged(f"number {info.index} stands in place {index}")
    return info
