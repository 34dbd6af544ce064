"""Looks an origin up: its op's entry, or what the numbers alone say."""

from __future__ import annotations

import math

from graddebug.diagnose.nonfinite import products, reductions, singular
from graddebug.diagnose.nonfinite.entry import Entry, Explanation, could_overflow
from graddebug.diagnose.nonfinite.facts import Facts, largest, number, stem
from graddebug.records import Origin

#: In order: of two entries that fit, the first one speaks.
ENTRIES: tuple[Entry, ...] = (*singular.ENTRIES, *reductions.ENTRIES, *products.ENTRIES)

#: The cause of what no entry and no number explains.
UNKNOWN = "invalid operand"

_INPLACE = ("MaskedFill", "Where", "IndexPut", "IndexFill", "ConstantPadNd", "Copy", "CopySlices")


def is_fill(op: str) -> bool:
    """Whether the op writes values that the program gave it: -inf of a mask is no accident."""
    return stem(op) in _INPLACE or op in ("masked_fill", "masked_fill_", "where")


def explain(origin: Origin, torch: str = "") -> Explanation:
    """Why this op made NaN or inf, and the fix that is true for that version of torch."""
    facts = Facts(origin, torch)
    names = dict.fromkeys(filter(None, (origin.function, stem(origin.op))))  # what was called knows best
    fitting = (entry for name in names for entry in ENTRIES if entry.fits(name, facts))
    found = next(fitting, None)
    if found is not None:
        return found.explanation(facts)
    return _own_function(origin) if _is_own(origin) else _by_numbers(facts)


def _is_own(origin: Origin) -> bool:
    """A node of a Python class: ``class Round(torch.autograd.Function)`` makes ``RoundBackward``."""
    return (
        origin.born == "backward" and origin.op.endswith("Backward") and not origin.op.startswith("Compiled")
    )


def _own_function(origin: Origin) -> Explanation:
    name = origin.op.removesuffix("Backward")
    return Explanation(
        cause="the program's own backward",
        words=f"the program's own `{name}.backward`, which returned them for a finite gradient",
        fix=f"Mend `{name}.backward`: check it with `torch.autograd.gradcheck` at the inputs of this step.",
    )


def _by_numbers(facts: Facts) -> Explanation:
    """What operands, incoming gradient and dtype alone say."""
    origin = facts.origin
    seen = ", ".join(_seen(facts)) or "its operands are not known"
    if not origin.nan and (could_overflow(facts) or facts.half or _outgrew(facts)):
        return Explanation(
            cause="overflow",
            words=f"a result over {number(facts.limit)}, the largest number of {origin.dtype}: {seen}",
            fix=_smaller(facts),
        )
    if any(one.inf for one in facts.tensors) or any(one.nan for one in facts.tensors):
        return Explanation(
            cause="0·inf or inf - inf",
            words=f"an operand that was not finite: {seen}",
            fix="Make that operand finite where it is made; a gradient cannot be masked later.",
        )
    what = (
        "a value outside of what the op is defined for, or 0/0" if origin.nan else "a division by 0 or a pole"
    )
    return Explanation(
        cause=UNKNOWN,
        words=f"{what}: {seen}",
        fix="Keep the operands of this line away from where it has no value: clamp them, or add a small eps.",
    )


def _outgrew(facts: Facts) -> bool:
    """Whether a square, a power, or a product with the numbers it was given leaves the dtype's range."""
    sizes = [largest(one) for one in facts.tensors]
    if facts.origin.born == "backward" or not facts.operands_finite or not sizes or min(sizes) <= 0:
        return False
    numbers = [abs(one.minimum) for one in facts.telling if one.scalar and one.minimum]
    biggest, room = math.log(max(sizes)), math.log(facts.limit)
    times = sum(abs(math.log(one)) for one in numbers)
    return max(2 * biggest, biggest * max(numbers, default=1.0), biggest + times) >= room


def _smaller(facts: Facts) -> str:
    if facts.origin.born == "backward" and facts.half:
        return (
            "Bring the gradient down, by a smaller loss scale or a mean instead of a sum as the loss, or use "
            "bfloat16."
        )
    return "Bring the operands down before this line, or compute it in a dtype with more range."


def _seen(facts: Facts) -> list[str]:
    """Operands and incoming gradient in numbers."""
    shown = [f"{one.name} {_holds(one.name, facts)}" for one in facts.telling][:4]
    if facts.origin.incoming == facts.origin.incoming:
        shown.append(f"the gradient that came in has norm {number(facts.origin.incoming)}")
    return shown


def _holds(name: str, facts: Facts) -> str:
    operand = facts.operand(name)
    assert operand is not None
    if operand.numel == 1:
        return f"is {number(operand.minimum)}"
    bad = f", {operand.nan + operand.inf} not finite" if operand.nan or operand.inf else ""
    return f"from {number(operand.minimum)} to {number(operand.maximum)}{bad}"
