"""GD412: the learning rate moved on although the scaler skipped the step."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER, SCHEDULER
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger
from graddebug.records import OptimizerStepEnd, ScalerStep, SchedulerStep, Severity


class ScheduleOnSkippedStep(Rule):
    """Each skipped step puts the schedule one step ahead of the weights."""

    code = "GD412"
    slug = "schedule-on-skipped-step"
    title = "A scheduler moved on although the step was skipped"
    severity = Severity.NOTE
    needs = (SCALER, SCHEDULER)
    why = (
        "A scaler skips the step when gradients overflow, at first several times in a row while its scale "
        "settles. A scheduler that is stepped all the same uses up warm-up, and counts steps that did not "
        "happen. A few do no harm."
    )
    fix = "Step the scheduler only if the scale did not drop: `if scaler.get_scale() >= before:`."
    example = (
        "scaler.step(optimizer)\n"
        "scaler.update()\n"
        "scheduler.step()                     # wrong: also where the step was skipped\n"
        "\n"
        "before = scaler.get_scale()\n"
        "scaler.step(optimizer)\n"
        "scaler.update()\n"
        "if scaler.get_scale() >= before:     # right\n"
        "    scheduler.step()\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._skipped: dict[int, ScalerStep] = {}

    def on_scaler_step(self, event: ScalerStep, ledger: Ledger) -> Claims:
        """Remember that the newest step of the optimizer was skipped."""
        if event.skipped:
            self._skipped[event.optimizer] = event
        else:
            self._skipped.pop(event.optimizer, None)
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """A step was taken: what was skipped before it no longer matters."""
        if not event.skipped:
            self._skipped.pop(event.optimizer, None)
        return None

    def on_scheduler_step(self, event: SchedulerStep, ledger: Ledger) -> Claims:
        """Judge whether any step was taken since the scheduler moved last."""
        skipped = self._skipped.pop(event.optimizer, None)
        if skipped is None:
            return None
        name = ledger.optimizer_name(event.optimizer)
        schedule = quoted(event.site, "scheduler.step()")
        claim = Claim(
            step=event.step,
            message=(
                f"{schedule} moved the learning rate of `{name}` on although "
                f"{quoted(skipped.site, 'scaler.step()')} had skipped the step because of NaN or inf: the "
                "schedule counts a step that did not happen."
            ),
            fix=f"Call {schedule} only where the scale did not drop.",
            roles=roles(step=skipped.site, schedule=event.site),
            evidence={"scale": skipped.scale},
            topic=name,
        )
        return [claim]
