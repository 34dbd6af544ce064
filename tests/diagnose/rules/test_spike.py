"""GD509: one huge gradient, applied whole."""

from __future__ import annotations

import pytest

from tests.diagnose.story import Lines, Story, Tell


def train(
    story: Story, *, spike: float = 100.0, at_it: float = 50.0, after: float = 4.0, moved: float = 0.5
) -> Story:
    """A loss that fell from 5 to 0.1; a spike at step 45; 30 more steps."""
    losses = [5.0] * 10 + [0.1] * 35 + [at_it] + [after] * 34
    for step, loss in enumerate(losses):
        story.clear("optimizer")
        story.backward(loss=loss)
        story.step()
        odd = step == 45
        story.measured(
            loss=loss,
            grad_norm=spike if odd else 1.0 + 0.1 * (step % 3),
            weight_norm=1.0,
            update_ratio=moved if odd else 1e-3,
        )
    return story


def test_a_spike_that_undoes_the_training(tell: Tell, lines: Lines) -> None:
    """Far out, applied whole, and the loss stays worse."""
    finding = train(tell()).found("GD509")
    assert (finding.first_step, lines(finding)) == (45, {"backward": 41, "step": 43})
    assert finding.message == (
        "`optimizer` applied a gradient of norm 200 at step 45, 91 times the usual 2.2. It moved the weights by "
        "50% of their norm, and the loss has been about 4 since, where it was 0.1."
    )
    assert finding.fix == (
        "Clip before the step: `clip_grad_norm_(parameters, 4)`, and look at the batch of step 45."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"spike": 1.5},
        {"after": 0.1},
        {"after": 0.5},
        {"at_it": 4.0, "after": 4.0, "moved": 0.05},
    ],
    ids=["clipped", "recovers", "a small share is lost", "the task changed"],
)
def test_spikes_that_do_no_harm(tell: Tell, changes: dict[str, float]) -> None:
    """A correct program has them."""
    assert train(tell(), **changes).alarms == []


def test_an_odd_batch_under_adam(tell: Tell) -> None:
    """The step was short, but the loss without that batch is worse ever since."""
    assert train(tell(), at_it=5000.0, moved=1e-3).found("GD509").first_step == 45
