"""GD203: a backward ends in a parameter that is registered nowhere."""

from __future__ import annotations

from graddebug.diagnose.causes import origin
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Cohort, Consumed, Ledger
from graddebug.records import Severity


class UnregisteredParameter(Rule):
    """Layers kept in a plain list or dict: torch does not know them."""

    code = "GD203"
    slug = "unregistered-parameter"
    title = "A parameter in use is registered in no module"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "A module finds its parameters through attributes, ModuleList and ModuleDict. Layers in a plain "
        "list or dict take part in the forward, but parameters(), state_dict(), to() and the optimizer "
        "never see them."
    )
    fix = "Keep the layers in an `nn.ModuleList` or `nn.ModuleDict`, single tensors in an `nn.ParameterList`."
    example = (
        "self.blocks = [Block() for _ in range(4)]                   # wrong: torch does not see them\n"
        "\n"
        "self.blocks = nn.ModuleList(Block() for _ in range(4))      # right\n"
    )

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """At a step, look for gradients of parameters that nobody knows."""
        if not ledger.unowned:
            return None
        lost = [cohort for cohort in ledger.unowned if cohort.life.windows_ever and cohort.life.trainable]
        params = tuple(
            sorted(p for cohort in lost for p in cohort.members if origin(p, ledger) == "unregistered")
        )
        return [_claim(fact, params, lost, ledger)] if params else None


def _claim(fact: Consumed, params: tuple[int, ...], cohorts: list[Cohort], ledger: Ledger) -> Claim:
    newest = next((c.life.newest for c in cohorts if params[0] in c.members), None)
    site = newest.site if newest else None
    return Claim(
        step=fact.step.step,
        message=(
            f"{quoted(site, 'backward()')} wrote gradients of {PARAMETERS}, which took part in a watched "
            "module's forward but are registered in no module and owned by no optimizer: they will never "
            "be trained, saved or moved to a device."
        ),
        fix=(
            "Keep the layers in an `nn.ModuleList` or `nn.ModuleDict` instead of a plain list or dict, and "
            "build the optimizer after that."
        ),
        roles=roles(backward=site),
        parameters=params,
        evidence={"parameters": len(params)},
    )
