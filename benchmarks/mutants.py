"""Mutants of a training program: one call removed, moved past its neighbour, or one guard taken away."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

#: Methods and functions whose call alone on a line is removed or moved.
CALLS = (
    "zero_grad",
    "backward",
    "step",
    "unscale_",
    "update",
    "clip_grad_norm_",
    "clip_grad_value_",
    "train",
    "eval",
)
#: Calls that make no sense at another place, or whose place does not matter.
_STAYS = ("train", "eval")
_MODES = ("no_grad", "inference_mode")
_EACH = 2  # mutants of one kind and call in one program


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed program: ``change`` says what (``"zero_grad removed"``), ``line`` is of the original."""

    change: str
    line: int
    source: str


def mutants(source: str) -> list[Mutant]:
    """All mutants of a program, in the order of its lines, at most two of a kind."""
    tree = ast.parse(source)
    found = [_made(tree, edit) for edit in (*_statements(tree), *_guards(tree), *_detached(tree))]
    kept: list[Mutant] = []
    for one in sorted(found, key=lambda mutant: (mutant.line, mutant.change)):
        alike = [other for other in kept if other.change == one.change]
        if len(alike) < _EACH:
            kept.append(one)
    return kept


@dataclass(frozen=True, slots=True)
class _Edit:
    """What is done to node number ``node`` of `ast.walk`; ``other`` is the one to change places with."""

    change: str
    node: int
    how: str
    other: int = -1


def _made(tree: ast.Module, edit: _Edit) -> Mutant:
    changed = copy.deepcopy(tree)
    nodes = list(ast.walk(changed))
    line = getattr(nodes[edit.node], "lineno", 0)
    _Change(nodes[edit.node], edit.how, nodes[edit.other] if edit.other >= 0 else None).visit(changed)
    return Mutant(edit.change, line, ast.unparse(ast.fix_missing_locations(changed)))


class _Change(ast.NodeTransformer):
    """Replaces one node, or lets two change places."""

    def __init__(self, node: ast.AST, how: str, other: ast.AST | None) -> None:
        self._node, self._how, self._other = node, how, other

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
        """The node, or what stands in its place."""
        if node is self._other:
            return self._node
        if node is not self._node:
            return self.generic_visit(node)
        if self._other is not None:
            return self._other
        return _replaced(node, self._how)


def _replaced(node: ast.AST, how: str) -> ast.AST | list[ast.stmt]:
    if how == "body":
        assert isinstance(node, ast.With)
        return node.body
    if how == "undecorated":
        assert isinstance(node, ast.FunctionDef)
        node.decorator_list = [one for one in node.decorator_list if not _is_mode(one)]
        return node
    if how == "value":
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Attribute)
        return node.func.value
    return ast.Pass()


def _name(node: ast.AST) -> str:
    """The last name of what a call calls, empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    func = node.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _is_mode(node: ast.AST) -> bool:
    return _name(node) in _MODES


def _statements(tree: ast.Module) -> Iterator[_Edit]:
    """Calls alone on a line, removed, and moved behind the next line or before the one above."""
    numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
    for block in _blocks(tree):
        for index, statement in enumerate(block):
            name = _name(statement.value) if isinstance(statement, ast.Expr) else ""
            if name not in CALLS:
                continue
            yield _Edit(f"{name} removed", numbers[id(statement)], "removed")
            if name in _STAYS or index + 1 == len(block):
                continue
            behind = block[index + 1]
            after = _name(behind.value) if isinstance(behind, ast.Expr) else "next line"
            yield _Edit(f"{name} moved behind {after}", numbers[id(statement)], "moved", numbers[id(behind)])


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block


def _guards(tree: ast.Module) -> Iterator[_Edit]:
    """``with torch.no_grad():`` and the decorator of that name."""
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.With) and len(node.items) == 1 and _is_mode(node.items[0].context_expr):
            yield _Edit("no_grad removed", number, "body")
        if isinstance(node, ast.FunctionDef) and any(map(_is_mode, node.decorator_list)):
            yield _Edit("no_grad removed", number, "undecorated")


def _detached(tree: ast.Module) -> Iterator[_Edit]:
    for number, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "detach":
            yield _Edit("detach removed", number, "value")
