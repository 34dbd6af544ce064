"""GD502: NaN or inf that arises in the forward, or comes in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graddebug.records import Nonfinite, Origin, RunEnd, Severity
from tests.diagnose.rules.nonfinite_stories import ALL, bad_backward, cleared, origin, zeros
from tests.diagnose.story import Lines, Story, Tell, site

LOG = origin(
    born="forward",
    op="LogBackward0",
    module="",
    site=site(15, "p = torch.log(q)"),
    operands=(zeros("self"),),
    incoming=float("nan"),
)
NAN_LOSS: dict[str, Any] = {"loss": float("nan")}


def data(**fields: object) -> Origin:
    bad = zeros("self", shape=(32, 4), nan=2)
    return origin(
        born="data",
        op="AddmmBackward0",
        module="fc1",
        site=site(20, "y = self.fc1(x)"),
        operands=(bad,),
        **fields,
    )


def test_wording(tell: Tell, lines: Lines) -> None:
    """The first op with a bad result."""
    story = tell()
    bad_backward(story, LOG, **NAN_LOSS)
    story.step(nonfinite=ALL)
    found = story.found("GD502")
    assert found.message == (
        "`p = torch.log(q)` (train.py:15) made inf of finite numbers, in 3 of 128 elements of its result. The "
        "cause is the logarithm of a tensor whose minimum is 0 (3 of 128 elements): log(0) is -inf. "
        "`optimizer.step()` (train.py:43) applied that to fc1.weight, fc1.bias and 2 more."
    )
    assert lines(found) == {"backward": 41, "step": 43, "forward_op": 15}


def test_bad_data_are_blamed_on_the_data(tell: Tell) -> None:
    """Not on the layer that met them first."""
    story = tell()
    bad_backward(story, data(nan=2, inf=0), **NAN_LOSS)
    story.step(nonfinite=ALL)
    found = story.found("GD502")
    assert found.message.startswith(
        "NaN came in with the data of step 0: in the input of `y = self.fc1(x)` (train.py:20) in fc1, a tensor "
        "of shape (32, 4), 2 NaN among 128 elements."
    )
    assert "torch.isfinite(x).all()" in found.fix


def test_weights_that_were_bad_from_the_start(tell: Tell) -> None:
    """No step made them so."""
    story = tell()
    bad_backward(story, origin(born="weights", op="AddmmBackward0", parameter=2, nan=1, inf=0), **NAN_LOSS)
    story.step(nonfinite=ALL)
    assert story.found("GD502").message.startswith("The weights of fc2.weight hold NaN")
    assert story.codes == ["GD502"]


def test_minus_inf_of_a_mask_is_meant(tell: Tell) -> None:
    """The softmax of a fully masked row is to blame, not the mask."""
    fill = origin(born="forward", op="MaskedFillBackward0", site=site(9), operands=())
    softmax = origin(born="forward", op="SoftmaxBackward0", nan=4, inf=0, operands=(zeros("self", inf=4),))
    story = tell()
    bad_backward(story, fill, softmax, **NAN_LOSS)
    story.step(nonfinite=ALL)
    assert "a softmax over a row that is -inf everywhere" in story.found("GD502").message


def test_a_batch_skipped_by_the_programs_own_check_is_a_note(tell: Tell) -> None:
    """NaN loss, cleared, next."""
    story = tell()
    bad_backward(story, data(nan=2, inf=0), **NAN_LOSS)
    cleared(story)
    story.end()
    assert (story.codes, story.alarms) == (["GD502"], [])


def test_weights_loaded_anew_can_go_bad_again(tell: Tell) -> None:
    """After a rollback the next bad step is news."""
    story = tell()
    bad_backward(story, LOG, **NAN_LOSS)
    story.step(nonfinite=ALL)
    story.clear("optimizer")
    story.move()
    bad_backward(story, data(nan=2, inf=0), **NAN_LOSS)
    story.step(nonfinite=ALL)
    assert [found.severity for found in story.findings] == [Severity.ERROR] * 2


def test_running_statistics_are_no_data(tell: Tell) -> None:
    """A batch norm in eval mode after a bad batch."""
    buffer = zeros("other", shape=(4,), numel=4, inf=4)
    bad = origin(born="data", op="NativeBatchNormBackward0", operands=(zeros("self"), buffer))
    story = tell()
    bad_backward(story, bad, **NAN_LOSS)
    story.step(nonfinite=ALL)
    assert "is a batch norm whose running statistics are not finite" in story.found("GD502").message


def _unused(story: Story) -> None:
    born = replace(origin(), born="forward", op="LogBackward0", nan=3, inf=0)
    story.backward()
    story.step()
    story.tell(Nonfinite, backward=-1, made_in=1, origins=(born,), captured=True)


def test_a_batch_without_a_backward_is_a_note(tell: Tell) -> None:
    """The program looked at the loss, and went on."""
    story = tell()
    _unused(story)
    story.backward()
    found = story.found("GD502")
    assert (found.severity, found.first_step) == (Severity.NOTE, 1)
    assert found.message.endswith("No backward was called on what came of it, so the weights are unharmed.")


def test_an_exception_right_after_it_is_an_error(tell: Tell) -> None:
    """The program's assert, or a distribution that refuses NaN."""
    story = tell()
    _unused(story)
    story.tell(RunEnd, reason="exception", detail="AssertionError: loss is NaN")
    found = story.found("GD502")
    assert found.severity is Severity.ERROR
    assert found.message.endswith("an exception (AssertionError: loss is NaN) right after that.")


def test_a_backward_that_raised_tells_its_origin(tell: Tell) -> None:
    """Anomaly mode ends it before any gradient is written."""
    story = tell()
    order = story.backward((), failed=True)
    story.tell(Nonfinite, backward=order, origins=(LOG,), captured=True, loss=float("nan"))
    story.tell(RunEnd, reason="exception", detail="RuntimeError: returned nan values")
    assert [(found.rule, found.severity) for found in story.findings] == [("GD502", Severity.ERROR)]


def test_a_bad_loss_after_weights_were_spoiled_is_no_news(tell: Tell) -> None:
    """Also where the backward reaches none of them itself, as around a reentrant checkpoint."""
    story = tell()
    bad_backward(story, LOG, **NAN_LOSS)
    story.step(nonfinite=ALL)
    order = story.backward((), reached=())
    story.tell(Nonfinite, backward=order, loss=float("nan"))
    assert story.codes == ["GD502"]
