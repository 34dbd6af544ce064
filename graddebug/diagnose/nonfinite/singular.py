"""Roots, powers, quotients, logarithms, inverse functions: where they or their derivatives have no value."""

from __future__ import annotations

from graddebug.diagnose.nonfinite.entry import (
    Entry,
    always,
    any_of,
    at_edge,
    below,
    both,
    close_to_zero,
    has_zeros,
    holds_inf,
    makes_nan,
    only_inf,
    operands_finite,
    reaches,
    unless,
)
from graddebug.diagnose.nonfinite.facts import Facts


def _exponent(facts: Facts) -> float:
    it = facts.operand("exponent|other")
    return it.minimum if it is not None else float("nan")


def _exponent_below_one(facts: Facts) -> bool:
    return _exponent(facts) < 1


def _exponent_below_zero(facts: Facts) -> bool:
    return _exponent(facts) < 0


def _cannot_overflow(facts: Facts) -> bool:
    """A product of such small numbers is never inf: it was a division."""
    return facts.operands_finite and all(
        abs(one.minimum) < 1e4 and abs(one.maximum) < 1e4 for one in facts.origin.operands
    )


ROOTS = (
    Entry(
        ops=("Sqrt",),
        born="backward",
        when=any_of(has_zeros("result|self"), both(only_inf, lambda facts: not facts.origin.operands)),
        cause="square root of 0",
        words="the square root of {result_or_self:zeros}: its derivative 1/(2·sqrt(x)) is inf there",
        fix="Add a small eps inside the root, `torch.sqrt(x + {eps})`; if it is the length of a vector, use "
        "`torch.linalg.vector_norm`, whose gradient at 0 is 0 in {torch}.",
        call="torch.sqrt({x})",
        safe="1.0",
    ),
    Entry(
        ops=("Sqrt", "sqrt"),
        when=makes_nan,
        cause="square root of a negative number",
        words="the square root of {self:low}, and below 0 it is NaN",
        fix="Clamp before the root, `torch.sqrt(x.clamp(min={eps}))`: a variance or a sum of squares that "
        "comes out slightly negative is rounding.",
        call="torch.sqrt({x})",
        safe="1.0",
    ),
    Entry(
        ops=("Rsqrt", "rsqrt"),
        when=has_zeros("self"),
        cause="division by 0",
        words="1/sqrt(x) of {self:zeros}, which is inf at 0",
        fix="Add a small eps inside the root: `torch.rsqrt(x + {eps})`.",
        call="torch.rsqrt({x})",
        safe="1.0",
    ),
    Entry(
        ops=("Rsqrt",),
        born="backward",
        when=always,
        cause="division by nearly 0",
        words="1/sqrt(x) with results up to {result:high}: its derivative grows with their third power",
        fix="Add a small eps inside the root: `torch.rsqrt(x + {eps})`.",
        call="torch.rsqrt({x})",
        safe="1.0",
    ),
    Entry(
        ops=("Pow",),
        born="backward",
        when=both(has_zeros("self"), _exponent_below_one),
        cause="power below 1 of 0",
        words="{self:zeros} to the power {exponent:value}: the derivative p·x^(p-1) is inf at 0 for p < 1",
        fix="Add a small eps to the base, `(x + {eps}) ** p`; if it is the length of a vector, use "
        "`torch.linalg.vector_norm`, whose gradient at 0 is 0 in {torch}.",
        call="{x} ** p",
        safe="1.0",
    ),
    Entry(
        ops=("Pow",),
        born="backward",
        when=below("self", 0),
        cause="logarithm of a negative base",
        words="a power whose exponent wants a gradient, with {self:low} as the base: that gradient is "
        "x^p·log(x), NaN below 0",
        fix="Use a positive base, `x.clamp(min={eps}) ** p`, or detach the exponent.",
        call="{x} ** p",
        safe="1.0",
    ),
    Entry(
        ops=("Pow", "pow", "__pow__"),
        born="forward",
        when=both(has_zeros("self"), _exponent_below_zero, only_inf),
        cause="division by 0",
        words="{self:zeros} to the power {exponent_or_other:value}, which is inf at 0",
        fix="Keep the base away from 0: `x.clamp(min={eps}) ** p`.",
        call="{x} ** p",
        safe="1.0",
    ),
    Entry(
        ops=("Pow", "pow", "__pow__"),
        born="forward",
        when=both(below("self", 0), makes_nan),
        cause="fractional power of a negative number",
        words="{self:low} to the power {exponent_or_other:value}: of a negative number that is NaN unless "
        "the exponent is whole",
        fix="Clamp the base, `x.clamp(min={eps}) ** p`, or use its absolute value if the sign means nothing.",
        call="{x} ** p",
        safe="1.0",
    ),
)

_AWAY = (
    "Keep the divisor away from 0: `a / b.clamp(min=1e-6)` if it is never negative, "
    "`total / count.clamp(min=1)` for a mean that may have nothing to count."
)

QUOTIENTS = (
    Entry(
        ops=("Div", "__truediv__", "div", "true_divide"),
        when=both(has_zeros("other"), has_zeros("self"), makes_nan),
        cause="0/0",
        words="a quotient in which numerator ({self:zeros}) and divisor ({other:zeros}) are 0 together",
        fix=_AWAY,
        call="a / {x}",
        safe="1.0",
    ),
    Entry(
        ops=("Div", "__truediv__", "div", "true_divide", "Addcdiv", "Fmod", "Remainder"),
        when=has_zeros("other|tensor2|argument 3"),
        cause="division by 0",
        words="a division by {other_or_tensor2:zeros}",
        fix=_AWAY,
        call="a / {x}",
        safe="1.0",
    ),
    Entry(
        ops=("Div",),
        born="backward",
        when=close_to_zero("other", 1e-6),
        cause="division by nearly 0",
        words="a division by {other}: the derivative -a/b² grows with the square of 1/b and left the range "
        "of {dtype}",
        fix=_AWAY,
        call="a / {x}",
        safe="1.0",
    ),
    Entry(
        ops=("Reciprocal", "reciprocal"),
        when=has_zeros("self"),
        cause="division by 0",
        words="the reciprocal of {self:zeros}",
        fix="Keep the divisor away from 0: `1 / x.clamp(min=1e-6)` if it is never negative.",
        call="1 / {x}",
        safe="1.0",
    ),
    Entry(
        ops=("Reciprocal",),
        born="backward",
        when=always,
        cause="division by nearly 0",
        words="a reciprocal with results up to {result:high}: its derivative is the square of that and left "
        "the range of {dtype}",
        fix="Keep the divisor away from 0: `1 / x.clamp(min=1e-6)` if it is never negative.",
        call="1 / {x}",
        safe="1.0",
    ),
    Entry(
        ops=("Mul",),  # `1 / x` of Python is a reciprocal and a product, one call
        born="forward",
        when=both(has_zeros("self"), only_inf, _cannot_overflow),
        cause="division by 0",
        words="a division by {self:zeros}",
        fix="Keep the divisor away from 0: `1 / x.clamp(min=1e-6)` if it is never negative.",
        call="1 / {x}",
        safe="1.0",
    ),
)

_CLAMP_LOG = (
    "Keep the argument above 0: `{call}`; for the logarithm of a softmax or a sigmoid use "
    "`F.log_softmax` or `F.logsigmoid` on the logits, which cannot underflow to 0."
)


def _logs(stems: tuple[str, ...], call: str) -> tuple[Entry, ...]:
    """The three ways of a logarithm: of 0 in forward, of 0 behind a mask, of a negative number."""
    fix = _CLAMP_LOG.replace("{call}", call.format(x="x.clamp(min={eps})"))
    at_zero = "the logarithm of {self:zeros}: "
    return (
        Entry(
            ops=stems,
            born="forward",
            when=both(has_zeros("self"), only_inf),
            cause="logarithm of 0",
            words=at_zero + "log(0) is -inf",
            fix=fix,
            call=call,
            safe="1.0",
        ),
        Entry(
            ops=stems,
            born="backward",
            when=has_zeros("self"),
            cause="logarithm of 0",
            words=at_zero + "its derivative 1/x is inf there",
            fix=fix,
            call=call,
            safe="1.0",
        ),
        Entry(
            ops=stems,
            when=below("self", 0),
            cause="logarithm of a negative number",
            words="the logarithm of {self:low}, and below 0 it is NaN",
            fix=fix,
            call=call,
            safe="1.0",
        ),
    )


LOGARITHMS = (
    *_logs(("Log", "log"), "torch.log({x})"),
    *_logs(("Log2", "log2"), "torch.log2({x})"),
    *_logs(("Log10", "log10"), "torch.log10({x})"),
    Entry(
        ops=("Log1P", "log1p"),
        when=reaches("self", -1),
        cause="logarithm of 0",
        words="log1p of {self:low}: at -1 that is the logarithm of 0, below it NaN",
        fix="Keep the argument above -1: `torch.log1p(x.clamp(min=-1 + {edge}))`.",
        call="torch.log1p({x})",
        safe="0.0",
    ),
    Entry(
        ops=("Logit", "logit"),
        when=always,
        cause="logit of 0 or 1",
        words="the logit of {self}: it is inf at 0 and 1, NaN outside",
        fix="Give it an eps, `torch.logit(x, eps={edge})`, or keep the logits instead of their sigmoid.",
        call="torch.logit({x})",
        safe="0.5",
    ),
    Entry(
        ops=("Xlogy", "SpecialXlog1Py", "xlogy"),
        when=has_zeros("other"),
        cause="logarithm of 0",
        words="x·log(y) with {other:zeros} as y: its derivative x/y is 0/0 or inf there",
        fix="Keep the second argument above 0: `torch.xlogy(x, y.clamp(min={eps}))`.",
        call="torch.xlogy(a, {x})",
        safe="1.0",
    ),
    Entry(
        ops=("SpecialEntr",),
        born="backward",
        when=has_zeros("self"),
        cause="logarithm of 0",
        words="the entropy -x·log(x) of {self:zeros}: its derivative is inf there",
        fix="Keep the argument above 0: `torch.special.entr(x.clamp(min={eps}))`.",
        call="torch.special.entr({x})",
        safe="1.0",
    ),
    Entry(
        ops=("Lgamma", "Digamma", "Polygamma", "Mvlgamma", "lgamma", "digamma"),
        when=always,
        cause="pole of the gamma function",
        words="a gamma function of {self}: it is inf at 0 and at negative whole numbers",
        fix="Keep the argument above 0: `torch.lgamma(x.clamp(min={eps}))`.",
        call="torch.lgamma({x})",
        safe="1.0",
    ),
)

INVERSES = (
    *(
        Entry(
            ops=(stem, stem.lower()),
            when=at_edge("self", 1),
            cause=f"{stem.lower()} at ±1",
            words=f"{stem.lower()} of {{self}}: at ±1 its derivative is inf, outside it is NaN",
            fix=f"Clamp a little inside: `torch.{stem.lower()}(x.clamp(-1 + {{edge}}, 1 - {{edge}}))`.",
            call=f"torch.{stem.lower()}({{x}})",
            safe="0.0",
        )
        for stem in ("Acos", "Asin", "Atanh", "Erfinv")
    ),
    Entry(
        ops=("Acosh", "acosh"),
        when=unless(reaches("self", float("inf"))),
        cause="acosh at 1",
        words="acosh of {self:low}: at 1 its derivative is inf, below it is NaN",
        fix="Clamp a little above 1: `torch.acosh(x.clamp(min=1 + {edge}))`.",
        call="torch.acosh({x})",
        safe="2.0",
    ),
    Entry(
        ops=("SpecialNdtri",),
        when=always,
        cause="quantile of 0 or 1",
        words="the normal quantile of 0 or 1, which is inf",
        fix="Clamp a little inside: `torch.special.ndtri(x.clamp({edge}, 1 - {edge}))`.",
        call="torch.special.ndtri({x})",
        safe="0.5",
    ),
    Entry(
        ops=("Atan2",),
        born="backward",
        when=both(has_zeros("self"), has_zeros("other")),
        cause="atan2(0, 0)",
        words="atan2(0, 0), whose derivative is 0/0 in {torch}",
        fix="Keep one argument away from 0, `torch.atan2(y, torch.where(x == 0, {eps}, x))`, or update "
        "torch: 2.13 gives 0 there.",
        call="torch.atan2(y, {x})",
        safe="1.0",
    ),
    Entry(
        ops=("Hypot",),
        born="backward",
        when=has_zeros("result"),
        cause="0/0",
        words="hypot(0, 0): its derivative x/hypot(x, y) is 0/0 there",
        fix="Use `torch.linalg.vector_norm(torch.stack([x, y]), dim=0)`, whose gradient at 0 is 0 "
        "in {torch}.",
        call="torch.hypot({x}, y)",
        safe="1.0",
    ),
)

EXPONENTIALS = (
    Entry(
        ops=("Exp", "Exp2", "Expm1", "Sinh", "Cosh", "exp", "exp2", "expm1", "sinh", "cosh"),
        when=both(unless(holds_inf("self|result")), operands_finite, only_inf),
        born="forward",
        cause="overflow of an exponential",
        words="an exponential of {self:high}: over {limit}, the largest number of {dtype}",
        fix="Clamp the exponent, `torch.exp(x.clamp(max={exp_limit}))`, or subtract its maximum first, as "
        "`torch.softmax` and `torch.logsumexp` do.",
        call="torch.exp({x})",
        safe="0.0",
    ),
    Entry(
        ops=("Exp", "Exp2", "Expm1", "Sinh", "Cosh"),
        born="backward",
        when=unless(holds_inf("self")),
        cause="overflow of an exponential",
        words="an exponential that overflowed in the forward ({result:bad}), and so does its derivative",
        fix="Clamp the exponent, `torch.exp(x.clamp(max={exp_limit}))`, or subtract its maximum first, as "
        "`torch.softmax` and `torch.logsumexp` do.",
        call="torch.exp({x})",
        safe="0.0",
    ),
)

ENTRIES = (*ROOTS, *QUOTIENTS, *LOGARITHMS, *INVERSES, *EXPONENTIALS)
