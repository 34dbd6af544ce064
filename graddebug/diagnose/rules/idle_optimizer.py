"""GD112: an optimizer's parameters get gradients, yet it never steps while others do."""

from __future__ import annotations

from dataclasses import replace

from graddebug.diagnose.causes import IDLE_WINDOWS, only_clears, stands_idle
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, times
from graddebug.ledger import Cohort, Consumed, Ledger, OptimizerLife
from graddebug.records import Backward, ParameterSet, RunEnd, Severity


class IdleOptimizer(Rule):
    """Copy and paste: one optimizer steps twice, the other one never."""

    code = "GD112"
    slug = "idle-optimizer"
    title = "An optimizer never steps while others do"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "With several optimizers a wrong name in one `step()` leaves a network as it was initialised, "
        "without any error: its gradients are computed and thrown away, window after window."
    )
    fix = "Call `step()` of each optimizer; look for another one's name in its place."
    example = (
        "loss_d.backward(); g_optimizer.step()    # wrong: D never learns\n"
        "\n"
        "loss_d.backward(); d_optimizer.step()    # right\n"
    )
    options = thresholds(
        windows="windows in which its parameters got gradients and it did not step",
        windows_at_end="the same where the run is over and its own zero_grad() cleared them each time",
    )
    windows = IDLE_WINDOWS
    #: No warm-up can end any more; a few passes to look at gradients are no training yet.
    windows_at_end = 5

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._claims: dict[int, Claim] = {}

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """While one optimizer steps, look at those that never have."""
        if not ledger.never_stepped:
            return None
        waiting = [o for o in ledger.never_stepped.values() if o is not fact.optimizer]
        idle = ((other, self._waiting(other, ledger)) for other in waiting)
        claims = (self._claim(fact, other, cohorts, ledger) for other, cohorts in idle if cohorts)
        return [claim for claim in claims if claim]

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """A loop that clears and runs backward, and has lost its step."""
        if event.reason != "finished":
            return None
        silent = [o for o in ledger.never_stepped.values() if o.index not in self._claims]
        idle = (
            (optimizer, only_clears(optimizer, ledger, windows=self.windows_at_end)) for optimizer in silent
        )
        return [_never(event, optimizer, cohorts, ledger) for optimizer, cohorts in idle if cohorts]

    def _waiting(self, other: OptimizerLife, ledger: Ledger) -> list[Cohort]:
        """What it owns, is written often, and no optimizer that steps owns too."""
        cohorts = ledger.cohorts.of(other.owned)
        return [cohort for cohort in cohorts if stands_idle(cohort, ledger, windows=self.windows)]

    def _claim(
        self, fact: Consumed, idle: OptimizerLife, cohorts: list[Cohort], ledger: Ledger
    ) -> Claim | None:
        """What was said of it first, however its gradients come about later."""
        known = self._claims.get(idle.index)
        if known is not None:
            return replace(known, step=fact.step.step)
        life, backward = cohorts[0].life, _meant(cohorts[0].members, ledger)
        newest = max(ledger.backwards.values(), key=lambda pair: pair[0], default=(0, None))[1]
        if backward is not newest and life.windows_ever == self.windows:
            return None  # the next window may show which step stands in its place
        claim = _claim(fact, idle, cohorts, backward, ledger, in_its_place=backward is newest)
        return self._claims.setdefault(idle.index, claim)


def _claim(
    fact: Consumed,
    idle: OptimizerLife,
    cohorts: list[Cohort],
    backward: Backward | None,
    ledger: Ledger,
    *,
    in_its_place: bool,
) -> Claim:
    name, stepping = ledger.optimizer_name(idle.index), ledger.optimizer_name(fact.optimizer.index)
    site = backward.site if backward else None
    windows = cohorts[0].life.windows_ever
    suspect = f"`{stepping}.step()` ({place(fact.step.site)})" if in_its_place else "another one's `step()`"
    return Claim(
        step=fact.step.step,
        message=(
            f"`{name}` has never stepped, though {quoted(site, 'backward()')} wrote {PARAMETERS} in "
            f"{windows} windows and `{stepping}` has stepped {fact.number + 1} times."
        ),
        fix=(
            f"Call `{name}.step()` after {quoted(site, 'backward()')}; check that {suspect} is not meant to "
            "be it."
        ),
        roles=roles(backward=site, step=fact.step.site),
        parameters=tuple(sorted(p for cohort in cohorts for p in cohort.members)),
        evidence={"windows": windows},
        anchor=("backward",),
        topic=name,
    )


def _never(event: RunEnd, idle: OptimizerLife, cohorts: list[Cohort], ledger: Ledger) -> Claim:
    members = tuple(sorted(p for cohort in cohorts for p in cohort.members))
    name, backward = ledger.optimizer_name(idle.index), _meant(members, ledger)
    site = backward.site if backward else None
    clear = quoted(idle.last_discard.site if idle.last_discard else None, "zero_grad()")
    return Claim(
        step=event.step,
        message=(
            f"`{name}` never stepped in the whole run: {clear} cleared what {quoted(site, 'backward()')} "
            f"wrote {times(idle.discards, 'time')}, and nothing has changed {PARAMETERS}."
        ),
        fix=f"Call `{name}.step()` after {quoted(site, 'backward()')}.",
        roles=roles(backward=site, zero_grad=idle.last_discard.site if idle.last_discard else None),
        parameters=members,
        evidence={"cleared_unused": idle.discards},
        topic=name,
    )


def _meant(members: ParameterSet, ledger: Ledger) -> Backward | None:
    """The newest backward that wrote them, one that no optimizer which steps needs where there is such."""
    writing = [b for _, b in ledger.backwards.values() if not frozenset(members).isdisjoint(b.reached)]
    stepping = {p for other in ledger.optimizers.values() if other.steps for p in other.owned}
    alone = [backward for backward in writing if stepping.isdisjoint(backward.reached)]
    return max(alone or writing, key=lambda backward: backward.order, default=None)
