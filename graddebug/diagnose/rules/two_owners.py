"""GD209: a parameter in two optimizers that both step."""

from __future__ import annotations

from graddebug.diagnose.causes import inside_wrapper, nothing_can_change
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, times
from graddebug.ledger import Consumed, Ledger, OptimizerLife, Portion
from graddebug.records import Severity

_Pair = tuple[int, int]


class TwoOwners(Rule):
    """Harm is done where both apply the same gradient; in turn, each with its own, is a note.

    Not: an optimizer around another (SAM, Lookahead), one after the other (Adam, then LBFGS). Where a loss
    scaler divides the gradient for each of them, GD413 says so.
    """

    code = "GD209"
    slug = "two-owners"
    title = "Two optimizers step the same parameter"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "A parameter that was given to two optimizers is moved twice by one gradient: its learning rate is "
        "the sum of both, each with a momentum that knows nothing of the other's steps. Mostly a shared "
        "trunk is in the parameters of two heads."
    )
    fix = "Give each parameter to one optimizer; a shared part belongs to one of them, or to a third."
    example = (
        "actor_optimizer = Adam([*trunk.parameters(), *actor.parameters()])\n"
        "critic_optimizer = Adam([*trunk.parameters(), *critic.parameters()])    # wrong: the trunk again\n"
        "\n"
        "critic_optimizer = Adam(critic.parameters())                            # right\n"
    )
    options = thresholds(
        windows="times that both step in turn",
    )
    #: Times that they step in turn before that is noted.
    windows = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._turns: dict[_Pair, int] = {}
        self._told: set[_Pair] = set()

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Look at what the step is about to apply, and who has applied it before."""
        if len(ledger.optimizers) < 2 or nothing_can_change(fact.step):
            return None
        shared = [portion for portion in fact.portions if len(portion.life.owners) > 1]
        if not shared or fact.step.parent is not None or inside_wrapper(fact, ledger):
            return None
        claims = []
        for other in self._others(fact, shared, ledger):
            both = [portion for portion in shared if other.index in portion.life.owners]
            claims.append(self._judge(fact, other, both, ledger))
        return [claim for claim in claims if claim]

    def _others(self, fact: Consumed, shared: list[Portion], ledger: Ledger) -> list[OptimizerLife]:
        """The other owners that have stepped, each for itself."""
        owners = frozenset().union(*(portion.life.owners for portion in shared)) - {fact.optimizer.index}
        lives = [ledger.optimizers[index] for index in sorted(owners)]
        return [life for life in lives if life.steps and not life.last_nested]

    def _judge(
        self, fact: Consumed, other: OptimizerLife, both: list[Portion], ledger: Ledger
    ) -> Claim | None:
        me, pair = fact.optimizer, _pair(fact.optimizer, other)
        twice = [portion for portion in both if _applied_by(portion, other.index, me.index)]
        if twice and fact.step.scaler is None:
            self._told.add(pair)
            return _claim(fact, other, twice, ledger)
        if me.last_tick < 0 or other.last_tick < me.last_tick or not any(p.fresh for p in both):
            return None
        self._turns[pair] = self._turns.get(pair, 0) + 1
        if self._turns[pair] < 2 * self.windows or pair in self._told:
            return None
        self._told.add(pair)
        return _in_turn(fact, other, both, self._turns[pair], ledger)


def _pair(one: OptimizerLife, other: OptimizerLife) -> _Pair:
    return (min(one.index, other.index), max(one.index, other.index))


def _applied_by(portion: Portion, other: int, me: int) -> bool:
    """Whether the other one has applied the very gradient that this one is about to apply."""
    old = portion.old
    return old is not None and not portion.fresh and other in old.users and me not in old.users


def _claim(fact: Consumed, other: OptimizerLife, twice: list[Portion], ledger: Ledger) -> Claim:
    name, first = ledger.optimizer_name(fact.optimizer.index), ledger.optimizer_name(other.index)
    newest, step = twice[0].life.newest, other.last
    site = newest.site if newest else None
    before = step.site if step else None
    params = tuple(sorted(p for portion in twice for p in portion.members))
    return Claim(
        step=fact.step.step,
        message=(
            f"{PARAMETERS} belong{'s' if len(params) == 1 else ''} to `{first}` and to `{name}`, and both "
            f"applied the same gradient, that of {quoted(site, 'backward()')}: "
            f"`{first}.step()` ({place(before)}), then `{name}.step()` ({place(fact.step.site)})."
        ),
        fix=f"Give {PARAMETERS} to one of `{first}` and `{name}` only.",
        roles=roles(backward=site, first_step=before, step=fact.step.site),
        parameters=params,
        evidence={"optimizers": [first, name], "learning_rates": _rates(fact, other)},
        anchor=("first_step", "step"),
        topic=name,
    )


def _in_turn(fact: Consumed, other: OptimizerLife, both: list[Portion], turns: int, ledger: Ledger) -> Claim:
    name, first = ledger.optimizer_name(fact.optimizer.index), ledger.optimizer_name(other.index)
    params = tuple(sorted(p for portion in both for p in portion.members))
    return Claim(
        step=fact.step.step,
        message=(
            f"`{first}` and `{name}` both own {PARAMETERS} and have stepped in turn "
            f"{times(turns, 'time')}, each with a gradient of its own: the momentum of one knows nothing of "
            "the steps of the other."
        ),
        fix=f"If that is not meant, give {PARAMETERS} to one of `{first}` and `{name}` only.",
        roles=roles(first_step=other.last.site if other.last else None, step=fact.step.site),
        parameters=params,
        evidence={"optimizers": [first, name], "turns": turns},
        severity=Severity.NOTE,
        topic=name,
        variant="in turn",
    )


def _rates(fact: Consumed, other: OptimizerLife) -> list[float]:
    before = other.last.lr if other.last else ()
    return [max(rates) for rates in (before, fact.step.lr) if rates]
