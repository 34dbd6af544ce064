"""Why a step may have nothing to apply: shared by the rules, so that only the cause is reported."""

from __future__ import annotations

from collections.abc import Iterable

from graddebug.ledger import Cohort, Consumed, Contribution, Discard, Ledger, Life, OptimizerLife
from graddebug.records import Backward, OptimizerStep, ParameterSet

#: After so many windows an optimizer that has never stepped while others did is idle, not warming up.
IDLE_WINDOWS = 20


def inside_wrapper(fact: Consumed, ledger: Ledger) -> bool:
    """Whether the step runs inside another optimizer's step that owns its parameters too (SAM, Lookahead)."""
    if fact.step.parent is None:
        return False
    owners = [ledger.cohorts.of((index,))[0].life.owners for index in fact.step.params[:1]]
    return not owners or len(owners[0]) > 1 or fact.step.closure


def holds_nothing(fact: Consumed) -> bool:
    """Whether all gradients the step finds are None or zero because they were cleared.

    A gradient that is there although no write of it was seen does not count as cleared.
    """
    zero = frozenset(fact.step.zero)
    return all(
        not portion.fresh
        and portion.old is None
        and (portion.life.zeroed or zero.issuperset(portion.members))
        for portion in fact.portions
    )


def cleared_before(fact: Consumed, ledger: Ledger) -> Discard | None:
    """The newest clear that threw away what a backward wrote for this step, if nothing else is left."""
    if fact.step.closure or not holds_nothing(fact):
        return None
    lives = (cohort.life for cohort in ledger.cohorts.of(fact.optimizer.owned))
    discards = [life.discard for life in lives if life.discard and life.discard.newest.at > fact.since]
    return max(discards, key=lambda discard: discard.at, default=None)


def first_own(
    fresh: tuple[Contribution, ...], optimizer: int, ledger: Ledger
) -> tuple[Contribution | None, bool]:
    """The first of what was written for that optimizer's own step, and whether there is more from elsewhere.

    What another optimizer has stepped with was written for that one: a clear must come after it.
    """
    own = [part for part in fresh if not ledger.served_another(part, optimizer)]
    return min(own, key=lambda part: part.first.order, default=None), len(own) < len(fresh)


def reaching_nothing(fact: Consumed, ledger: Ledger) -> list[Backward]:
    """The backwards of the window, one a line, if the step owns none of what they reached."""
    if fact.written:
        return []
    backwards = ledger.backwards_since(fact.since)
    owned = frozenset(fact.optimizer.owned)
    return [] if any(not owned.isdisjoint(b.reached) for b in backwards) else backwards


def orphan_pairs(optimizer: OptimizerLife, ledger: Ledger, *, windows: int = 1) -> list[tuple[int, int]]:
    """Owned parameters of no live module that are not written, each with a live twin.

    The twin belongs to a module, wants its gradient, got it in at least ``windows`` windows, and is in no
    optimizer. It has the same shape; or what is left on both sides is one layer in the other's place.
    """
    orphans = _orphans(optimizer, ledger)
    twins = _twins(ledger, windows) if orphans else []
    pairs, rest = [], []
    for orphan in orphans:
        shape = ledger.parameters[orphan].shape
        alike = next((twin for twin in twins if ledger.parameters[twin].shape == shape), None)
        if alike is None:
            rest.append(orphan)
        else:
            twins.remove(alike)
            pairs.append((orphan, alike))
    return pairs + _in_place(rest, twins, optimizer, ledger)


def _in_place(
    orphans: list[int], twins: list[int], optimizer: OptimizerLife, ledger: Ledger
) -> list[tuple[int, int]]:
    """A layer replaced by one of another size, beside layers that the optimizer trains."""
    written = [c for c in ledger.cohorts.of(optimizer.owned) if c.life.windows_ever]
    dimensions = [[len(ledger.parameters[p].shape) for p in side] for side in (orphans, twins)]
    return list(zip(orphans, twins, strict=True)) if written and dimensions[0] == dimensions[1] else []


def beside_owned(roots: Iterable[ParameterSet], ledger: Ledger) -> frozenset[int]:
    """What lies in one watched module with a parameter that some optimizer owns."""
    owned = {p for optimizer in ledger.optimizers.values() for p in optimizer.owned}
    return frozenset(p for root in roots if not owned.isdisjoint(root) for p in root)


def replaced(ledger: Ledger) -> frozenset[int]:
    """Every orphan and every live twin of any optimizer."""
    stepping = (optimizer for optimizer in ledger.optimizers.values() if optimizer.steps)
    pairs = (pair for optimizer in stepping for pair in orphan_pairs(optimizer, ledger))
    return frozenset(index for pair in pairs for index in pair)


def cut_off(optimizer: OptimizerLife, ledger: Ledger, since: int) -> ParameterSet:
    """Owned, trainable parameters not written since that tick, though they ran: in a checkpoint that cuts."""
    if not ledger.cut:
        return ()
    silent = (c for c in ledger.cohorts.of(optimizer.owned) if c.life.trainable and c.life.touched <= since)
    return tuple(sorted(p for c in silent for p in c.members if p in ledger.cut and ledger.cut[p][0] > since))


def _orphans(optimizer: OptimizerLife, ledger: Ledger) -> list[int]:
    return sorted(
        index
        for cohort in ledger.cohorts.of(optimizer.owned)
        for index in cohort.members
        if origin(index, ledger) == "optimizer" and cohort.life.touched < ledger.unregistered.get(index, 0)
    )


def _twins(ledger: Ledger, windows: int) -> list[int]:
    return sorted(
        index
        for cohort in ledger.unowned
        if cohort.life.trainable and cohort.life.windows_ever >= windows
        for index in cohort.members
        if origin(index, ledger) == "module"
    )


def origin(index: int, ledger: Ledger) -> str:
    """Where a parameter was found, empty if the table does not know it."""
    if index in ledger.unregistered:
        return "optimizer"
    return ledger.parameters[index].origin if index < len(ledger.parameters) else ""


def stands_idle(cohort: Cohort, ledger: Ledger, *, windows: int = IDLE_WINDOWS) -> bool:
    """Whether it was written often, is owned, and no optimizer that steps owns it."""
    return cohort.life.windows_ever >= windows and not any(
        ledger.optimizers[owner].steps for owner in cohort.life.owners
    )


def only_clears(optimizer: OptimizerLife, ledger: Ledger, *, windows: int = IDLE_WINDOWS) -> list[Cohort]:
    """What an optimizer owns that wrote and cleared gradients so often and has never tried to step.

    Nothing else has changed those weights either: no other optimizer, and not the program by hand.
    """
    if optimizer.steps or optimizer.discards < windows:
        return []
    cohorts = [cohort for cohort in ledger.cohorts.of(optimizer.owned) if cohort.life.first_write >= 0]
    moved = any(_changed(cohort.life, ledger) for cohort in cohorts)
    return [] if moved else cohorts


def _changed(life: Life, ledger: Ledger) -> bool:
    stepped = life.skipped_at >= 0 or any(ledger.optimizers[owner].steps for owner in life.owners)
    return stepped or life.moved_at > life.first_write


def moved_since(life: Life) -> bool:
    """Whether the weights were changed outside of every step after the newest gradient was written."""
    return life.moved_at > life.touched >= 0


def updated_by_hand(life: Life) -> bool:
    """Whether the program changed these weights itself once they had gradients.

    Apart from those of every optimizer: what changes all weights of a model (swapping in an average,
    clamping, loading) is no training.
    """
    return life.first_write >= 0 and life.updated_at > life.first_write


def trainable_owned(optimizer: OptimizerLife, ledger: Ledger) -> ParameterSet:
    """Parameters of an optimizer that want a gradient."""
    cohorts = ledger.cohorts.of(optimizer.owned)
    return tuple(sorted(p for cohort in cohorts if cohort.life.trainable for p in cohort.members))


def nothing_can_change(step: OptimizerStep) -> bool:
    """Whether all learning rates are zero: a dry run."""
    return bool(step.lr) and not any(step.lr)
