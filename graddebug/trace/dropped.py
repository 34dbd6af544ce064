"""What the size cap took from a recording, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graddebug.trace.format import Damaged


@dataclass(frozen=True, slots=True)
class Thinned:
    """A segment of which only some steps' statistics are left."""

    last: int
    of: int
    kept: int


@dataclass(slots=True)
class Dropped:
    """What is gone: statistics of thinned segments, whole blocks of events."""

    segments: dict[int, Thinned] = field(default_factory=dict)
    blocks: dict[int, int] = field(default_factory=dict)

    def learn(self, plain: dict[str, Any]) -> None:
        """Take in a line of dropped.jsonl; the latest about a segment counts."""
        try:
            if "block" in plain:
                self.blocks[int(plain["block"])] = int(plain["last"])
            else:
                said = Thinned(last=int(plain["last"]), of=int(plain["of"]), kept=int(plain["kept"]))
                self.segments[int(plain["segment"])] = said
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"a line about what was dropped lacks {error}") from None

    def sentence(self, *, tables: int | None = None) -> str | None:
        """What is gone, for people; None if nothing is. ``tables`` is the step that no table fitted from."""
        full = "" if tables is None else f"has no more tables of nodes or modules from step {tables:,}"
        parts = [part for part in (self._statistics(), self._events(), full) if part]
        return f"to stay below its size cap the recording {' and '.join(parts)}" if parts else None

    def _statistics(self) -> str:
        if not self.segments:
            return ""
        thinned = self.segments.values()
        kept, of = sum(s.kept for s in thinned), sum(s.of for s in thinned)
        return f"keeps statistics of {kept:,} of the {of:,} steps up to step {max(s.last for s in thinned):,}"

    def _events(self) -> str:
        return f"has no events up to step {max(self.blocks.values()):,}" if self.blocks else ""
