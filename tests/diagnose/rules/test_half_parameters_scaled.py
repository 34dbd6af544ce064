"""GD408: "Attempting to unscale FP16 gradients", explained."""

from __future__ import annotations

from tests.diagnose.story import Tell

TEXT = "Attempting to unscale FP16 gradients."


def test_one_half_layer(tell: Tell) -> None:
    """Its parameters and its module are named."""
    story = tell()
    story.scaler()
    story.scaled()
    story.error("scaler.unscale_", TEXT, at=42, params=story.set(("fc2.weight", "fc2.bias")))
    finding = story.found("GD408")
    assert finding.parameters == ("fc2.weight", "fc2.bias")
    assert "2 of its 4 parameters (fc2.weight and fc2.bias, in fc2" in finding.message
    assert finding.fix == "Keep fc2 in float32 (`.float()`) and run the forward under `torch.autocast`."


def test_a_model_that_is_half_as_a_whole(tell: Tell) -> None:
    """Then it is the model that is cast."""
    story = tell()
    story.scaler()
    story.scaled()
    story.error("scaler.step", TEXT, at=42)
    assert "all that it owns" in story.found("GD408").message
    assert story.found("GD408").fix.startswith("Keep the model in float32")
