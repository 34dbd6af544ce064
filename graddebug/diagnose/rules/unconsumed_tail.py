"""GD109: gradients are pending when the run ends."""

from __future__ import annotations

from graddebug.diagnose.causes import moved_since, only_clears, stands_idle
from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted, times
from graddebug.ledger import Contribution, Ledger, Life, OptimizerLife
from graddebug.records import RunEnd, Severity


class UnconsumedTail(Rule):
    """The last backwards of the run never reached a step."""

    code = "GD109"
    slug = "unconsumed-tail"
    title = "Gradients are pending when the run ends"
    severity = Severity.NOTE
    needs = (BACKWARDS,)
    why = (
        "When the number of batches is no multiple of the accumulation length, the last micro-batches fill "
        "no window: their backwards were computed for nothing."
    )
    fix = "Step once more after the loop, or drop the incomplete window on purpose."
    example = (
        "for i, (x, y) in enumerate(loader):                          # 10 batches\n"
        "    loss_fn(model(x), y).backward()\n"
        "    if (i + 1) % 4 == 0:                                     # wrong: the last 2 are lost\n"
        "        optimizer.step(); optimizer.zero_grad()\n"
        "\n"
        "    if (i + 1) % 4 == 0 or i + 1 == len(loader):             # right\n"
        "        optimizer.step(); optimizer.zero_grad()\n"
    )

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Judge what is left over."""
        if event.reason != "finished":
            return None
        claims = (_pending(optimizer, event, ledger) for optimizer in ledger.optimizers.values())
        return [claim for claim in claims if claim]


def _pending(optimizer: OptimizerLife, event: RunEnd, ledger: Ledger) -> Claim | None:
    if only_clears(optimizer, ledger):  # it is told that it never steps
        return None
    cohorts = [
        (cohort, parts)
        for cohort in ledger.cohorts.of(optimizer.owned)
        if not cohort.life.tainted and not stands_idle(cohort, ledger)
        if optimizer.steps or not moved_since(cohort.life)  # a step that we cannot see: a compiled one
        if (parts := [p for p in cohort.life.fresh if _left_over(p, cohort.life, optimizer, ledger)])
    ]
    if not cohorts:
        return None
    newest = max((part for _, parts in cohorts for part in parts), key=lambda part: part.at)
    count = max(sum(part.count for part in parts) for _, parts in cohorts)
    name, backward = ledger.optimizer_name(optimizer.index), quoted(newest.site, "backward()")
    never = "" if optimizer.steps else f" `{name}` has never stepped."
    return Claim(
        step=event.step,
        message=(
            f"The run ended while gradients of {times(count, 'backward')} are pending in {PARAMETERS}: no "
            f"step used them.{never}"
        ),
        fix=(
            f"Call `{name}.step()` once more after the last {backward}, or drop the incomplete window on "
            "purpose."
        ),
        roles=roles(backward=newest.site),
        parameters=tuple(sorted(p for cohort, _ in cohorts for p in cohort.members)),
        evidence={"pending_backwards": count, "steps": optimizer.steps},
        topic=name,
    )


def _left_over(part: Contribution, life: Life, optimizer: OptimizerLife, ledger: Ledger) -> bool:
    """Whether a good part waits for that optimizer; what a scaler's skipped step came to does not."""
    return part.at > life.skipped_at and _meant_for(part, optimizer, ledger)


def _meant_for(part: Contribution, optimizer: OptimizerLife, ledger: Ledger) -> bool:
    """Whether a good part was written for that optimizer.

    It steps after backwards of that line; if it has never stepped, no other one does. What another one has
    stepped with was meant for that one.
    """
    if part.assigned or part.nonfinite or ledger.served_another(part, optimizer.index):
        return False
    if optimizer.steps:
        return optimizer.steps_after(part)
    return not any(other.steps_after(part) for other in ledger.optimizers.values())
