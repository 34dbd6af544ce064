"""The user's line of each event, and the user's own names for things."""

from __future__ import annotations

import linecache
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from graddebug.capture.sites import Sites, free_name, kind_of_file
from graddebug.records import Backward, OptimizerStep, Site
from tests.capture.observing import Seen, observe

TRAINER = """\
class Trainer:
    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer

    def fit(self, batches):
        for x in batches:
            self.optimizer.zero_grad()
            self.model(x).sum().backward()
            self.optimizer.step()
"""


def module_at(path: str, source: str) -> ModuleType:
    """A module whose code says it lies at ``path``, with its source where tracebacks look for it."""
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    module = ModuleType("made")
    exec(compile(source, path, "exec"), vars(module))
    return module


def site_of_step(seen: Seen) -> Site:
    (event,) = seen.of(OptimizerStep)
    assert event.site is not None
    return event.site


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (torch.nn.functional.__file__, "inner"),
        (linecache.__file__, "inner"),
        ("/env/lib/python3.11/site-packages/lightning/loop.py", "library"),
        ("/usr/lib/python3/dist-packages/thing.py", "library"),
        ("/home/ada/train.py", "user"),
        ("<ipython-input-3>", "user"),
        ("<frozen importlib._bootstrap>", "inner"),
    ],
)
def test_whose_file_it_is(path: str, kind: str) -> None:
    """Torch, Python and we are inside; installed packages are libraries; all else is the user's."""
    assert kind_of_file(str(path)) == kind


def test_the_line_is_the_users_own_however_deep_torch_is() -> None:
    """File, function, line and the source around it."""
    model = nn.Linear(2, 1)
    with observe(model) as seen:
        loss: Any = nn.functional.mse_loss(model(torch.ones(1, 2)), torch.ones(1, 1))
        loss.backward()  # the line
    site = seen.of(Backward)[0].site
    assert site is not None
    assert (site.file, site.source) == (__file__, "loss.backward()  # the line")
    assert site.function == "test_the_line_is_the_users_own_however_deep_torch_is"
    assert any("mse_loss" in line for line in site.excerpt)


def test_a_librarys_trainer_is_kept_beside_the_users_line() -> None:
    """The user's line is the entry, the library's the place inside it."""
    library = module_at("/env/lib/python3.11/site-packages/fitting/trainer.py", TRAINER)
    model = nn.Linear(2, 1)
    trainer = library.Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with observe() as seen:
        trainer.fit([torch.ones(1, 2)])  # the entry
    site = site_of_step(seen)
    assert site.source == "trainer.fit([torch.ones(1, 2)])  # the entry"
    assert site.library == "fitting/trainer.py:9 in Trainer.fit"


def test_a_trainer_of_the_users_own_is_the_user() -> None:
    """The innermost of their frames, wherever the loop is called from."""
    mine = module_at("/home/ada/project/trainer.py", TRAINER)
    model = nn.Linear(2, 1)
    trainer = mine.Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with observe() as seen:
        trainer.fit([torch.ones(1, 2)])
    site = site_of_step(seen)
    assert (site.file, site.line, site.library) == ("/home/ada/project/trainer.py", 9, "")
    assert seen.optimizers[0].name == "self.optimizer"


def test_a_site_is_made_once() -> None:
    """A loop asks for the same line in every step."""
    sites = Sites()

    def here() -> Site | None:
        return sites.here(1)

    first, second = [here() for _ in range(2)]
    assert first is second


def test_a_taken_name_gets_a_number() -> None:
    """The first free one."""
    assert [free_name("Linear", taken) for taken in ((), ("Linear",), ("Linear", "Linear#2"))] == [
        "Linear",
        "Linear#2",
        "Linear#3",
    ]
