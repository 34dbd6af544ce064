"""GD413: a parameter of two optimizers is divided by the loss scale twice."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Consumed, Division, Ledger, Portion
from graddebug.records import OptimizerStep, Severity


class UnscaledTwice(Rule):
    """Each optimizer's unscale_ divides all that it owns."""

    code = "GD413"
    slug = "unscaled-twice"
    title = "A parameter of two optimizers is divided by the loss scale twice"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "A scaler unscales one optimizer's gradients at a time and remembers optimizers, not parameters. "
        "One that two optimizers own is divided for each of them: its gradient ends 65,536 times too small, "
        "without a word."
    )
    fix = "Give each parameter to one optimizer only."
    example = (
        "a = SGD([*encoder.parameters(), *head.parameters()])\n"
        "b = SGD(encoder.parameters())    # wrong: the encoder is in both\n"
        "scaler.unscale_(a)\n"
        "scaler.unscale_(b)\n"
        "\n"
        "a = SGD(head.parameters())\n"
        "b = SGD(encoder.parameters())    # right: each parameter in one\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look for two divisions for different optimizers with no write in between."""
        found = [(portion, *pair) for portion in fact.portions if (pair := _twice(portion, fact.step))]
        return [_claim(fact, found, ledger)] if found else None


def _twice(portion: Portion, step: OptimizerStep) -> tuple[Division, Division] | None:
    newest = portion.life.newest
    if newest is None or step.scaler is None:
        return None
    own = (step,) if step.grad_scale != 1.0 else ()
    since = [d for d in (*portion.life.scaling.divisions, *own) if d.order > newest.last.order]
    first = next((d for d in since if d.optimizer != since[-1].optimizer), None)
    return (first, since[-1]) if first is not None else None


def _claim(fact: Consumed, found: list[tuple[Portion, Division, Division]], ledger: Ledger) -> Claim:
    _, first, second = found[0]
    one, other = ledger.optimizer_name(first.optimizer), ledger.optimizer_name(second.optimizer)
    scale = second.grad_scale if isinstance(second, OptimizerStep) else second.scale
    return Claim(
        step=fact.step.step,
        message=(
            f"{PARAMETERS} belong to `{one}` and to `{other}`, and their gradients were divided by the loss "
            f"scale for each of them: at {quoted(first.site, 'unscale_()')} and at "
            f"{quoted(second.site, 'unscale_()')}. The step of "
            f"`{ledger.optimizer_name(fact.optimizer.index)}` applied gradients {scale:,.0f} times too small."
        ),
        fix=f"Give {PARAMETERS} to one of the two optimizers only.",
        roles=roles(step=fact.step.site, first_unscale=first.site, unscale=second.site),
        parameters=tuple(sorted(p for portion, *_ in found for p in portion.members)),
        evidence={"scale": scale, "optimizers": [one, other]},
        anchor=("first_unscale", "unscale"),
        topic=one,
    )
