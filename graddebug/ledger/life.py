"""One gradient's life: what is in `.grad` now, who wrote it, who has used it.

Memory stays bounded however long the story: backwards from one line are one `Contribution` with a
count, and what a step has used is folded into one `Old`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from graddebug.ledger.scaling import UNDIVIDED, Scaling
from graddebug.records import Backward, Clipped, GradientsCleared, GradientsEdited, OptimizerStep, Site

#: A source line as rules compare it: file, line, and the library frame that made the call. None: unknown.
Line = tuple[str, int, str]


def line_of(site: Site | None) -> Line | None:
    """The line of a site; two calls that one library line makes for the user are the same line."""
    return None if site is None else (site.file, site.line, site.library)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What the backwards of one line added to a gradient that nobody has used yet.

    ``first`` and ``last`` are the events of the first and the newest of ``count`` backwards (or the one
    manual assignment); ``at`` is the tick of the newest. ``evaluated``: written in eval mode.
    ``nonfinite``: the gradient held NaN or inf afterwards. ``scaled``: it carries a loss scale; None where
    that cannot be known.
    """

    line: Line | None
    first: Backward | GradientsEdited
    last: Backward | GradientsEdited
    at: int
    count: int = 1
    evaluated: bool = False
    nonfinite: bool = False
    assigned: bool = False
    scaled: bool | None = False

    @property
    def site(self) -> Site | None:
        """Where the newest of it was written."""
        if isinstance(self.last, GradientsEdited):
            return self.last.site or self.last.noticed_at
        return self.last.site

    def same_kind(self, other: Contribution) -> bool:
        """Whether the other one may be counted into this one."""
        return (self.line, self.evaluated, self.nonfinite, self.assigned, self.scaled) == (
            other.line,
            other.evaluated,
            other.nonfinite,
            other.assigned,
            other.scaled,
        )

    def plus(self, newer: Contribution) -> Contribution:
        """The contribution with a newer one of the same kind counted in."""
        return replace(self, last=newer.last, at=newer.at, count=self.count + newer.count)


def count_of(parts: tuple[Contribution, ...]) -> int:
    """Number of backwards in contributions; most often there is one, and this runs at each step."""
    return parts[0].count if len(parts) == 1 else sum(part.count for part in parts)


def newest_of(parts: tuple[Contribution, ...]) -> Contribution:
    """The contribution written last; `ValueError` if there is none."""
    return parts[0] if len(parts) == 1 else max(parts, key=lambda part: part.at)


@dataclass(frozen=True, slots=True)
class Use:
    """That an optimizer has consumed a gradient since it was last cleared: the newest step, and how often."""

    step: OptimizerStep
    times: int


@dataclass(frozen=True, slots=True)
class Old:
    """The part of a gradient that some step has already consumed and nothing has cleared since.

    ``count`` backwards wrote it, the ``first`` and the ``newest`` of them are kept; ``users`` maps the
    optimizers that consumed it to their `Use`.
    """

    count: int
    first: Contribution
    newest: Contribution
    users: Mapping[int, Use]


@dataclass(frozen=True, slots=True)
class Discard:
    """That gradients nobody had used were cleared, by ``event`` at tick ``at``."""

    event: GradientsCleared
    newest: Contribution
    at: int
    nonfinite: bool


@dataclass(slots=True)
class Life:
    """What is known of one gradient now; live state, changed by the ledger only.

    Times are ticks of the ledger (one an event), -1 for never. ``fresh`` is what no step has used,
    ``old`` what one has. ``rescaled``: edited in place after it was consumed and before it was written
    again. ``edited``: assigned or edited by hand since it was cleared. ``zeroed``: cleared to zeros, not
    None. ``windows_ever`` counts the windows (stretches between steps of any optimizer) in which a backward
    wrote it, ``windows_since_clear`` those since it was last cleared; ``first_write`` is the first such
    backward, ``last_write`` the newest. ``moved_at``: the weights were changed outside of every step;
    ``updated_at``: likewise, apart from those that an optimizer owns. ``clip`` is the newest clip of the
    gradient, at ``clipped_at``.
    """

    trainable: bool = True
    owners: frozenset[int] = frozenset()
    fresh: tuple[Contribution, ...] = ()
    old: Old | None = None
    touched: int = -1
    tainted: bool = False
    rescaled: bool = False
    edited: bool = False
    zeroed: bool = False
    windows_ever: int = 0
    windows_since_clear: int = 0
    last_window: int = -1
    first_write: int = -1
    last_write: Contribution | None = None
    moved_at: int = -1
    updated_at: int = -1
    clipped_at: int = -1
    clip: Clipped | None = None
    skipped_at: int = -1
    cleared_order: int = -1
    last_clear: GradientsCleared | None = None
    scaling: Scaling = UNDIVIDED
    discard: Discard | None = None

    @property
    def fresh_count(self) -> int:
        """Number of backwards in the part that no step has used."""
        return count_of(self.fresh)

    @property
    def newest(self) -> Contribution | None:
        """The contribution written last, used or not."""
        if self.fresh:
            return newest_of(self.fresh)
        return self.old.newest if self.old else None

    def write(self, part: Contribution, *, window: int) -> None:
        """A backward accumulated into the gradient."""
        self.touched = part.at
        self.last_write = part
        if self.first_write < 0:
            self.first_write = part.at
        self.tainted = part.nonfinite
        if window != self.last_window:
            self.last_window = window
            self.windows_ever += 1
            self.windows_since_clear += 1
        if part.first.order < self.cleared_order:
            return  # cleared by a hook inside this very backward, which is told of only now
        self.zeroed = False
        self.fresh = _added(self.fresh, part) if self.fresh else (part,)

    def assign(self, part: Contribution) -> None:
        """Another tensor was put into ``.grad`` by hand."""
        self.touched = part.at
        self.fresh, self.old = (part,), None
        self.edited, self.tainted, self.rescaled, self.zeroed = True, False, False, False
        self.scaling = UNDIVIDED

    def edit(self, event: GradientsEdited, at: int) -> None:
        """The gradient was changed in place by hand."""
        self.touched = at
        self.edited = True
        self.scaling = self.scaling.edit(event)
        if self.old is not None and not self.fresh:
            self.rescaled = True

    def consume(self, optimizer: int, step: OptimizerStep) -> None:
        """A step of an optimizer applied the gradient."""
        newest = self.newest
        if newest is None:
            return
        before = self.old
        users = before.users if before else {}
        times = users[optimizer].times if optimizer in users else 0
        self.old = Old(
            count=self.fresh_count + (before.count if before else 0),
            first=before.first if before else self.fresh[0],
            newest=newest,
            users={**users, optimizer: Use(step, times + 1)},
        )
        self.fresh = ()
        self.tainted = self.rescaled = False

    def clear(self, event: GradientsCleared, at: int) -> None:
        """The gradient became None or zero; what was fresh is remembered as discarded."""
        if self.fresh:
            newest = newest_of(self.fresh)
            self.discard = Discard(event, newest, at, self.tainted)
        self.fresh, self.old = (), None
        self.tainted = self.rescaled = self.edited = False
        self.zeroed = not event.to_none
        self.windows_since_clear = 0
        self.cleared_order = event.order
        self.scaling = UNDIVIDED
        self.last_clear = event


def _added(fresh: tuple[Contribution, ...], part: Contribution) -> tuple[Contribution, ...]:
    for place, known in enumerate(fresh):
        if known.same_kind(part):
            return (*fresh[:place], known.plus(part), *fresh[place + 1 :])
    return (*fresh, part)
