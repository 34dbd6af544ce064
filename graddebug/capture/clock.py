"""When one step of the training loop ends and the next begins."""

from __future__ import annotations

from collections.abc import Callable, Collection

from graddebug.capture.journal import Journal
from graddebug.records import Site


class StepClock:
    """Ends steps: where the user marks them, else where an optimizer that has stepped is used again.

    A use is its ``zero_grad``, its ``step``, or a backward that reaches its parameters. What concerns
    several optimizers (a generator's backward through the discriminator) starts a new step only when
    all of them have stepped.
    """

    def __init__(self, journal: Journal, forget_old: Callable[[], None]) -> None:
        self._journal = journal
        self._forget_old = forget_old
        self._stepped: set[int] = set()
        self._backward_sites: set[Site | None] = set()
        self.marked = False

    def about_to_use(self, optimizers: Collection[int]) -> None:
        """An event that concerns these optimizers is about to happen."""
        if not self.marked and optimizers and self._stepped.issuperset(optimizers):
            self.end(at_mark=True)

    def backward_without_optimizer(self, site: Site | None) -> None:
        """A backward that no optimizer's parameters take part in: the same line again is a new step."""
        if not self.marked and not self._stepped and site in self._backward_sites:
            self.end(at_mark=True)
        self._backward_sites.add(site)

    def stepped(self, optimizer: int) -> None:
        """An optimizer stepped."""
        self._stepped.add(optimizer)

    def belongs_to_last(self) -> None:
        """What was just told belongs to the steps of optimizers before it, not to what comes."""
        if self._stepped:
            self._journal.mark()

    def end(self, *, at_mark: bool = False) -> None:
        """End the step now, or where its last optimizer step returned."""
        self._stepped.clear()
        self._backward_sites.clear()
        self._forget_old()
        self._journal.end_step(at_mark=at_mark)
