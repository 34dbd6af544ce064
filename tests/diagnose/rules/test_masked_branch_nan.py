"""GD503: NaN behind a mask."""

from __future__ import annotations

from tests.diagnose.rules.nonfinite_stories import ALL, bad_backward, origin, zeros
from tests.diagnose.story import Tell, site

MASK = {"mask_op": "WhereBackward0", "mask_site": site(13, "y = torch.where(x > 0, dist, zero)")}

SOFTMAX = origin(op="SoftmaxBackward0", nan=3, inf=0, operands=(zeros(nan=3),), incoming_zeros=3)


def test_wording(tell: Tell) -> None:
    """The mask, the op behind it, and `where` twice."""
    story = tell()
    bad_backward(story, origin(nan=3, inf=0, incoming_zeros=3, **MASK))
    story.step(nonfinite=ALL)
    found = story.found("GD503")
    assert found.message == (
        "The gradient became NaN at `dist = torch.sqrt(x)` (train.py:12) in net.dist (3 of 128 elements), "
        "although the forward does not use what it computes there: `y = torch.where(x > 0, dist, zero)` "
        "(train.py:13) throws those elements away, and sends a gradient of 0 back for them. The cause is the "
        "square root of a tensor whose minimum is 0 (3 of 128 elements): its derivative 1/(2·sqrt(x)) is inf "
        "there; 0 times inf is NaN. `optimizer.step()` (train.py:43) applied that to fc1.weight, fc1.bias and "
        "2 more."
    )
    assert found.fix == (
        "Make the input safe before the op at `dist = torch.sqrt(x)` (train.py:12), not its result after it: "
        "`torch.where(mask, torch.sqrt(torch.where(mask, x, 1.0)), 0.0)`."
    )
    assert story.codes == ["GD503"]


def test_a_product_with_0_is_a_mask_too(tell: Tell) -> None:
    """The gradient is 0 where NaN arises."""
    story = tell()
    bad_backward(story, origin(nan=3, inf=0, incoming_zeros=40))
    story.step(nonfinite=ALL)
    assert "a mask, an index or a product with 0 throws them away" in story.found("GD503").message


def test_inf_of_a_gradient_that_is_not_0_is_no_mask(tell: Tell) -> None:
    """The nearest other case is GD501."""
    story = tell()
    bad_backward(story, origin(incoming_zeros=40))
    story.step(nonfinite=ALL)
    assert story.codes == ["GD501"]


def test_inf_behind_a_mask_is_not_the_mask_s_doing(tell: Tell) -> None:
    """0 times inf is NaN: where inf is born, a gradient other than 0 came in through the mask."""
    story = tell()
    bad_backward(story, origin(nan=0, inf=1, incoming_zeros=3, **MASK))
    story.step(nonfinite=ALL)
    assert story.codes == ["GD501"]


def test_where_guarding_the_input_is_no_way_the_op_has_its_own_fix(tell: Tell) -> None:
    """A fully masked row that is dropped afterwards."""
    story = tell()
    bad_backward(story, SOFTMAX)
    story.step(nonfinite=ALL)
    assert "torch.where(mask, torch.where" not in story.found("GD503").fix


def test_what_was_handed_nan_is_not_to_blame(tell: Tell) -> None:
    """A row that nobody uses is NaN from the softmax on: only that one is told."""
    after = origin(op="BmmBackward0", nan=9, inf=0, operands=(zeros("self", nan=3),))
    story = tell()
    bad_backward(story, after, SOFTMAX)
    story.step(nonfinite=ALL)
    assert story.codes == ["GD503"]
    assert "its result holds 3 NaN" in story.found("GD503").message
