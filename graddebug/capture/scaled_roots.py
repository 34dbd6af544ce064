"""How a backward is known to be scaled by a loss scaler.

Most often ``scale()`` made a node of the graph, which then tells so itself, wherever in the graph it is
(``scaler.scale(loss) / n``, a sum of scaled losses). A program may also multiply by the scaler's scale
itself, or give the scale to ``backward`` as the gradient to begin with: that is read from the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from graddebug.capture import underscored
from graddebug.capture.context import OpenBackward
from graddebug.capture.readback import Numbers

#: Ops between a loss and the root of its backward through which a factor is looked for.
_LINEAR = {
    *("MulBackward0", "DivBackward0", "AddBackward0", "NegBackward0", "ToCopyBackward0"),
    *("SumBackward0", "MeanBackward0", "StackBackward0", "ViewBackward0", "UnsqueezeBackward0"),
}

#: Those of them that pass all of the loss on: behind a sum, a factor is one summand's own.
_WHOLE = _LINEAR - {"AddBackward0", "StackBackward0"}

#: Nodes looked at from a root.
_FAR = 16

#: A factor that is equal to a smaller scale may well be another one.
_SMALLEST = 128.0

#: A factor may be a scale and a weight or a mean over micro-batches in one; below these it is a weight only.
_SMALLEST_PART, _SMALLEST_SHARE = 16.0, 1.0 / 128.0


class ScaleSentinel:
    """A pre-hook on the node that ``scale()`` made; it notes in the backward that comes by who scaled it.

    Holds no tensor and no node: it must not keep alive the graph it sits on.
    """

    __slots__ = ("__weakref__", "_numbers", "_scaler", "_under_way", "handle")

    def __init__(self, scaler: int, numbers: Numbers, *under_way: list[OpenBackward]) -> None:
        self._scaler = scaler
        self._numbers = numbers
        self._under_way = under_way
        self.handle: Any = None

    def __call__(self, _: object) -> None:
        """A backward reached the node."""
        for under_way in self._under_way:
            if under_way:
                under_way[-1].scales[self._scaler] = self._numbers
                return


def factors(nodes: Iterable[Any], *, of_all: bool = False) -> Iterator[torch.Tensor]:
    """The single numbers by which the roots of a backward were multiplied, the last one first.

    With ``of_all`` only those that multiply the whole root, and no summand alone.
    """
    ahead, seen, through = list(nodes), 0, _WHOLE if of_all else _LINEAR
    while ahead and seen < _FAR:
        node = ahead.pop(0)
        seen += 1
        name = underscored.node_name(node)
        if name == "MulBackward0":
            yield from (saved for _, saved, _ in underscored.raw_saved(node) if _is_number(saved))
        if name in through:
            ahead += [following for following, _ in node.next_functions if following is not None]


def is_multiplied(nodes: Iterable[Any]) -> bool:
    """Whether a root was multiplied at all: on torch that does not show by what (before 2.10 or so)."""
    return any(underscored.node_name(node) in ("MulBackward0", "DivBackward0") for node in nodes)


def _is_number(saved: torch.Tensor | None) -> bool:
    return saved is not None and saved.numel() == 1 and not saved.is_complex()


def is_scale(factor: torch.Tensor, scale: torch.Tensor, value: float) -> bool:
    """Whether a factor is the ``scale`` of a scaler, whose ``value`` is known on the host or NaN.

    A factor on a device would have to be waited for: there only the scaler's own tensor is recognised.
    """
    if factor.device == scale.device and factor.data_ptr() == scale.data_ptr():
        return True
    return value >= _SMALLEST and factor.is_cpu and float(factor.detach().reshape(()).item()) == value


def may_hold_scale(factor: torch.Tensor, value: float) -> bool:
    """Whether a factor is so large that a loss scale of ``value`` may be in it: ``loss * (scale / n)``."""
    if not factor.is_cpu:
        return False
    return abs(float(factor.detach().reshape(()).item())) >= max(value * _SMALLEST_SHARE, _SMALLEST_PART)
