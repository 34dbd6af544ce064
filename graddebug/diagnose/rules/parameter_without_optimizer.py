"""GD201: a trainable parameter of a module in training is in no optimizer."""

from __future__ import annotations

from graddebug.diagnose.causes import beside_owned, origin, replaced, updated_by_hand
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import names, quoted, times
from graddebug.ledger import Cohort, Consumed, Ledger
from graddebug.records import Forward, ParameterSet, Severity


class ParameterWithoutOptimizer(Rule):
    """It gets gradients, its module is trained, but nothing ever changes it."""

    code = "GD201"
    slug = "parameter-without-optimizer"
    title = "A trainable parameter is in no optimizer"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "A layer added after the optimizer was built, or forgotten in a list of parameter groups, gets its "
        "gradients and never learns: it keeps its random initial weights."
    )
    fix = (
        "Give the parameters to the optimizer, or freeze them with `requires_grad_(False)` to say that "
        "they stay."
    )
    example = (
        "optimizer = torch.optim.SGD(model.encoder.parameters(), lr=0.1)    # wrong: the head is left out\n"
        "\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)            # right\n"
    )
    options = thresholds(
        windows="windows in which the parameter got a gradient",
    )
    windows = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._roots: dict[str, ParameterSet] = {}

    def on_forward(self, event: Forward, ledger: Ledger) -> Claims:
        """Learn which parameters lie in one watched module."""
        self._roots[event.module] = event.params
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """At each step, look at what nobody owns."""
        if not ledger.unowned or not fact.written:  # a step with nothing new is another finding
            return None
        left_out = [
            c
            for c in ledger.unowned
            if c.life.trainable and c.life.windows_ever >= self.windows and not updated_by_hand(c.life)
        ]
        if not left_out:
            return None
        params = self._beside_owned(left_out, fact, ledger)
        return [_claim(fact, params, left_out[0], ledger)] if params else None

    def _beside_owned(self, cohorts: list[Cohort], fact: Consumed, ledger: Ledger) -> ParameterSet:
        """Those that share a root module with a parameter that some optimizer owns."""
        trained = beside_owned(self._roots.values(), ledger)
        explained = replaced(ledger)
        found = (p for c in cohorts for p in c.members if p in trained and p not in explained)
        return tuple(sorted(p for p in found if origin(p, ledger) == "module"))


def _pile(cohort: Cohort) -> str:
    """What follows from it: `optimizer.zero_grad()` does not know them."""
    count = cohort.life.fresh_count
    if count < 2:
        return ""
    return (
        f" Nothing clears these gradients either: they are the sum of {times(count, 'backward')} now, and "
        "count in every norm over the whole model."
    )


def _claim(fact: Consumed, params: ParameterSet, cohort: Cohort, ledger: Ledger) -> Claim:
    modules = list(dict.fromkeys(ledger.parameters[p].module for p in params))
    newest = cohort.life.newest or (cohort.life.discard.newest if cohort.life.discard else None)
    site = newest.site if newest else None
    where = f" (in {names([f'`{module}`' for module in modules if module])})" if any(modules) else ""
    return Claim(
        step=fact.step.step,
        message=(
            f"No optimizer owns {PARAMETERS}{where}: {quoted(site, 'backward()')} computes gradients for "
            f"them in every window, {times(cohort.life.windows_ever, 'window')} so far, and no step will "
            f"ever change them.{_pile(cohort)}"
        ),
        fix=(
            f"Give them to `{ledger.optimizer_name(fact.optimizer.index)}` (`add_param_group`, or when you "
            "build it), or freeze them with `requires_grad_(False)`."
        ),
        roles=roles(backward=site, step=fact.step.site),
        parameters=params,
        evidence={"modules": modules, "windows": cohort.life.windows_ever},
        anchor=("backward",),
    )
