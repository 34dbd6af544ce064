"""GD608: clips whose norm is mostly that of other parameters."""

from __future__ import annotations

from graddebug.records import Severity, StepEnd
from tests.diagnose.story import Lines, Story, Tell

GAN = {"optimizers": {"g_opt": ("g.weight",), "d_opt": ("d.weight",)}}
HEAD = {"optimizers": {"optimizer": ("head.weight",)}, "outside": ("backbone.weight",)}


def generator_step(story: Story, *, own: float, other: float, both: bool = False, limit: float = 1.0) -> None:
    story.clear("g_opt")
    story.clear("d_opt")
    story.backward()
    total = (own**2 + other**2) ** 0.5
    story.clip(max_norm=limit, total_norm=total, owners=(0, 1), norms=(own, other))
    if both:
        story.step("d_opt", at=44)
    story.step("g_opt")
    story.tell(StepEnd)


def test_fires_after_three_windows(tell: Tell, lines: Lines) -> None:
    """The generator pays for the discriminator."""
    story = tell(**GAN)
    for _ in range(2):
        generator_step(story, own=3.0, other=40.0)
    assert "GD608" not in story.codes
    generator_step(story, own=3.0, other=40.0)
    finding = story.found("GD608")
    assert (finding.severity, finding.parameters) == (Severity.WARNING, ("d.weight",))
    assert lines(finding) == {"step": 43, "clip": 42}
    assert finding.message == (
        "`clip_grad_norm_(params, 1.0)` (train.py:42) counts d.weight, which `g_opt.step()` (train.py:43) "
        "does not train: their norm is 40, and 3 that of the gradients it applies. Those were shrunk to "
        "0.0748; by themselves they would have kept 1."
    )


def test_both_step_with_it(tell: Tell) -> None:
    """One norm over two optimizers, which both step."""
    story = tell(**GAN)
    for _ in range(6):
        generator_step(story, own=3.0, other=40.0, both=True)
    assert "GD608" not in story.codes


def test_a_small_share_is_right(tell: Tell) -> None:
    """The others hardly count."""
    story = tell(**GAN)
    for _ in range(6):
        generator_step(story, own=3.0, other=1.0)
    assert "GD608" not in story.codes


def test_a_clip_that_does_not_act_does_no_harm(tell: Tell) -> None:
    """The limit is above both."""
    story = tell(**GAN)
    for _ in range(6):
        generator_step(story, own=3.0, other=40.0, limit=50.0)
    assert "GD608" not in story.codes


def test_parameters_in_no_optimizer(tell: Tell) -> None:
    """To freeze them is another way out."""
    story = tell(**HEAD)
    for _ in range(3):
        story.clear("optimizer")
        story.backward()
        story.clip(max_norm=1.0, total_norm=5.0, owners=(-1, 0), norms=(4.0, 3.0))
        story.step()
        story.tell(StepEnd)
    finding = story.found("GD608")
    assert finding.parameters == ("backbone.weight",)
    assert "requires_grad_(False)" in finding.fix
