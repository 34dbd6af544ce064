"""GD418: losses and long sums in float16."""

from __future__ import annotations

from graddebug.records import HalfReduction
from tests.diagnose.scaled import BIRTH
from tests.diagnose.story import Lines, Tell


def test_a_loss(tell: Tell, lines: Lines) -> None:
    """Of any size; wording."""
    story = tell()
    story.tell(HalfReduction, at=41, op="MseLossBackward0", loss=True, elements=12, op_site=BIRTH)
    finding = story.found("GD418")
    assert lines(finding) == {"backward": 41, "op": 12}
    assert finding.message == (
        "MseLoss, `y = torch.log(p)` (train.py:12) ran in float16 over 12 elements: the loss has 3 digits there, "
        "and is inf from 65,504 on."
    )
    assert finding.fix.startswith("Compute it inside the autocast region")


def test_a_long_sum(tell: Tell) -> None:
    """More addends than float16 can count."""
    story = tell()
    story.tell(HalfReduction, at=41, op="SumBackward0", module="pool", elements=5000)
    assert story.found("GD418").message.startswith(
        "Sum in pool ran in float16 over 5,000 elements: a sum has"
    )


def test_a_short_sum_is_right(tell: Tell) -> None:
    """The twin."""
    story = tell()
    story.tell(HalfReduction, at=41, op="SumBackward0", module="pool", elements=2048)
    assert story.codes == []
