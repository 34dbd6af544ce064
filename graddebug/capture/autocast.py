"""Which autocast region is open."""

from __future__ import annotations

import torch


def autocast_dtype(device: str) -> str | None:
    """The dtype of an autocast region that is open for a type of device, else None."""
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return None
    return str(torch.get_autocast_dtype(device)).removeprefix("torch.")
