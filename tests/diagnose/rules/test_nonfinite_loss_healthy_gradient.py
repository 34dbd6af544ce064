"""GD512: the loss is NaN, the gradients are not."""

from __future__ import annotations

from graddebug.records import Nonfinite, Operand
from tests.diagnose.rules.nonfinite_stories import TORCH, origin
from tests.diagnose.story import Tell, site

LOGITS = Operand(name="self", shape=(4, 3), dtype="float32", minimum=-1.0, maximum=1.0, numel=12)
IGNORED = origin(
    born="forward",
    op="NllLossBackward0",
    module="",
    site=site(14, "loss = F.cross_entropy(x, y)"),
    nan=1,
    inf=0,
    operands=(LOGITS,),
)


def test_all_targets_ignored(tell: Tell) -> None:
    """A note, and nothing else."""
    story = tell()
    order = story.backward()
    story.tell(
        Nonfinite,
        backward=order,
        origins=(IGNORED,),
        healthy=(0, 1, 2, 3),
        loss=float("nan"),
        captured=True,
        torch=TORCH,
    )
    story.step()
    story.end()
    assert (story.codes, story.alarms) == (["GD512"], [])
    assert story.found("GD512").message == (
        "The loss was nan, and all gradients that `loss.backward()` (train.py:41) wrote are finite: the "
        "step does not spoil the weights; a log or an average of the loss is spoiled. It comes from `loss = F.cross_entropy(x, y)` "
        "(train.py:14): a cross-entropy averaged over no target: each of them is `ignore_index`, or has "
        "weight 0."
    )
    assert 'reduction="sum"' in story.found("GD512").fix
