"""What is known of an op: when it makes NaN or inf, why, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from graddebug.diagnose.nonfinite.facts import Facts, largest

Test = Callable[[Facts], bool]

#: So many times a single product may a sum of products be.
_SUMMED = 1e4


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an op made NaN or inf: the cause's class in a few words, the cause with numbers, the fix.

    ``call`` is the op as code with ``{x}`` for its input, ``safe`` a value of the input at which it is
    harmless; both empty where guarding the input is not the way.
    """

    cause: str
    words: str
    fix: str
    call: str = ""
    safe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One way in which some ops make NaN or inf.

    ``ops`` are autograd's names without ``Backward0``; ``born`` is ``"forward"``, ``"backward"`` or empty
    for both. ``words`` and ``fix`` are templates over `Facts`.
    """

    ops: tuple[str, ...]
    when: Test
    cause: str
    words: str
    fix: str
    born: str = ""
    call: str = ""
    safe: str = ""

    def fits(self, stem: str, facts: Facts) -> bool:
        """Whether this is what happened."""
        return stem in self.ops and self.born in ("", facts.origin.born) and self.when(facts)

    def explanation(self, facts: Facts) -> Explanation:
        """The entry in the numbers of one origin."""
        return Explanation(
            cause=self.cause,
            words=self.words.format_map(facts),
            fix=self.fix.format_map(facts),
            call=self.call,
            safe=self.safe,
        )


# --- tests over the numbers of an origin ------------------------------------------------------


def always(facts: Facts) -> bool:
    """No condition."""
    return True


def both(*tests: Test) -> Test:
    """All of the tests."""
    return lambda facts: all(test(facts) for test in tests)


def any_of(*tests: Test) -> Test:
    """At least one of the tests."""
    return lambda facts: any(test(facts) for test in tests)


def unless(test: Test) -> Test:
    """The opposite."""
    return lambda facts: not test(facts)


def makes_nan(facts: Facts) -> bool:
    """NaN came out."""
    return facts.origin.nan > 0


def only_inf(facts: Facts) -> bool:
    """Inf came out and no NaN."""
    return facts.origin.inf > 0 and not facts.origin.nan


def has_zeros(names: str) -> Test:
    """An operand holds zeros."""
    return lambda facts: (it := facts.operand(names)) is not None and it.zeros > 0


def below(names: str, bound: float) -> Test:
    """An operand holds numbers below a bound."""
    return lambda facts: (it := facts.operand(names)) is not None and it.minimum < bound


def reaches(names: str, bound: float) -> Test:
    """An operand holds the bound, or goes beyond it, away from 0."""
    if bound < 0:
        return lambda facts: (it := facts.operand(names)) is not None and it.minimum <= bound
    return lambda facts: (it := facts.operand(names)) is not None and it.maximum >= bound


def beyond(names: str, size: float) -> Test:
    """An operand holds numbers of a larger absolute value."""
    return lambda facts: (it := facts.operand(names)) is not None and largest(it) > size


def at_edge(names: str, size: float) -> Test:
    """An operand holds numbers of this absolute value, or larger ones."""
    return lambda facts: (it := facts.operand(names)) is not None and largest(it) >= size


def close_to_zero(names: str, size: float) -> Test:
    """All of an operand's numbers have one sign and the least of them is smaller than this."""
    return lambda facts: (
        (it := facts.operand(names)) is not None and (0 < it.minimum < size or -size < it.maximum < 0)
    )


def holds_inf(names: str) -> Test:
    """Any of these operands holds inf."""
    return lambda facts: any(it.inf for it in facts.operands(names))


def holds_nan(names: str) -> Test:
    """Any of these operands holds NaN."""
    return lambda facts: any(it.nan for it in facts.operands(names))


def is_empty(names: str) -> Test:
    """An operand has no elements."""
    return lambda facts: (it := facts.operand(names)) is not None and 0 in it.shape


def operands_finite(facts: Facts) -> bool:
    """No operand holds NaN or inf."""
    return facts.operands_finite


def could_overflow(facts: Facts) -> bool:
    """Finite numbers whose products, summed up, may leave the dtype's range."""
    sizes = sorted((size for one in facts.tensors if math.isfinite(size := largest(one))), reverse=True)
    if facts.origin.born == "backward":
        return facts.origin.incoming * max(sizes, default=1.0) > facts.limit / _SUMMED
    return facts.operands_finite and math.prod(sizes[:2]) > facts.limit / _SUMMED
