"""The pytest entry point. Loads in every pytest run, so it imports neither torch nor textual."""

from __future__ import annotations
