"""`graddebug` commands in processes of their own, without the seconds that Python and torch take to start.

A server imports torch and graddebug once and forks for each command; the child becomes
`graddebug WORDS…` in a folder of its own. Run as a program, this file is that server: it reads a
command a line from stdin and answers its exit code.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 120  # a child that takes longer is ended by SIGALRM
#: Variables that change what is printed, and those that a launcher of ranks sets.
_CLEARED = ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "RANK", "WORLD_SIZE", "PYTHONIOENCODING")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: its exit code (negative: the signal that ended it) and what it printed."""

    code: int
    stdout: str
    stderr: str


def environment() -> dict[str, str]:
    """Variables of this process with graddebug importable, one thread, and nothing that alters output."""
    kept = {name: value for name, value in os.environ.items() if name not in _CLEARED}
    path = os.pathsep.join([str(ROOT), str(ROOT / "tui")])
    return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


class Forked:
    """A client and its server; one command at a time.

    >>> with Forked() as forked:
    ...     forked.graddebug("rules", cwd=Path.cwd()).code
    0
    """

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def graddebug(self, *words: str | Path, cwd: Path) -> Finished:
        """Run `graddebug words…` in a folder, which also gets the files of its output."""
        out, err = cwd / "stdout.txt", cwd / "stderr.txt"
        order = {"words": [str(word) for word in words], "cwd": str(cwd), "out": str(out), "err": str(err)}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(order), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        return Finished(code, out.read_text(errors="replace"), err.read_text(errors="replace"))

    def close(self) -> None:
        """End the server."""
        self._server.communicate()

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve() -> None:
    """Fork for each order that comes in, one after the other."""
    _import_everything()
    gc.freeze()  # a collection in a child need not touch, and so copy, all that is shared
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _import_everything() -> None:
    """What programs and torch itself import at the first use, so that it is not imported in each child.

    No backward may run here: a child could not use the engine's threads.
    """
    import torch
    import torch._dynamo
    import torch.func
    import torch.optim.swa_utils
    import torch.utils.checkpoint
    import torch.utils.data

    from graddebug.diagnose.registry import all_rules

    all_rules()
    torch.set_num_threads(1)


def _become(order: dict[str, object]) -> None:
    """The child's whole life."""
    code = 1
    try:
        signal.alarm(_SECONDS)
        os.chdir(str(order["cwd"]))
        for stream, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
            os.dup2(os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644), stream)
        words = order["words"]
        assert isinstance(words, list)
        code = _graddebug(words)
        _wait_for_threads()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _graddebug(words: list[str]) -> int:
    """The command, ending as Python would end it."""
    import graddebug.cli

    sys.argv = ["graddebug", *words]
    try:
        return graddebug.cli.main(words)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # whatever a program raises, as Python reports it
        traceback.print_exc()
        return 1


def _wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


if __name__ == "__main__":
    serve()
