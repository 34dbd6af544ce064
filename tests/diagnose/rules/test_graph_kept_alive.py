"""GD305: graphs of past steps that something keeps."""

from __future__ import annotations

from typing import Any

from graddebug.records import GraphsKept
from tests.diagnose.story import Lines, Story, Tell, site

SUM = {"held": "sum", "kept_at": site(45, "total += loss")}


def steps(story: Story, count: int) -> None:
    """An ordinary loop."""
    for _ in range(count):
        story.backward()
        story.step()
        story.clear("optimizer")


def keep(story: Story, graphs: int, **fields: Any) -> None:
    """At the end of a step, so many past ones are found."""
    told = {"module": "model", "graphs": graphs, "oldest": story.step_number - graphs} | fields
    story.tell(GraphsKept, at=40, source="out = model(x)", **told)


def test_a_running_sum(tell: Tell, lines: Lines) -> None:
    """The line that adds up is named; wording."""
    story = tell()
    steps(story, 9)
    keep(story, 8, **SUM)
    finding = story.found("GD305")
    assert lines(finding) == {"kept": 45, "forward": 40}
    assert finding.message == (
        "The tensor computed at `total += loss` (train.py:45) keeps the graphs of 8 past steps alive, those of "
        "`out = model(x)` (train.py:40) since step 1. Each was back-propagated and is of no more use; every step "
        "adds one."
    )
    assert finding.fix.startswith("Add up numbers at train.py:45: `loss.item()`")


def test_a_list(tell: Tell, lines: Lines) -> None:
    """It may be kept short: it is given more time."""
    story = tell()
    steps(story, 14)
    keep(story, 8, held="list", name="losses")
    assert story.codes == []
    keep(story, 12, held="list", name="losses")
    finding = story.found("GD305")
    assert lines(finding) == {"forward": 40}
    assert finding.message.startswith("The list `losses` keeps the graphs of 12 past steps alive")
    assert (
        finding.fix
        == "Put `loss.item()` or `output.detach()` into `losses` instead of the tensor with its graph."
    )


def test_what_was_not_found_is_given_most_time(tell: Tell) -> None:
    """The last loss of each task, say."""
    story = tell()
    steps(story, 50)
    keep(story, 27)
    assert story.codes == []
    keep(story, 40)
    assert story.found("GD305").message.startswith("Something keeps the graphs of 40 past steps")


def test_many_backwards_of_one_update_are_right(tell: Tell) -> None:
    """No optimizer: what counts as a step is each backward, and weights are updated by hand after ten."""
    story = tell(optimizers={}, outside=("w",))
    for _ in range(10):
        story.backward()
        story.step_number += 1
    story.move()
    keep(story, 10, **SUM)
    assert story.codes == []
