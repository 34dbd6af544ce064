"""`python -m graddebug` is the `graddebug` command."""

from __future__ import annotations

from graddebug.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
