"""GD309: parameters were changed between a graph's forward and its backward."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import place, quoted
from graddebug.ledger import Ledger, OptimizerLife
from graddebug.records import Backward, ErrorRaised, Severity


class SteppedBeforeBackward(Rule):
    """Torch names the shape of a tensor; the program's author wants to know which step it was."""

    code = "GD309"
    slug = "stepped-before-backward"
    title = "Parameters change between a forward and its backward"
    severity = Severity.ERROR
    needs = (BACKWARDS,)
    why = (
        "A graph keeps the weights it ran with, because their values are part of the gradient. When an "
        "optimizer steps before the backward of that graph, the values are gone. Torch notices and raises, "
        "but names neither the parameter nor the step; after a fused step it does not even notice, and the "
        "gradient is wrong."
    )
    fix = "Run all backwards of a forward before any of its parameters is stepped, or run the forward again."
    example = (
        "fake = generator(z)\n"
        "loss_d, loss_g = d_loss(discriminator, fake), g_loss(discriminator(fake))\n"
        "loss_d.backward(); opt_d.step()\n"
        "loss_g.backward(); opt_g.step()    # wrong: its graph goes through weights that opt_d has changed\n"
        "\n"
        "loss_d.backward(); opt_d.step()\n"
        "loss_g = g_loss(discriminator(fake))    # right: the forward runs after the step\n"
        "loss_g.backward(); opt_g.step()\n"
    )

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Find the fused step that changed what the graph had kept, unless it moved nothing."""
        lives = [cohort.life for cohort in ledger.cohorts.of(event.outdated)] if event.outdated else []
        owners = [ledger.optimizers[owner] for life in lives for owner in life.owners]
        stepped = max((o for o in owners if o.steps), key=lambda o: o.last_tick, default=None)
        if stepped is None or stepped.last is None or not any(stepped.last.lr):
            return None
        if any(life.skipped_at > stepped.last_tick for life in lives):
            return None
        return [_silent(event, stepped, ledger)]

    def on_error(self, event: ErrorRaised, ledger: Ledger) -> Claims:
        """Say which step, or which change by hand, came between."""
        if event.call != "backward" or not event.params:
            return None
        lives = [cohort.life for cohort in ledger.cohorts.of(event.params)]
        owners = [ledger.optimizers[owner] for life in lives for owner in life.owners]
        stepped = max((o for o in owners if o.steps), key=lambda o: o.last_tick, default=None)
        moved = max((life.moved_at for life in lives), default=-1)
        if stepped is None or moved > stepped.last_tick:
            return [_by_hand(event)]
        return [_by_step(event, stepped, ledger)]


def _silent(event: Backward, stepped: OptimizerLife, ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(stepped.index)
    site = stepped.last.site if stepped.last is not None else None
    step, backward = quoted(site, f"{name}.step()"), quoted(event.site, "backward()")
    return Claim(
        step=event.step,
        message=(
            f"{step} changed {PARAMETERS} after the forward and before {backward}, which computed with the "
            "new values as if they were the old ones: its gradients are wrong. A fused optimizer changes "
            "weights without autograd's knowledge, so torch raises no error."
        ),
        fix=(
            f"Run the forward of that loss again after {step}; or, if both losses are meant for that step, "
            f"call it after {backward}."
        ),
        roles=roles(backward=event.site, step=site),
        parameters=event.outdated,
        evidence={"fused": True},
        topic=name,
    )


def _by_step(event: ErrorRaised, stepped: OptimizerLife, ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(stepped.index)
    site = stepped.last.site if stepped.last is not None else None
    step, backward = quoted(site, f"{name}.step()"), quoted(event.site, "backward()")
    return Claim(
        step=event.step,
        message=(
            f"{step} changed {PARAMETERS} after the forward and before {backward}, which needs their values "
            f"as they were ({_kept(event)})."
        ),
        fix=(
            f"Run the forward of that loss again after {step}; or, if both losses are meant for that step, "
            f"call it after {backward}."
        ),
        roles=roles(forward=event.op_site, backward=event.site, step=site),
        parameters=event.params,
        evidence={"op": event.op, "module": event.module, "error": event.error},
        anchor=("backward", "step"),
        topic=name,
    )


def _by_hand(event: ErrorRaised) -> Claim:
    backward = quoted(event.site, "backward()")
    return Claim(
        step=event.step,
        message=(
            f"The program itself changed {PARAMETERS} in place after the forward and before {backward}, "
            f"which needs their values as they were ({_kept(event)}). No optimizer's step did."
        ),
        fix=f"Change the weights after {backward}, or run the forward again afterwards.",
        roles=roles(forward=event.op_site, backward=event.site),
        parameters=event.params,
        evidence={"op": event.op, "module": event.module, "error": event.error},
        anchor=("backward",),
        variant="by hand",
    )


def _kept(event: ErrorRaised) -> str:
    inside = f" in {event.module}" if event.module else ""
    at = f", {place(event.op_site)}" if event.op_site is not None else ""
    return f"kept by {event.op}{inside}{at}"
