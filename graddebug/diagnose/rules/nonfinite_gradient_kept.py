"""GD111: a non-finite gradient whose step was skipped is still there when the next backward adds to it."""

from __future__ import annotations

from collections.abc import Iterable

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import AddedToNonfinite, Contribution, Ledger, OptimizerLife, Portion, line_of
from graddebug.records import Severity


class NonfiniteGradientKept(Rule):
    """The path that skips a bad step forgets to clear."""

    code = "GD111"
    slug = "nonfinite-gradient-kept"
    title = "A non-finite gradient survives into the next window"
    severity = Severity.ERROR
    needs = (BACKWARDS,)
    why = (
        "Skipping the step when a gradient is NaN or inf is right, but the gradient must go too: whatever "
        "is added to NaN is NaN, so that every later window is skipped or poisoned, and training stands "
        "still."
    )
    fix = "Call `optimizer.zero_grad()` on the path that skips the step as well."
    example = (
        "loss.backward()\n"
        "norm = clip_grad_norm_(model.parameters(), 1.0)\n"
        "if norm.isfinite():\n"
        "    optimizer.step()\n"
        "    optimizer.zero_grad()    # wrong: a bad gradient is never cleared\n"
        "\n"
        "if norm.isfinite():\n"
        "    optimizer.step()\n"
        "optimizer.zero_grad()        # right: on both paths\n"
    )

    def on_added_to_nonfinite(self, fact: AddedToNonfinite, ledger: Ledger) -> Claims:
        """Judge whether the bad gradient's window was over, and the next one of its own has begun."""
        if fact.event.parent is not None:
            return None
        kept = [portion for portion in fact.portions if _kept(fact, portion, ledger)]
        if not kept:
            return None
        bad = next(part for part in kept[0].fresh if part.nonfinite)
        owner = next(iter(kept[0].life.owners), None)
        return [_claim(fact, kept, bad, ledger.optimizer_name(owner) if owner is not None else "optimizer")]


def _kept(fact: AddedToNonfinite, portion: Portion, ledger: Ledger) -> bool:
    """Whether the bad gradient's window was over, and this backward is the next one made for its step.

    Another network's backward that runs through the parameters adds to the leftover, too, and harms nobody
    if it is cleared before their own.
    """
    own = _own(portion, ledger)
    return line_of(fact.event.site) in {part.line for part in own} and _window_over(portion, own, ledger)


def _own(portion: Portion, ledger: Ledger) -> list[Contribution]:
    """What was made for a step of the parameters' own optimizer."""
    life = portion.life
    owners = [ledger.optimizers[owner] for owner in life.owners]
    if any(owner.own_lines for owner in owners):
        return [part for part in portion.fresh if any(owner.steps_after(part) for owner in owners)]
    refused = max(life.skipped_at, life.clipped_at)  # it has never stepped: what was there when it should
    return [part for part in portion.fresh if part.at < refused]


def _window_over(portion: Portion, own: list[Contribution], ledger: Ledger) -> bool:
    """Refused by its step, or as many backwards as are usual; while that is not known, clipped."""
    life = portion.life
    written = max(part.at for part in own)
    usual = _usual(ledger.optimizers[o] for o in life.owners) if life.owners else None
    if usual is not None:
        return life.skipped_at > written or sum(part.count for part in portion.fresh) >= usual
    return life.skipped_at > written or life.clipped_at > written


def _usual(owners: Iterable[OptimizerLife]) -> int | None:
    return max((owner.usual_count for owner in owners if owner.usual_count is not None), default=None)


def _claim(fact: AddedToNonfinite, kept: list[Portion], bad: Contribution, name: str) -> Claim:
    written, again = quoted(bad.site, "backward()"), quoted(fact.event.site, "backward()")
    return Claim(
        step=fact.event.step,
        message=(
            f"A gradient with NaN or inf survived: {written} left it in {PARAMETERS} in step "
            f"{bad.first.step}, no step used it and nothing cleared it, and now {again} has added to it."
        ),
        fix=f"Call `{name}.zero_grad()` also where the step is skipped, so that it runs before each {again}.",
        roles=roles(backward=fact.event.site),
        parameters=tuple(sorted(p for portion in kept for p in portion.members)),
        evidence={"nonfinite_since_step": bad.first.step, "parameters": sum(len(p.members) for p in kept)},
    )
