"""GD306: the graph of a backward grows with every step, because it reaches back into the steps before."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, times
from graddebug.ledger import Ledger, Line, line_of
from graddebug.records import GraphGrew, OptimizerStepEnd, Severity, WeightsMoved

#: Updates of weights that must lie within the growth: a whole episode may be one step of many backwards.
_UPDATES = 2


class GraphGrows(Rule):
    """Something that is carried from step to step is never detached."""

    code = "GD306"
    slug = "graph-grows"
    title = "The backward graph grows with every step"
    severity = Severity.WARNING
    needs = (BACKWARDS,)
    why = (
        "A hidden state, a running average or a sum of losses that is carried over with its graph chains "
        "each step to all before it. Backward then goes through all of them again: time and memory grow "
        "without end, and the old part is differentiated at weights that have changed since. "
        "retain_graph=True only silences the error that would have told."
    )
    fix = "Detach what you carry from step to step, and drop retain_graph=True."
    example = (
        "out, h = rnn(x, h)\n"
        "loss_fn(out, y).backward(retain_graph=True)    # wrong: h leads back to the first batch\n"
        "\n"
        "out, h = rnn(x, h.detach())                    # right\n"
        "loss_fn(out, y).backward()\n"
    )
    options = thresholds(
        windows="steps in a row in which the graph has grown",
    )
    #: Steps in a row that it has grown in: a truncated window may take a few to fill.
    windows = 8

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._updates = 0
        self._first: dict[Line | None, tuple[int, int]] = {}

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """Count updates of weights."""
        self._updates += 1
        return None

    def on_weights_moved(self, event: WeightsMoved, ledger: Ledger) -> Claims:
        """By hand, too."""
        self._updates += 1
        return None

    def on_graph_grew(self, event: GraphGrew, ledger: Ledger) -> Claims:
        """Judge a graph that has grown for a while, and not only because it is longer this time."""
        line = line_of(event.site)
        grown, updates = self._first.get(line, (event.grown, self._updates))
        if event.grown <= grown:
            grown, updates = self._first[line] = (event.grown, self._updates)
        if min(event.grown, event.reach) < self.windows or self._updates - updates < _UPDATES:
            return None
        return [_claim(event)]


def _claim(event: GraphGrew) -> Claim:
    backward = quoted(event.site, "backward()")
    at = f", {quoted(event.op_site, event.op)}" if event.op_site is not None else ""
    inside = f" in `{event.module}`" if event.module and not at else ""
    joint = f" The link is {event.op.partition('Backward')[0]}{inside}{at}." if event.op else ""
    return Claim(
        step=event.step,
        message=(
            f"The graph of {backward} has grown in {times(event.grown, 'step')} in a row, from "
            f"{event.before:,} to {event.nodes:,} nodes: it reaches back {times(event.reach, 'step')}, "
            f"through forwards whose backward has run already.{joint}"
        ),
        fix=_fix(event, backward),
        roles=roles(carried=event.op_site, backward=event.site),
        evidence={
            "grown": event.grown,
            "nodes_before": event.before,
            "nodes": event.nodes,
            "reach": event.reach,
            "op": event.op,
        },
        anchor=("backward",),
        latest=event.op_site is not None,
    )


def _fix(event: GraphGrew, backward: str) -> str:
    at = f" at {place(event.op_site)}" if event.op_site is not None else ""
    if event.scalar and event.op.startswith("Add"):
        return (
            f"Run backward on the loss of this step alone, and add it up for the log with `.item()`{at}; "
            f"then {backward} needs no `retain_graph=True`."
        )
    return (
        f"Detach what is carried over from the step before (`state = state.detach()`) where it is used "
        f"again{at}; then {backward} needs no `retain_graph=True`."
    )
