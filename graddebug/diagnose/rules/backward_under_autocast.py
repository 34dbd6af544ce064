"""GD416: backward or step inside the autocast region."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger
from graddebug.records import Backward, OptimizerStep, Severity, Site


class BackwardUnderAutocast(Rule):
    """Autocast is for the forward."""

    code = "GD416"
    slug = "backward-under-autocast"
    title = "A backward or a step runs inside the autocast region"
    severity = Severity.NOTE
    needs = (BACKWARDS,)
    why = (
        "Backward runs each op in the precision that its forward had; autocast around it adds nothing, and "
        "changes what custom functions and gradient hooks compute. PyTorch advises against it. A step inside "
        "the region also leaves half-precision copies of the old weights in autocast's cache."
    )
    fix = "End the `with torch.autocast(...)` block after the loss."
    example = (
        "with torch.autocast(device):\n"
        "    total = loss(model(x))\n"
        "    total.backward()      # wrong: inside the region\n"
        "\n"
        "with torch.autocast(device):\n"
        "    total = loss(model(x))\n"
        "total.backward()          # right\n"
    )

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Judge a backward of the program's own; a checkpoint restores its region to compute again."""
        if event.parent is not None or not event.accumulates or not _is_the_programs(event):
            return None
        return [_claim("backward", event.site, event.step, event.autocast or "")]

    def on_step(self, event: OptimizerStep, ledger: Ledger) -> Claims:
        """Judge a step."""
        if event.parent is not None or not _is_the_programs(event):
            return None
        return [_claim("step", event.site, event.step, event.autocast or "")]


def _is_the_programs(event: Backward | OptimizerStep) -> bool:
    """Whether the call is the program's own: inside a library's trainer it cannot end the region."""
    return event.autocast is not None and not (event.site is not None and event.site.library)


def _claim(what: str, site: Site | None, step: int, dtype: str) -> Claim:
    call = quoted(site, f"{what}()")
    return Claim(
        step=step,
        message=f"{call} runs inside an autocast region ({dtype}), which is meant for the forward only.",
        fix=f"End the `with torch.autocast(...)` block before {call}.",
        roles=roles(**{what: site}),
        evidence={"autocast": dtype},
        topic=what,
    )
