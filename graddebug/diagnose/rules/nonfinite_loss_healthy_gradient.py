"""GD512: the loss is NaN or inf and its gradients are finite."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.nonfinite.knowledge import explain
from graddebug.diagnose.nonfinite.telling import called, origins_of
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger, NonfiniteSettled
from graddebug.records import Origin, Severity


class NonfiniteLossHealthyGradient(Rule):
    """The weights are safe, the log is not."""

    code = "GD512"
    slug = "nonfinite-loss-healthy-gradient"
    title = "The loss is NaN or inf and its gradients are finite"
    severity = Severity.NOTE
    needs = (BACKWARDS,)
    why = (
        "A mean over no target (a batch whose labels are all ignored) is 0/0 = NaN, and its gradient is 0. "
        "The weights are safe; a running average of the loss, early stopping or a check that skips the step "
        "is not."
    )
    fix = "Leave such batches out of the logged loss, or divide by at least 1."
    example = (
        "loss = F.cross_entropy(logits, labels)             # wrong: NaN if all labels are -100\n"
        "\n"
        'total = F.cross_entropy(logits, labels, reduction="sum")\n'
        "loss = total / (labels != -100).sum().clamp(min=1)    # right\n"
    )

    def on_nonfinite_settled(self, fact: NonfiniteSettled, ledger: Ledger) -> Claims:
        """Tell of a backward that wrote no bad gradient though its loss was bad."""
        return [_claim(fact)] if fact.fate == "harmless" else None


def _claim(fact: NonfiniteSettled) -> Claim:
    event, backward = fact.event, fact.backward
    line = quoted(backward.site if backward else None, "backward()")
    origin = next((one for one in origins_of(fact) if one.born == "forward"), None)
    return Claim(
        step=event.step,
        message=(
            f"The loss was {event.loss}, and all gradients that {line} wrote are finite: the step does "
            f"not spoil the weights; a log or an average of the loss is spoiled.{_why(origin, event.torch)}"
        ),
        fix=explain(origin, event.torch).fix if origin else "Leave such batches out of the logged loss.",
        roles=roles(backward=backward.site if backward else None, forward_op=origin.site if origin else None),
        parameters=backward.written if backward else (),
        evidence={"loss": str(event.loss), "healthy_parameters": len(event.healthy)},
    )


def _why(origin: Origin | None, torch: str) -> str:
    if origin is None:
        return ""
    line = quoted(origin.site, called(origin))
    return f" It comes from {line}: {explain(origin, torch).words}."
