"""GD503: NaN in the gradient of elements that the forward throws away."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.nonfinite.facts import stem
from graddebug.diagnose.nonfinite.telling import Birth, births, claim, is_masked
from graddebug.diagnose.rule import Claim, Claims, Rule
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger, NonfiniteSettled
from graddebug.records import Severity


class MaskedBranchNan(Rule):
    """A mask hides an op's bad values in the forward; in the backward its 0 meets their inf."""

    code = "GD503"
    slug = "masked-branch-nan"
    title = "A mask hides bad values in the forward and not in the backward"
    severity = Severity.ERROR
    needs = (BACKWARDS,)
    why = (
        "torch.where(mask, f(x), 0) computes f(x) everywhere. Where the mask is off, the value is thrown "
        "away and a gradient of 0 goes back into f; if f's derivative is inf there, 0·inf is NaN. The loss "
        "never shows it."
    )
    fix = "Make the input safe before the op, not the result after it: `where` twice."
    example = (
        "y = torch.where(x > 0, torch.log(x), 0.0)                # wrong: NaN gradient where x is 0\n"
        "\n"
        "safe = torch.where(x > 0, x, 1.0)                        # right: the op never sees the 0\n"
        "y = torch.where(x > 0, torch.log(safe), 0.0)\n"
    )

    def on_nonfinite_settled(self, fact: NonfiniteSettled, ledger: Ledger) -> Claims:
        """Tell of each op behind a mask, now that it is known what became of its gradients."""
        return [_claim(birth, ledger) for birth in births(fact, is_masked)]


def _claim(birth: Birth, ledger: Ledger) -> Claim:
    return claim(
        birth,
        ledger,
        message=(
            f"The gradient became {birth.what} at {birth.place} ({birth.share}), although the forward does "
            f"not use what it computes there: {_hidden_by(birth)}. The cause is {birth.why.words}"
            f"{'; 0 times inf is NaN' if birth.why.call else ''}."
        ),
        fix=_fix(birth),
    )


def _hidden_by(birth: Birth) -> str:
    origin = birth.origin
    if origin.mask_op:
        mask = quoted(origin.mask_site, stem(origin.mask_op).lower())
        return f"{mask} throws those elements away, and sends a gradient of 0 back for them"
    zeros = f"{origin.incoming_zeros:,} of {origin.incoming_numel:,} elements"
    return f"a mask, an index or a product with 0 throws them away, so that the gradient is 0 there ({zeros})"


def _fix(birth: Birth) -> str:
    why = birth.why
    if not why.call:
        return why.fix
    twice = f"torch.where(mask, {why.call.format(x=f'torch.where(mask, x, {why.safe})')}, 0.0)"
    return (
        f"Make the input safe before the op at {quoted(birth.origin.site, birth.origin.op)}, not its result "
        f"after it: `{twice}`."
    )
