"""GD202: the optimizer owns parameters that no live module has any more."""

from __future__ import annotations

from graddebug.diagnose.causes import orphan_pairs
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import names, times
from graddebug.ledger import Consumed, Ledger
from graddebug.records import Severity


class OrphanParameter(Rule):
    """A layer was replaced, or the model copied, after the optimizer was built."""

    code = "GD202"
    slug = "orphan-parameter"
    title = "The optimizer owns parameters of a module that was replaced"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "An optimizer keeps the tensors it was given. If a layer is replaced, or the model is copied or "
        "wrapped, after the optimizer was built, it goes on stepping the old tensors, while the new ones "
        "are never trained."
    )
    fix = "Build the optimizer after the last change to the model."
    example = (
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "model.head = nn.Linear(64, 10)                              # wrong: the optimizer holds the old "
        "head\n"
        "\n"
        "model.head = nn.Linear(64, 10)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)     # right\n"
    )
    options = thresholds(
        windows="windows in which the new layer got gradients that no optimizer used",
    )
    windows = 2

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Pair what is owned and dead with what is alive and not owned."""
        if fact.number + 1 < self.windows or not ledger.unowned:
            return None
        pairs = orphan_pairs(fact.optimizer, ledger, windows=self.windows)
        return [_claim(fact, pairs, ledger)] if pairs else None


def _claim(fact: Consumed, pairs: list[tuple[int, int]], ledger: Ledger) -> Claim:
    name = ledger.optimizer_name(fact.optimizer.index)
    dead = [ledger.parameter_name(orphan) for orphan, _ in pairs]
    live = [ledger.parameter_name(twin) for _, twin in pairs]
    twin = ledger.cohorts.life(pairs[0][1]).newest
    return Claim(
        step=fact.step.step,
        message=(
            f"`{name}` owns {times(len(pairs), 'parameter')} that no module has any more ({names(dead)}) "
            f"and that {'gets' if len(dead) == 1 else 'get'} no gradient, while {names(live)} in "
            f"{'its' if len(dead) == 1 else 'their'} place {'does' if len(live) == 1 else 'do'} and "
            f"{'is' if len(live) == 1 else 'are'} in no optimizer: the layer was replaced, or the model "
            "copied, after the optimizer was built."
        ),
        fix=f"Build `{name}` after the last change to the model, so that it owns {names(live)}.",
        roles=roles(backward=twin.site if twin else None, step=fact.step.site),
        parameters=tuple(sorted(index for pair in pairs for index in pair)),
        evidence={"orphans": dead, "live": live},
        anchor=("step",),
        topic=name,
    )
