"""GD410: float16 gradients vanish, and no scaler is in use."""

from __future__ import annotations

from graddebug.diagnose.evidence import HALF, MEASURED_NODES
from graddebug.diagnose.half import Underflow, lost_evidence, lost_words, rescuing_scale
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import number
from graddebug.ledger import Ledger
from graddebug.records import HalfMeasured, ScalerSeen, Severity


class HalfWithoutScaler(Rule):
    """float16 without a loss scale; bfloat16 needs none."""

    code = "GD410"
    slug = "half-without-scaler"
    title = "float16 gradients vanish, and no scaler is in use"
    severity = Severity.WARNING
    needs = (HALF, MEASURED_NODES)
    why = (
        "Gradients are often smaller than 6e-05, where float16 begins to lose bits, and below 3e-08 they are "
        "0. The loss scaler exists to lift them over that; autocast alone does not do it."
    )
    fix = "Scale the loss with `torch.amp.GradScaler`, or use bfloat16."
    example = (
        "with torch.autocast('cuda', torch.float16):\n"
        "    loss = model(x).mean()\n"
        "loss.backward()                                  # wrong: small gradients become 0\n"
        "\n"
        "scaler.scale(loss).backward()                    # right\n"
    )
    options = thresholds(
        share="share of a gradient's elements that are too small for half precision",
        measured="measured backwards in a row",
    )
    #: As in GD415.
    share = 0.5
    measured = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._underflow = Underflow(self.share, self.measured)
        self._disabled: ScalerSeen | None = None
        self._enabled = False

    def on_scaler(self, event: ScalerSeen, ledger: Ledger) -> Claims:
        """Learn of scalers, also of those that do nothing."""
        self._enabled |= event.enabled
        self._disabled = self._disabled if event.enabled else event
        return None

    def on_half(self, event: HalfMeasured, ledger: Ledger) -> Claims:
        """Judge the gradients of a measured backward that is not scaled."""
        if self._enabled or event.scale is not None or event.dtype != "float16":
            return None
        return [self._claim(event, ledger)] if self._underflow.persists(event) else None

    def _claim(self, event: HalfMeasured, ledger: Ledger) -> Claim:
        rescue = rescuing_scale(event)
        scaler = f"no scaler is in use{', for it is disabled' if self._disabled else ''}"
        lift = f" A scale of {number(rescue)} would lift them." if rescue is not None else ""
        return Claim(
            step=event.step,
            message=f"Gradients are computed in float16 and {scaler}: {lost_words(event)}{lift}",
            fix=self._fix(ledger),
            roles=roles(backward=event.site),
            evidence={"rescuing_scale": rescue, **lost_evidence(event)},
        )

    def _fix(self, ledger: Ledger) -> str:
        if self._disabled is not None:
            return f"Enable {self._disabled.name} wherever autocast uses float16, or use bfloat16."
        if any(info.dtype == "float16" for info in ledger.parameters):
            return (
                "Keep the weights in float32 and use `torch.autocast` with a `torch.amp.GradScaler`, or "
                "convert the model to bfloat16."
            )
        return "Use `torch.amp.GradScaler`: `scaler.scale(loss).backward()`; or autocast to bfloat16."
