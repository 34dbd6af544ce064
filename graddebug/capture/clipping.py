"""Calls of torch's gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from graddebug.capture.clip_parts import ClipParts
from graddebug.capture.context import Context
from graddebug.capture.optimizers import Optimizers
from graddebug.records import Clipped


class Clipping:
    """Turns clipping calls into Clipped events."""

    def __init__(self, context: Context, optimizers: Optimizers) -> None:
        self._context = context
        self._parts = ClipParts(context.state, optimizers)

    def before(self) -> None:
        """A clipping function is about to run: what changed before it is not its doing."""
        context = self._context
        context.outside(context.sites.here(), doubt=bool(context.state.scaled))

    def after(
        self,
        function: str,
        parameters: Iterable[torch.Tensor],
        max_norm: float | None = None,
        total_norm: torch.Tensor | None = None,
        clip_value: float | None = None,
    ) -> None:
        """It ran over ``parameters``."""
        context = self._context
        index = context.table.index
        state = context.state
        known = [i for p in parameters if (i := index(p)) is not None and state.grad(i) is not None]
        nothing = None if known else self._nothing(list(parameters))
        if not known and nothing is None:
            return
        stamp = context.journal.stamp(context.sites.here())
        members = context.table.intern(known)
        parts = self._parts.of(members)  # before the state forgets what these were
        done = state.rescaled(state.look(known))
        norm = context.readback.scalar(total_norm) if total_norm is not None else None

        def make() -> tuple[Clipped]:
            total = float(norm.values[0]) if norm is not None else None
            return (
                Clipped(
                    **stamp,
                    params=members,
                    function=function,
                    max_norm=max_norm,
                    total_norm=total,
                    clip_value=clip_value,
                    **(done.figures(known) if done is not None else {}),
                    **(parts() if parts is not None else {}),
                    **(nothing or {}),
                ),
            )

        context.journal.add(make)

    def _nothing(self, given: list[torch.Tensor]) -> dict[str, Any] | None:
        """What a call was given that found no gradient of ours; None if it is no business of ours."""
        context = self._context
        without = [i for p in given if (i := context.table.index(p)) is not None]
        strangers = [p for p in given if context.table.index(p) is None]
        if any(p.is_leaf and p.grad is not None for p in strangers):
            return None  # it clipped something else
        ours = without or context.watches_everything
        if not ours and any(isinstance(p, torch.nn.Parameter) for p in strangers):
            return None  # of a model that is not watched
        return {
            "without": context.table.intern(without),
            "strangers": len(strangers),
            "gradients": bool(strangers) and self._are_gradients(strangers),
        }

    def _are_gradients(self, tensors: list[torch.Tensor]) -> bool:
        """Whether all of these are the ``.grad`` of watched parameters."""
        state = self._context.state
        grads = {id(grad) for i in range(len(self._context.table)) if (grad := state.grad(i)) is not None}
        return all(id(tensor) in grads for tensor in tensors)
