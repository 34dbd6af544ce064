"""What holds for every test: it leaves the process as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.leftovers import leftovers, surroundings


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a hook, a replaced method, a changed mode or a thread behind."""
    before = surroundings()
    yield
    left = leftovers(before, surroundings())
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)
