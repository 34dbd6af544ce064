"""What is configured: files, calls, flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from graddebug.errors import UsageError
from graddebug.known.configuration import NOTHING, Configuration, of_call, of_flags, of_project
from graddebug.records import Acknowledgement

FILE = """\
[tool.graddebug]
ignore = [
  "GD106",
  { rule = "GD101", params = "encoder.*", reason = "momentum is kept in .grad" },
  { rule = ["GD204", "zero-gradient"], params = ["a.*", "b.*"], at = "models/net.py:41" },
]

[tool.graddebug.options.GD204]
windows = 40

[tool.graddebug.options.near-overflow]
bits = 3
"""


def project(folder: Path, text: str = FILE) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_in_full(tmp_path: Path) -> None:
    """Codes and slugs, one or several, with parameters, a place and a reason; options by rule."""
    path = project(tmp_path)
    written = str(path)
    assert of_project(tmp_path) == Configuration(
        acknowledgements=(
            Acknowledgement(rules=("GD106",), written=written),
            Acknowledgement(
                rules=("GD101",),
                parameters=("encoder.*",),
                reason="momentum is kept in .grad",
                written=written,
            ),
            Acknowledgement(
                rules=("GD204", "GD510"),
                parameters=("a.*", "b.*"),
                file="models/net.py",
                lines=(41, 41),
                written=written,
                reached=False,
            ),
        ),
        options={"GD204": {"windows": 40}, "GD411": {"bits": 3.0}},
        file=path,
    )


def test_the_nearest_file_that_has_our_table_counts(tmp_path: Path) -> None:
    """One without it is passed over, as are those that cannot be read."""
    project(tmp_path)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    project(inner, "[project]\nname = 'graddebug-user'\n")
    project(inner.parent, "{{ cookiecutter }} graddebug")
    assert of_project(inner).file == tmp_path / "pyproject.toml"


def test_the_next_start_counts_where_the_first_finds_nothing(tmp_path: Path) -> None:
    """A script elsewhere, run inside a project."""
    for name in ("script", "project"):
        (tmp_path / name).mkdir()
    path = project(tmp_path / "project")
    assert of_project(tmp_path / "script", tmp_path / "project").file == path
    assert of_project(tmp_path / "script") == NOTHING


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool.graddebug\n", "has a table [tool.graddebug] and is no TOML: "),
        ("tool.graddebug = 3", "expected a table [tool.graddebug], found 3."),
        (
            "[tool.graddebug]\nignores = []",
            "[tool.graddebug] has no key 'ignores'; its keys are ignore and options.",
        ),
        ("[tool.graddebug]\nignore = 'GD101'", "ignore: expected a list, as in [\"GD106\"], found 'GD101'."),
        ("[tool.graddebug]\nignore = ['GD1O1']", "ignore[0]: there is no rule 'GD1O1': did you mean GD101"),
        ("[tool.graddebug]\nignore = ['GD101', 7]", "ignore[1]: expected a rule's code or {rule = "),
        ("[tool.graddebug]\nignore = [{params = 'a'}]", "ignore[0]: it names no rule; write {rule = "),
        (
            "[tool.graddebug]\nignore = [{rule = 'GD101', param = 'a'}]",
            "ignore[0]: there is no key 'param'; the keys are rule, params, at, reason.",
        ),
        (
            "[tool.graddebug]\nignore = [{rule = 'GD101', reason = 3}]",
            "ignore[0].reason: expected a text in quotes, found 3.",
        ),
        ("[tool.graddebug]\nignore = [{rule = []}]", "ignore[0].rule: expected a text in quotes, found []."),
        ("[tool.graddebug]\noptions = 3", "options: expected options by rule, as in GD204 = {windows = 40}"),
        ("[tool.graddebug.options]\nGD204 = 3", "options.GD204: expected options, as in {windows = 40}"),
        ("[tool.graddebug.options.GD999]\nx = 3", "options.GD999: there is no rule 'GD999'"),
        (
            "[tool.graddebug.options.GD204]\nwindow = 3",
            "options.GD204: GD204 has no option 'window'; its options are: windows, windows_at_end.",
        ),
        (
            "[tool.graddebug.options.GD204]\nwindows = 'x'",
            "options.GD204: GD204's option windows is a whole number from 1 on, not 'x' (default: 20).",
        ),
    ],
)
def test_a_mistake_is_told_with_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    """What was expected, what was found, what to do."""
    path = project(tmp_path, text)
    with pytest.raises(UsageError) as raised:
        of_project(tmp_path)
    assert str(raised.value).startswith(str(path))
    assert told in str(raised.value)


def test_a_call_says_the_same() -> None:
    """Lists and tuples, dicts for tables."""
    found = of_call(["GD106", {"rule": "GD101", "params": ("a.*",)}], {"GD204": {"windows": 3}})
    assert [entry.rules for entry in found.acknowledgements] == [("GD106",), ("GD101",)]
    assert {entry.written for entry in found.acknowledgements} == {"watch()"}
    assert found.options == {"GD204": {"windows": 3}}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("GD101",), "ignore: expected a list"),
        ((["GD999"],), r"ignore\[0\]: there is no rule 'GD999'"),
        (((), {"GD204": {"bits": 3}}), "GD204 has no option 'bits'"),
    ],
)
def test_a_call_that_makes_no_sense(arguments: tuple[object, ...], told: str) -> None:
    """It is told before anything is watched."""
    with pytest.raises(UsageError, match=told):
        of_call(*arguments)


def test_flags_say_codes_and_numbers() -> None:
    """Codes apart or with commas; whole numbers and others."""
    found = of_flags(["GD101,GD102", "GD103"], ["GD204.windows=40", "GD411.bits=2.5", "GD511.low=1e-9"])
    assert [entry.rules for entry in found.acknowledgements] == [("GD101",), ("GD102",), ("GD103",)]
    assert found.options == {"GD204": {"windows": 40}, "GD411": {"bits": 2.5}, "GD511": {"low": 1e-9}}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((["GD999"], []), "--ignore: there is no rule 'GD999'"),
        (([], ["GD204.windows"]), "--option: expected CODE.NAME=NUMBER, as in GD204.windows=40, found"),
        (([], ["windows=4"]), "--option: expected CODE.NAME=NUMBER"),
        (([], ["GD204.windows=many"]), "--option: expected CODE.NAME=NUMBER"),
        (([], ["GD204.windows=4.5"]), "GD204's option windows is a whole number from 1 on, not 4.5"),
    ],
)
def test_flags_that_make_no_sense(flags: tuple[list[str], list[str]], told: str) -> None:
    """Each with the flag's name."""
    with pytest.raises(UsageError, match=told):
        of_flags(*flags)


def test_the_nearer_word_counts_for_options() -> None:
    """Acknowledgements add up."""
    file = of_call(["GD101"], {"GD204": {"windows": 30, "windows_at_end": 5}})
    flags = of_flags(["GD102"], ["GD204.windows=40"])
    both = flags.over(file)
    assert [entry.rules for entry in both.acknowledgements] == [("GD101",), ("GD102",)]
    assert both.options == {"GD204": {"windows": 40, "windows_at_end": 5}}


def test_the_documented_file_is_right(tmp_path: Path) -> None:
    """What docs/acknowledging.md shows can be copied."""
    page = (Path(__file__).parents[2] / "docs" / "acknowledging.md").read_text(encoding="utf-8")
    project(tmp_path, page.partition("```toml\n")[2].partition("```")[0])
    found = of_project(tmp_path)
    assert [entry.rules for entry in found.acknowledgements][:2] == [("GD106",), ("GD101",)]
    assert found.options == {"GD204": {"windows": 40}}
