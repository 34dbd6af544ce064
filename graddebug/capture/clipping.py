"""Calls of torch's gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from graddebug.capture.context import Context
from graddebug.records import Clipped


class Clipping:
    """Turns clipping calls into Clipped events."""

    def __init__(self, context: Context) -> None:
        self._context = context

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
        if not known:
            return
        stamp = context.journal.stamp(context.sites.here())
        done = state.rescaled(state.look(known))
        norm = context.readback.scalar(total_norm) if total_norm is not None else None
        members = context.table.intern(known)

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
                ),
            )

        context.journal.add(make)
