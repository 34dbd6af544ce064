"""GD207: steps that are rounded away."""

from __future__ import annotations

import pytest

from graddebug.records import Severity
from tests.diagnose.story import MODEL, Story, Tell, lines

LOW = dict.fromkeys(MODEL, "bfloat16")
SHAPES = dict.fromkeys(MODEL, (10, 10))


def train(story: Story, steps: int = 10, *, lr: float = 1e-4, rise: float = 1.0, **numbers: object) -> Story:
    """Steps over 100 weights of about 0.5, where bfloat16 has a number each 2 ** -8."""
    told = {"grad_norm": 10.0, "grad_zero_share": 0.0, "weight_norm": 5.0, "changed_share": 0.0} | numbers
    for step in range(steps):
        story.clear("optimizer")
        story.backward()
        story.step(lr=(lr * rise**step,))
        story.measured(**told)  # type: ignore[arg-type]
    return story


def low(tell: Tell, **dtypes: str) -> Story:
    """A model in bfloat16 with an optimizer of torch's own."""
    return tell(shapes=SHAPES, dtypes=LOW | dtypes, stock=True)


def test_steps_that_are_rounded_away(tell: Tell) -> None:
    """An error, with the spacing against the step, and no word of the learning rate by itself."""
    story = train(low(tell), 80)
    story.end()
    finding = story.found("GD207")
    assert (story.codes, finding.severity, finding.parameters) == (["GD207"], Severity.ERROR, MODEL)
    assert lines(finding) == {"backward": 41, "step": 43}
    assert finding.message == (
        "`optimizer.step()` had a gradient for fc1.weight, fc1.bias and 2 more and a learning rate of 0.0001, "
        "and in 10 steps it changed no element: in bfloat16 numbers of about 0.5 lie 0.00391 apart, and a "
        "change of about 0.0001 is rounded away."
    )
    assert finding.evidence["dtype"] == "bfloat16"
    assert finding.evidence["spacing"] == 2.0**-8


def test_a_short_run(tell: Tell) -> None:
    """Five steps are proof enough, four are not."""
    story = train(low(tell), 4)
    story.end()
    assert story.codes == []
    story = train(low(tell), 5)
    story.end()
    assert story.codes == ["GD207"]


@pytest.mark.parametrize(
    "numbers",
    [
        {"changed_share": 0.08},
        {"grad_norm": 0.0},
        {"lr": 0.0},
        {"rise": 1.3},
        {"lr": 0.1},
        {"weight_norm": 0.0},
    ],
    ids=["some move", "no gradient", "no rate", "warm-up", "long steps", "zero weights"],
)
def test_what_is_no_loss(tell: Tell, numbers: dict[str, float]) -> None:
    """Steps that move weights, ask for nothing, or are only beginning."""
    assert "GD207" not in train(low(tell), 20, **numbers).codes


def test_the_end_of_a_schedule(tell: Tell) -> None:
    """What has moved before may stand still at last."""
    story = train(low(tell), 10, lr=1e-2, changed_share=0.6)
    train(story, 60, lr=1e-5)
    assert story.alarms == []


def test_float32_is_another_matter(tell: Tell) -> None:
    """Steps of 1e-4 move weights of 0.5 there."""
    story = tell(shapes=SHAPES, stock=True)
    assert "GD207" not in train(story, 20).codes


def test_optimizers_of_others(tell: Tell) -> None:
    """They may round stochastically, or keep float32 weights."""
    assert train(tell(shapes=SHAPES, dtypes=LOW), 20).codes == []


def test_the_smaller_part_is_a_note(tell: Tell) -> None:
    """Norm weights of 1 stand still while the matrices are trained."""
    share = dict.fromkeys(MODEL, 0.5) | {"fc1.bias": 0.0}
    finding = train(low(tell), 10, changed_share=share).found("GD207")
    assert (finding.severity, finding.parameters) == (Severity.NOTE, ("fc1.bias",))


def test_the_only_layer_in_low_precision(tell: Tell) -> None:
    """All that is in low precision is lost, whatever float32 does beside it."""
    story = tell(shapes=SHAPES, dtypes={"fc1.weight": "float16"}, stock=True)
    share = dict.fromkeys(MODEL, 1.0) | {"fc1.weight": 0.01}
    finding = train(story, 10, lr=1e-6, changed_share=share).found("GD207")
    assert (finding.severity, finding.parameters) == (Severity.ERROR, ("fc1.weight",))
    assert "it changed 1.0% of the elements: in float16" in finding.message


def test_few_elements_have_a_gradient(tell: Tell) -> None:
    """Rows that were looked up move; the others were not asked to."""
    assert train(low(tell), 10, changed_share=0.01, grad_zero_share=0.98).codes == []
