"""Telling whether a call that began is still under way, without holding its frame.

A frame keeps the caller's local variables alive, so only its ``id`` is kept. An ``id`` is used again
soon after its frame is gone, mostly by a frame of other code: both must agree.
"""

from __future__ import annotations

from types import CodeType, FrameType


class CallMark:
    """Remembers one call by its frame."""

    __slots__ = ("_code", "_frame_id")

    def __init__(self, frame: FrameType) -> None:
        self._frame_id = id(frame)
        self._code = frame.f_code

    def is_around(self, frame: FrameType | None) -> bool:
        """Whether ``frame`` is the call's or was called by it, however indirectly."""
        while frame is not None:
            if id(frame) == self._frame_id and frame.f_code is self._code:
                return True
            frame = frame.f_back
        return False


def innermost(code: CodeType, frame: FrameType | None) -> FrameType | None:
    """The innermost frame of this code among ``frame`` and its callers."""
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame
