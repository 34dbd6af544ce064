"""GD112: an optimizer's parameters get gradients, yet it never steps while others do."""

from __future__ import annotations

from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import place, quoted
from graddebug.ledger import Cohort, Consumed, Ledger, OptimizerLife
from graddebug.records import Severity


class IdleOptimizer(Rule):
    """Copy and paste: one optimizer steps twice, the other one never."""

    code = "GD112"
    slug = "idle-optimizer"
    title = "An optimizer never steps while others do"
    severity = Severity.WARNING
    why = (
        "With several optimizers a wrong name in one `step()` leaves a network as it was initialised, "
        "without any "
        "error: its gradients are computed and thrown away, window after window."
    )
    fix = "Call `step()` of each optimizer; look for another one's name in its place."
    example = (
        "loss_d.backward(); g_optimizer.step()    # wrong: D never learns\n"
        "\n"
        "loss_d.backward(); d_optimizer.step()    # right\n"
    )
    options = ("windows",)
    windows = 20

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """While one optimizer steps, look at those that never have."""
        if not ledger.never_stepped:
            return None
        waiting = [o for o in ledger.never_stepped.values() if o is not fact.optimizer]
        idle = ((other, self._waiting(other, ledger)) for other in waiting)
        return [_claim(fact, other, cohorts, ledger) for other, cohorts in idle if cohorts]

    def _waiting(self, other: OptimizerLife, ledger: Ledger) -> list[Cohort]:
        """What it owns, is written often, and no optimizer that steps owns too."""
        return [
            cohort
            for cohort in ledger.cohorts.of(other.owned)
            if cohort.life.windows_ever >= self.windows
            and not any(ledger.optimizers[owner].steps for owner in cohort.life.owners)
        ]


def _claim(fact: Consumed, idle: OptimizerLife, cohorts: list[Cohort], ledger: Ledger) -> Claim:
    name, stepping = ledger.optimizer_name(idle.index), ledger.optimizer_name(fact.optimizer.index)
    life = cohorts[0].life
    newest = life.newest or (life.discard.newest if life.discard else None)
    site = newest.site if newest else None
    return Claim(
        step=fact.step.step,
        message=(
            f"`{name}` has never stepped, though {quoted(site, 'backward()')} wrote {PARAMETERS} in "
            f"{life.windows_ever} windows "
            f"and `{stepping}` has stepped {fact.number + 1} times."
        ),
        fix=(
            f"Call `{name}.step()` after {quoted(site, 'backward()')}; check that `{stepping}.step()` "
            f"({place(fact.step.site)}) is not meant to be it."
        ),
        roles=roles(backward=site, step=fact.step.site),
        parameters=tuple(sorted(p for cohort in cohorts for p in cohort.members)),
        evidence={"windows": life.windows_ever},
        anchor=("backward",),
        topic=name,
    )
