"""What users set once for all findings: ``[tool.graddebug]`` in pyproject.toml, arguments of a call, flags.

```toml
[tool.graddebug]
ignore = [
  "GD106",
  { rule = "GD101", params = "encoder.*", reason = "momentum is kept in .grad" },
  { rule = "GD304", at = "evaluate.py:41" },
]

[tool.graddebug.options.GD204]
windows = 40
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graddebug.errors import UsageError
from graddebug.known import entries
from graddebug.records import Acknowledgement

Options = Mapping[str, Mapping[str, object]]

FILE = "pyproject.toml"
_TABLE = "tool.graddebug"
_KEYS = ("ignore", "options")
_IGNORE, _OPTION = "--ignore", "--option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Acknowledgements, and options of rules by their codes; ``file`` is the project's, if it has any."""

    acknowledgements: tuple[Acknowledgement, ...] = ()
    options: Options = field(default_factory=dict)
    file: Path | None = None

    def over(self, other: Configuration) -> Configuration:
        """Both together; of two values for an option, this one's counts."""
        codes = dict.fromkeys((*other.options, *self.options))
        return Configuration(
            acknowledgements=(*other.acknowledgements, *self.acknowledgements),
            options={code: {**other.options.get(code, {}), **self.options.get(code, {})} for code in codes},
            file=self.file or other.file,
        )


NOTHING = Configuration()


def of_call(ignore: object = (), options: object = None) -> Configuration:
    """What was given to `graddebug.watch`; `UsageError` for what makes no sense."""
    from graddebug.diagnose.registry import all_rules

    if ignore == () and options is None:
        return NOTHING
    rules = all_rules()
    return Configuration(
        acknowledgements=entries.acknowledgements(ignore, rules=rules, where="ignore", written="watch()"),
        options=entries.options({} if options is None else options, rules=rules, where="options"),
    )


def of_flags(ignored: Sequence[str], options: Sequence[str]) -> Configuration:
    """What was given as ``--ignore GD106,GD204`` and ``--option GD204.windows=40``, any number of times."""
    from graddebug.diagnose.registry import all_rules

    if not ignored and not options:
        return NOTHING
    rules = all_rules()
    codes = [code.strip() for text in ignored for code in text.split(",")]
    known = (entries.entry(code, rules=rules, where=_IGNORE, written=_IGNORE) for code in codes)
    found = NOTHING
    for text in options:
        found = Configuration(options=_option(text, rules)).over(found)
    return Configuration(acknowledgements=tuple(known), options=found.options)


def _option(text: str, rules: entries.Rules) -> Options:
    rule, dot, assignment = text.partition(".")
    name, equals, value = assignment.partition("=")
    try:
        number = float(value) if "." in value or "e" in value.lower() else int(value)
    except ValueError:
        dot = ""
    if not (rule and dot and name and equals):
        raise UsageError(f"{_OPTION}: expected CODE.NAME=NUMBER, as in GD204.windows=40, found {text!r}.")
    return entries.options({rule: {name: number}}, rules=rules, where=_OPTION)


def of_project(*starts: str | Path) -> Configuration:
    """``[tool.graddebug]`` of the nearest pyproject.toml that has it, upwards from the first start there is.

    The next start counts where that finds nothing. `UsageError`, with the file and the key, for what makes no
    sense.
    """
    found = project_table(*starts)
    return NOTHING if found is None else _configuration(*found)


def project_table(*starts: str | Path) -> tuple[Path, Mapping[str, object]] | None:
    """The file and the table that `of_project` reads, unchecked; no rule is loaded for it."""
    for start in starts:
        for folder in _upwards(start):
            table = _table(folder / FILE)
            if table is not None:
                return folder / FILE, table
    return None


def _upwards(start: str | Path) -> Iterable[Path]:
    try:
        path = Path(start).resolve()
    except OSError:  # the working directory is gone
        return ()
    return (path, *path.parents)


def _table(path: Path) -> Mapping[str, object] | None:
    """Our table in a file, if it can be read and has one: most projects have no word for us."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    try:
        tool = tomllib.loads(text).get("tool") if "graddebug" in text else None
    except tomllib.TOMLDecodeError as error:
        if _TABLE not in text:
            return None
        raise UsageError(f"{path} has a table [{_TABLE}] and is no TOML: {error}.") from None
    table = tool.get("graddebug") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: expected a table [{_TABLE}], found {table!r:.80}.")
    return table


def _configuration(path: Path, table: Mapping[str, object]) -> Configuration:
    from graddebug.diagnose.registry import all_rules

    where = f"{path}: [{_TABLE}]"
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"{where} has no key {key!r}; its keys are {' and '.join(_KEYS)}.")
    rules = all_rules()
    ignored = entries.acknowledgements(
        table.get("ignore", []), rules=rules, where=f"{where} ignore", written=str(path)
    )
    options = entries.options(table.get("options", {}), rules=rules, where=f"{where} options")
    return Configuration(acknowledgements=ignored, options=options, file=path)
