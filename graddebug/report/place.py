"""Where something happened, in words: the path as the reader would type it, the line, the function."""

from __future__ import annotations

import os
from pathlib import Path

from graddebug.records import Site
from graddebug.views.printable import printable


def place(site: Site) -> str:
    """``file:line in function``, the file relative to the working directory when it lies beneath it."""
    function = "" if site.function in ("", "<module>") else f" in {printable(site.function)}"
    return f"{printable(near_path(site.file))}:{site.line}{function}"


def near_path(path: str) -> str:
    """A path relative to the working directory when it lies beneath it, else as it is."""
    try:
        return str(Path(path).relative_to(os.getcwd()))
    except (ValueError, OSError):  # elsewhere; or the working directory is gone
        return path
