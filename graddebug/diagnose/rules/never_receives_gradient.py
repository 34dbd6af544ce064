"""GD204: an owned, trainable parameter never gets a gradient."""

from __future__ import annotations

from collections.abc import Iterable

from graddebug.diagnose.causes import IDLE_WINDOWS, replaced
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import times
from graddebug.ledger import Consumed, Ledger, OptimizerLife
from graddebug.records import OptimizerStep, ParameterInfo, ParametersUsed, QuietForwards, RunEnd, Severity


class NeverReceivesGradient(Rule):
    """Cut off from the loss, or not part of the forward at all."""

    code = "GD204"
    slug = "never-receives-gradient"
    title = "A trainable, owned parameter never receives a gradient"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "The optimizer skips a parameter whose gradient is None, without a word. Either its module does "
        "not run, or what it computes is cut off from the loss: a detach(), a no_grad block, an argmax, or "
        "an output nobody uses."
    )
    fix = (
        "Follow the module's output to the loss and remove the cut, or take the parameters out of the model."
    )
    example = (
        "features = self.encoder(x).detach()    # wrong: nothing reaches the encoder\n"
        "return self.head(features)\n"
        "\n"
        "features = self.encoder(x)             # right\n"
        "return self.head(features)\n"
    )
    options = thresholds(
        windows="windows without a gradient, while the run goes on",
        windows_at_end="windows without a gradient, once the run has finished",
    )
    #: A loss term that begins later, a module that is trained later: a warm-up has so many windows.
    windows = IDLE_WINDOWS
    #: In a whole run nothing more can follow.
    windows_at_end = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._ran: dict[int, tuple[int, int]] = {}
        self._told: set[tuple[int, bool]] = set()
        self._under_no_grad: set[int] = set()

    def on_parameters_used(self, event: ParametersUsed, ledger: Ledger) -> Claims:
        """Count the windows in which their modules ran."""
        for index in event.params:
            window, count = self._ran.get(index, (-1, 0))
            if window != ledger.window:
                self._ran[index] = (ledger.window, count + 1)
        return None

    def on_quiet(self, event: QuietForwards, ledger: Ledger) -> Claims:
        """What runs under no_grad in train mode is GD311."""
        if event.how == "no_grad" and event.training:
            self._under_no_grad.update(event.params)
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Tell what ran often enough; what did not run may be trained, or chosen, later."""
        if fact.number + 1 < self.windows:
            return None
        silent = self._silent(fact.optimizer, ledger, windows=self.windows)
        cut = self._new([p for p in silent if self._count(p) >= self.windows], ledger, ran=True)
        idle = self._new([p for p in silent if self._stands_idle(p)], ledger, ran=False)
        told = ((cut, True, None), (idle, False, Severity.NOTE))
        return [
            _claim(fact.step, params, ledger, ran=ran, windows=self.windows, severity=severity)
            for params, ran, severity in told
            if params
        ]

    def _new(self, params: list[int], ledger: Ledger, *, ran: bool) -> list[int]:
        """Those of which this was not told yet, and that no other finding explains."""
        new = [index for index in params if (index, ran) not in self._told]
        self._told.update((index, ran) for index in new)
        explained = replaced(ledger).union(ledger.cut) if new else frozenset()
        return [index for index in new if index not in explained]

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """What never got a gradient in the whole run."""
        claims = []
        for optimizer in ledger.optimizers.values():
            step, windows = optimizer.last, optimizer.steps
            if step is None:
                continue
            silent = self._silent(optimizer, ledger, windows=self.windows_at_end)
            cut = [index for index in silent if self._count(index) >= self.windows_at_end]
            if new := self._new(cut, ledger, ran=True):
                claims.append(_claim(step, new, ledger, ran=True, windows=windows))
            idle = [p for p in silent if self._stands_idle(p) and (p, False) in self._told]
            if never := _trained_in_no_row(idle, ledger):
                claims.append(_claim(step, never, ledger, ran=False, windows=windows))
        return claims

    def _stands_idle(self, index: int) -> bool:
        """Its module was never seen to run with gradients, and no other rule says why."""
        return not self._count(index) and index not in self._under_no_grad

    def _count(self, index: int) -> int:
        return self._ran.get(index, (-1, 0))[1]

    def _silent(self, optimizer: OptimizerLife, ledger: Ledger, *, windows: int) -> list[int]:
        """Trainable, owned and never written, while others of the optimizer were in so many windows.

        What left its module is no part of the forward any more (a codebook that its forward replaces).
        """
        cohorts = ledger.cohorts.of(optimizer.owned)
        silent = [c for c in cohorts if c.life.touched < 0 and c.life.trainable]
        if not silent or max(cohort.life.windows_ever for cohort in cohorts) < windows:
            return []
        members = (p for cohort in silent for p in cohort.members)
        return sorted(p for p in members if p not in ledger.unregistered)


def _trained_in_no_row(params: list[int], ledger: Ledger) -> list[int]:
    """Without those in a row of alike (experts, layers that may be dropped) of which one is trained."""
    if not params:
        return []
    trained = {_row(info) for info in ledger.parameters if ledger.cohorts.life(info.index).touched >= 0}
    explained = replaced(ledger).union(ledger.cut)
    return [p for p in params if _row(ledger.parameters[p]) not in trained and p not in explained]


def _row(info: ParameterInfo) -> tuple[str, tuple[int, ...]]:
    """What names that differ in numbers only have in common: ``experts.0.weight``, ``experts.3.weight``."""
    return ".".join("#" if part.isdigit() else part for part in info.name.split(".")), info.shape


def _claim(
    step: OptimizerStep,
    params: Iterable[int],
    ledger: Ledger,
    *,
    ran: bool,
    windows: int,
    severity: Severity | None = None,
) -> Claim:
    name = ledger.optimizer_name(step.optimizer)
    message = (
        f"`{name}` owns {PARAMETERS}, but no backward wrote a gradient there in {times(windows, 'window')}: "
        + (
            "the modules ran forward, so their output is cut off from the loss or not used."
            if ran
            else "the modules did not run forward with gradients enabled."
        )
    )
    fix = (
        "Look for a `detach()`, a `no_grad` block or a non-differentiable op between these modules and the "
        "loss."
        if ran
        else f"Call the modules in the forward (not under `no_grad`), or take them out of `{name}` or freeze "
        "them."
    )
    return Claim(
        step=step.step,
        message=message,
        fix=fix,
        roles=roles(step=step.site),
        parameters=tuple(params),
        evidence={"windows": windows, "ran_forward": ran},
        severity=severity,
        variant="ran" if ran else "idle",
        anchor=("step",),
    )
