"""A step's backward graph folded by module, opened where the viewer wants to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from graddebug.graph import BackwardGraph, GraphNode, ModuleFold
from graddebug.records import STATISTICS, Backward, ParameterInfo
from graddebug.views.columns import Column
from graddebug.views.figures import MISSING, TIMES, measured, shape, size
from graddebug.views.health import GraphHealth, graph_health
from graddebug.views.line import Line, Span, Tone, dim, line
from graddebug.views.printable import printable
from graddebug.views.quote import place

if TYPE_CHECKING:
    from graddebug.trace.reader import Recording

_NORM = STATISTICS.index("grad_norm")
_NONFINITE = STATISTICS.index("grad_nonfinite")
NO_GRAPH = "no backward graph was captured in this step"
#: Names the outermost fold, whose module path is empty.
ROOT = ""

#: No heat: the backward was not measured.
NOTHING = dim("")
#: Stands where no gradient was measured.
UNMEASURED = dim(MISSING)

GRAPH_COLUMNS = (
    Column("name", "module or node", 22, grow=3, most=60),
    Column("nodes", "nodes", 6, right=True, rank=1),
    Column("parameters", "params", 6, right=True, rank=3),
    Column("grad_norm", "grad norm", 12, right=True),
    Column("saved", "saved", 8, right=True, rank=2),
    Column("about", "ops, or shape and type", 18, grow=4, rank=4),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRow:
    """A module or a node of the tree.

    ``key`` opens and closes it; ``is_open`` is None for what cannot be opened. ``about`` is a
    module's commonest ops, or a node's shape and dtype. ``nodes``, ``parameters`` and ``saved``
    include all below.
    """

    key: str
    depth: int
    name: str
    is_module: bool
    is_open: bool | None
    about: str
    nodes: int
    saved: str
    parameters: int
    grad_norm: Span
    index: int | None = None
    heat: Span = NOTHING
    line: str = ""


@dataclass(frozen=True)
class GraphTree:
    """A graph folded by module, read from the loss on: modules and nodes by their lowest node index.

    ``source`` says which backward of the step ran it.
    """

    graph: BackwardGraph
    root: ModuleFold
    parameters: Sequence[ParameterInfo]
    source: str = ""
    health: GraphHealth | None = None

    def rows(self, *, opened: Collection[str], statistics: np.ndarray) -> list[GraphRow]:
        """The visible rows: modules whose key is in ``opened`` show what is in them."""
        return list(self._rows(self.root, 0, opened=opened, statistics=statistics))

    def first_open(self) -> set[str]:
        """What is open at first: the root, and below it every module that is an only child."""
        opened, fold = {ROOT}, self.root
        while len(fold.children) == 1 and not fold.nodes:
            (fold,) = fold.children.values()
            opened.add(fold.name)
        return opened

    def _rows(
        self, fold: ModuleFold, depth: int, *, opened: Collection[str], statistics: np.ndarray
    ) -> Iterator[GraphRow]:
        is_open = fold.name in opened
        yield self._module_row(fold, depth, is_open=is_open, statistics=statistics)
        if not is_open:
            return
        parts: list[ModuleFold | GraphNode] = [*fold.children.values(), *fold.nodes]
        for part in sorted(parts, key=self._lowest):
            if isinstance(part, ModuleFold):
                yield from self._rows(part, depth + 1, opened=opened, statistics=statistics)
            else:
                yield self._node_row(part, depth + 1, statistics)

    def _lowest(self, part: ModuleFold | GraphNode) -> int:
        return self._lowest_in[part.name] if isinstance(part, ModuleFold) else part.index

    @cached_property
    def _lowest_in(self) -> dict[str, int]:
        lowest: dict[str, int] = {}
        for _, fold in reversed(list(self.root.walk())):  # what lies in a module comes before it
            own = (node.index for node in fold.nodes)
            lowest[fold.name] = min((*own, *(lowest[name] for name in fold.children)))
        return lowest

    def _module_row(self, fold: ModuleFold, depth: int, *, is_open: bool, statistics: np.ndarray) -> GraphRow:
        owned = parameters_in(fold)
        inner = [node.index for _, below in fold.walk() for node in below.nodes]
        return GraphRow(
            key=fold.name,
            depth=depth,
            name=printable(fold.name.rpartition(".")[2]) or "(whole graph)",
            is_module=True,
            is_open=is_open,
            about=_commonest(fold),
            nodes=fold.node_count,
            saved=size(fold.saved_bytes) if fold.saved_bytes else "",
            parameters=len(owned),
            grad_norm=self._flow(owned, inner, statistics),
            heat=self._heat(inner),
        )

    def _heat(self, nodes: Sequence[int]) -> Span:
        return NOTHING if self.health is None else self.health.heat(nodes)

    def _flow(self, owned: Sequence[int], nodes: Sequence[int], statistics: np.ndarray) -> Span:
        """Norm of the parameters' gradients; where none was measured, the largest that the nodes sent on.

        No optimizer consumed any where a scaler skipped the step.
        """
        norm = _norm(statistics, owned)
        return norm if self.health is None or norm != UNMEASURED else self.health.sent(nodes)

    def _node_row(self, node: GraphNode, depth: int, statistics: np.ndarray) -> GraphRow:
        owned = () if node.parameter is None else (node.parameter,)
        return GraphRow(
            key=f"#{node.index}",
            depth=depth,
            name=self._leaf(node) or printable(node.op),
            is_module=False,
            is_open=None,
            about=self._about(node),
            nodes=1,
            saved=size(node.saved_bytes) if node.saved else "",
            parameters=len(owned),
            grad_norm=self._flow(owned, (node.index,), statistics),
            index=node.index,
            heat=self._heat((node.index,)),
            line=_line_of(self.graph, node),
        )

    def _leaf(self, node: GraphNode) -> str:
        if node.parameter is None or node.parameter >= len(self.parameters):
            return ""
        return f"{printable(node.op)} → {printable(self.parameters[node.parameter].name.rpartition('.')[2])}"

    def _about(self, node: GraphNode) -> str:
        if node.parameter is not None and node.parameter < len(self.parameters):
            info = self.parameters[node.parameter]
            return f"{printable(info.name)}  {shape(info.shape)} {_short(info.dtype)}"
        pairs = zip(node.shapes, node.dtypes or ("",) * len(node.shapes), strict=False)
        return ", ".join(f"{shape(sizes)} {_short(dtype)}".strip() for sizes, dtype in pairs)


def graph_tree(recording: Recording, step: int) -> GraphTree | None:
    """The folded graph that ``step`` ran last, or None where none was captured."""
    backwards = [e for e in recording.events(step, step) if isinstance(e, Backward) and e.graph]
    digest = recording.step(step).graph or (backwards[-1].graph if backwards else None)
    if digest is None:
        return None
    try:
        graph = recording.graph(digest)
    except KeyError:
        return None
    tree = fold_graph(graph, recording.parameters)
    return replace(tree, source=source(backwards, digest), health=graph_health(recording, step, graph))


def source(backwards: Sequence[Backward], digest: str) -> str:
    """Which of a step's backwards ran a graph: the last that did, and its place."""
    ran = [(number, event) for number, event in enumerate(backwards, 1) if event.graph == digest]
    if not ran:
        return ""
    number, event = ran[-1]
    which = (
        f"backward {number} of {len(backwards)} in this step" if len(backwards) > 1 else "the step's backward"
    )
    return which + (f", at {place(event.site)}" if event.site else "")


def fold_graph(graph: BackwardGraph, parameters: Sequence[ParameterInfo]) -> GraphTree:
    """Folds a graph by module; leaves that no forward made go to the module that owns the parameter."""
    root = ModuleFold(name=ROOT)
    for node in graph.nodes:
        root.add(_housed(node, parameters))
    return GraphTree(graph, root, parameters)


def _norm_cell(shown: GraphRow) -> Line:
    known = shown.parameters or shown.heat.text
    return line(shown.heat, " " if shown.heat.text else "", shown.grad_norm if known else "")


def _line_of(graph: BackwardGraph, node: GraphNode) -> str:
    site = graph.site_of(node)
    return place(site) if site else ""


def graph_cells(shown: GraphRow) -> list[Line]:
    """A row's cells, by `GRAPH_COLUMNS`."""
    return [
        _name(shown),
        (Span(f"{shown.nodes:,}" if shown.is_module else ""),),
        (dim(f"{shown.parameters:,}" if shown.parameters and shown.is_module else ""),),
        _norm_cell(shown),
        (dim(shown.saved),),
        (dim(shown.line and f"{shown.line}  "), dim(shown.about)),
    ]


def _name(row: GraphRow) -> Line:
    mark = {True: "▾ ", False: "▸ ", None: "· "}[row.is_open]
    tone = Tone.PLAIN if row.is_module else Tone.DIM
    return (dim("  " * row.depth + mark), Span(row.name, Tone.STRONG if row.is_module else tone))


def node_words(
    node: GraphNode, graph: BackwardGraph, parameters: Sequence[ParameterInfo]
) -> list[tuple[str, str]]:
    """A node in full as (label, text): shapes, what it saved, where its gradients go."""
    words = [("op", printable(node.op)), ("module", printable(node.module) or "(none)")]
    if (site := graph.site_of(node)) is not None:
        words.append(("line", " ".join(filter(None, (place(site), printable(site.source))))))
    if node.parameter is not None and node.parameter < len(parameters):
        words.append(("parameter", printable(parameters[node.parameter].name)))
    outputs = zip(node.shapes, node.dtypes or ("",) * len(node.shapes), strict=False)
    words += [("output", f"{shape(sizes)} {_short(dtype)}".strip()) for sizes, dtype in outputs]
    for kept in node.saved:
        what = "packed by a hook" if kept.packed else f"{shape(kept.shape)} {_short(kept.dtype)}"
        words.append(("saved", f"{printable(kept.name)}  {what}  {size(kept.bytes)}"))
    words += [("sends to", _destination(graph.nodes[child])) for child, _ in node.next]
    return words


def _destination(node: GraphNode) -> str:
    return printable(f"#{node.index} {node.op}" + (f" in {node.module}" if node.module else ""))


def parameters_in(fold: ModuleFold) -> tuple[int, ...]:
    """Parameters whose leaves lie in a fold or below it, sorted, each once."""
    nodes = (node for _, inner in fold.walk() for node in inner.nodes)
    return tuple(sorted({node.parameter for node in nodes if node.parameter is not None}))


def _housed(node: GraphNode, parameters: Sequence[ParameterInfo]) -> GraphNode:
    if node.module or node.parameter is None or node.parameter >= len(parameters):
        return node
    return replace(node, module=parameters[node.parameter].module)


def _commonest(fold: ModuleFold, most: int = 3) -> str:
    counts = Counter(node.op for _, inner in fold.walk() for node in inner.nodes)
    parts = (f"{_op(op)} {TIMES}{count}" if count > 1 else _op(op) for op, count in counts.most_common(most))
    return "  ".join(parts)


def _op(name: str) -> str:
    return printable(name.rstrip("0123456789").removesuffix("Backward") or name)


def _norm(statistics: np.ndarray, owned: Sequence[int]) -> Span:
    """L2 norm over several parameters' gradients: the root of the sum of their squares."""
    rows = statistics[[index for index in owned if index < len(statistics)]] if owned else statistics[:0]
    if rows.size and (rows[:, _NONFINITE] > 0).any():
        return Span("nan or inf", Tone.ERROR)
    norms = rows[:, _NORM].astype(np.float64)
    norms = norms[~np.isnan(norms)]
    if not norms.size:
        return UNMEASURED
    total = float(np.sqrt((norms**2).sum()))
    return Span(measured(total), Tone.WARNING if total == 0 else Tone.PLAIN)


def _short(dtype: str) -> str:
    return printable(dtype.removeprefix("torch."))
