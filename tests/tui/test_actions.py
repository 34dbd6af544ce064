from graddebug_tui.actions import ACTIONS, bindings, footer_words
from graddebug_tui.screens.view import SCREEN_NAMES
from graddebug_tui.widgets.footing import fitting


def test_no_key_has_two_meanings_on_one_screen() -> None:
    """A screen's own action and a common one never share a key."""
    for screen in SCREEN_NAMES:
        keys = [k for action in ACTIONS if action.screen in ("", screen) for k in action.keys.split(",")]
        assert len(keys) == len(set(keys)), screen


def test_every_action_is_bound() -> None:
    """Nothing in help is without its key."""
    bound = {id(action) for screen in SCREEN_NAMES for action in ACTIONS if action.screen in ("", screen)}
    assert len(bound) == len(ACTIONS)
    assert len(bindings("graph")) > len(bindings("life"))


def test_the_footer_puts_neighbours_together() -> None:
    """Keys with one word share it."""
    words = {word: keys for keys, word in footer_words("life")}
    assert (words["step"], words["screen"], words["finding"]) == ("[ ]", "1-5", ", .")


def test_help_and_quit_stay_in_the_narrowest_footer() -> None:
    """Whoever is lost finds the way out."""
    assert fitting(footer_words("life"), 20) == [("?", "help"), ("q", "quit")]
