"""GD401: gradients are clipped, or edited by hand, while they still carry the loss scale."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import number, quoted, sentence, times
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import (
    Backward,
    Clipped,
    GradientsCleared,
    GradientsEdited,
    OptimizerStep,
    Role,
    Severity,
    Site,
    Unscaled,
)

#: Limits and norms that differ by a smaller share are the same; factors that differ by a larger one are not.
_SAME, _DIFFERENT = 1e-4, 1e-3

#: The largest number of micro-batches that a program's own unscaling may divide by as well.
_MICRO_BATCHES = 4096


@dataclass(slots=True)
class _Limit:
    """What gradients were brought to: a norm, or a magnitude of elements (``elements``), by ``factor``."""

    value: float
    elements: bool
    factor: float


@dataclass(slots=True)
class _Waiting:
    """A proven clip of scaled gradients that no step has applied yet; ``windows`` it was proven from."""

    event: Clipped | GradientsEdited
    limit: _Limit
    scale: float
    params: frozenset[int]
    windows: int
    unscaled: Unscaled | GradientsEdited | None = None


class ClipBeforeUnscale(Rule):
    """Clipping to a limit does not commute with the scale; multiplying by a constant does."""

    code = "GD401"
    slug = "clip-before-unscale"
    title = "Gradients are clipped while they still carry the loss scale"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "scaler.scale(loss).backward() leaves gradients that are 65,536 times too large, say. A clip sees "
        "those and shrinks them to its limit; the scaler then divides by 65,536, and the step applies next "
        "to nothing. The loss still goes down a little, or an adaptive optimizer hides it altogether."
    )
    fix = "Call `scaler.unscale_(optimizer)` before the clip, once for each step."
    example = (
        "scaler.scale(loss).backward()\n"
        "clip_grad_norm_(model.parameters(), 1.0)    # wrong: these are scaled\n"
        "scaler.step(optimizer)\n"
        "\n"
        "scaler.scale(loss).backward()\n"
        "scaler.unscale_(optimizer)                  # right: first unscale, then clip\n"
        "clip_grad_norm_(model.parameters(), 1.0)\n"
        "scaler.step(optimizer)\n"
    )
    options = thresholds(
        windows="windows in which one limit by hand changed gradients that still carry the scale",
    )
    windows = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._waiting: dict[Line | None, _Waiting] = {}
        self._unscaled_by_hand: set[int] = set()
        self._history: dict[Line | None, deque[_Limit]] = {}

    # --- edits ------------------------------------------------------------------------------

    def on_clipped(self, event: Clipped, ledger: Ledger) -> Claims:
        """A call of torch's clipping is a proof by itself, if it changed anything."""
        limit = _limit_of_call(event)
        if limit is not None and self._scaled(event, limit.value):
            self._wait(event, limit, windows=1)
        return None

    def on_edited(self, event: GradientsEdited, ledger: Ledger) -> Claims:
        """An edit by hand proves itself a clip when different gradients come out alike, again and again."""
        if event.scale is not None and _is_unscaling(event.factor, event.scale):
            self._unscaled_by_hand.update(event.params)
            self._unscale(event)
            return None
        limit = _limit_of_edit(event)
        if limit is not None and self._scaled(event, limit.value):
            windows = self._windows_alike(line_of(event.noticed_at), limit)
            if windows >= (2 if limit.elements else self.windows):
                self._wait(event, limit, windows=windows)
        return None

    def _scaled(self, event: Clipped | GradientsEdited, limit: float) -> bool:
        """Whether the gradients carry a scale that the limit was not made for."""
        if event.scale is None or event.scale == 1 or self._unscaled_by_hand.issuperset(event.params):
            return False
        return not _follows(limit, event.scale)

    def _windows_alike(self, line: Line | None, limit: _Limit) -> int:
        """In how many windows in a row, up to this one, different gradients were brought to that limit."""
        history = self._history.setdefault(line, deque(maxlen=max(self.windows, 2)))
        history.append(limit)
        alike = 0
        for earlier in reversed(history):
            if earlier is not limit and not _proves(earlier, limit):
                break
            alike += 1
        return alike

    def _wait(self, event: Clipped | GradientsEdited, limit: _Limit, *, windows: int) -> None:
        assert event.scale is not None
        params = frozenset(event.params) - self._unscaled_by_hand
        line = line_of(_place(event))
        self._waiting[line] = _Waiting(event, limit, event.scale, params, windows)

    # --- what becomes of them -----------------------------------------------------------------

    def on_unscaled(self, event: Unscaled, ledger: Ledger) -> Claims:
        """The scale goes, and takes with it what the clip had left."""
        self._unscale(event)
        return None

    def _unscale(self, event: Unscaled | GradientsEdited) -> None:
        for waiting in self._waiting.values():
            if not waiting.params.isdisjoint(event.params):
                waiting.unscaled = event

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Gradients written anew carry the scale again."""
        if self._unscaled_by_hand:
            self._unscaled_by_hand.difference_update(event.written)
        return None

    def on_cleared(self, event: GradientsCleared, ledger: Ledger) -> Claims:
        """What is cleared does no harm."""
        self._unscaled_by_hand.difference_update(event.params)
        self._forget(frozenset(event.params))
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """A step applies what was clipped under the scale and divided by it afterwards."""
        if not self._waiting:
            return None
        step, ready = fact.step, frozenset(fact.step.ready)
        consumed = [one for one in self._waiting.values() if not one.params.isdisjoint(ready)]
        self._forget(ready)
        name = ledger.optimizer_name(fact.optimizer.index)
        return [
            _claim(one, step, sorted(one.params & ready), name)
            for one in consumed
            if (one.unscaled is not None or step.grad_scale != 1) and one.params.isdisjoint(step.nonfinite)
        ]

    def _forget(self, params: frozenset[int]) -> None:
        self._waiting = {key: one for key, one in self._waiting.items() if one.params.isdisjoint(params)}


# --- what is a clip ---------------------------------------------------------------------------


def _limit_of_call(event: Clipped) -> _Limit | None:
    """What a seen clip brought gradients to; None if it changed nothing, or hit NaN or inf."""
    before = event.norm_before
    if event.norm_after is None or before is None or not event.norm_after < before * (1 - _SAME):
        return None
    if event.clip_value is not None:
        return _Limit(event.clip_value, elements=True, factor=event.norm_after / before)
    limit = event.norm_after if event.max_norm is None else event.max_norm
    return _Limit(limit, elements=False, factor=event.norm_after / before)


def _limit_of_edit(event: GradientsEdited) -> _Limit | None:
    """What an edit by hand may have brought gradients to."""
    if not event.norm_after or not event.norm_before or event.factor == 1:
        return None
    if event.pinned is not None:
        return _Limit(event.pinned, elements=True, factor=event.norm_after / event.norm_before)
    if event.factor is not None:
        return _Limit(event.norm_after, elements=False, factor=event.factor)
    return None


def _proves(earlier: _Limit, now: _Limit) -> bool:
    """Whether two windows' gradients came out alike though they were not alike before."""
    if earlier.elements is not now.elements:
        return False
    alike = abs(earlier.value - now.value) <= _SAME * abs(now.value)
    return alike and abs(earlier.factor - now.factor) > _DIFFERENT * abs(now.factor)


def _is_unscaling(factor: float | None, scale: float) -> bool:
    """Whether a factor is 1/scale, or that over a number of micro-batches."""
    if not factor or factor < 0 or scale == 1:
        return False
    batches = 1 / (factor * scale)
    nearest = round(batches)
    return 1 <= nearest <= _MICRO_BATCHES and abs(batches - nearest) <= _SAME * nearest


def _follows(limit: float, scale: float) -> bool:
    """Whether a limit was made for scaled gradients: ``max_norm * scaler.get_scale()`` is right.

    People choose round limits: of ``limit`` and ``limit / scale`` the rounder one is what was meant.
    """
    meant, as_given = _digits(limit / scale), _digits(limit)
    return meant < as_given or (meant == as_given and limit >= 0.01 * scale)


def _digits(value: float) -> int:
    return len(f"{value:.4e}".partition("e")[0].replace(".", "").rstrip("0"))


# --- words ------------------------------------------------------------------------------------


def _place(event: Clipped | GradientsEdited) -> Site | None:
    return event.site if isinstance(event, Clipped) else event.noticed_at


def _claim(one: _Waiting, step: OptimizerStep, params: list[int], name: str) -> Claim:
    before, after = one.event.norm_before, one.event.norm_after
    assert before is not None
    assert after is not None
    return Claim(
        step=step.step,
        message=f"{_what(one)} while they were still scaled by {number(one.scale)}. {_harm(one, step, name)}",
        fix=_fix(one, name),
        roles=_roles(one, step),
        parameters=tuple(params),
        evidence={
            "scale": one.scale,
            "limit": one.limit.value,
            "norm_before": before,
            "norm_after": after,
            "true_norm": before / one.scale,
            "applied_norm": after / one.scale,
            "windows": one.windows,
        },
        anchor=("clip",) if isinstance(one.event, Clipped) else (),
    )


def _what(one: _Waiting) -> str:
    event, elements, limit = one.event, one.limit.elements, number(one.limit.value)
    bounds = f"to ±{limit}" if elements else f"to a norm of {limit}"
    if isinstance(event, Clipped):
        what = "elements of the gradients" if elements else "the gradients"
        return f"{sentence(quoted(event.site, event.function))} clipped {what} of {PARAMETERS} {bounds}"
    how = "their elements were brought" if elements else f"multiplied by {number(one.limit.factor)}"
    again = f"like {times(one.windows - 1, 'window')} before, of other norms"
    return f"The gradients of {PARAMETERS} were clipped by hand or out of sight ({how} {bounds}, {again})"


def _harm(one: _Waiting, step: OptimizerStep, name: str) -> str:
    explicit = _explicit(one)
    division = quoted(explicit.site, "scaler.unscale_()") if explicit else quoted(step.site, "scaler.step()")
    before, after = (
        number((norm or 0.0) / one.scale) for norm in (one.event.norm_before, one.event.norm_after)
    )
    return (
        f"{division} divided by the scale only then: what the step applied has norm {after}, and before the "
        f"clip the true gradients had {before}."
    )


def _explicit(one: _Waiting) -> Unscaled | None:
    """The program's own call that unscaled, rather than the scaler's step."""
    unscaled = one.unscaled
    return unscaled if isinstance(unscaled, Unscaled) and not unscaled.implicit and unscaled.site else None


def _fix(one: _Waiting, name: str) -> str:
    clip = quoted(one.event.site, "clip") if isinstance(one.event, Clipped) else "the clip"
    explicit = _explicit(one)
    if explicit is not None:
        return f"Move {quoted(explicit.site, 'scaler.unscale_()')} in front of {clip}."
    return f"Call `scaler.unscale_({name})` before {clip}."


def _roles(one: _Waiting, step: OptimizerStep) -> tuple[Role, ...]:
    clip = one.event.site if isinstance(one.event, Clipped) else None
    explicit = _explicit(one)
    return roles(unscale=explicit.site, clip=clip) if explicit else roles(step=step.site, clip=clip)
