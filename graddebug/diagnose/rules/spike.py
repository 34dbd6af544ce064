"""GD509: one gradient far beyond all others was applied whole, and the loss has not recovered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from graddebug.diagnose.evidence import STATISTICS
from graddebug.diagnose.layers import lines, owned_rows
from graddebug.diagnose.measured import Floats, Measured
from graddebug.diagnose.rule import Claim, Claims, Rule, thresholds
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import ParameterSet, Severity

#: A robust standard deviation from the median of absolute deviations (normal distribution).
_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A step whose gradient stood out, and how the steps before it were."""

    step: int
    norm: float
    usual: float
    loss: float
    before: float
    spread: float
    first: float
    update: float = float("nan")
    usual_update: float = float("nan")


@dataclass(slots=True)
class _Course:
    """The newest steps of an optimizer, oldest first."""

    norms: Floats = field(default_factory=lambda: np.empty(0))
    losses: Floats = field(default_factory=lambda: np.empty(0))
    first: float = float("nan")
    suspect: _Suspect | None = None
    latest: Measured | None = None
    after: Floats = field(default_factory=lambda: np.empty(0))


class Spike(Rule):
    """Judged on what the steps consumed: a spike that is clipped away is none."""

    code = "GD509"
    slug = "spike"
    title = "A single huge gradient was applied whole, and the loss has not recovered"
    severity = Severity.WARNING
    needs = (STATISTICS,)
    why = (
        "One batch (a corrupt sample, a division by almost nothing, a sequence that is far too long) gave a "
        "gradient many times as large as all before. The step that applied it threw the weights away "
        "from what "
        "they had learned."
    )
    fix = "Clip the gradients' total norm before the step, and look at the batch of that step."
    example = (
        "loss.backward()\n"
        "optimizer.step()                              # wrong: whatever the batch says is done\n"
        "\n"
        "loss.backward()\n"
        "clip_grad_norm_(model.parameters(), 1.0)      # right: no batch moves the weights further "
        "than that\n"
        "optimizer.step()\n"
    )
    options = thresholds(
        times="gradient norm over the usual one",
        sigmas="robust standard deviations of the logarithm of the norm",
        history="steps before it that say what is usual",
        recovery="steps after it in which the loss has not recovered",
        lost="share of the loss's fall so far that is gone",
        thrown="share of the weights' norm that the step moved",
    )
    #: Times the usual norm. Loss spikes of large language models come with norms above ten times the usual
    #: (Takase et al., "Spike no more", 2023).
    times = 10.0
    #: Robust standard deviations of the logarithm: what is far out for this very run.
    sigmas = 8.0
    #: Steps that say what is usual.
    history = 30
    #: Steps after it in which the loss must not have recovered.
    recovery = 20
    #: Share of what the loss has fallen since the run's first steps that is gone. Close to zero, Adam's loss
    #: jumps by orders of magnitude and falls again: that is a small share.
    lost = 0.2
    #: Share of the weights' norm that the step moved: so much undoes what was learned, whatever the data.
    thrown = 0.3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._courses: dict[int, _Course] = {}

    def on_measured(self, measured: Measured, ledger: Ledger) -> Claims:
        """Look for steps that stand out, and at what became of the last one."""
        claims = []
        for optimizer in ledger.optimizers.values():
            if optimizer.last is not None:
                claim = self._follow(optimizer, measured, ledger)
                if claim is not None:
                    claims.append(claim)
        return claims

    def _follow(self, optimizer: OptimizerLife, measured: Measured, ledger: Ledger) -> Claim | None:
        owned = owned_rows(optimizer, measured)
        course = self._courses.setdefault(optimizer.index, _Course())
        norms = measured.total_norms(owned)
        losses, steps = measured.losses, measured.steps
        known = np.isfinite(norms) & (norms > 0) & np.isfinite(losses)
        if not known.all():
            norms, losses, steps = norms[known], losses[known], steps[known]
        if course.suspect is None:
            at = self._suspicious(course, norms, losses, steps)
            if at >= 0:
                self._blame(course, measured, owned)
                course.after = losses[at + 1 :]
        else:
            course.after = np.concatenate([course.after, losses])
        if course.suspect is not None:
            return self._decide(optimizer, course, ledger, owned)
        if np.isnan(course.first) and len(losses):
            course.first = float(np.median(losses))
        course.latest = measured
        course.norms = np.concatenate([course.norms, norms])[-self.history :]
        course.losses = np.concatenate([course.losses, losses])[-self.history :]
        return None

    def _suspicious(
        self,
        course: _Course,
        norms: Floats,
        losses: Floats,
        steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    ) -> int:
        """The place of the first step that stands out, -1 if none does; it becomes the suspect."""
        if len(course.norms) < self.history or not len(norms):
            return -1
        usual, spread = _robust(np.log(course.norms))
        limit = np.exp(usual + max(np.log(self.times), self.sigmas * spread))
        if not norms.max() > limit:
            return -1
        at = int(np.argmax(norms > limit))
        before, width = _robust(course.losses)
        course.suspect = _Suspect(
            step=int(steps[at]),
            norm=float(norms[at]),
            usual=float(np.exp(usual)),
            loss=float(losses[at]),
            before=before,
            spread=width,
            first=course.first,
        )
        return at

    def _blame(self, course: _Course, measured: Measured, owned: ParameterSet) -> None:
        """How far the suspect's step moved the weights, and those of the stretch before."""
        if course.suspect is None or course.latest is None:
            return
        update = measured.total_update(owned)[measured.steps == course.suspect.step]
        usual = course.latest.total_update(tuple(p for p in owned if p < course.latest.table.shape[1]))
        course.suspect = replace(
            course.suspect, update=float(update[0]), usual_update=float(np.nanmedian(usual))
        )

    def _decide(
        self, optimizer: OptimizerLife, course: _Course, ledger: Ledger, owned: ParameterSet
    ) -> Claim | None:
        suspect, after = course.suspect, course.after
        if suspect is None or len(after) < self.recovery:
            return None
        self._courses[optimizer.index] = _Course(first=suspect.first)
        return self._claim(optimizer, suspect, after, ledger, owned) if self._harmed(suspect, after) else None

    def _harmed(self, suspect: _Suspect, after: Floats) -> bool:
        """Whether the loss is worse ever since, and the step is to blame, not what the data are now."""
        now, recent = float(np.median(after)), after[-self.recovery // 2 :]
        if now - suspect.before < max(6 * suspect.spread, 0.5 * abs(suspect.before)):
            return False
        if not now - suspect.before > self.lost * (suspect.first - suspect.before) > 0:
            return False
        if recent.min() < suspect.before + 2 * suspect.spread:
            return False
        return _batch_was_odd(suspect, after) or self._thrown_by(suspect, now)

    def _thrown_by(self, suspect: _Suspect, now: float) -> bool:
        """Whether the step moved the weights far, and the loss is no matter of what the data are now."""
        if not suspect.update > self.times / 2 * suspect.usual_update:
            return False
        return suspect.update > self.thrown or now > 2 * abs(suspect.loss)

    def _claim(
        self, optimizer: OptimizerLife, suspect: _Suspect, after: Floats, ledger: Ledger, owned: ParameterSet
    ) -> Claim:
        name = ledger.optimizer_name(optimizer.index)
        now = float(np.median(after))
        return Claim(
            step=suspect.step,
            message=(
                f"`{name}` applied a gradient of norm {suspect.norm:.3g} at step {suspect.step:,}, "
                f"{suspect.norm / suspect.usual:,.0f} times the usual {suspect.usual:.3g}. It moved "
                "the weights by "
                f"{suspect.update:.0%} of their norm, and the loss has been about {now:.3g} since, "
                "where it was "
                f"{suspect.before:.3g}."
            ),
            fix=(
                f"Clip before the step: `clip_grad_norm_(parameters, {2 * suspect.usual:.1g})`, and "
                "look at the "
                f"batch of step {suspect.step:,}."
            ),
            roles=lines(optimizer, owned, ledger),
            parameters=owned,
            evidence={
                "norm": suspect.norm,
                "usual_norm": suspect.usual,
                "loss_before": suspect.before,
                "loss_after": now,
            },
            anchor=("step",),
        )


def _batch_was_odd(suspect: _Suspect, after: Floats) -> bool:
    """Whether the batch's own loss stood out, and the loss is far worse than before without it.

    Where the data or the task change for good, the loss stays what it was at that step.
    """
    now = float(np.median(after))
    return abs(suspect.loss) > 10 * max(abs(now), abs(float(after[0]))) and now > 3 * suspect.before > 0


def _robust(values: Floats) -> tuple[float, float]:
    """The median, and a standard deviation that outliers do not move."""
    middle = float(np.median(values))
    return middle, _SIGMA * float(np.median(np.abs(values - middle)))
