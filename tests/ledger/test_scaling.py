"""The loss scale in a gradient's life, and a scaler's own story."""

from __future__ import annotations

from graddebug.ledger import Ledger
from graddebug.records import GradientsEdited
from tests.diagnose.story import Story


def story_of() -> Story:
    story = Story({"optimizer": ("a", "b")})
    story.scaler()
    return story


def ledger_of(story: Story) -> Ledger:
    return story.engine.ledger


def test_a_division_is_remembered_until_the_clear() -> None:
    """With who did it."""
    story = story_of()
    story.scaled()
    order = story.unscale()
    assert [event.order for event in ledger_of(story).cohorts.life(0).scaling.divisions] == [order]
    story.clear("optimizer")
    assert ledger_of(story).cohorts.life(0).scaling.divisions == ()


def test_scaled_and_plain_backwards_of_one_line_are_told_apart() -> None:
    """They are two contributions."""
    story = story_of()
    story.scaled(at=41)
    story.backward(at=41)
    story.backward(at=41, seeded=True)
    assert [part.scaled for part in ledger_of(story).cohorts.life(0).fresh] == [True, False, None]


def test_an_edit_that_leaves_the_scale_in() -> None:
    """Halving is no division by the scale; what is not known may be one."""
    story = story_of()
    story.scaled()
    story.tell(GradientsEdited, params=(0, 1), how="in place", factor=0.5, scale=1024.0)
    assert ledger_of(story).cohorts.life(0).scaling.edited == -1
    order = story.tell(GradientsEdited, params=(0, 1), how="in place", factor=1 / 1024, scale=1024.0)
    assert ledger_of(story).cohorts.life(0).scaling.edited == order


def test_what_a_scaler_has_done_since_its_update() -> None:
    """Unscaled and stepped optimizers, and steps skipped in a row."""
    story = story_of()
    scaler = ledger_of(story).scalers[0]
    for _ in range(2):
        story.scaled()
        story.scaler_step(skipped=True)
        assert (list(scaler.unscaled), list(scaler.stepped)) == ([0], [0])
        story.update(after=512.0)
        story.clear("optimizer")
    assert (scaler.unscaled, scaler.stepped, scaler.skips, scaler.scale) == ({}, {}, {0: 2}, 512.0)
    story.scaled()
    story.scaler_step()
    assert scaler.skips == {0: 0}
