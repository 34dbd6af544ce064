"""GD414: a scaler skipped a step because of NaN or inf."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.half import birth, first_origin, no_scale_helps
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, roles
from graddebug.diagnose.skips import JudgesSkips
from graddebug.diagnose.wording import literal, number, quoted, sentence, times
from graddebug.ledger import Ledger
from graddebug.records import ScalerStep, Severity


@dataclass(slots=True)
class _Steps:
    """Steps of one optimizer through one scaler; ``streak`` skips in a row now."""

    taken: int = 0
    skipped: int = 0
    streak: int = 0
    longest: int = 0

    def count(self, event: ScalerStep) -> None:
        """One more."""
        self.taken += not event.skipped
        self.skipped += event.skipped
        self.streak = self.streak + 1 if event.skipped else 0
        self.longest = max(self.longest, self.streak)


class StepSkipped(JudgesSkips):
    """Normal now and then: this is how a scaler finds its scale."""

    code = "GD414"
    slug = "step-skipped"
    title = "The scaler skipped a step because of NaN or inf"
    severity = Severity.NOTE
    needs = (SCALER,)
    why = (
        "A scaler skips the step when a gradient overflowed, and lowers its scale. In the first steps, and "
        "once after each time the scale grew, that is how it finds the largest scale that works. Skips in a "
        "row, or far more often than the scale grows, have another cause."
    )
    fix = "Nothing, as long as it is rare; otherwise mend the line where the first NaN or inf is born."
    example = (
        "scaler = torch.amp.GradScaler(growth_interval=10)    # wrong: probes, and skips, every 10 steps\n"
        "\n"
        "scaler = torch.amp.GradScaler()                      # right: every 2,000 steps\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._steps: dict[tuple[int, int], _Steps] = {}

    def on_scaler_step(self, event: ScalerStep, ledger: Ledger) -> Claims:
        """Tell of each skip, in the words of the newest."""
        steps = self._steps.setdefault((event.scaler, event.optimizer), _Steps())
        steps.count(event)
        claim = self._claim(event, steps, ledger) if event.skipped else None
        self.forget()
        return None if claim is None else [claim]

    def _claim(self, event: ScalerStep, steps: _Steps, ledger: Ledger) -> Claim:
        origin, hopeless = first_origin(self._nonfinite), no_scale_helps(self._nonfinite, self._loss)
        fits = self._fits if self._fits is not None and self._fits < event.scale and not hopeless else None
        name = ledger.optimizer_name(event.optimizer)
        evidence: dict[str, object] = {
            "scale": event.scale,
            "skipped": steps.skipped,
            "steps": steps.taken + steps.skipped,
            "longest_streak": steps.longest,
        }
        if fits is not None:
            evidence["scale_that_fits"] = fits
        return Claim(
            step=event.step,
            message=_message(event, steps, name) + self._cause(fits, hopeless=hopeless),
            fix=_fix(event, steps, hopeless=hopeless),
            roles=roles(step=event.site, origin=origin.site if origin is not None else None),
            parameters=event.nonfinite,
            evidence=evidence,
            anchor=("step",),
            variant=f"{event.scaler} {event.optimizer}",
            latest=True,
        )

    def _cause(self, fits: float | None, *, hopeless: bool) -> str:
        origin = first_origin(self._nonfinite)
        told = f" {sentence(birth(origin))}." if origin is not None else ""
        if not told and self._loss is not None:
            told = f" The loss itself is {self._loss}."
        if hopeless:
            return f"{told} No scale prevents that."
        if fits is not None:
            return f"{told} By what was measured before, gradients fit up to a scale of {number(fits)}."
        return told


def _message(event: ScalerStep, steps: _Steps, name: str) -> str:
    where = f"in the gradients of {PARAMETERS}" if event.nonfinite else "in the gradients"
    share = f"{steps.skipped:,} of {times(steps.taken + steps.skipped, 'step')}"
    row = f", {steps.longest} in a row at most" if steps.longest > 1 else ""
    return (
        f"{sentence(quoted(event.site, f'scaler.step({name})'))} found NaN or inf {where} at a scale of "
        f"{number(event.scale)} and left the weights alone: {share} skipped so far{row}."
    )


def _fix(event: ScalerStep, steps: _Steps, *, hopeless: bool) -> str:
    if hopeless:
        return "Mend the line where the first NaN or inf is born; lowering the scale changes nothing."
    if steps.skipped > 1 and steps.taken == 0 and event.scale >= 2:
        return f"Nothing; to begin without skips, `GradScaler(init_scale={literal(event.scale / 2)})`."
    return "Nothing, as long as it is rare: the scaler has lowered its scale and goes on."
