"""GD301: backward() on a loss that no parameter leads to."""

from __future__ import annotations

from graddebug.diagnose.causes import trainable_owned
from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger
from graddebug.records import Backward, Severity


class LossWithoutParameters(Rule):
    """The root is a leaf: a number that was made to require a gradient."""

    code = "GD301"
    slug = "loss-without-parameters"
    title = "backward() on a loss that no parameter leads to"
    severity = Severity.ERROR
    needs = (BACKWARDS,)
    why = (
        "'element 0 of tensors does not require grad' means that the loss has no path back to the model. "
        "loss.requires_grad_() silences the error and nothing else: the loss is a leaf, its backward "
        "writes no parameter, and training does nothing."
    )
    fix = (
        "Find what cut the loss off (detach, .item(), torch.tensor(loss), argmax, no_grad) instead of "
        "calling `requires_grad_()`."
    )
    example = (
        "loss = torch.tensor(loss_fn(model(x), y).item(), requires_grad=True)    # wrong: a new number\n"
        "loss.backward()\n"
        "\n"
        "loss = loss_fn(model(x), y)                                             # right\n"
        "loss.backward()\n"
    )

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Judge the root of each backward."""
        if not event.leaf_root or event.reached or event.written or not event.accumulates:
            return None
        if ledger.optimizers and not any(trainable_owned(o, ledger) for o in ledger.optimizers.values()):
            return None  # nothing to reach: that is GD208
        backward = quoted(event.site, "backward()")
        return [
            Claim(
                step=event.step,
                message=(
                    f"{backward} starts at a leaf tensor: no operation made it, so no parameter gets a "
                    "gradient from it. It was rebuilt from numbers, or detached and then marked with "
                    "`requires_grad_()`."
                ),
                fix=(
                    f"Remove `requires_grad`, and keep the loss before {backward} connected to the model: "
                    "no `.item()`, `.data`, `detach()` or `torch.tensor(...)` on the way."
                ),
                roles=roles(backward=event.site),
                evidence={"parameters_reached": 0} | ({} if event.loss is None else {"loss": event.loss}),
            )
        ]
