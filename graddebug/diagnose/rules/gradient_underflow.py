"""GD415: the loss scale is too small, and gradients vanish in half precision."""

from __future__ import annotations

from graddebug.diagnose.evidence import HALF, MEASURED_NODES
from graddebug.diagnose.half import Underflow, lost_evidence, lost_words, rescuing_scale
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import literal, number
from graddebug.ledger import Ledger
from graddebug.records import HalfMeasured, Severity


class GradientUnderflow(Rule):
    """Proven by numbers that were flushed to zero or lost their bits, not by zeros."""

    code = "GD415"
    slug = "gradient-underflow"
    title = "Scaled gradients are still too small for half precision"
    severity = Severity.WARNING
    needs = (HALF, MEASURED_NODES)
    why = (
        "Below 6e-05 float16 has fewer and fewer bits, and below 3e-08 it has none: such a gradient is 0, "
        "and its weights stop learning without a word. A loss scale is there to prevent that; a small first "
        "scale grows too slowly to do so."
    )
    fix = "Let the scaler begin with a larger scale; where none helps, train in bfloat16."
    example = (
        "scaler = torch.amp.GradScaler(init_scale=1.0)    # wrong: scales nothing for 2,000 steps\n"
        "\n"
        "scaler = torch.amp.GradScaler()                  # right: begins at 65,536\n"
    )
    options = thresholds(
        share="share of a gradient's elements that are too small for half precision",
        measured="measured backwards in a row",
    )
    #: The share of the numbers that are not zero, of all gradients measured in half precision.
    share = 0.5
    #: Measured backwards in a row.
    measured = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._underflow = Underflow(self.share, self.measured)

    def on_half(self, event: HalfMeasured, ledger: Ledger) -> Claims:
        """Judge the gradients of a measured backward that is scaled."""
        if event.scale is None or not self._underflow.persists(event):
            return None
        return [_claim(event, rescuing_scale(event))]


def _claim(event: HalfMeasured, rescue: float | None) -> Claim:
    scale = event.scale or 1.0
    if rescue is not None:
        end = f"A scale of {number(rescue)} would lift them, and leave 2 bits for the largest."
        fix = f"Begin with `GradScaler(init_scale={literal(rescue)})`."
    else:
        end = "No scale can lift them: the largest would overflow."
        fix = "Train in bfloat16, which has the range of float32 and needs no scaler."
    return Claim(
        step=event.step,
        message=f"At a loss scale of {number(scale)}, {lost_words(event)} {end}",
        fix=fix,
        roles=roles(backward=event.site),
        evidence={"scale": scale, "rescuing_scale": rescue, **lost_evidence(event)},
    )
