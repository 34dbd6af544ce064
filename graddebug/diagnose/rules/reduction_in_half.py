"""GD418: a loss or a long sum is computed in float16."""

from __future__ import annotations

from collections.abc import Sequence

from graddebug.diagnose.evidence import GRAPHS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger
from graddebug.records import HalfReduction, ParameterInfo, Severity


class ReductionInHalf(Rule):
    """Autocast does these in float32; outside of it nobody does."""

    code = "GD418"
    slug = "reduction-in-half"
    title = "A loss or a long sum is computed in float16"
    severity = Severity.WARNING
    needs = (GRAPHS,)
    why = (
        "float16 has 11 bits and ends at 65,504. Its third digit is off, a squared error over "
        "256 is inf, and so is a sum of 65,504 ones. Autocast computes losses, sums and norms in float32 for "
        "that reason, but only inside its region, and only of a model whose own weights are float32."
    )
    fix = "Compute the loss inside the autocast region, or cast what goes into it with `.float()`."
    example = (
        "with torch.autocast('cuda', torch.float16):\n"
        "    out = model(x)\n"
        "loss = F.mse_loss(out, target.half())        # wrong: outside, so in float16\n"
        "\n"
        "loss = F.mse_loss(out.float(), target)       # right\n"
    )
    options = thresholds(
        elements="elements that a sum in float16 adds up",
    )
    #: Elements that a sum adds up; float16 counts to 2,048 without a gap.
    elements = 2048

    def on_half_reduction(self, event: HalfReduction, ledger: Ledger) -> Claims:
        """Judge an op of a graph that is new."""
        if not event.loss and event.elements <= self.elements:
            return None
        op = event.op.partition("Backward")[0]
        where = f" in {event.module}" if event.module else ""
        line = f", {quoted(event.op_site, op)}" if event.op_site is not None else ""
        addends = f" over {event.elements:,} elements" if event.elements > 1 else ""
        what = "the loss" if event.loss else "a sum"
        return [
            Claim(
                step=event.step,
                message=(
                    f"{op}{where}{line} ran in float16{addends}: {what} has 3 digits there, and is inf from "
                    "65,504 on."
                ),
                fix=_fix(ledger.parameters),
                roles=roles(backward=event.site, op=event.op_site),
                evidence={"op": event.op, "module": event.module, "elements": event.elements},
                anchor=("op",) if event.op_site is not None else (),
                variant=f"{event.op} {event.module}",
            )
        ]


def _fix(parameters: Sequence[ParameterInfo]) -> str:
    if any(info.dtype == "float16" for info in parameters):
        return "Cast what goes into it with `.float()`; best, keep the weights in float32 and use autocast."
    return "Compute it inside the autocast region, or cast what goes into it with `.float()`."
