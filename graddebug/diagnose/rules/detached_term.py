"""GD302: a term of the loss carries no gradient, though it was computed from what is trained."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import number, place, quoted
from graddebug.ledger import Ledger
from graddebug.records import DetachedTerm as Seen
from graddebug.records import Severity


class DetachedTerm(Rule):
    """It shows in the loss and has no effect."""

    code = "GD302"
    slug = "detached-term"
    title = "A term of the loss carries no gradient"
    severity = Severity.NOTE
    needs = (BACKWARDS,)
    why = (
        "A regulariser that is added with `.item()` or `.detach()`, or rebuilt with `torch.tensor(...)`, "
        "makes the loss larger and changes no gradient: its weight has no effect. Nothing fails, "
        "because the other terms have a path back."
    )
    fix = "Add the tensor itself, or take the term out of the loss and log it apart."
    example = (
        "penalty = model.weight.square().sum()\n"
        "loss = cross_entropy(out, y) + 0.1 * penalty.item()    # wrong: a constant to autograd\n"
        "\n"
        "loss = cross_entropy(out, y) + 0.1 * penalty           # right\n"
    )
    options = thresholds(
        times="times that the term was computed without a path back",
    )
    times = 5

    def on_detached_term(self, event: Seen, ledger: Ledger) -> Claims:
        """Tell of a term that is the same multiple of a result, time after time."""
        if event.seen < self.times:
            return None
        added, source = quoted(event.added_at, "the sum"), quoted(event.computed_at, "the result")
        share = "" if abs(event.factor - 1) < 1e-4 else f"{number(event.factor)} times "
        return [
            Claim(
                step=event.step,
                message=(
                    f"{added} adds a number that carries no gradient: it was {share}what {source} computes, "
                    f"{event.seen} times in a row. That has a graph, but no backward runs through it."
                ),
                fix=(
                    f"If that term is meant to train, add the tensor itself at {place(event.added_at)}, "
                    "without `.item()`, `.detach()` or `torch.tensor(...)`; if not, log it by itself."
                ),
                roles=roles(term=event.computed_at, added=event.added_at, backward=event.site),
                evidence={"factor": event.factor, "times": event.seen},
                anchor=("added",),
                latest=True,
            )
        ]
