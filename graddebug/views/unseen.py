"""What could not be seen in a run: it is listed, and never called fine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from graddebug.records import Event, NotObservable
from graddebug.views.figures import several
from graddebug.views.line import Line, Span, Tone, dim
from graddebug.views.printable import printable


def unseen(events: Iterable[Event]) -> list[str]:
    """``what: reason`` of everything that was not observable, each once, in order."""
    words = (f"{e.what}: {e.reason}" for e in events if isinstance(e, NotObservable))
    return [printable(word) for word in dict.fromkeys(words)]


def unseen_lines(entries: Sequence[str]) -> Iterator[Line]:
    """The entries as a section; nothing where all was seen."""
    if not entries:
        return
    yield ()
    yield (
        Span("not observable", Tone.WARNING),
        dim(f"  {several(len(entries), 'thing')} that no rule could judge"),
    )
    for entry in entries:
        yield (Span(f"  {entry}"),)
