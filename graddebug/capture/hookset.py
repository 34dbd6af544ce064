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

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any], *aliases: Any) -> None:
        """Replace ``owner.name`` by ``make(original)`` until `restore`, also in ``aliases`` that hold it.

        On restore the original comes back only if ours is still in place: a wrapper that somebody
        put over ours afterwards stays, and ours passes straight through when nobody watches. What
        this release of torch does not have is not replaced.
        """
        original = vars(owner).get(name)
        if original is None:
            return
        replacement = make(original)
        for one in (owner, *aliases):
            if vars(one).get(name) is original:
                self._set(one, name, replacement, original)

    def shadow(self, owner: type[Any], name: str, make: Callable[[Any], Any]) -> None:
        """Give a class an attribute of its own, ``make(inherited)``, until `restore`."""
        if name in vars(owner) or not hasattr(owner, name):
            return
        replacement = staticmethod(make(getattr(owner, name)))

        def undo() -> None:
            if vars(owner).get(name) is replacement:
                delattr(owner, name)

        self._undo.append(undo)
        setattr(owner, name, replacement)

    def _set(self, owner: Any, name: str, replacement: Any, original: Any) -> None:
        def undo() -> None:
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)

        self._undo.append(undo)
        setattr(owner, name, replacement)

    def restore(self) -> None:
        """Give everything back, newest first; a second call does nothing."""
        while self._undo:
            self._undo[-1]()  # before it is forgotten: an interrupt here loses none
            self._undo.pop()
