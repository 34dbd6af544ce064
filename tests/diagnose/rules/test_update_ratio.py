"""GD511: steps that are far too long or far too short."""

from __future__ import annotations

from tests.diagnose.story import Lines, Story, Tell


def train(
    story: Story, ratio: float, *, steps: int = 70, rates: tuple[float, ...] = (0.1,), weight: float = 1.0
) -> Story:
    for step in range(steps):
        story.clear("optimizer")
        story.backward()
        story.step(lr=(rates[step % len(rates)],))
        story.measured(grad_norm=1.0, update_ratio=ratio, weight_norm=weight if step == 0 else 1.0)
    return story


def test_far_too_short(tell: Tell, lines: Lines) -> None:
    """From the beginning on, the whole optimizer."""
    finding = train(tell(), 1e-9).found("GD511")
    assert (finding.severity.word, lines(finding)) == ("note", {"backward": 41, "step": 43})
    assert finding.message == (
        "A step of `optimizer` moves fc1.weight, fc1.bias and 2 more by 1e-09 of their norm, for 50 steps now; "
        "about 0.001 is usual. The steps are far too short."
    )
    assert finding.fix == "Raise the learning rate of `optimizer` (it is 0.1)."


def test_far_too_long(tell: Tell) -> None:
    """Half of the weights' norm in each step."""
    assert train(tell(), 0.9).found("GD511").fix.startswith("Lower")


def test_within_the_band(tell: Tell) -> None:
    """Wide: it is a rule of thumb."""
    assert [train(tell(), ratio).codes for ratio in (1e-6, 1e-3, 0.2)] == [[], [], []]


def test_while_the_rate_changes(tell: Tell) -> None:
    """A warm-up, the last steps of a schedule, a search for a rate."""
    assert train(tell(), 1e-9, rates=(1e-9, 2e-9, 3e-9)).codes == []


def test_converged(tell: Tell) -> None:
    """What has moved may stand."""
    story = train(tell(), 1e-3)
    assert train(story, 1e-9).codes == []


def test_layers_that_began_at_zero(tell: Tell) -> None:
    """They have no norm to compare with."""
    assert train(tell(), 0.9, weight=0.0).codes == []


def stuck(story: Story, **numbers: float) -> list[str]:
    """Weights of about 1 with gradients of about 1, and no element that changes."""
    for _ in range(70):
        story.clear("optimizer")
        story.backward()
        story.step()
        story.measured(grad_norm=10.0, weight_norm=10.0, update_ratio=0.0, **numbers)
    return story.codes


def test_what_should_have_moved_is_another_finding(tell: Tell) -> None:
    """The rate is good: the steps are rounded away (GD207), or go elsewhere (GD210)."""
    names = ("fc1.weight", "fc2.weight")
    shapes = dict.fromkeys(names, (10, 10))
    assert "GD511" not in stuck(tell(*names, shapes=shapes))
    assert "GD511" not in stuck(tell(*names, shapes=shapes, dtypes=dict.fromkeys(names, "bfloat16")))
