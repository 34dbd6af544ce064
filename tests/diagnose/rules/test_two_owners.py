"""GD209: one parameter, two optimizers."""

from __future__ import annotations

from graddebug.records import Severity
from tests.diagnose.story import Story, Tell, lines

OWNERS = {"opt_a": ("trunk", "a"), "opt_b": ("trunk", "b")}


def loop(story: Story, count: int = 3, **second: object) -> Story:
    """One backward, and both step."""
    for _ in range(count):
        story.clear("opt_a")
        story.clear("opt_b")
        story.backward()
        story.step("opt_a")
        story.step("opt_b", at=44, **second)
    return story


def test_one_gradient_for_both(tell: Tell) -> None:
    """The shared parameter is moved twice by it."""
    finding = loop(tell(optimizers=OWNERS)).found("GD209")
    assert (finding.severity, finding.parameters, finding.count) == (Severity.WARNING, ("trunk",), 3)
    assert lines(finding) == {"backward": 41, "first_step": 43, "step": 44}
    assert finding.message == (
        "trunk belongs to `opt_a` and to `opt_b`, and both applied the same gradient, that of "
        "`loss.backward()` (train.py:41): `opt_a.step()` (train.py:43), then `opt_b.step()` (train.py:44)."
    )
    assert finding.fix == "Give trunk to one of `opt_a` and `opt_b` only."


def test_in_turn_each_with_its_own_gradient_is_a_note(tell: Tell) -> None:
    """As InfoGAN does on purpose."""
    story = tell(optimizers=OWNERS)
    for _ in range(8):
        for name, line in (("opt_a", 43), ("opt_b", 44)):
            story.clear("opt_a")
            story.clear("opt_b")
            story.backward(OWNERS[name])
            story.step(name, at=line)
    assert (story.codes, story.found("GD209").severity) == (["GD209"], Severity.NOTE)


def test_one_after_the_other(tell: Tell) -> None:
    """Adam for the first steps, L-BFGS for the last ones."""
    story = tell(optimizers={"opt_a": ("w",), "opt_b": ("w",)})
    for name in ("opt_a", "opt_b"):
        for _ in range(10):
            story.clear(name)
            story.backward()
            story.step(name)
    assert story.codes == []


def test_an_optimizer_around_another(tell: Tell) -> None:
    """SAM and Lookahead own what their base optimizer owns, and call its step."""
    story = tell(optimizers={"opt_a": ("w",), "opt_b": ("w",)})
    for _ in range(5):
        story.clear("opt_a")
        story.backward()
        outer = story.enter("opt_a")
        story.step("opt_b", at=60, parent=outer)
        story.leave(outer, "opt_a")
    assert story.alarms == []


def test_a_rate_of_zero_moves_nothing(tell: Tell) -> None:
    """The second step applies nothing."""
    assert loop(tell(optimizers=OWNERS), lr=(0.0,)).codes == []


def test_divided_twice_is_another_matter(tell: Tell) -> None:
    """Under a loss scaler the harm is greater, and GD413 says so."""
    story = tell(optimizers=OWNERS)
    story.scaler()
    story.scaled()
    story.scaler_step("opt_a")
    story.scaler_step("opt_b", at=44)
    assert story.codes == ["GD413"]
