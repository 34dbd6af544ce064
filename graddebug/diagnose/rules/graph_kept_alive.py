"""GD305: graphs of past steps are kept alive after their backward."""

from __future__ import annotations

from collections import deque

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, sentence, times
from graddebug.ledger import Ledger
from graddebug.records import GraphsKept, OptimizerStepEnd, Severity, WeightsMoved

#: Updates of weights that must lie between the first of the graphs and now, and how many are remembered.
_UPDATES, _REMEMBERED = 2, 64

#: Containers that grow when something is put into them.
_APPENDED_TO = ("list", "deque")


class GraphKeptAlive(Rule):
    """A number is meant to be kept, and its whole history is."""

    code = "GD305"
    slug = "graph-kept-alive"
    title = "Graphs of past steps are kept alive"
    severity = Severity.WARNING
    needs = (BACKWARDS,)
    why = (
        "A loss or an output is the end of a graph, and whoever keeps it keeps the graph. With "
        "`total += loss` or a list of outputs, memory grows with every step, until the sum or the list is "
        "gone; freeing a chain of thousands of nodes at once is slow, and may crash."
    )
    fix = "Keep numbers: `loss.item()`, or `output.detach()` where a tensor is wanted."
    example = (
        "total += loss               # wrong: the sum refers to the graph of every batch\n"
        "losses.append(loss)         # wrong\n"
        "\n"
        "total += loss.item()        # right\n"
        "losses.append(loss.item())\n"
    )
    options = thresholds(
        steps_in_a_sum="past steps that a tensor computed from them keeps",
        steps_in_a_container="past steps kept by something that is appended to",
        steps="past steps kept by anything else",
    )
    #: Past steps that a tensor computed from them keeps: nothing bounds their number.
    steps_in_a_sum = 8
    #: Those that something holds which is appended to: it may yet be kept short.
    steps_in_a_container = 12
    #: Those that are kept by anything else: it may be one for each of a number of tasks.
    steps = 40

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._updated: deque[int] = deque(maxlen=_REMEMBERED)

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """Remember when weights were updated: backwards without an update between are parts of one step."""
        self._updated.append(event.step)
        return None

    def on_weights_moved(self, event: WeightsMoved, ledger: Ledger) -> Claims:
        """By hand, too."""
        self._updated.append(event.step)
        return None

    def on_graphs_kept(self, event: GraphsKept, ledger: Ledger) -> Claims:
        """Judge by what keeps them, and by how many they are."""
        limits = {"sum": self.steps_in_a_sum} | dict.fromkeys(_APPENDED_TO, self.steps_in_a_container)
        enough = limits.get(event.held, self.steps)
        updates = sum(step >= event.oldest for step in self._updated)
        return [_claim(event)] if event.graphs >= enough and updates >= _UPDATES else None


def _claim(event: GraphsKept) -> Claim:
    forward = quoted(event.site, f"{event.module}(...)")
    keeper = _keeper(event)
    return Claim(
        step=event.step,
        message=(
            f"{sentence(keeper)} keeps the graphs of {times(event.graphs, 'past step')} alive, those of "
            f"{forward} since step {event.oldest}. Each was back-propagated and is of no more use; every "
            "step adds one."
        ),
        fix=_fix(event),
        roles=roles(kept=event.kept_at, forward=event.site),
        evidence={"graphs": event.graphs, "oldest": event.oldest, "held": event.held, "name": event.name},
        anchor=("forward",),
        topic=event.module,
        latest=event.kept_at is not None or event.held != "sum",
    )


def _keeper(event: GraphsKept) -> str:
    if event.held == "sum":
        name = f" `{event.name}`" if event.name else ""
        at = f" computed at {quoted(event.kept_at, 'that line')}" if event.kept_at is not None else ""
        return f"the tensor{name}{at}" if at or name else "a running sum"
    if event.held:
        return f"the {event.held} `{event.name}`" if event.name else f"a {event.held}"
    return "something"


def _fix(event: GraphsKept) -> str:
    if event.held == "sum":
        at = f" at {place(event.kept_at)}" if event.kept_at is not None else ""
        return f"Add up numbers{at}: `loss.item()`, or `loss.detach()` where waiting for the device costs."
    where = f"`{event.name}`" if event.name else f"the {event.held}" if event.held else "what you keep"
    return f"Put `loss.item()` or `output.detach()` into {where} instead of the tensor with its graph."
