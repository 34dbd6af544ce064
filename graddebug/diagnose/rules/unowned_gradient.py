"""GD106: gradients pile up in parameters that no optimizer owns."""

from __future__ import annotations

from graddebug.diagnose.causes import beside_owned, origin, replaced, updated_by_hand
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import quoted, times
from graddebug.ledger import Cohort, Consumed, Ledger
from graddebug.records import Event, Forward, ParameterSet, Severity


class UnownedGradient(Rule):
    """``optimizer.zero_grad()`` clears only what the optimizer owns.

    Told of networks of which no part is in an optimizer: of what one was not given of a network that it
    trains GD201 tells.
    """

    code = "GD106"
    slug = "unowned-gradient"
    title = "Gradients pile up in parameters that no optimizer owns"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "A trainable parameter outside all optimizers still gets its gradient in each backward. "
        "optimizer.zero_grad() does not know it, so the gradient grows for ever: it costs memory and time, "
        "and clip_grad_norm_(model.parameters()) counts it, until it shrinks all real gradients to "
        "nothing. And no step ever changes the parameter."
    )
    fix = (
        "Freeze such parameters with `requires_grad_(False)`, or give them to an optimizer if they are to "
        "learn."
    )
    example = (
        "optimizer = torch.optim.Adam(model.head.parameters())\n"
        "loss.backward(); optimizer.step(); optimizer.zero_grad()    # wrong: the backbone's gradients stay\n"
        "\n"
        "model.backbone.requires_grad_(False)                         # right\n"
        "optimizer = torch.optim.Adam(model.head.parameters())\n"
    )
    options = thresholds(
        windows="windows in which the gradient grew and nothing cleared it",
    )
    windows = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._roots: dict[str, ParameterSet] = {}
        self._told = -1

    def on_forward(self, event: Forward, ledger: Ledger) -> Claims:
        """Learn which parameters lie in one watched module."""
        self._roots[event.module] = event.params
        return None

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """At each step, look at what nobody owns."""
        if not ledger.unowned or not fact.written:  # a step with nothing new is another finding
            return None
        piles = self._piles(ledger, ledger.unowned)
        # GD201 tells of what an optimizer was not given of a network that it trains.
        left_out = beside_owned(self._roots.values(), ledger) if piles else frozenset()
        return self._tell([c for c in piles if left_out.isdisjoint(c.members)], ledger, step=fact.step)

    def _tell(self, piles: list[Cohort], ledger: Ledger, *, step: Event) -> Claims:
        """Once a window; the target of a network in training apart from all others."""
        if not piles or self._told == ledger.window:
            return None
        self._told = ledger.window
        targets = self._targets(ledger)
        sides = [
            [pile for pile in piles if targets.isdisjoint(pile.members) is other] for other in (True, False)
        ]
        return [_claim(side, step=step, target=side is sides[1]) for side in sides if side]

    def _targets(self, ledger: Ledger) -> frozenset[int]:
        """Parameters of modules in no optimizer that are built like a module in one: target networks."""
        owned = {p for optimizer in ledger.optimizers.values() for p in optimizer.owned}
        shapes = {root: [ledger.parameters[p].shape for p in root] for root in self._roots.values()}
        trained = [root for root in shapes if not owned.isdisjoint(root)]
        built = [shapes[root] for root in trained]
        fixed = [root for root in shapes if owned.isdisjoint(root) and shapes[root] in built]
        return frozenset(p for root in fixed for p in root)

    def _piles(self, ledger: Ledger, cohorts: tuple[Cohort, ...]) -> list[Cohort]:
        piles = [
            c
            for c in cohorts
            if c.life.windows_since_clear >= self.windows and c.life.trainable and c.life.fresh
            if not updated_by_hand(c.life)
        ]
        explained = replaced(ledger) if piles else frozenset()
        return [
            c for c in piles if origin(c.members[0], ledger) == "module" and explained.isdisjoint(c.members)
        ]


_UNOWNED = "Freeze them with `requires_grad_(False)`, or give them to an optimizer if they are to learn."
_TARGET = (
    "If that network is a target, to stay as it is, compute with it under `torch.no_grad()`, or freeze it "
    "with `requires_grad_(False)` where gradients must pass through it."
)


def _claim(piles: list[Cohort], *, step: Event, target: bool) -> Claim:
    worst = max(piles, key=lambda cohort: cohort.life.windows_since_clear)
    newest = worst.life.newest
    site = newest.site if newest else None
    windows = worst.life.windows_since_clear
    message = (
        f"No optimizer owns {PARAMETERS}, but {quoted(site, 'backward()')} adds to their gradients: they "
        f"are the sum of {times(worst.life.fresh_count, 'backward')} now, no `optimizer.zero_grad()` clears "
        "them, and no step uses them."
    )
    return Claim(
        step=step.step,
        message=message,
        fix=_TARGET if target else _UNOWNED,
        roles=roles(backward=site),
        parameters=tuple(sorted(p for cohort in piles for p in cohort.members)),
        evidence={"windows_since_clear": windows, "backwards_in_gradient": worst.life.fresh_count},
        severity=Severity.NOTE if target else None,
        anchor=("backward",),
        variant="target" if target else "",
    )
