from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trace.small_run import SmallRun


@pytest.fixture
def small_run(tmp_path: Path) -> Iterator[Callable[..., SmallRun]]:
    """Makes small runs, each in a folder of its own, and closes them at the end."""
    made: list[SmallRun] = []

    def make(**options: int) -> SmallRun:
        made.append(SmallRun(tmp_path / f"run{len(made)}", **options))
        return made[-1]

    yield make
    for run in made:
        run.writer.close()
