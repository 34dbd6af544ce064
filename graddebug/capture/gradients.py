"""What happened to every ``.grad`` since we last looked.

The truth about a gradient's life is read from state at boundaries: the identity and version of each
``.grad``, and its value where those leave a doubt (``grad.data.zero_()`` changes neither). Calls
that were seen only add the why and the line.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from graddebug.capture.edits import Edited, edit_of
from graddebug.capture.parameters import ParameterTable
from graddebug.capture.readback import Numbers, Readback
from graddebug.capture.samples import FloatArray, Sample, is_plain, largest_element


class _Absent:
    """Stands for the weak reference of a gradient that is None."""

    def __call__(self) -> None:
        return None


_ABSENT = _Absent()
_Reference = weakref.ref[torch.Tensor] | _Absent


@dataclass(slots=True)
class Changes:
    """What one look found outside a backward; value doubts are settled by `settle` after read-back."""

    to_none: list[int] = field(default_factory=list)
    assigned: list[int] = field(default_factory=list)
    in_place: list[int] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)
    norms: Numbers | None = None
    scaled: Comparison | None = None
    before: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None = None

    def __bool__(self) -> bool:
        return bool(self.to_none or self.assigned or self.in_place or self.silent)

    def settle(self) -> Settled:
        """Sort the doubtful ones by value: zero now, another value, or untouched."""
        settled = Settled(to_none=self.to_none)
        if self.norms is None:
            return settled
        doubtful = self.assigned + self.in_place + self.silent
        values = self.norms.values
        for place, index in enumerate(doubtful):
            silent = place >= len(self.assigned) + len(self.in_place)
            if values[place] == 0:
                if not silent or self._differs(place):
                    settled.zeroed.append(index)
            elif place < len(self.assigned):
                settled.assigned.append(index)
            elif not silent or self._differs(place):
                settled.in_place.append(index)
        return settled

    def _differs(self, place: int) -> bool:
        """A silent candidate counts as edited only if its norm left the old one by more than rounding."""
        assert self.norms is not None
        assert self.before is not None
        old = self.before[place - len(self.assigned) - len(self.in_place)]
        new = self.norms.values[place]
        return bool(np.isfinite(old) and np.isfinite(new) and abs(new - old) > 1e-5 * abs(old))


@dataclass(slots=True)
class Settled:
    """`Changes` with every doubt about values settled."""

    to_none: list[int] = field(default_factory=list)
    zeroed: list[int] = field(default_factory=list)
    assigned: list[int] = field(default_factory=list)
    in_place: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.to_none or self.zeroed or self.assigned or self.in_place)


class Measure:
    """Norms of some gradients as they were when it was made, and a sample of them if one was ``sampled``."""

    __slots__ = ("_probe", "dtypes", "members", "norms", "sample")

    def __init__(
        self,
        members: Sequence[int],
        grads: Sequence[torch.Tensor],
        readback: Readback,
        *,
        sampled: bool = False,
    ) -> None:
        self.members = list(members)
        self.dtypes = [grad.dtype for grad in grads]
        self.norms: Numbers = readback.norms(grads)
        self.sample = Sample(grads) if sampled else None
        self._probe = -1, -1

    def mark(self, grads: Sequence[torch.Tensor], known: dict[int, int]) -> None:
        """Choose a gradient and an element of it that is not zero, for `looks_zeroed`.

        ``known`` are elements that were not zero in the backwards before, by parameter.
        """
        for place in np.flatnonzero(self.norms.values > 0)[:1]:  # of those on a device nothing is known yet
            grad, member = grads[place], self.members[place]
            if is_plain(grad):
                if not _is_still_marked(grad, known.get(member, -1)):
                    known[member] = largest_element(grad)
                self._probe = member, known[member]

    def looks_zeroed(self, grad_of: Callable[[int], torch.Tensor | None]) -> bool:
        """Whether an element that was not zero is zero now, although no counter moved.

        One element of one gradient is read: a program that clears with ``grad.data.zero_()`` does so
        to all of a model's. A read of a device would wait for it, so there is none.
        """
        member, element = self._probe
        grad = grad_of(member) if element >= 0 else None
        return grad is not None and is_plain(grad) and grad.is_cpu and not grad.reshape(-1)[element].item()

    def element_of(self, member: int) -> int:
        """The element of a gradient that was marked; -1 if none of it was."""
        return self._probe[1] if self._probe[0] == member else -1

    def elements(self, place: int) -> FloatArray:
        """One gradient's sample, if one was taken."""
        assert self.sample is not None
        return self.sample.numbers[self.sample.layout.span_of(place)]


def _is_still_marked(grad: torch.Tensor, element: int) -> bool:
    return 0 <= element < grad.numel() and grad.is_contiguous() and bool(grad.view(-1)[element].item())


class Comparison:
    """Scaled gradients before and after an edit; `figures` can be asked for when the numbers are here."""

    __slots__ = ("_after", "_before", "_dtypes", "_scales")

    def __init__(
        self,
        before: dict[int, tuple[Measure, int]],
        after: Measure,
        scales: dict[int, Numbers],
        dtypes: dict[int, str],
    ) -> None:
        self._before = before
        self._after = after
        self._scales = scales
        self._dtypes = dtypes

    def figures(self, members: Iterable[int]) -> dict[str, Any]:
        """What was done to those of ``members`` that carry a scale: fields of `GradientsEdited`."""
        scaled = [i for i in members if i in self._before]
        if not scaled:
            return {}
        places = {i: place for place, i in enumerate(self._after.members)}
        edit = edit_of([self._edited(i, places[i]) for i in scaled])
        scale = {"scale": max(float(self._scales[i].values[0]) for i in scaled)}
        return scale if edit is None else scale | asdict(edit)

    def _edited(self, index: int, now: int) -> Edited:
        measure, place = self._before[index]
        return Edited(
            before=measure.elements(place),
            after=self._after.elements(now),
            norm_before=float(measure.norms.values[place]),
            norm_after=float(self._after.norms.values[now]),
            dtype=self._dtypes[index],
        )


class GradientState:
    """The last seen state of every parameter's gradient."""

    def __init__(self, table: ParameterTable, readback: Readback) -> None:
        self._table = table
        self._readback = readback
        #: Set by Context: parameters whose ``.grad`` another thread may be replacing right now.
        self.busy: Callable[[], Collection[int]] = tuple
        self._refs: list[_Reference] = []
        self._versions: list[int] = []
        #: Where the norm is of each gradient a step consumed: the other side of a silent change.
        self._consumed: dict[int, tuple[Measure, int]] = {}
        #: Likewise of each gradient that was written and not changed since.
        self._written: dict[int, tuple[Measure, int]] = {}
        #: Gradients that hold something no step has consumed.
        self._pending: set[int] = set()
        #: Elements of gradients that were not zero when last looked at, by parameter.
        self._elements: dict[int, int] = {}
        #: The loss scale that a gradient carries, of those that a scaled backward wrote and nobody unscaled.
        self.scaled: dict[int, Numbers] = {}
        #: Parameters that a backward has ever written.
        self.ever_written: set[int] = set()

    def look(self, indices: Iterable[int] | None = None) -> list[int]:
        """Indices whose ``.grad`` is another object or version than last seen; remembers the new state.

        Torch replaces ``.grad`` without holding the interpreter's lock, in a backward as in
        ``p.grad = None`` (2.13): reading it from another thread meanwhile crashes the process. What
        another thread trains is left to that thread.
        """
        self._grow()
        refs, versions, table, busy = self._refs, self._versions, self._table.refs, self.busy()
        changed = []
        for i in range(len(refs)) if indices is None else indices:
            if i in busy:
                continue
            parameter = table[i]()
            if parameter is None:
                self._bury(i)
                continue
            grad = parameter.grad if parameter.is_leaf else None  # as `_grad_of`: this is the inmost loop
            # A dead reference answers None, too: no gradient is only what was seen as none.
            if grad is None:
                if refs[i] is _ABSENT:
                    continue
            elif refs[i]() is grad and _version_of(grad) == versions[i]:
                continue
            changed.append(i)
            refs[i], versions[i] = _state_of(grad)
        return changed

    def _bury(self, index: int) -> None:
        """The parameter is gone, and its gradient with it: nobody has cleared that."""
        if self._refs[index] is not _ABSENT:
            self._refs[index], self._versions[index] = _state_of(None)
            self._forget(index)

    def _grow(self) -> None:
        missing = len(self._table) - len(self._refs)
        if missing:
            self._refs += [_ABSENT] * missing
            self._versions += [-1] * missing
            # A gradient that was there before we came may hold anything: it waits to be consumed.
            new = range(len(self._refs) - missing, len(self._refs))
            self.remember(new)
            self._pending.update(i for i in new if self._refs[i] is not _ABSENT)

    def remember(self, indices: Iterable[int]) -> None:
        """Take the present state as known (gradients that were there before we came)."""
        for i in indices:
            parameter = self._table.refs[i]()
            self._refs[i], self._versions[i] = _state_of(None if parameter is None else _grad_of(parameter))

    def release(self) -> None:
        """Hold no gradient, not even weakly."""
        self._refs[:] = [_ABSENT] * len(self._refs)

    def let_go(self, tensor: torch.Tensor) -> list[int]:
        """Hold a gradient not even weakly, until `take_back`; whose it is."""
        if not weakref.getweakrefcount(tensor):
            return []
        members = [i for i, ref in enumerate(self._refs) if ref() is tensor]
        for i in members:
            self._refs[i] = _ABSENT
        return members

    def take_back(self, tensor: torch.Tensor, members: Iterable[int]) -> None:
        """Know it as before; it is the same object, whatever it holds now."""
        for i in members:
            self._refs[i], self._versions[i] = _state_of(tensor)

    def outside(self, *, doubt: bool) -> Changes:
        """What the program itself did to gradients since the last look.

        With ``doubt``, gradients that neither moved nor changed version are checked by value, too.
        """
        self._grow()
        before = self._refs.copy()
        changes = Changes()
        changed = self.look()
        for i in changed:
            if self._refs[i] is _ABSENT:
                changes.to_none.append(i)
                self.scaled.pop(i, None)
            elif before[i]() is self._refs[i]():
                changes.in_place.append(i)
            else:
                changes.assigned.append(i)
        written = self._scaled_and_known(changed)
        for i in changed:
            self._forget(i)
        self._pending.update(changes.assigned, changes.in_place)
        if doubt:
            changes.silent = self._in_doubt()
        self._weigh(changes, written)
        return changes

    def _in_doubt(self) -> list[int]:
        """Gradients that may have changed behind the counters."""
        busy = self.busy()
        consumed = [i for i in self._consumed if i not in busy and self.grad(i) is not None]
        return list(dict.fromkeys(consumed + self._silently_zeroed(busy) + self._scaled_still(busy)))

    def _scaled_still(self, busy: Collection[int]) -> list[int]:
        """Gradients that wait to be unscaled: what is done to them now is undone by the scale."""
        scaled = self._scaled_and_known(self.scaled)
        return [i for i in scaled if i in self._pending and i not in busy and self.grad(i) is not None]

    def _scaled_and_known(self, indices: Iterable[int]) -> dict[int, tuple[Measure, int]]:
        """Those of the gradients that carry a scale, as they were when last seen."""
        if not self.scaled:
            return {}
        known = ((i, self._written.get(i)) for i in indices if i in self.scaled)
        return {i: one for i, one in known if one is not None and one[0].sample is not None}

    def _weigh(self, changes: Changes, written: dict[int, tuple[Measure, int]]) -> None:
        doubtful = changes.assigned + changes.in_place + changes.silent
        if not doubtful:
            return
        changes.before = np.array([self._known_norm(i) for i in changes.silent])
        written |= self._scaled_and_known(changes.silent)
        written = {i: known for i, known in written.items() if self.grad(i) is not None}
        if not written:
            changes.norms = self._readback.norms(self.grads(doubtful))
            return
        now = self._measure(doubtful, sampled=True)
        changes.norms, changes.scaled = now.norms, self._compare(written, now)

    def _compare(self, before: dict[int, tuple[Measure, int]], now: Measure) -> Comparison:
        """Compare gradients that carry a scale with what they were, and know them as they are now."""
        for place, i in enumerate(now.members):
            if i in before:
                self._written[i] = (now, place)
        scales = {i: self.scaled[i] for i in before}
        dtypes = {i: self._table.infos[i].dtype for i in before}
        return Comparison(before, now, scales, dtypes)

    def _known_norm(self, index: int) -> float:
        known = self._consumed.get(index) or self._written.get(index)
        return float(known[0].norms.values[known[1]]) if known else float("nan")

    def known_norm(self, index: int) -> Callable[[], float]:
        """The norm of a gradient when it was written or consumed, once read back; NaN if it is not known."""
        known = self._written.get(index) or self._consumed.get(index)
        return (lambda: float(known[0].norms.values[known[1]])) if known else lambda: float("nan")

    def _silently_zeroed(self, busy: Collection[int]) -> list[int]:
        """Pending gradients, if a probe of some shows that they were zeroed behind the counters."""
        still = [i for i in self._pending if i not in busy]
        written = {i: known[0] for i in still if (known := self._written.get(i)) is not None}
        zeroed = {measure for measure in set(written.values()) if measure.looks_zeroed(self.grad)}
        return [i for i, measure in written.items() if measure in zeroed and self.grad(i) is not None]

    def _forget(self, index: int) -> None:
        self._consumed.pop(index, None)
        self._pending.discard(index)
        self._written.pop(index, None)

    # --- what we are told ---------------------------------------------------------------------

    def wrote(self, indices: Sequence[int], *, scaled: bool = False) -> Measure:
        """These were written by a backward: pending until a step consumes them. Their measure.

        ``scaled``: by a loss scale. What is done to such gradients before they are unscaled is compared.
        """
        grads = self.grads(indices)
        sampled = scaled or not self.scaled.keys().isdisjoint(indices)
        measure = Measure(indices, grads, self._readback, sampled=sampled)
        measure.mark(grads, self._elements)
        for place, i in enumerate(indices):
            self._consumed.pop(i, None)
            self._written[i] = (measure, place)
        self._pending.update(indices)
        self.ever_written.update(indices)
        return measure

    def carry(self, indices: Iterable[int], scale: Numbers) -> None:
        """What was written into these was multiplied by a loss scale."""
        self.scaled.update(dict.fromkeys(indices, scale))

    def unscaled(self, indices: Sequence[int]) -> None:
        """A scaler divided these by their scale in place."""
        for i in indices:
            self.scaled.pop(i, None)
        self.rescaled(indices)

    def _measure(self, indices: Sequence[int], *, sampled: bool = False) -> Measure:
        return Measure(indices, self.grads(indices), self._readback, sampled=sampled)

    def consumed(self, measure: Measure) -> None:
        """A step applied these gradients."""
        self._pending.difference_update(measure.members)
        for place, i in enumerate(measure.members):
            self._consumed[i] = (measure, place)
            self.scaled.pop(i, None)

    def cleared(self, indices: Iterable[int]) -> None:
        """A seen call cleared these."""
        for i in indices:
            self._forget(i)
            self.scaled.pop(i, None)

    def settled(self, settled: Settled) -> None:
        """The doubts of the last look are settled: these are clear, those hold something new."""
        self.cleared(settled.zeroed)
        for i in settled.in_place:
            self._consumed.pop(i, None)
            if i not in self.scaled:
                self._written.pop(i, None)
        self._pending.update(settled.in_place)

    def rescaled(self, indices: Sequence[int]) -> Comparison | None:
        """A seen call (clipping) changed these in place; consumed ones keep being known by their norm.

        Of those that carry a scale, what it did to them.
        """
        written = self._scaled_and_known(indices)
        for i in indices:
            self._written.pop(i, None)
        consumed = [i for i in indices if i in self._consumed]
        if consumed:
            self.consumed(self._measure(consumed))
        return self._compare(written, self._measure(list(written), sampled=True)) if written else None

    def measure(self, indices: Sequence[int]) -> Measure:
        """The gradients as they are now, reusing what was measured when they were written."""
        known = self._written.get(indices[0]) if indices else None
        if known and known[0].members == list(indices) and self._stand(known[0]):
            return known[0]
        return self._measure(indices)

    def _stand(self, measure: Measure) -> bool:
        written = self._written
        return all((known := written.get(i)) is not None and known[0] is measure for i in measure.members)

    def is_fresh(self, index: int) -> bool:
        """Whether the gradient holds something that no step has consumed yet."""
        return index in self._pending

    def grad(self, index: int) -> torch.Tensor | None:
        """The gradient of a parameter, None when it has none (or is gone)."""
        parameter = self._table.refs[index]()
        return None if parameter is None else _grad_of(parameter)

    def grads(self, indices: Iterable[int]) -> list[torch.Tensor]:
        """The gradients of parameters that have one."""
        return [self._grad_now(i) for i in indices]

    def _grad_now(self, index: int) -> torch.Tensor:
        grad = self.grad(index)
        assert grad is not None
        return grad


def _state_of(grad: torch.Tensor | None) -> tuple[_Reference, int]:
    return (_ABSENT, -1) if grad is None else (weakref.ref(grad), _version_of(grad))


def _grad_of(parameter: torch.Tensor) -> torch.Tensor | None:
    """The gradient; a weight that a program computed in place has none, and torch warns if asked for it."""
    return parameter.grad if parameter.is_leaf else None


def _version_of(grad: torch.Tensor) -> int:
    """How often it was changed in place; a tensor made under inference mode does not count."""
    try:
        return grad._version
    except RuntimeError:
        return -1
