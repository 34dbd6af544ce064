"""Where a viewer stands in time: one cursor over the committed steps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graddebug.records import Finding


@dataclass(frozen=True, slots=True)
class StepCursor:
    """A place among ``steps`` (sorted, committed; some may have been dropped to keep a size cap).

    Every move gives a cursor back and stays inside; over no steps at all, `step` is None.
    """

    steps: Sequence[int]
    place: int = 0

    @property
    def step(self) -> int | None:
        """The step it stands on."""
        return self.steps[self.place] if self.steps else None

    def by(self, count: int) -> StepCursor:
        """Moved by so many committed steps, stopping at either end."""
        return self._at(self.place + count)

    def first(self) -> StepCursor:
        """On the first step."""
        return self._at(0)

    def last(self) -> StepCursor:
        """On the last step."""
        return self._at(len(self.steps) - 1)

    def at(self, step: int) -> StepCursor:
        """On ``step``, or on the nearest committed one."""
        right = bisect_left(self.steps, step)
        if right and (right == len(self.steps) or step - self.steps[right - 1] < self.steps[right] - step):
            right -= 1
        return self._at(right)

    def next_of(self, marks: Sequence[int]) -> StepCursor:
        """On the first of the sorted ``marks`` after this step; unmoved if there is none."""
        place = bisect_right(marks, self.step) if self.step is not None else len(marks)
        return self.at(marks[place]) if place < len(marks) else self

    def previous_of(self, marks: Sequence[int]) -> StepCursor:
        """On the last of the sorted ``marks`` before this step; unmoved if there is none."""
        place = bisect_left(marks, self.step) if self.step is not None else 0
        return self.at(marks[place - 1]) if place else self

    def _at(self, place: int) -> StepCursor:
        return StepCursor(self.steps, max(0, min(place, len(self.steps) - 1)))


def finding_steps(findings: Iterable[Finding]) -> list[int]:
    """Sorted steps at which a finding begins or was last seen: where ``.`` and ``,`` go."""
    return sorted({step for finding in findings for step in (finding.first_step, finding.last_step)})
