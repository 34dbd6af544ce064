"""GD415 and GD410: numbers lost at the lower end, with a scaler and without."""

from __future__ import annotations

from typing import Any

import pytest

from graddebug.records import ScalerSeen
from tests.diagnose.scaled import Scaled
from tests.diagnose.story import Story, Tell

#: A histogram around 2**-17, which is below 2**-14.
SMALL: dict[str, Any] = {
    "absmax": 2.0**-12,
    "zero_share": 0.3,
    "subnormal_share": 0.6,
    "lowest_exponent": -22,
    "exponents": (5, 20, 50, 150, 200, 150, 50, 25, 25, 20, 5),
}
#: Nearly everything was flushed by a cast.
FLUSHED: dict[str, Any] = {"absmax": 0.0, "zero_share": 1.0, "flushed_share": 1.0}


def measured(scaled: Scaled, *, times: int = 3, **fields: Any) -> Story:
    for _ in range(times):
        scaled.half(**fields)
    return scaled.story


def test_a_scale_that_rescues(tell: Tell) -> None:
    """Three measurements; the first percentile becomes normal; wording."""
    story = measured(Scaled(tell(), scale=4.0), **SMALL)
    finding = story.found("GD415")
    assert finding.message == (
        "At a loss scale of 4, 86% of the gradients that are not zero lie below 6e-05, where float16 loses bits "
        "(the largest is 0.000244). A scale of 512 would lift them, and leave 2 bits for the largest."
    )
    assert finding.fix == "Begin with `GradScaler(init_scale=512)`."


def test_no_scale_rescues(tell: Tell) -> None:
    """The largest is at the edge already."""
    story = measured(Scaled(tell()), **(SMALL | {"absmax": 30000.0}))
    assert story.found("GD415").fix.startswith("Train in bfloat16")


def test_all_flushed(tell: Tell) -> None:
    """Nothing is left to make a histogram of."""
    story = measured(Scaled(tell(), scale=1.0), **FLUSHED)
    assert "100% of the gradients that were not zero became 0 in float16" in story.found("GD415").message
    assert story.found("GD415").evidence["rescuing_scale"] == 65536.0


def test_without_a_scaler_it_is_another_finding(tell: Tell) -> None:
    """float16, nobody scales."""
    story = measured(Scaled(tell()), scale=None, **SMALL)
    assert story.codes == ["GD410"]
    assert story.found("GD410").message == (
        "Gradients are computed in float16 and no scaler is in use: 86% of the gradients that are not zero lie "
        "below 6e-05, where float16 loses bits (the largest is 0.000244). A scale of 128 would lift them."
    )


def test_a_disabled_scaler_is_named(tell: Tell) -> None:
    """`enabled=False` is often left over from a test on the CPU."""
    story = tell()
    story.tell(ScalerSeen, scaler=0, name="scaler", enabled=False)
    measured(Scaled(story), scale=None, **SMALL)
    assert story.found("GD410").fix.startswith("Enable scaler wherever")


def test_an_unscaled_backward_beside_a_scaler_is_another_rules_business(tell: Tell) -> None:
    """A scaler is in use."""
    story = tell()
    story.tell(ScalerSeen, scaler=0, name="scaler")
    assert measured(Scaled(story), scale=None, **SMALL).codes == []


@pytest.mark.parametrize("scale", [None, 1024.0])
@pytest.mark.parametrize(
    "fields",
    [
        SMALL | {"times": 2},  # not for long
        SMALL | {"dtype": "bfloat16"},
        SMALL | {"what": "outputs"},
        SMALL | {"subnormal_share": 0.2},  # the tail of a healthy distribution
        {"absmax": 3.0, "zero_share": 0.99},  # dead units and padding
        {"absmax": 3.0, "zero_share": 0.2, "flushed_share": 0.9},  # a large vocabulary's tail
        SMALL | {"absmax": float("inf")},
    ],
)
def test_what_is_right(tell: Tell, scale: float | None, fields: dict[str, Any]) -> None:
    """Zeros prove nothing, and a tail is lost in every training."""
    assert measured(Scaled(tell()), scale=scale, **fields).codes == []


def test_a_loss_that_is_fitted_is_no_alarm(tell: Tell) -> None:
    """Its gradients are next to nothing at any scale that anyone uses."""
    tiny = SMALL | {"absmax": 2.0**-20, "lowest_exponent": -24, "exponents": (500, 300, 100, 50, 20)}
    assert measured(Scaled(tell()), **tiny).codes == []
