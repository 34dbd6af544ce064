"""Becoming another Python program in this process, the way `python FILE` and `python -m NAME` do.

No recording and no judgement here: only what a program can notice about how it was started
(``sys.argv``, ``sys.path[0]``, ``__main__`` and its ``__file__`` and ``__spec__``) and how it ended.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, ModuleSpec, SourceFileLoader, SourcelessFileLoader
from pkgutil import get_importer
from types import CodeType, ModuleType, TracebackType
from typing import Any

from graddebug.errors import FindingRaised, UsageError

#: The name of a program that is read from standard input.
STDIN = "-"

_PACKAGE = os.path.dirname(__file__) + os.sep


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: ``name`` is a path as the user wrote it or, with ``is_module``, a module's name."""

    name: str
    arguments: tuple[str, ...] = ()
    is_module: bool = False

    @property
    def title(self) -> str:
        """A short name for folders and summaries: the file's stem, or the module's name."""
        if self.is_module:
            return self.name
        if self.name == STDIN:
            return "stdin"
        return os.path.splitext(os.path.basename(os.path.abspath(self.name)))[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: its exit code, and the exception that ended it when it was not its own exit."""

    code: int = 0
    error: BaseException | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return isinstance(self.error, KeyboardInterrupt)

    @property
    def reason(self) -> str:
        """``"finished"``, ``"interrupted"`` or ``"exception"``, as a recording keeps it."""
        if self.error is None:
            return "finished"
        return "interrupted" if self.interrupted else "exception"


@dataclass(frozen=True, slots=True)
class _Body:
    """A program made ready: its code, and the attributes its ``__main__`` begins with."""

    code: CodeType
    attributes: dict[str, Any]
    argv0: str


def check_exists(program: Program) -> None:
    """`UsageError` for a script that is not there or not readable, before anything else is started."""
    if program.is_module or program.name == STDIN or os.path.isdir(program.name):
        return
    try:
        with open(program.name, "rb"):
            pass
    except OSError as error:
        path = os.path.abspath(program.name)
        raise UsageError(f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}") from None


def execute(program: Program) -> Outcome:
    """Run a program as ``__main__`` of this process and say how it ended.

    An uncaught exception is printed as Python prints it, without graddebug's own frames on top.
    Afterwards ``sys.argv``, ``sys.path`` and ``sys.modules["__main__"]`` stay the program's, since
    its exit handlers and threads may still run. `UsageError` when there is nothing to run.
    """
    prepare = _prepare_module if program.is_module else _prepare_path
    main = _become_main()
    try:
        _run(prepare(program), main)
    except SystemExit as exit_:
        return Outcome(exit_code(exit_.code))
    except BaseException as error:  # the border to the user's program: whatever ends it is shown
        if isinstance(error, UsageError) and not _began(main):
            raise
        uncaught = error
    else:
        return Outcome()
    # Outside the except clause, so that a hook's own failure has no context, as in Python.
    return _report_uncaught(uncaught)


def _run(body: _Body, main: ModuleType) -> None:
    sys.argv[0] = body.argv0
    vars(main).update(body.attributes)
    exec(body.code, vars(main))


def _began(main: ModuleType) -> bool:
    return vars(main)["__loader__"] is not None  # set by `_run`


def _become_main() -> ModuleType:
    main = ModuleType("__main__")
    vars(main).update(__builtins__=builtins, __annotations__={}, __package__=None, __spec__=None)
    # The old __main__ (the console script) must outlive its replacement: Python empties a module
    # that nobody holds while code in it is still on the stack.
    main_before.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    return main


#: Modules that were ``__main__`` before a program took their place.
main_before: list[ModuleType] = []


def _prepare_path(program: Program) -> _Body:
    sys.argv = [program.name, *program.arguments]
    if program.name == STDIN:
        return _prepare_stdin()
    finder = get_importer(_absolute(program.name))
    if finder is not None:
        return _prepare_container(program, finder)
    _set_first_path(os.path.dirname(os.path.realpath(program.name)))
    path = _absolute(program.name)
    loader = (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", path)
    attributes = {"__file__": path, "__cached__": None, "__loader__": loader}
    # Compiled from the bytes, not through the loader: a script leaves no .pyc behind.
    code = loader.get_code("__main__") if path.endswith(".pyc") else _compile(path)
    if code is None:
        raise UsageError(f"{program.name} holds no Python code")
    return _Body(code, attributes, program.name)


def _prepare_stdin() -> _Body:
    _set_first_path("")
    code = compile(sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True)
    return _Body(code, {"__file__": "<stdin>", "__loader__": BuiltinImporter}, STDIN)


def _absolute(name: str) -> str:
    """As Python makes it absolute: ``.`` and ``..`` stay, for behind a link they mean another place."""
    return os.path.join(os.getcwd(), name)


def _compile(path: str) -> CodeType:
    with open(path, "rb") as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def _prepare_container(program: Program, finder: Any) -> _Body:
    """A folder or a zip file with a ``__main__.py`` in it."""
    path = _absolute(program.name)
    _set_first_path(path)
    spec = finder.find_spec("__main__")
    if spec is None:
        raise UsageError(f"can't find '__main__' module in {path!r}")
    return _loaded(spec, argv0=program.name)


def _prepare_module(program: Program) -> _Body:
    sys.argv = ["-m", *program.arguments]
    _set_first_path(os.getcwd())
    spec = find_main_spec(program.name)
    return _loaded(spec, argv0=str(spec.origin))


def _loaded(spec: ModuleSpec, *, argv0: str) -> _Body:
    loader: Any = spec.loader
    code = loader.get_code(spec.name) if hasattr(loader, "get_code") else None
    if code is None:
        raise UsageError(f"No code object available for {spec.name}")
    attributes = {
        "__file__": spec.origin,
        "__cached__": spec.cached,
        "__loader__": loader,
        "__package__": spec.parent,
        "__spec__": spec,
    }
    return _Body(code, attributes, argv0)


def find_main_spec(name: str) -> ModuleSpec:
    """The spec that ``python -m name`` runs: the module's, or its ``__main__`` when it is a package.

    Imports the parent packages. `UsageError`, in Python's own words, when there is none.
    """
    spec = _find_spec(name)
    if spec is None:
        raise UsageError(f"No module named {name}")
    if spec.submodule_search_locations is None:
        return spec
    inner = _find_spec(f"{name}.__main__")
    if inner is None:
        raise UsageError(
            f"No module named {name}.__main__; {name!r} is a package and cannot be directly executed"
        )
    return inner


def _find_spec(name: str) -> ModuleSpec | None:
    if name.startswith("."):
        raise UsageError(f"Relative module names not supported: {name}")
    if not all(name.split(".")):
        raise UsageError(f"no module can be named {name!r}")
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):  # it or a parent is missing, or a parent is no package
            return None
        raise  # a parent is there and failed: the program's own error
    except ValueError as error:
        if str(error) in (f"{name}.__spec__ is None", f"{name}.__spec__ is not set"):
            raise UsageError(f"{name} cannot be run as a module: {error}") from None
        raise  # a parent is there and failed


def _set_first_path(folder: str) -> None:
    if not sys.flags.safe_path:  # python -P and -I put nothing there
        sys.path[0] = folder


def exit_code(code: object) -> int:
    """The exit code of a ``SystemExit``: None is 0; anything but a number is printed and is 1."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    if sys.stderr is not None:
        _print_or_blank(code)
    return 1


def _print_or_blank(code: object) -> None:
    # The border to the user's program: the text or the stream it left may fail, and as in Python the
    # program ends all the same.
    try:
        print(code, file=sys.stderr)
    except Exception:
        with suppress(Exception):
            print(file=sys.stderr)


def _report_uncaught(error: BaseException) -> Outcome:
    kind, trace = type(error), without_own_frames(error.__traceback__)
    error = error.with_traceback(up_to_call(trace) if isinstance(error, FindingRaised) else trace)
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, error.__traceback__
    flush_output()
    try:
        sys.excepthook(kind, error, error.__traceback__)
    except SystemExit as exit_:
        return Outcome(exit_code(exit_.code), error)
    except BaseException as failure:  # the program's own hook failed: Python prints both, and so do we
        failure.__traceback__ = without_own_frames(failure.__traceback__)
        _report_failed_hook(failure, error)
    return Outcome(130 if isinstance(error, KeyboardInterrupt) else 1, error)


def flush_output() -> None:
    """Send on what the program has printed, so that what is said next stands below it."""
    with suppress(Exception):  # the border to the user's program: it may have closed or replaced its stream
        if sys.stdout is not None:
            sys.stdout.flush()


def _report_failed_hook(failure: BaseException, error: BaseException) -> None:
    print("Error in sys.excepthook:", file=sys.stderr)
    sys.__excepthook__(type(failure), failure, failure.__traceback__)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(error), error, error.__traceback__)


def without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the program's first frame on: what started the program is left out."""
    while trace is not None and _is_starter(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def up_to_call(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without graddebug's frames at its end: a finding is about the line that called."""
    frames: list[TracebackType] = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    while frames and frames[-1].tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames.pop()
    for frame, following in zip(frames, [*frames[1:], None], strict=True):
        frame.tb_next = following
    return frames[0] if frames else None


def _is_starter(filename: str) -> bool:
    return filename == __file__ or filename.startswith("<frozen importlib")
