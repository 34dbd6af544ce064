"""GD105: a step in train mode applies gradients that were written in eval mode."""

from __future__ import annotations

from graddebug.diagnose.evidence import EVALUATION, STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted, times
from graddebug.ledger import Consumed, Contribution, Ledger
from graddebug.records import Severity


class EvalGradient(Rule):
    """A backward during validation leaks into training."""

    code = "GD105"
    slug = "eval-gradient"
    title = "A step in train mode applies gradients written in eval mode"
    severity = Severity.WARNING
    needs = (EVALUATION, STEPS)
    why = (
        "A loss function that also calls backward, used for validation too, leaves the gradients of "
        "validation data in .grad. The first training step afterwards applies them: the model learns from "
        "data it is judged by."
    )
    fix = (
        "Validate under `torch.no_grad()` and without backward, or clear the gradients before training "
        "goes on."
    )
    example = (
        "model.eval()\n"
        "for x, y in val_loader:\n"
        "    compute_loss(model(x), y).backward()    # wrong: writes gradients\n"
        "\n"
        "model.eval()\n"
        "with torch.no_grad():                       # right\n"
        "    for x, y in val_loader:\n"
        "        total += compute_loss(model(x), y).item()\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look for contributions written in eval mode."""
        leaked: list[Contribution] = []
        params: list[int] = []
        for portion in fact.portions:
            parts = [part for part in portion.fresh if part.evaluated]
            training = set(portion.members) & set(fact.step.in_train_mode) if parts else ()
            if parts and training:
                leaked += parts
                params += training
        if not leaked or fact.step.parent is not None:
            return None
        return [_claim(fact, max(leaked, key=lambda part: part.at), sorted(params), ledger)]


def _claim(fact: Consumed, leaked: Contribution, params: list[int], ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(fact.optimizer.index)
    backward = quoted(leaked.site, "backward()")
    return Claim(
        step=fact.step.step,
        message=(
            f"`{name}.step()` in train mode applied gradients that were written in eval mode: {backward} "
            f"ran {times(leaked.count, 'time')} while the module was in eval mode, and wrote {PARAMETERS}."
        ),
        fix=(
            f"Wrap the evaluation around {backward} in `torch.no_grad()` without its backward, or call "
            f"`{name}.zero_grad()` after it."
        ),
        roles=roles(backward=leaked.site, step=fact.step.site),
        parameters=tuple(params),
        evidence={"backwards_in_eval": leaked.count},
        topic=name,
    )
