"""From which line of the user's program we are called.

A site is the innermost frame outside torch, graddebug, the standard library and installed packages.
When an installed package (a trainer) made the call, its own line is kept beside the user's.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from collections.abc import Callable, Container, Iterator
from functools import cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

import torch

from graddebug.records import Site

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_STDLIB = tuple({os.path.realpath(sysconfig.get_path(key)) + os.sep for key in ("stdlib", "platstdlib")})
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

#: Lines of source kept before and after a site's own.
EXCERPT_BEFORE, EXCERPT_AFTER = 3, 2

#: A mode or subclass of the program's that hands a call on is not the line that made it.
_HANDLERS = ("__torch_function__", "__torch_dispatch__")

#: Methods of an optimizer, a scaler or a scheduler through which we first hear of it.
_METHODS = ("step", "zero_grad", "add_param_group", "scale", "unscale_", "update")

#: Global lists and dicts up to this size are searched for an optimizer or module that has no name of its own.
_SMALL = 64


@cache
def kind_of_file(filename: str) -> str:
    """``"user"``, ``"library"`` (an installed package) or ``"inner"`` (torch, graddebug, Python itself)."""
    if filename.startswith(("<frozen", _OWN, _TORCH)):
        return "inner"
    if any(part in filename for part in _PACKAGES):
        return "library"
    if filename.startswith("<"):
        return "user"
    return "inner" if os.path.realpath(filename).startswith(_STDLIB) else "user"


def _kind_of_code(code: CodeType) -> str:
    kind = kind_of_file(code.co_filename)
    return "inner" if kind == "user" and code.co_name in _HANDLERS else kind


def user_frame(depth: int = 1) -> tuple[FrameType | None, FrameType | None]:
    """The user's innermost frame, and the library's innermost frame if one lies between it and torch."""
    frame: FrameType | None = sys._getframe(depth)
    library = None
    while frame is not None:
        kind = _kind_of_code(frame.f_code)
        if kind == "user":
            return frame, library
        if kind == "library" and library is None:
            library = frame
        frame = frame.f_back
    return None, library


#: Pieces of code, and where in them: an instruction or a line of the user's, and of a library's.
_Key = tuple[CodeType, int, CodeType | None, int]

#: Pieces of code remembered.
_REMEMBERED = 20_000


class Sites:
    """Finds the current `Site`, and makes each only once."""

    def __init__(self) -> None:
        self._known: dict[_Key, Site] = {}
        self._by_line: dict[_Key, Site] = {}
        self._kinds: dict[CodeType, str] = {}

    def here(self, depth: int = 2) -> Site | None:
        """The site of the call under way, or None when no frame of the program is on this thread."""
        frame, library = self._user_frame(sys._getframe(depth))
        if frame is None:
            if library is None:
                return None
            frame, library = library, None
        # Instructions are quicker to tell apart than lines, which have to be looked up.
        key = (frame.f_code, frame.f_lasti, library and library.f_code, library.f_lasti if library else 0)
        site = self._known.get(key)
        if site is None:
            site = self._known[key] = self._of_line(frame, library)
        return site

    def _of_line(self, frame: FrameType, library: FrameType | None) -> Site:
        if len(self._kinds) > _REMEMBERED:  # a program that makes code in every step
            self._kinds.clear()
            self._known.clear()
        key = (frame.f_code, frame.f_lineno, library and library.f_code, library.f_lineno if library else 0)
        if key not in self._by_line:
            self._by_line[key] = _site(frame, library)
        return self._by_line[key]

    def _user_frame(self, frame: FrameType | None) -> tuple[FrameType | None, FrameType | None]:
        """What `user_frame` says, by what is known of each piece of code already."""
        kinds, library = self._kinds, None
        while frame is not None:
            code = frame.f_code
            kind = kinds.get(code)
            if kind is None:
                kind = kinds[code] = _kind_of_code(code)
            if kind == "user":
                return frame, library
            if kind == "library" and library is None:
                library = frame
            frame = frame.f_back
        return None, library

    def places(self) -> set[tuple[str, int]]:
        """File and line of every site so far."""
        return {(site.file, site.line) for site in self._by_line.values()}


def _site(frame: FrameType, library: FrameType | None) -> Site:
    filename, line = frame.f_code.co_filename, frame.f_lineno
    # The module's own globals let linecache ask its loader: sources in zip files and notebooks.
    source = linecache.getlines(filename, frame.f_globals)
    start = max(1, line - EXCERPT_BEFORE)
    return Site(
        file=filename if filename.startswith("<") else os.path.abspath(filename),
        line=line,
        function=frame.f_code.co_qualname,
        library=_library_name(library) if library else "",
        excerpt=tuple(text.rstrip("\n") for text in source[start - 1 : line + EXCERPT_AFTER]),
        excerpt_start=start,
    )


def of_function(function: object) -> Site | None:
    """Where a Python function is defined; None for anything else."""
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", None)
    if not isinstance(code, CodeType):
        return None
    source, line = linecache.getlines(code.co_filename, scope), code.co_firstlineno
    start = max(1, line - EXCERPT_BEFORE)
    return Site(
        file=code.co_filename if code.co_filename.startswith("<") else os.path.abspath(code.co_filename),
        line=line,
        function=code.co_qualname,
        excerpt=tuple(text.rstrip("\n") for text in source[start - 1 : line + EXCERPT_AFTER]),
        excerpt_start=start,
    )


def _library_name(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    for part in _PACKAGES:
        path = path.rpartition(part)[2] or path
    return f"{path}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def call_under_way(frame: FrameType) -> ast.Call | None:
    """The call expression ``frame`` is executing, from its bytecode positions (PEP 657); None if unknown."""
    position = _position(frame)
    if position is None:
        return None
    first, start, last, end = position
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)[first - 1 : last]
    if not lines:
        return None
    # Columns are byte offsets; cutting the last line first keeps them right on a one-line call.
    encoded = [line.encode() for line in lines]
    encoded[-1] = encoded[-1][:end]
    encoded[0] = encoded[0][start:]
    try:
        tree = ast.parse(b"".join(encoded).decode().strip(), mode="eval")
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return None
    return tree.body if isinstance(tree.body, ast.Call) else None


def name_of_argument(target: object) -> str:
    """What the user calls the first argument of the call under way: ``opt`` of ``scaler.step(opt)``."""
    frame, library = user_frame(2)
    return _name_in_call(target, frame, library, lambda call: call.args[0] if call.args else call.func)


def name_of_callee(target: object) -> str:
    """What the user calls the object whose method (or itself) is being called: ``optimizer``, ``self.net``.

    Read from the source of the call, and from the module's globals where the object is there. Local
    variables are never touched: reading a frame's locals would keep them alive on Python 3.11.
    """
    frame, library = user_frame(2)
    return _name_in_call(target, frame, library, _called)


def _name_in_call(
    target: object,
    frame: FrameType | None,
    library: FrameType | None,
    part: Callable[[ast.Call], ast.expr],
) -> str:
    if frame is None:
        return ""
    known = _global_name(target, frame)
    if known or library is not None:
        return known
    call = call_under_way(frame)
    word = _word(part(call), frame) if call is not None else ""
    return word or next(_held_by_globals(target, frame), "")


def _called(call: ast.Call) -> ast.expr:
    if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
        # scaler.step(optimizer): the optimizer is the argument.
        return call.args[0] if _through_scaler() and call.args else call.func.value
    return call.func


def _word(expression: ast.expr, frame: FrameType) -> str:
    """The expression's source if it names one object: ``self.opts["d"]``, but no variable of a loop."""
    root = expression
    while isinstance(root, ast.Attribute | ast.Subscript):
        if isinstance(root, ast.Subscript) and not isinstance(root.slice, ast.Constant):
            return ""
        root = root.value
    if not isinstance(root, ast.Name) or root.id in _loop_variables(frame.f_code.co_filename, frame.f_lineno):
        return ""
    return ast.unparse(expression)


@cache
def _loop_variables(filename: str, line: int) -> frozenset[str]:
    """Variables of the ``for`` loops around a line: they name another object each time."""
    targets = [
        node.target
        for node in ast.walk(_parsed(filename))
        if isinstance(node, ast.For) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return frozenset(name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


def name_being_assigned() -> str:
    """The variable that the user's statement under way assigns: ``opt`` of ``opt = SGD(...)``; or ``""``."""
    frame, library = user_frame(2)
    if frame is None or library is not None:
        return ""
    position = _position(frame)
    if position is None:
        return ""
    for node in ast.walk(_parsed(frame.f_code.co_filename)):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            begins = (node.value.lineno, node.value.col_offset)
            if begins == position[:2] and isinstance(target, ast.Name | ast.Attribute):
                return ast.unparse(target)
    return ""


@cache
def _parsed(filename: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _position(frame: FrameType) -> tuple[int, int, int, int] | None:
    """Where the instruction under way stands in the source: line, column, last line, last column (bytes)."""
    positions = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    if positions is None:
        return None
    first, last, start, end = positions
    if first is None or last is None or start is None or end is None:
        return None
    return first, start, last, end


def names_of_arguments(count: int) -> list[str]:
    """The source of the first ``count`` positional arguments of the user's call; ``""`` where unknown."""
    frame, _ = user_frame(2)
    call = call_under_way(frame) if frame is not None else None
    args = call.args if call is not None else []
    if any(isinstance(arg, ast.Starred) for arg in args):
        args = []
    names = [ast.unparse(arg) if isinstance(arg, ast.Name | ast.Attribute) else "" for arg in args[:count]]
    return names + [""] * (count - len(names))


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it if it is taken: ``Linear#2``."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    return free


def name_among_globals(target: object) -> str:
    """The global variable of the user's module that holds ``target``; ``""`` if none does."""
    frame, _ = user_frame(2)
    return _global_name(target, frame) if frame is not None else ""


def _global_name(target: object, frame: FrameType) -> str:
    names = [name for name, value in _public_globals(frame) if value is target]
    loops = _loop_variables(frame.f_code.co_filename, frame.f_lineno) if names else ()
    return next((name for name in names if name not in loops), "")


def _public_globals(frame: FrameType) -> list[tuple[str, object]]:
    return [item for item in list(frame.f_globals.items()) if not item[0].startswith("_")]


def _held_by_globals(target: object, frame: FrameType) -> Iterator[str]:
    """The small global list, dict or module that holds it: ``opts[0]``, ``nets['d']``, ``heads.0``."""
    for name, value in _public_globals(frame):
        yield from (name + place for place, item in _items(value) if item is target)


def _items(value: Any) -> list[tuple[str, object]]:
    # type() instead of isinstance(): asking proxies for their __class__ could run their code.
    kind = type(value)
    if kind in (list, tuple) and len(value) <= _SMALL:
        return [(f"[{i}]", item) for i, item in enumerate(value)]
    if kind is dict and len(value) <= _SMALL:
        return [(f"[{key!r}]", item) for key, item in list(value.items())]
    if issubclass(kind, torch.nn.Module):
        return [(f".{path}", item) for path, item in value.named_modules() if path]
    return []


def _through_scaler() -> bool:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and kind_of_file(frame.f_code.co_filename) != "user":
        if frame.f_code.co_filename.endswith("grad_scaler.py"):
            return True
        frame = frame.f_back
    return False
