"""The rules' pages under docs/rules, and their addresses."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from graddebug.cli import main
from graddebug.diagnose.registry import all_rules
from graddebug.report.rule_page import VARIABLE, addresses, all_pages, own_rules
from graddebug.report.terminal import hyperlink, wants_links

PAGES = Path(__file__).parents[2] / "docs" / "rules"
RENEW = "docs/rules is out of date: run `graddebug rules --markdown docs/rules`"


def test_the_pages_are_current() -> None:
    """Every rule has its page, as the rule says it today, and no page is of a rule that is gone."""
    made = all_pages(own_rules(all_rules()))
    kept = {path.name: path.read_text("utf-8") for path in PAGES.glob("*.md")}
    assert kept == made, RENEW


def test_the_command_writes_them_and_removes_what_is_gone(tmp_path: Path) -> None:
    """One command renews the folder."""
    (tmp_path / "GD999.md").write_text("a rule that is gone")
    assert main(["rules", "--markdown", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in PAGES.iterdir()}


@pytest.mark.parametrize("code", all_rules())
def test_examples_are_python(code: str) -> None:
    """An example can be read by who would type it."""
    ast.parse(all_rules()[code].example)


def test_an_address_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who publishes the pages elsewhere says where; in the source tree they are files."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert addresses(["GD101", "X1"]) == {"GD101": (PAGES / "GD101.md").as_uri()}
    monkeypatch.setenv(VARIABLE, "https://docs.example/rules/")
    assert addresses(["GD101"]) == {"GD101": "https://docs.example/rules/GD101.md"}


def test_links_only_in_terminals_that_draw_them() -> None:
    """No escape sequence where nothing is known of the terminal, nor for an address that could hold one."""
    assert not wants_links(None, {"VTE_VERSION": "7600"})
    assert hyperlink("GD101", "https://x.example", on=True).endswith("GD101\x1b]8;;\x1b\\")
    assert hyperlink("GD101", "https://x\x1b", on=True) == "GD101"
