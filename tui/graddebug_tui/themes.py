"""graddebug's own colours."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="graddebug-dark",
    dark=True,
    primary="#6cb6ff",
    secondary="#4d8fd6",
    accent="#c297ff",
    warning="#f0b72f",
    error="#ff6a69",
    success="#6bc46d",
    foreground="#d5dae3",
    background="#0f131a",
    surface="#151a23",
    panel="#1e2632",
)

LIGHT = Theme(
    name="graddebug-light",
    dark=False,
    primary="#0a5ec2",
    secondary="#3a7bd5",
    accent="#7a3fc4",
    warning="#925f00",
    error="#c4232b",
    success="#1d7a32",
    foreground="#1d2430",
    background="#ffffff",
    surface="#f5f7fa",
    panel="#e6ebf2",
)
