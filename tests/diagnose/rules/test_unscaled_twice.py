"""GD413: a parameter of two optimizers is divided by the loss scale twice."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell

SHARED = {"opt_a": ("shared", "a"), "opt_b": ("shared", "b")}


def test_a_shared_parameter(tell: Tell, lines: Lines) -> None:
    """Only that one is named."""
    story = tell(optimizers=SHARED)
    story.scaler()
    story.scaled(at=41)
    story.unscale("opt_a", at=42)
    story.unscale("opt_b", at=43)
    story.scaler_step("opt_a", at=44, unscaled=True)
    finding = story.found("GD413")
    assert finding.parameters == ("shared",)
    assert lines(finding) == {"step": 44, "first_unscale": 42, "unscale": 43}


def test_unscaled_inside_of_both_steps(tell: Tell) -> None:
    """The second step applies what is divided twice."""
    story = tell(optimizers=SHARED)
    story.scaler()
    story.scaled()
    story.scaler_step("opt_a", at=44)
    story.scaler_step("opt_b", at=45)
    assert story.found("GD413").parameters == ("shared",)


def test_two_optimizers_that_share_nothing(tell: Tell) -> None:
    """One scaler for both."""
    story = tell(optimizers={"opt_a": ("a",), "opt_b": ("b",)})
    story.scaler()
    for _ in range(3):
        story.clear("opt_a")
        story.clear("opt_b")
        story.scaled()
        story.unscale("opt_a")
        story.scaler_step("opt_a", unscaled=True)
        story.scaler_step("opt_b")
        story.update()
    assert story.codes == []
