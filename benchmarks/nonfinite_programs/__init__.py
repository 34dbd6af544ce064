"""Small training programs that meet NaN or inf, each with the answer that a good debugger gives."""

from __future__ import annotations

from . import attention, half, inputs, losses, masks, roots, shapes
from .program import MARK, PROGRAMS, Program, Trial

THEMES = (roots, masks, losses, attention, half, inputs, shapes)

__all__ = ["MARK", "PROGRAMS", "THEMES", "Program", "Trial"]
