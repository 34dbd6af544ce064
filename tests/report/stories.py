"""Findings made by hand for the reports' tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graddebug.records import Finding, NotObservable, Role, Severity, Site

SOURCE = """\
def train(model, loader):
    for x, y in loader:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
    return loss

def evaluate(model):
    return model(held_out)
""".splitlines()


def site(line: int, function: str = "train", *, file: str = "/home/ada/train.py", **changes: Any) -> Site:
    """A line of `SOURCE` with two lines around it."""
    start = max(1, line - 2)
    return Site(
        file, line, function, excerpt=tuple(SOURCE[start - 1 : line + 2]), excerpt_start=start, **changes
    )


STALE = Finding(
    id="GD101-1f0c2b7a",
    rule="GD101",
    slug="stale-gradient",
    severity=Severity.ERROR,
    message="`optimizer.step()` applied gradients that an earlier step had already applied: the gradients of "
    "fc1.weight, fc1.bias and 2 more are the sum of 2 backwards, 1 of them used before.",
    fix="Call `optimizer.zero_grad()` before `loss.backward()` (train.py:4).",
    first_step=1,
    last_step=399,
    count=399,
    parameters=("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"),
    roles=(Role("backward", site(4)), Role("step", site(5))),
    evidence={"backwards_in_gradient": 2, "share": 0.123456, "steps": [1, 2, 3]},
)
EVAL = Finding(
    id="GD304-77aa0c11",
    rule="GD304",
    slug="graph-without-backward",
    severity=Severity.WARNING,
    message="3 forwards in eval mode built graphs that no backward used.",
    fix="Put `with torch.no_grad():` around the evaluation.",
    first_step=10,
    last_step=10,
    roles=(Role("forward", site(9, "evaluate")),),
    evidence={"bytes_held": 8192},
)
UNSEEN = NotObservable(
    step=3, order=40, what="gradients inside a compiled region", reason="torch.compile hides them"
)


def finding(**changes: Any) -> Finding:
    """The stale gradient, with changes."""
    return replace(STALE, **changes)
