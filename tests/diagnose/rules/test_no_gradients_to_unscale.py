"""GD407: "No inf checks were recorded", explained."""

from __future__ import annotations

from tests.diagnose.story import Lines, Tell

TEXT = "No inf checks were recorded for this optimizer."
TWO = {"opt_a": ("a.weight",), "opt_b": ("b.weight",)}


def test_cleared_before(tell: Tell, lines: Lines) -> None:
    """The clear is named, and the backward whose work it threw away."""
    story = tell()
    story.scaler()
    story.scaled(at=41)
    story.clear("optimizer", at=42)
    story.error("scaler.step", TEXT, at=43)
    assert lines(story.found("GD407")) == {"backward": 41, "clear": 42, "step": 43}


def test_the_backward_was_anothers(tell: Tell) -> None:
    """The optimizer that it belongs to is named."""
    story = tell(optimizers=TWO)
    story.scaler()
    story.scaled(("a.weight",), at=41)
    story.error("scaler.step", TEXT, at=43, optimizer="opt_b")
    assert story.found("GD407").message == (
        "`opt_b` has no gradient to step with, so there is nothing to unscale: `loss.backward()` (train.py:41) "
        "reached a.weight, which belong to `opt_a`, and none of b.weight."
    )


def test_no_backward_and_frozen(tell: Tell) -> None:
    """Two more reasons."""
    story = tell(optimizers=TWO)
    story.scaler()
    story.error("scaler.step", TEXT, at=43, optimizer="opt_a")
    story.freeze(("b.weight",))
    story.error("scaler.step", TEXT, at=44, optimizer="opt_b")
    first, second = (finding for finding in story.findings if finding.rule == "GD407")
    assert "no backward ran since the run began" in first.message
    assert "all that it owns is frozen (b.weight" in second.message


def test_an_update_without_a_step(tell: Tell, lines: Lines) -> None:
    """It says where the update before was."""
    story = tell()
    story.scaler()
    story.scaled()
    story.scaler_step()
    story.update(at=44)
    story.error("scaler.update", "No inf checks were recorded prior to update.", at=45, optimizer=None)
    assert lines(story.found("GD407")) == {"earlier_update": 44, "update": 45}


def test_an_update_after_a_step_past_the_scaler(tell: Tell, lines: Lines) -> None:
    """The reason is the step, not a second update."""
    story = tell()
    story.scaler()
    story.scaled()
    story.step(at=43)
    story.error("scaler.update", "No inf checks were recorded prior to update.", at=44, optimizer=None)
    finding = story.found("GD407")
    assert lines(finding) == {"step": 43, "update": 44}
    assert finding.fix == "Call `scaler.step(optimizer)` instead of `optimizer.step()`."
