"""Why a mutant that changes training is not caught: by program and change, else by the change alone."""

from __future__ import annotations

_BY_PROGRAM: dict[str, str] = {}

_BY_CHANGE: dict[str, str] = {}


def reason(program: str, change: str) -> str:
    """The reason, empty where none is known."""
    return _BY_PROGRAM.get(f"{program}: {change}", _BY_CHANGE.get(change.partition(" behind")[0], ""))
