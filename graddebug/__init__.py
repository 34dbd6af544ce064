"""graddebug: see a PyTorch training step from inside, and the line that breaks it.

Importing this package does not import torch; the names below load what they need when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graddebug.errors import FindingRaised, GraddebugError, TraceError, UsageError
    from graddebug.records import Finding, Severity
    from graddebug.session import Run, watch
    from graddebug.trace.reader import Recording

__version__ = "0.1.0"

_HOMES = {
    "Finding": "graddebug.records",
    "FindingRaised": "graddebug.errors",
    "GraddebugError": "graddebug.errors",
    "Recording": "graddebug.trace.reader",
    "Run": "graddebug.session",
    "Severity": "graddebug.records",
    "TraceError": "graddebug.errors",
    "UsageError": "graddebug.errors",
    "watch": "graddebug.session",
}

__all__ = [
    "Finding",
    "FindingRaised",
    "GraddebugError",
    "Recording",
    "Run",
    "Severity",
    "TraceError",
    "UsageError",
    "__version__",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'graddebug' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
