"""What the tests of rules begin with."""

from __future__ import annotations

import pytest

from tests.diagnose import story


@pytest.fixture
def tell() -> story.Tell:
    """Begins a story: of one optimizer over a small model, or of the optimizers given."""
    return story.tell


@pytest.fixture
def lines() -> story.Lines:
    """Line numbers of a finding by role."""
    return story.lines
