"""HookSet owns every hook handle and every replaced attribute, and gives all back once, in reverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Removable(Protocol):
    """A handle as torch's hook registrations return it."""

    def remove(self) -> None:
        """Take the hook away."""


class HookSet:
    """What was put into torch, so that it can be taken out again exactly."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._undo)

    def keep(self, handle: Removable) -> None:
        """Own a hook handle."""
        self._undo.append(handle.remove)

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace ``owner.name`` by ``make(original)`` until `restore`.

        On restore the original comes back only if ours is still in place: a wrapper that somebody
        put over ours afterwards stays, and ours passes straight through when nobody watches.
        """
        original = vars(owner)[name]
        replacement = make(original)

        def undo() -> None:
            if vars(owner)[name] is replacement:
                setattr(owner, name, original)

        setattr(owner, name, replacement)
        self._undo.append(undo)

    def restore(self) -> None:
        """Give everything back, newest first; a second call does nothing."""
        while self._undo:
            self._undo.pop()()
