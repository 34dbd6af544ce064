"""What the README and CONTRIBUTING promise is what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graddebug.diagnose.registry import all_rules
from tests.running import environment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def rule_table() -> str:
    """The README's table of rules, as the registry would have it."""
    rows = [
        f"| {code} `{rule.slug}` | {rule.severity.name.lower()} | {rule.title} |"
        for code, rule in all_rules().items()
    ]
    return "\n".join(["| rule | severity | what it says |", "|---|---|---|", *rows])


def test_rules_are_all_in_the_table() -> None:
    """The table names every rule with its code, slug, severity and title."""
    _, _, rest = README.partition("<!-- rules -->\n")
    table, _, _ = rest.partition("\n<!-- /rules -->")
    assert table == rule_table()


def test_there_are_two_set_up_commands() -> None:
    """A newcomer needs `make demo` and `make test`, and nothing is installed by hand."""
    commands = re.findall(r"^(?:make|pip|uv|conda|apt|python\d? -m (?:pip|venv))\b.*", README, re.MULTILINE)
    assert commands == ["make demo", "make test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document has its file."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The finding as the demo prints it, where nothing says how wide or colourful."""
    out = tmp_path_factory.mktemp("demo") / "run"
    command = [sys.executable, "-m", "graddebug", "run", "-o", str(out), "examples/zero_grad_forgotten.py"]
    ran = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    return ran.stderr.partition("graddebug: 90 steps recorded")[0]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_finding_shown_is_real(name: str, printed: str) -> None:
    """The finding that is quoted is what the demo prints, to the letter."""
    assert printed.startswith("graddebug: ")
    assert f"```text\n{printed}```" in (ROOT / name).read_text(encoding="utf-8")
