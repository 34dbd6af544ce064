"""GD501: an op whose derivative makes NaN or inf of a finite gradient."""

from __future__ import annotations

from graddebug.diagnose.evidence import BACKWARDS
from graddebug.diagnose.nonfinite.facts import number
from graddebug.diagnose.nonfinite.telling import Birth, births, claim, is_masked
from graddebug.diagnose.rule import Claim, Claims, Rule
from graddebug.diagnose.wording import quoted, sentence
from graddebug.ledger import Ledger, NonfiniteSettled
from graddebug.records import Origin, Severity


class NonfiniteBornBackward(Rule):
    """Finite gradients came into a node of the graph, and NaN or inf went out."""

    code = "GD501"
    slug = "nonfinite-born-backward"
    title = "An op's derivative makes NaN or inf of a finite gradient"
    severity = Severity.ERROR
    needs = (BACKWARDS,)
    why = (
        "Many ops have a finite value where their derivative has none: sqrt at 0, acos at 1, a norm written "
        "by hand. The loss looks healthy, one backward makes every weight NaN. detect_anomaly ignores inf "
        "and then blames the op after it."
    )
    fix = "Keep the op's input away from the point where its derivative is not finite: add an eps, or clamp."
    example = (
        "distance = ((a - b) ** 2).sum(-1).sqrt()           # wrong: inf where a equals b\n"
        "distance.mean().backward()\n"
        "\n"
        "distance = torch.linalg.vector_norm(a - b, dim=-1)  # right: its gradient at 0 is 0\n"
        "distance.mean().backward()\n"
    )

    def on_nonfinite_settled(self, fact: NonfiniteSettled, ledger: Ledger) -> Claims:
        """Tell of each such op, now that it is known what became of its gradients."""
        return [_claim(birth, ledger) for birth in births(fact, _is_mine)]


def _is_mine(origin: Origin) -> bool:
    return origin.born in ("backward", "root") and not is_masked(origin)


def _claim(birth: Birth, ledger: Ledger) -> Claim:
    origin = birth.origin
    if origin.born == "root":
        return _root(birth, ledger)
    came = f" (norm {number(origin.incoming)})" if origin.incoming == origin.incoming else ""
    return claim(
        birth,
        ledger,
        message=(
            f"The gradient became {birth.what} at {birth.place}: a finite one{came} came into its "
            f"{origin.op}, and what went out is {birth.what} in {birth.share}. The cause "
            f"is {birth.why.words}."
        ),
        fix=birth.why.fix,
    )


def _root(birth: Birth, ledger: Ledger) -> Claim:
    """Backward began with a bad gradient: a scaled loss that overflowed, or ``backward(gradient)``."""
    backward = birth.fact.backward
    line = sentence(quoted(backward.site if backward else None, "backward()"))
    scale = birth.fact.event.scale
    cause = (
        f"the loss times its scale, {number(scale)}, overflowed" if scale else "what it was given holds it"
    )
    return claim(
        birth,
        ledger,
        message=f"{line} began with a gradient that holds {birth.what} ({birth.share}): {cause}.",
        fix="Look at the gradient that is passed to `backward()`, or at what multiplies the loss before it.",
    )
