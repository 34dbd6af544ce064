"""Which dtype each op of a backward graph ran in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graddebug.graph import BackwardGraph, GraphNode
from graddebug.views.figures import TIMES, several
from graddebug.views.line import Line, Span, Tone, dim, line, strong
from graddebug.views.printable import pad, printable

#: The autograd node of a change of dtype (or device), and that of a parameter.
CAST, LEAF = "ToCopyBackward0", "AccumulateGrad"
UNKNOWN = "unknown"
#: Ops listed before the rest is counted.
MOST_OPS = 12


@dataclass(frozen=True, slots=True)
class Census:
    """Ops of a graph by the dtype they put out: ``dtypes`` by falling count, ``ops`` as (name, counts).

    ``casts`` are (from, to, count): nodes that change a dtype, in no other count.
    """

    dtypes: tuple[tuple[str, int], ...] = ()
    ops: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    casts: tuple[tuple[str, str, int], ...] = ()

    @property
    def count(self) -> int:
        """All ops, casts left out."""
        return sum(count for _, count in self.dtypes)


def census(graph: BackwardGraph) -> Census:
    """Counts the nodes of a graph; parameters are no ops."""
    dtypes: Counter[str] = Counter()
    ops: dict[str, Counter[str]] = {}
    casts: Counter[tuple[str, str]] = Counter()
    for node in graph.nodes:
        if node.op == LEAF:
            continue
        if (ends := _cast(graph, node)) is not None:
            casts[ends] += 1
            continue
        dtype = dtype_of(node)
        dtypes[dtype] += 1
        ops.setdefault(op_name(node.op), Counter())[dtype] += 1
    ranked = sorted(ops.items(), key=lambda item: -item[1].total())
    return Census(
        dtypes=tuple(dtypes.most_common()),
        ops=tuple((op, tuple(counts.most_common())) for op, counts in ranked),
        casts=tuple((start, end, count) for (start, end), count in casts.most_common()),
    )


def dtype_of(node: GraphNode) -> str:
    """Dtype of the first output of a node's forward op."""
    return short(node.dtypes[0]) if node.dtypes and node.dtypes[0] else UNKNOWN


def short(dtype: str) -> str:
    """``float16`` for ``torch.float16``, safe to print."""
    return printable(dtype.removeprefix("torch."))


def op_name(name: str) -> str:
    """``Addmm`` for ``AddmmBackward0``."""
    return printable(name.rstrip("0123456789").removesuffix("Backward") or name)


def _cast(graph: BackwardGraph, node: GraphNode) -> tuple[str, str] | None:
    """From which dtype to which, for a node that changes it."""
    if node.op != CAST:
        return None
    for child, slot in node.next:
        dtypes = graph.nodes[child].dtypes
        if 0 <= slot < len(dtypes):
            return short(dtypes[slot]), dtype_of(node)
    return UNKNOWN, dtype_of(node)


def census_lines(told: Census) -> Iterator[Line]:
    """How many ops ran in each dtype, the commonest ops one by one, and the casts."""
    shares = ", ".join(f"{several(count, 'op')} in {dtype}" for dtype, count in told.dtypes)
    yield line(strong("ops by dtype"), f"  {shares}" if shares else dim("  none"))
    for op, counts in told.ops[:MOST_OPS]:
        words = "  ".join(f"{dtype} {TIMES}{count:,}" for dtype, count in counts)
        mixed = Tone.ACCENT if len(counts) > 1 else Tone.PLAIN
        yield line(dim(f"  {pad(op, 24)} "), Span(words, mixed))
    if len(told.ops) > MOST_OPS:
        yield line(dim(f"  and {len(told.ops) - MOST_OPS:,} more kinds of op"))
    if told.casts:
        yield line("  casts  ", dim(_cast_words(told.casts)))


def _cast_words(casts: Sequence[tuple[str, str, int]]) -> str:
    return ", ".join(f"{start} to {end} {TIMES}{count:,}" for start, end, count in casts)
