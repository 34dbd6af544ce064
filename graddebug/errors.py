"""Every exception graddebug raises on purpose. Few classes; the message says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graddebug.records import Finding


class GraddebugError(Exception):
    """Base of all errors of graddebug: something a user can act on, said in one message."""


class UsageError(GraddebugError):
    """What was asked for makes no sense: a missing script, a model without parameters."""


class TraceError(GraddebugError):
    """A recording cannot be read: it is foreign, damaged, of a newer version, or not a recording at all."""


def described(error: BaseException) -> str:
    """An exception of the user's in one line: its type and its text."""
    try:
        text = str(error)
    except Exception as problem:  # the border to user code: their __str__ may itself be broken
        text = f"<its text cannot be had: {type(problem).__name__}>"
    return f"{type(error).__name__}: {text}"


class FindingRaised(GraddebugError):
    """Raised at the guilty line when ``on_finding="raise"`` and a rule finds an error or a warning.

    ``finding`` is the finding as it would have been recorded.
    """

    def __init__(self, finding: Finding, text: str) -> None:
        super().__init__(text)
        self.finding = finding
