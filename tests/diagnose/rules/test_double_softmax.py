"""GD312: softmax twice."""

from __future__ import annotations

from graddebug.records import DoubleSoftmax
from tests.diagnose.story import Lines, Tell, site


def test_both_lines_are_named(tell: Tell, lines: Lines) -> None:
    """Wording, with the floor of the loss."""
    story = tell()
    softmax, loss = site(12, "return self.softmax(x)"), site(30, "loss = criterion(out, y)")
    story.tell(DoubleSoftmax, at=41, classes=10, op_site=loss, softmax_site=softmax)
    finding = story.found("GD312")
    assert lines(finding) == {"softmax": 12, "loss": 30, "backward": 41}
    assert finding.message == (
        "What `return self.softmax(x)` (train.py:12) returns goes into `loss = criterion(out, y)` (train.py:30), "
        "which applies log-softmax to it once more: it takes numbers between 0 and 1 for scores. With 10 classes "
        "no loss of a single target can fall below 1.46, however good the prediction is."
    )
    assert finding.fix.startswith(
        "Give `loss = criterion(out, y)` (train.py:30) the scores from before the softmax"
    )


def test_without_lines_the_modules_are_named(tell: Tell, lines: Lines) -> None:
    """Ops were not measured."""
    story = tell()
    story.tell(DoubleSoftmax, at=41, classes=2, softmax_module="head.softmax")
    finding = story.found("GD312")
    assert lines(finding) == {"backward": 41}
    assert "What the softmax in `head.softmax` returns goes into `log_softmax`" in finding.message
