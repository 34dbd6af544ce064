"""What holds for every test: it leaves the process as it found it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.leftovers import leftovers, surroundings


def _forget_compiled() -> None:
    """A later test's watch stays off torch's stack of modes where something was compiled."""
    if "torch._dynamo.eval_frame" in sys.modules:
        from graddebug.capture.underscored import anything_compiled

        if anything_compiled():
            sys.modules["torch._dynamo"].reset()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a hook, a replaced method, a changed mode or a thread behind."""
    before = surroundings()
    yield
    _forget_compiled()
    left = leftovers(before, surroundings())
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)
