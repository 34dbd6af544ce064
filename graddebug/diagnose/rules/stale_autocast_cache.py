"""GD313: an autocast region goes on using copies of weights that a step inside of it has changed."""

from __future__ import annotations

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import Backward, Severity


class StaleAutocastCache(Rule):
    """The weights change, the model does not."""

    code = "GD313"
    slug = "stale-autocast-cache"
    title = "An autocast region uses copies of weights that have changed"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "Autocast casts a weight once and keeps the copy until the outermost region ends. If an optimizer "
        "steps inside the region, the next forward in there still runs with the old copy: every gradient is "
        "that of the first weights, and the loss does not move, although the parameters do."
    )
    fix = "Open the autocast region for each forward and loss, so that it ends before the optimizer steps."
    example = (
        "with torch.autocast('cuda', torch.bfloat16):    # wrong: one region around all steps\n"
        "    for x, y in loader:\n"
        "        loss = loss_fn(model(x), y)\n"
        "        loss.backward(); optimizer.step(); optimizer.zero_grad()\n"
        "\n"
        "for x, y in loader:                             # right\n"
        "    with torch.autocast('cuda', torch.bfloat16):\n"
        "        loss = loss_fn(model(x), y)\n"
        "    loss.backward(); optimizer.step(); optimizer.zero_grad()\n"
    )

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Find the step that the copies are older than, unless it moved nothing."""
        if not event.stale_casts:
            return None
        lives = [cohort.life for cohort in ledger.cohorts.of(event.stale_casts)]
        owners = [ledger.optimizers[owner] for life in lives for owner in life.owners]
        stepped = max((o for o in owners if o.steps), key=lambda o: o.last_tick, default=None)
        if stepped is None or stepped.last is None or not any(stepped.last.lr):
            return None
        if any(life.skipped_at > stepped.last_tick for life in lives):
            return None
        return [_claim(event, stepped, ledger)]


def _claim(event: Backward, stepped: OptimizerLife, ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(stepped.index)
    site = stepped.last.site if stepped.last is not None else None
    step, backward = quoted(site, f"{name}.step()"), quoted(event.site, "backward()")
    return Claim(
        step=event.step,
        message=(
            f"{step} changed {PARAMETERS} inside an autocast region, and the forward after it, in the same "
            f"region, ran with the copies that autocast had made before: {backward} computed the gradients "
            "of weights that are no longer there."
        ),
        fix=(
            "Open the `torch.autocast` region around each forward and its loss only, so that it ends before "
            f"{step}: its end clears the copies. (Or switch them off: `torch.autocast(..., "
            "cache_enabled=False)`.)"
        ),
        roles=roles(step=site, backward=event.site),
        parameters=event.stale_casts,
        evidence={"parameters": len(event.stale_casts)},
        anchor=("backward",),
        topic=name,
    )
