"""How an origin of NaN or inf is told: where it was, what came in and went out, what became of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from graddebug.diagnose.nonfinite.entry import Explanation
from graddebug.diagnose.nonfinite.facts import Facts, number
from graddebug.diagnose.nonfinite.knowledge import UNKNOWN, explain, is_fill
from graddebug.diagnose.rule import PARAMETERS, Claim, roles
from graddebug.diagnose.wording import quoted, times
from graddebug.ledger import Ledger, NonfiniteSettled
from graddebug.records import Operand, OptimizerStep, Origin, RunEnd, Severity

#: So many steps in a row lost to one origin are no accident any more.
STREAK = 5

#: Of several origins in one backward so many are told.
_TOLD = 3

_ADJUSTS = "Nothing, unless it goes on: the scaler lowers its scale until the gradient fits."


@dataclass(frozen=True, slots=True)
class Birth:
    """One origin, why it is one, and what became of the bad gradients."""

    origin: Origin
    why: Explanation
    fact: NonfiniteSettled

    @property
    def what(self) -> str:
        """``NaN``, ``inf`` or ``NaN and inf``."""
        found = [word for count, word in ((self.origin.nan, "NaN"), (self.origin.inf, "inf")) if count]
        return " and ".join(found) or "NaN or inf"

    @property
    def share(self) -> str:
        """``3 of 128 elements``."""
        bad = self.origin.nan + self.origin.inf
        if not self.origin.numel:  # on a device they are not counted
            return "at least 1 element"
        return f"{bad:,} of {times(self.origin.numel, 'element')}"

    @property
    def place(self) -> str:
        """The user's line, or the op where that is not known; and the module."""
        origin = self.origin
        line = quoted(origin.site, called(origin)) if origin.site else f"`{called(origin)}`"
        return f"{line} in {origin.module}" if origin.module else line

    @property
    def cured_by_scale(self) -> bool:
        """A scaled gradient that became inf where no derivative is: a smaller loss scale is the remedy."""
        backward = self.fact.backward
        scaled = self.fact.event.scale is not None or (backward is not None and bool(backward.scalers))
        scaled = scaled and self.origin.born in ("backward", "root")
        return scaled and not self.origin.nan and self.why.cause in ("overflow", UNKNOWN)


def called(origin: Origin) -> str:
    """What the program called, else autograd's name of the op."""
    return origin.function or origin.op


def origins_of(fact: NonfiniteSettled) -> list[Origin]:
    """The origins to blame: not a mask's own -inf, not spoiled weights, not an op that was handed NaN.

    Where the forward hides NaN (a row that nobody uses), each op that kept it makes a gradient NaN; the one
    furthest from the loss is nearest to where it was made.
    """
    found = [one for one in fact.event.origins if not _is_meant(one) and not _is_spoiled(one, fact)]
    made = [one for one in found if not _was_handed_nan(one)]
    return (made or found[-1:])[:_TOLD]


def _is_meant(origin: Origin) -> bool:
    return origin.born == "forward" and is_fill(origin.op) and not origin.nan


def _is_spoiled(origin: Origin, fact: NonfiniteSettled) -> bool:
    return origin.born == "weights" and origin.parameter in fact.spoiled


def _was_handed_nan(origin: Origin) -> bool:
    inputs = (one for one in origin.operands if not one.name.startswith("result"))
    return origin.born == "backward" and any(one.nan for one in inputs)


def births(fact: NonfiniteSettled, wanted: Callable[[Origin], bool]) -> list[Birth]:
    """The origins of one kind, explained; none where only the loss is bad."""
    if fact.fate == "harmless":
        return []
    torch = fact.event.torch
    return [Birth(one, explain(one, torch), fact) for one in origins_of(fact) if wanted(one)]


def is_masked(origin: Origin) -> bool:
    """Whether the forward threw the bad elements away: 0·inf, where the gradient that came in is 0.

    That is NaN, never inf: inf shows that a gradient other than 0 came in, whatever mask is near.
    """
    if origin.born != "backward" or not origin.nan or origin.inf:
        return False
    same = origin.numel == origin.incoming_numel
    return bool(origin.mask_op) or (same and origin.incoming_zeros >= origin.nan)


def claim(birth: Birth, ledger: Ledger, *, message: str, fix: str) -> Claim:
    """The claim about one origin; ``message`` says what happened, what became of it is added."""
    fact, origin = birth.fact, birth.origin
    backward = fact.backward
    return Claim(
        step=step_of(fact),
        message=f"{message} {outcome(fact, ledger)}",
        fix=_ADJUSTS if birth.cured_by_scale and fact.fate == "skipped" else fix,
        roles=roles(
            backward=backward.site if backward else None,
            step=fact.step.site if fact.step else None,
            forward_op=origin.site,
        ),
        parameters=fact.params,
        evidence=_evidence(birth),
        severity=severity(birth),
        anchor=_anchor(birth),
        topic=f"{origin.module} {origin.op}",
        variant=_variant(birth),
    )


def _anchor(birth: Birth) -> tuple[str, ...]:
    """While a scaler looks for its scale another op overflows each time: that is one finding."""
    return ("forward_op",) if birth.origin.site and not _is_search(birth) else ("backward",)


def _variant(birth: Birth) -> str:
    origin = birth.origin
    if _is_search(birth):
        return "scale"
    return f"{origin.born} {origin.op}" if origin.site else f"{origin.born} {origin.op} {origin.module}"


def _is_search(birth: Birth) -> bool:
    return birth.cured_by_scale and birth.fact.fate == "skipped"


def step_of(fact: NonfiniteSettled) -> int:
    """The step that made the bad numbers."""
    return fact.event.step if fact.event.made_in is None else fact.event.made_in


def severity(birth: Birth) -> Severity:
    """An error if weights were harmed, an exception ended the run, or step after step is lost to it."""
    fact = birth.fact
    lost = fact.in_a_row >= STREAK and not birth.cured_by_scale
    return Severity.ERROR if fact.fate in ("consumed", "aborted") or lost else Severity.NOTE


def outcome(fact: NonfiniteSettled, ledger: Ledger) -> str:
    """What became of the bad gradients, in a sentence."""
    if fact.fate == "consumed":
        return f"{_applied(fact.step, ledger)} {PARAMETERS}."
    if fact.fate == "aborted":
        said = fact.at.detail if isinstance(fact.at, RunEnd) else ""
        if fact.backward is None:
            return f"The run ended with an exception{f' ({said})' if said else ''} right after that."
        return f"The run ended with an exception{f' ({said})' if said else ''} before a step used it."
    ends = {
        "skipped": "The scaler skipped the step, so the weights are unharmed.",
        "cleared": "The gradients were cleared before a step used them.",
        "repaired": "The gradients were made finite again before the step.",
        "unused": "No backward was called on what came of it, so the weights are unharmed.",
        "left": "No step has used these gradients.",
    }
    end = ends[fact.fate]
    if fact.in_a_row >= STREAK:
        end += f" That is {fact.in_a_row} times in a row now without a good step between."
    return end


def _applied(step: OptimizerStep | None, ledger: Ledger) -> str:
    if step is None:
        return "The program's own update applied that to"
    return f"{quoted(step.site, f'{ledger.optimizer_name(step.optimizer)}.step()')} applied that to"


def _evidence(birth: Birth) -> dict[str, object]:
    origin, fact = birth.origin, birth.fact
    found: dict[str, object] = {"op": origin.op, "cause": birth.why.cause}
    found |= {"module": origin.module} if origin.module else {}
    found |= {"nan": origin.nan, "inf": origin.inf, "elements": origin.numel, "dtype": origin.dtype}
    if not math.isnan(origin.incoming):
        found["incoming_norm"] = origin.incoming
    operands = [_operand(one) for one in Facts(origin).telling]
    found |= {"operands": operands} if operands else {}
    found |= {"loss_scale": fact.event.scale} if fact.event.scale is not None else {}
    return found | {"bad_parameters": len(fact.event.params), "healthy_parameters": len(fact.event.healthy)}


def _operand(one: Operand) -> str:
    if one.scalar:
        return f"{one.name} {number(one.minimum)}"
    counts = [
        f"{count:,} {word}"
        for count, word in ((one.zeros, "zeros"), (one.nan, "NaN"), (one.inf, "inf"))
        if count
    ]
    ends = f"{number(one.minimum)} to {number(one.maximum)}"
    return f"{one.name} {ends}{''.join(f', {part}' for part in counts)}"
