"""GD101: a step applies gradients that an earlier step has already applied."""

from __future__ import annotations

from graddebug.diagnose.causes import first_own, inside_wrapper
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted, sentence, the_clear, times
from graddebug.ledger import Consumed, Contribution, Ledger, Old, Portion, count_of
from graddebug.records import GradientsCleared, Severity


class StaleGradient(Rule):
    """The consumed gradient holds contributions that a step has consumed before."""

    code = "GD101"
    slug = "stale-gradient"
    title = "A step applies gradients that an earlier step has already applied"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "backward() adds to .grad, it does not replace it. Without a clear between a step and the next "
        "backward, each step applies the sum of all gradients so far: the direction is that of old batches "
        "and the size grows. Adam hides this well, so that training seems to work and ends worse."
    )
    fix = (
        "Call `optimizer.zero_grad()` once for each step, before the first backward that belongs to the "
        "next step."
    )
    example = (
        "for x, y in loader:\n"
        "    loss = loss_fn(model(x), y)\n"
        "    loss.backward()          # wrong: adds to the gradient that the last step used\n"
        "    optimizer.step()\n"
        "\n"
        "for x, y in loader:\n"
        "    optimizer.zero_grad()    # right\n"
        "    loss = loss_fn(model(x), y)\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Judge what the step is about to apply."""
        if not fact.written or not fact.portions:
            return None
        stale = [portion for portion in fact.portions if portion.old and _used(portion, fact.optimizer.index)]
        if not stale or inside_wrapper(fact, ledger):
            return None
        return [_claim(fact, stale, ledger)]


def _used(portion: Portion, optimizer: int) -> bool:
    """By this optimizer, or by another one and written on top since.

    What was changed by hand since, with no backward on top, is what the program put there (``grad.copy_``).
    """
    if portion.old is None or (portion.rescaled and not portion.fresh):
        return False
    return optimizer in portion.old.users or bool(portion.fresh)


def _claim(fact: Consumed, stale: list[Portion], ledger: Ledger) -> Claim:
    worst = max(stale, key=lambda portion: _old(portion).count)
    old, fresh = _old(worst), count_of(worst.fresh)
    newest = max(worst.fresh, key=lambda part: part.at) if worst.fresh else old.newest
    on_purpose = all(portion.rescaled for portion in stale)
    members = tuple(sorted(p for portion in stale for p in portion.members))
    name = ledger.optimizer_name(fact.optimizer.index)
    return Claim(
        step=fact.step.step,
        message=_message(name, old, fresh, on_purpose=on_purpose),
        fix=_fix(fact, worst, members, newest, ledger),
        roles=roles(
            first_backward=old.first.site if old.first.line != newest.line else None,
            backward=newest.site,
            step=fact.step.site,
        ),
        parameters=members,
        evidence={
            "backwards_in_gradient": old.count + fresh,
            "backwards_already_used": old.count,
            "steps_since_clear": max(use.times for use in old.users.values()) + 1,
            "parameters_owned": len(fact.optimizer.owned),
        },
        severity=Severity.NOTE if on_purpose else None,
        anchor=("step",),
        topic=name,
    )


def _old(portion: Portion) -> Old:
    assert portion.old is not None  # only stale portions come here
    return portion.old


def _message(name: str, old: Old, fresh: int, *, on_purpose: bool) -> str:
    if on_purpose:
        return (
            f"`{name}.step()` applied gradients that an earlier step had already applied, scaled by hand in "
            f"between: the gradients of {PARAMETERS} keep a memory of "
            f"{times(old.count, 'earlier backward')}."
        )
    total = times(old.count + fresh, "backward")
    return (
        f"`{name}.step()` applied gradients that an earlier step had already applied: the gradients of "
        f"{PARAMETERS} are the sum of {total}, {old.count} of them used before. Nothing cleared them in "
        "between."
    )


def _fix(
    fact: Consumed, worst: Portion, members: tuple[int, ...], newest: Contribution, ledger: Ledger
) -> str:
    name = ledger.optimizer_name(fact.optimizer.index)
    several = count_of(worst.fresh) > 1  # a clear before each of several backwards would lose them
    where = _where(fact, worst, newest, ledger, several=several)
    elsewhere = _partial_clear(fact, members, ledger)
    if elsewhere is not None:
        call = sentence(the_clear(elsewhere))
        return f"{call} clears only part of what `{name}` owns: call `{name}.zero_grad()` {where}."
    seen = worst.life.last_clear
    if seen is not None and seen.optimizer in (None, fact.optimizer.index):
        return (
            f"Clear the gradients once for each step: {the_clear(seen)} runs too seldom, move it into the "
            f"loop, {where}."
        )
    return f"Call `{name}.zero_grad()` {'once for each step, ' if several else ''}{where}."


def _where(fact: Consumed, worst: Portion, newest: Contribution, ledger: Ledger, *, several: bool) -> str:
    first, more = first_own(worst.fresh, fact.optimizer.index, ledger)
    if more and first is not None:  # a clear right after the step would leave what comes from elsewhere
        return f"before {'the first ' if first.count > 1 else ''}{quoted(first.site, 'backward()')}"
    if several:
        return f"right after {quoted(fact.step.site, 'step()')}"
    return f"before {quoted(newest.site, 'backward()')}"


def _partial_clear(fact: Consumed, members: tuple[int, ...], ledger: Ledger) -> GradientsCleared | None:
    """A clear of other parameters of the optimizer, while the stale ones were never cleared."""
    stale = frozenset(members)
    others = [c for c in ledger.cohorts.of(fact.optimizer.owned) if stale.isdisjoint(c.members)]
    if any(ledger.cohorts.life(index).last_clear for index in members[:1]):
        return None
    return next((c.life.last_clear for c in others if c.life.last_clear), None)
