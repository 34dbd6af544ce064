"""Finding rules, our own and those of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from graddebug.diagnose import registry
from graddebug.diagnose.rule import Rule
from graddebug.records import Severity


class Foreign(Rule):
    """A third party's rule."""

    code, slug, title = "XX001", "foreign", "Foreign"
    severity = Severity.NOTE


class Impostor(Foreign):
    """Takes a code that is ours."""

    code, slug = "GD101", "impostor"


def offer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    offers = [EntryPoint(name, f"{__name__}:{name}", registry.ENTRY_POINTS)]
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.name])
    monkeypatch.setattr(registry, "entry_points", lambda group: offers)


def test_a_third_partys_rule_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points add rules."""
    offer(monkeypatch, "Foreign")
    assert registry.all_rules()["XX001"] is Foreign


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Impostor", "the code GD101 is taken"),
        ("pytest", "not a subclass"),
        ("missing", "KeyError: 'missing'"),
    ],
)
def test_a_broken_one_warns_and_is_left_out(monkeypatch: pytest.MonkeyPatch, name: str, reason: str) -> None:
    """Ours go on without it."""
    offer(monkeypatch, name)
    with pytest.warns(RuntimeWarning, match=reason):
        assert all(code.startswith("GD") for code in registry.all_rules())


def test_our_own_duplicates_are_refused() -> None:
    """Two rules in the folder with one code are a programming error."""
    module = "graddebug.diagnose.rules.stale_gradient"
    with pytest.raises(ValueError, match="the code GD101 belongs to another rule"):
        registry._gathered([module, module])
