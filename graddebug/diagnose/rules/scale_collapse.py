"""GD409: the loss scale falls and falls, and no scale is going to help."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.half import birth, first_origin, no_scale_helps
from graddebug.diagnose.rule import Claim, Claims, roles, thresholds
from graddebug.diagnose.skips import JudgesSkips
from graddebug.diagnose.wording import number, quoted, sentence, times
from graddebug.ledger import Ledger
from graddebug.records import Origin, ScalerStep, ScalerUpdate, Severity


@dataclass(slots=True)
class _Scale:
    """One scaler's story.

    ``streak`` are windows (stretches between two updates) with a skip in a row, ``hopeless`` those at the
    streak's end that no scale would have prevented, ``constant`` those that did not lower the scale.
    ``began`` is the scale before the streak, ``worked`` the last one at which all steps were taken.
    """

    streak: int = 0
    hopeless: int = 0
    constant: int = 0
    began: float = math.nan
    worked: float = math.nan
    skip: ScalerStep | None = None
    skips_now: bool = False
    taken_now: bool = False
    origin: Origin | None = None
    loss: float | None = None

    def settle(self, update: ScalerUpdate, *, hopeless: bool) -> None:
        """A window is over."""
        if self.skips_now:
            self.began = self.began if self.streak else update.before
            self.streak += 1
            self.hopeless = self.hopeless + 1 if hopeless else 0
            self.constant = self.constant + 1 if update.after >= update.before else 0
        elif self.taken_now:
            self.streak = self.hopeless = self.constant = 0
            self.worked, self.origin = update.before, None
        self.skips_now = self.taken_now = False


class ScaleCollapse(JudgesSkips):
    """Not the search for a scale, which ends: gradients that no scale makes finite."""

    code = "GD409"
    slug = "scale-collapse"
    title = "The loss scale collapses: step after step is skipped"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "A scaler halves its scale at each NaN or inf, in the belief that the scale is too large. Where NaN "
        "has another cause, training stands still from then on. In the end the scale is 0, and then the "
        "guard itself does harm: healthy gradients become 0, unscaling multiplies 0 by 1/0, the check has "
        "seen nothing bad, and the step makes all weights NaN."
    )
    fix = "Find where the first NaN or inf is born, and mend that; do not lower the scale further."
    example = (
        "loss = (p * torch.log(p)).sum()               # wrong: NaN where p is 0, at any scale\n"
        "\n"
        "loss = torch.special.xlogy(p, p.clamp_min(1e-8)).sum()    # right: finite\n"
    )
    options = thresholds(
        hopeless="skips in a row that no scale would have prevented",
        streak="skips in a row, together with `halvings`",
        halvings="halvings below a scale that had worked",
        constant="skips in a row with a scale that does not fall",
    )
    #: Skips in a row that no scale would have prevented.
    hopeless = 5
    #: Skips in a row, and halvings below a scale that worked: gradients do not grow a thousandfold.
    streak = 10
    halvings = 10
    #: Skips in a row with a scale that does not fall.
    constant = 20

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._scales: dict[int, _Scale] = {}

    def on_scaler_step(self, event: ScalerStep, ledger: Ledger) -> Claims:
        """Take down what the window's steps did."""
        scale = self._scales.setdefault(event.scaler, _Scale())
        if event.skipped:
            scale.skips_now, scale.skip = True, event
            scale.origin, scale.loss = first_origin(self._nonfinite) or scale.origin, self._loss
        else:
            scale.taken_now = True
        return None

    def on_scaler_update(self, event: ScalerUpdate, ledger: Ledger) -> Claims:
        """Judge the streak."""
        scale = self._scales.setdefault(event.scaler, _Scale())
        scale.settle(event, hopeless=no_scale_helps(self._nonfinite, self._loss))
        self.forget()
        if not scale.streak or event.given or not self._collapsed(scale, event):
            return None
        return [self._claim(scale, event, ledger)]

    def _collapsed(self, scale: _Scale, event: ScalerUpdate) -> bool:
        below_one = event.after < 1 <= scale.began or event.after == 0
        beyond = scale.streak >= self.streak and event.after <= scale.worked / 2.0**self.halvings
        no_use = scale.hopeless >= self.hopeless or scale.constant >= self.constant
        return below_one or beyond or no_use

    def _claim(self, scale: _Scale, event: ScalerUpdate, ledger: Ledger) -> Claim:
        skip, origin = scale.skip, scale.origin
        name = ledger.optimizer_name(skip.optimizer) if skip is not None else "optimizer"
        step = quoted(skip.site if skip is not None else None, f"scaler.step({name})")
        fell = "stayed at" if event.after == scale.began else f"fell from {number(scale.began)} to"
        return Claim(
            step=event.step,
            message=(
                f"{sentence(step)} has skipped {_row(scale.streak)} because of NaN or inf, "
                f"and the scale {fell} {number(event.after)}. {self._cause(scale, event.before)} "
                f"{_end(event)}"
            ),
            fix=self._fix(scale),
            roles=roles(step=skip.site if skip else None, origin=origin.site if origin else None),
            parameters=skip.nonfinite if skip else (),
            evidence={
                "streak": scale.streak,
                "scale_before": scale.began,
                "scale": event.after,
                "no_scale_helps": scale.hopeless,
            },
            anchor=("step",),
            variant=str(event.scaler),
            latest=True,
        )

    def _cause(self, scale: _Scale, skipped_at: float) -> str:
        told = sentence(birth(scale.origin)) if scale.origin else ""
        if not told and scale.loss is not None:
            told = f"The loss itself is {scale.loss}"
        if scale.hopeless:
            return f"{told}: no scale helps." if told else "No scale helps."
        if self._fits is not None and self._fits < skipped_at:  # else the newest skip has refuted it
            told = f"{told}; b" if told else "B"
            return f"{told}y what was measured before, gradients fit at a scale of {number(self._fits)}."
        return f"{told}." if told else "Where it is born was not measured."

    def _fix(self, scale: _Scale) -> str:
        if scale.origin is not None and scale.origin.site is not None:
            return f"Mend {quoted(scale.origin.site, scale.origin.op)}, where the first bad number is born."
        if scale.hopeless:
            return "Find what makes the loss NaN or inf in forward; the scaler has nothing to do with it."
        return (
            'Watch with `nodes="always"` to see at which line the first NaN or inf is born, and mend that, '
            "or train in bfloat16, which needs no scaler."
        )


def _row(streak: int) -> str:
    return "a step" if streak == 1 else f"{times(streak, 'step')} in a row"


def _end(event: ScalerUpdate) -> str:
    if event.after == 0:
        return (
            "At a scale of 0 the scaler itself does harm: it makes healthy gradients 0, divides them by 0 "
            "and lets the step write NaN into every weight."
        )
    return (
        "Left alone, it ends at 0, where the scaler multiplies gradients of 0 by 1/0 and lets the step write "
        "NaN into every weight."
    )
