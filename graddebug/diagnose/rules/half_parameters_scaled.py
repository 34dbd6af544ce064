"""GD408: "Attempting to unscale FP16 gradients": which parameters are half."""

from __future__ import annotations

from graddebug.diagnose.evidence import SCALER
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import names, times
from graddebug.ledger import Ledger
from graddebug.records import ErrorRaised, ParameterSet, Severity

_TEXT = "Attempting to unscale FP16 gradients"

#: Modules named at most; a model that is half as a whole has hundreds.
_MODULES = 4


class HalfParametersScaled(Rule):
    """Torch refuses a gradient in half precision and does not say which one."""

    code = "GD408"
    slug = "half-parameters-scaled"
    title = "A scaler is to unscale gradients of parameters in half precision"
    severity = Severity.ERROR
    needs = (SCALER,)
    why = (
        "A loss scaler belongs to autocast, in which parameters and gradients are float32 and only the ops "
        "in between are half. A parameter that is float16 itself has a float16 gradient, which loses what "
        "the scale has saved when it is divided by it, so torch refuses. One layer is enough."
    )
    fix = "Keep the parameters in float32 and let `torch.autocast` choose the precision of each op."
    example = (
        "model.half()                          # wrong: the parameters are half\n"
        "scaler.scale(loss(model(x))).backward()\n"
        "scaler.step(optimizer)\n"
        "\n"
        "with torch.autocast(device):          # right: the ops are, the parameters are not\n"
        "    total = loss(model(x))\n"
        "scaler.scale(total).backward()\n"
        "scaler.step(optimizer)\n"
    )

    def on_error(self, event: ErrorRaised, ledger: Ledger) -> Claims:
        """Name the parameters and their modules."""
        if _TEXT not in event.text:
            return None
        optimizer = ledger.optimizer(event.optimizer or 0)
        name, owned, half = ledger.optimizer_name(optimizer.index), len(optimizer.owned), len(event.params)
        modules, everything = _modules(event.params, ledger), half == owned
        which = "all that it owns" if everything else f"{half} of its {times(owned, 'parameter')}"
        inside = f", in {names(list(modules.values()))}" if modules and not everything else ""
        what = "the model" if everything else names(list(modules)) or PARAMETERS
        return [
            Claim(
                step=event.step,
                message=(
                    f"`{name}` owns parameters in float16: {which} ({PARAMETERS}{inside}). Their gradients "
                    "are float16 as well, and a scaler divides float32 gradients only."
                ),
                fix=f"Keep {what} in float32 (`.float()`) and run the forward under `torch.autocast`.",
                roles=roles(step=event.site),
                parameters=event.params,
                evidence={"half_parameters": half, "parameters_owned": owned},
                topic=name,
            )
        ]


def _modules(params: ParameterSet, ledger: Ledger) -> dict[str, str]:
    """The modules of the parameters, each with its type in words."""
    known = [ledger.parameters[index] for index in params if index < len(ledger.parameters)]
    found = {info.module: f"{info.module} ({info.module_type})" for info in known if info.module}
    return dict(list(found.items())[:_MODULES])
