"""GD204: an owned, trainable parameter never gets a gradient."""

from __future__ import annotations

from graddebug.diagnose.causes import replaced
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import times
from graddebug.ledger import Consumed, Ledger, OptimizerLife
from graddebug.records import ParameterSet, ParametersUsed, Severity


class NeverReceivesGradient(Rule):
    """Cut off from the loss, or not part of the forward at all."""

    code = "GD204"
    slug = "never-receives-gradient"
    title = "A trainable, owned parameter never receives a gradient"
    severity = Severity.WARNING
    why = (
        "The optimizer skips a parameter whose gradient is None, without a word. Either its module does "
        "not run, or what "
        "it computes is cut off from the loss: a detach(), a no_grad block, an argmax, or an output "
        "nobody uses."
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
    options = ("windows_after_forward", "windows_without_forward")
    windows_after_forward = 3
    windows_without_forward = 20

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._known: dict[int, frozenset[int]] = {}
        self._used: set[int] = set()
        self._due: dict[tuple[int, int], set[int]] = {}

    def on_parameters_used(self, event: ParametersUsed, ledger: Ledger) -> Claims:
        """Their modules run: a gradient should come within a few windows."""
        self._used.update(event.params)
        for optimizer in ledger.optimizers.values():
            params = self._known.get(optimizer.index, frozenset()).intersection(event.params)
            self._expect(optimizer.index, optimizer.steps + self.windows_after_forward - 1, params)
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look at those whose time is up."""
        index = fact.optimizer.index
        if len(self._known.get(index, ())) != len(fact.optimizer.owned):
            self._learn(fact)
        due = self._due.pop((index, fact.number), None)
        return self._judge(fact, due, ledger) if due else None

    def _learn(self, fact: Consumed) -> None:
        """An optimizer owns parameters that it did not own before."""
        index, owned = fact.optimizer.index, frozenset(fact.optimizer.owned)
        new = owned - self._known.get(index, frozenset())
        self._known[index] = owned
        self._expect(index, fact.number + self.windows_without_forward - 1, new - self._used)
        self._expect(index, fact.number + self.windows_after_forward - 1, new & self._used)

    def _expect(self, optimizer: int, number: int, params: frozenset[int]) -> None:
        if params:
            self._due.setdefault((optimizer, number), set()).update(params)

    def _judge(self, fact: Consumed, due: set[int], ledger: Ledger) -> Claims:
        cohorts = ledger.cohorts.of(fact.optimizer.owned)
        waiting = {p for c in cohorts if c.life.touched < 0 for p in c.members} & due
        if not waiting:
            return None
        if _nothing_written(fact.optimizer, ledger):
            self._expect(fact.optimizer.index, fact.number + self.windows_after_forward, frozenset(waiting))
            return None
        explained = replaced(ledger)
        silent = [p for p in sorted(waiting) if ledger.cohorts.life(p).trainable and p not in explained]
        ran = tuple(p for p in silent if p in self._used)
        idle = tuple(p for p in silent if p not in self._used)
        return [
            _claim(fact, params, ledger, ran=params is ran, windows=fact.number + 1)
            for params in (ran, idle)
            if params
        ]


def _nothing_written(optimizer: OptimizerLife, ledger: Ledger) -> bool:
    return all(cohort.life.touched < 0 for cohort in ledger.cohorts.of(optimizer.owned))


def _claim(fact: Consumed, params: ParameterSet, ledger: Ledger, *, ran: bool, windows: int) -> Claim:
    name = ledger.optimizer_name(fact.optimizer.index)
    message = (
        f"`{name}` owns {PARAMETERS}, but no backward wrote a gradient there in {times(windows, 'window')}: "
        + (
            "the modules ran forward, so their output is cut off from the loss or not used."
            if ran
            else "the modules did not run forward at all."
        )
    )
    fix = (
        "Look for a `detach()`, a `no_grad` block or a non-differentiable op between these modules and "
        "the loss."
        if ran
        else f"Call the modules in the forward, or take them out of `{name}` or freeze them."
    )
    return Claim(
        step=fact.step.step,
        message=message,
        fix=fix,
        roles=roles(step=fact.step.site),
        parameters=params,
        evidence={"windows": windows, "ran_forward": ran},
        variant="ran" if ran else "idle",
        anchor=("step",),
    )
