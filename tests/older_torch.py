"""What an older torch does not show, and the tests that need it."""

from __future__ import annotations

import pytest

from graddebug.capture import underscored

needs_saved = pytest.mark.skipif(
    not underscored.SAVED_READABLE, reason="this torch does not show what nodes save"
)

#: Programs in tests/corpus whose finding rests on what nodes save.
PROGRAMS_THAT_NEED_SAVED = frozenset(
    (
        "gan_fused_step_between",
        "gan_step_between_forward_and_backward",
        "normalise_at_zero",
        "weights_clamped_before_backward",
    )
)
