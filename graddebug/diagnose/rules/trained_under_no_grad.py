"""GD311: modules in training always run with gradients disabled."""

from __future__ import annotations

from collections.abc import Iterable

from graddebug.diagnose.causes import IDLE_WINDOWS
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import quoted, times
from graddebug.ledger import Consumed, Ledger, OptimizerLife
from graddebug.records import ParametersUsed, QuietForwards, RunEnd, Severity, Site


class TrainedUnderNoGrad(Rule):
    """Owned by an optimizer that steps, in train mode, trainable, and run under ``no_grad`` only.

    While the run goes on this is a note: a part may be let into the training later. Not: what the program
    updates itself (a teacher, a target network), what runs in eval mode, rollouts of a module that is
    trained, reentrant checkpoints (GD310).
    """

    code = "GD311"
    slug = "trained-under-no-grad"
    title = "A module in training always runs with gradients disabled"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "Under torch.no_grad() nothing is recorded for the backward, so the module's parameters never get "
        "a gradient, and the optimizer skips them without a word. Often the block was written for the "
        "evaluation, or a function of the evaluation is called in training."
    )
    fix = (
        "Take the module's forward out of the `no_grad` block, or freeze its parameters if they are to stay."
    )
    example = (
        "with torch.no_grad():\n"
        "    features = encoder(x)                       # wrong: the optimizer owns the encoder\n"
        "loss = loss_fn(head(features), y)\n"
        "\n"
        "features = encoder(x)                           # right\n"
        "loss = loss_fn(head(features), y)\n"
    )
    options = thresholds(
        steps="steps in which it ran so",
        steps_at_end="the same where the run is over",
    )
    #: As for a parameter that never gets a gradient (GD204).
    steps = IDLE_WINDOWS
    #: In a whole run nothing more can follow.
    steps_at_end = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._with_gradients: set[int] = set()
        self._ran: dict[int, int] = {}
        self._sites: dict[int, Site | None] = {}
        self._noted: set[int] = set()

    def on_parameters_used(self, event: ParametersUsed, ledger: Ledger) -> Claims:
        """Modules that do run with gradients enabled."""
        self._with_gradients.update(event.params)
        return None

    def on_quiet(self, event: QuietForwards, ledger: Ledger) -> Claims:
        """Count the steps in which modules ran without."""
        if event.how != "no_grad":
            self._with_gradients.update(event.params)
        elif event.training:
            for index in event.params:
                self._ran[index] = self._ran.get(index, 0) + event.steps
                self._sites.setdefault(index, event.site)
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """A note as soon as it has gone on for long."""
        if not self._ran:
            return None
        long = [index for index, count in self._ran.items() if count >= self.steps]
        new = self._cut([i for i in long if i not in self._noted], fact.optimizer, ledger)
        self._noted.update(new)
        return [self._claim(new, fact.optimizer, ledger, Severity.NOTE)] if new else None

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """What ran so in the whole run."""
        long = [index for index, count in self._ran.items() if count >= self.steps_at_end]
        found = ((one, self._cut(long, one, ledger)) for one in ledger.optimizers.values() if one.steps)
        return [self._claim(cut, one, ledger, None) for one, cut in found if cut]

    def _cut(self, params: Iterable[int], optimizer: OptimizerLife, ledger: Ledger) -> list[int]:
        """Those that the optimizer owns and trains in vain, while it trains others."""
        owned = frozenset(optimizer.owned)
        mine = [i for i in params if i in owned and i not in self._with_gradients]
        if not mine or not any(cohort.life.windows_ever for cohort in ledger.cohorts.of(optimizer.owned)):
            return []
        lives = ((index, ledger.cohorts.life(index)) for index in mine)
        return sorted(i for i, life in lives if life.trainable and life.touched < 0 and life.moved_at < 0)

    def _claim(
        self, params: list[int], optimizer: OptimizerLife, ledger: Ledger, severity: Severity | None
    ) -> Claim:
        name, step = ledger.optimizer_name(optimizer.index), optimizer.last
        steps, site = max(self._ran[i] for i in params), self._sites[params[0]]
        return Claim(
            step=step.step if step else 0,
            message=(
                f"`{name}` owns {PARAMETERS}, and the modules are in train mode, but in all "
                f"{times(steps, 'step')} they ran with gradients disabled "
                f"({quoted(site, 'forward')}): no backward can reach them."
            ),
            fix=(
                "Call them outside of `torch.no_grad()`. If they are to stay as they are, freeze them with "
                f"`requires_grad_(False)` and leave them out of `{name}`."
            ),
            roles=roles(forward=site, step=step.site if step else None),
            parameters=tuple(params),
            evidence={"steps": steps},
            severity=severity,
            anchor=("step",),
            topic=name,
        )
