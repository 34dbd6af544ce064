"""Helpers that several programs share, in a file of their own."""

from __future__ import annotations

import torch
from torch import Tensor


def pairwise(points: Tensor) -> Tensor:
    """Euclidean distances of all pairs: (n, d) to (n, n)."""
    differences = points[:, None] - points[None]
    squares = differences.square().sum(-1)
    return squares.sqrt()  # origin


def polar(point: Tensor) -> Tensor:
    """The angle of a point in the plane."""
    return torch.atan2(point[1], point[0])  # origin
