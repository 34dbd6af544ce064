"""GD312: the output of a softmax goes into a loss that applies softmax itself."""

from __future__ import annotations

import math

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger
from graddebug.records import DoubleSoftmax as Seen
from graddebug.records import Severity, Site


class DoubleSoftmax(Rule):
    """It trains, slowly, towards a loss that it cannot reach."""

    code = "GD312"
    slug = "double-softmax"
    title = "A softmax feeds a loss that applies softmax again"
    severity = Severity.WARNING
    needs = (BACKWARDS,)
    why = (
        "cross_entropy takes scores and applies log-softmax to them. Probabilities lie between 0 and 1, so "
        "that after a second softmax a perfect prediction gets little more than an equal share: the loss "
        "has a floor far above 0, and gradients are small. It trains all the same, only badly."
    )
    fix = "Give the loss the scores as they come from the last layer; apply softmax where you predict."
    example = (
        "probs = torch.softmax(model(x), dim=1)\n"
        "loss = F.cross_entropy(probs, y)             # wrong: softmax twice\n"
        "\n"
        "loss = F.cross_entropy(model(x), y)          # right\n"
        "\n"
        "loss = F.nll_loss(torch.log(probs), y)       # right, if probabilities are all there is\n"
    )

    def on_double_softmax(self, event: Seen, ledger: Ledger) -> Claims:
        """Tell of a graph that is new."""
        floor = math.log1p((event.classes - 1) / math.e)
        softmax = _op(event.softmax_site, event.softmax_module, "softmax")
        loss = _op(event.op_site, event.module, "log_softmax")
        known = event.op_site is not None or event.softmax_site is not None
        return [
            Claim(
                step=event.step,
                message=(
                    f"What {softmax} returns goes into {loss}, which applies log-softmax to it once more: it "
                    f"takes numbers between 0 and 1 for scores. With {event.classes} classes no loss of a "
                    f"single target can fall below {floor:.2f}, however good the prediction is."
                ),
                fix=(
                    f"Give {loss} the scores from before the softmax: take {softmax} out of the training "
                    "path, and apply it where you predict."
                ),
                roles=roles(softmax=event.softmax_site, loss=event.op_site, backward=event.site),
                evidence={"classes": event.classes, "floor": floor, "module": event.softmax_module},
                anchor=("softmax", "loss") if known else ("backward",),
                variant=event.softmax_module,
            )
        ]


def _op(site: Site | None, module: str, otherwise: str) -> str:
    if site is None and module:
        return f"the {otherwise} in `{module}`"
    return quoted(site, otherwise)
