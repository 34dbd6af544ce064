"""GD502: NaN or inf arises in the forward, or comes in with data or weights."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.nonfinite.reductions import RUNNING_STATISTICS
from graddebug.diagnose.nonfinite.telling import Birth, births, called, claim, step_of
from graddebug.diagnose.rule import Claim, Claims, Rule
from graddebug.diagnose.wording import quoted, sentence
from graddebug.ledger import Ledger, NonfiniteSettled
from graddebug.records import Operand, Origin, Severity


class NonfiniteBornForward(Rule):
    """The first op with finite operands and a result that is not, or the input that was bad."""

    code = "GD502"
    slug = "nonfinite-born-forward"
    title = "NaN or inf arises in the forward"
    severity = Severity.ERROR
    needs = (BACKWARDS,)
    why = (
        "Once a number of the forward is NaN, so is the loss, and so is every gradient. No loss scale and no "
        "clipping helps; what helps is to mend the first op that made it, or the data that brought it in."
    )
    fix = "Mend the first op whose result is not finite; if its input is bad already, mend the data."
    example = (
        "loss = -(targets * torch.log(probabilities)).sum()    # wrong: log(0) is -inf\n"
        "\n"
        "loss = F.cross_entropy(logits, targets)               # right: never takes log(0)\n"
    )

    def on_nonfinite_settled(self, fact: NonfiniteSettled, ledger: Ledger) -> Claims:
        """Tell of each such op or input, now that it is known what became of the gradients."""
        return [_WAYS[birth.origin.born](birth, ledger) for birth in births(fact, _is_mine)]


def _is_mine(origin: Origin) -> bool:
    return origin.born in _WAYS


def _op(birth: Birth, ledger: Ledger) -> Claim:
    return claim(
        birth,
        ledger,
        message=(
            f"{sentence(birth.place)} made {birth.what} of finite numbers, in {birth.share} of its result. "
            f"The cause is {birth.why.words}."
        ),
        fix=birth.why.fix,
    )


def _data(birth: Birth, ledger: Ledger) -> Claim:
    if birth.why.cause == RUNNING_STATISTICS:  # a buffer is no data
        words = f"{sentence(birth.place)} is {birth.why.words}."
        return claim(birth, ledger, message=words, fix=birth.why.fix)
    bad = next((one for one in birth.origin.operands if one.nan or one.inf), None)
    holds = _holds(bad) if bad is not None else f"{birth.share} are {birth.what}"
    step = step_of(birth.fact)
    return claim(
        birth,
        ledger,
        message=f"{birth.what} came in with the data of step {step}: in the input of {birth.place}, {holds}.",
        fix=(
            "Mend the data: check `torch.isfinite(x).all()` where a batch is loaded, and drop or repair what "
            f"fails; the op at {quoted(birth.origin.site, called(birth.origin))} only passes it on."
        ),
    )


def _holds(bad: Operand) -> str:
    found = [f"{count:,}" + f" {word}" for count, word in ((bad.nan, "NaN"), (bad.inf, "inf")) if count]
    shape = f" of shape {tuple(bad.shape)}" if bad.shape else ""
    return f"a tensor{shape}, {' and '.join(found)} among {bad.numel:,} elements"


def _weights(birth: Birth, ledger: Ledger) -> Claim:
    index = birth.origin.parameter
    name = ledger.parameter_name(index) if index is not None else "a parameter"
    return claim(
        birth,
        ledger,
        message=(
            f"The weights of {name} hold {birth.what}, and {birth.place} used them; no step was seen that "
            "made them so: they were initialised or loaded that way."
        ),
        fix=(
            f"Look at how {name} gets its first values: `torch.empty` holds whatever was in memory, and a "
            "checkpoint keeps the NaN of the run that wrote it."
        ),
    )


_WAYS = {"forward": _op, "data": _data, "weights": _weights}
