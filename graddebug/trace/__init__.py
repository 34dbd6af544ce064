"""The record on disk: a folder of plain files that survives a kill and is followed while it grows.

`format` alone knows bytes, `codec` alone knows how records become JSON; `writer` and `reader` are
the two public doors. numpy is all they need.
"""

from __future__ import annotations

from graddebug.trace.reader import Recording
from graddebug.trace.writer import TraceWriter

__all__ = ["Recording", "TraceWriter"]
