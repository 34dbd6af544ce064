"""One entry of an ``ignore`` list, and ``options`` of rules, as users write them in a file or in a call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from graddebug.diagnose.naming import code_of
from graddebug.diagnose.rule import Rule
from graddebug.errors import UsageError
from graddebug.records import Acknowledgement

_KEYS = ("rule", "params", "at", "reason")
_EXAMPLE = '{rule = "GD101", params = "encoder.*", at = "train.py:41", reason = "on purpose"}'
_LINE = re.compile(r"(.*[^:]):(\d+)")

Rules = Mapping[str, type[Rule]]


def acknowledgements(value: object, *, rules: Rules, where: str, written: str) -> tuple[Acknowledgement, ...]:
    """The entries of an ``ignore`` list; ``where`` names it in errors, ``written`` on findings.

    `UsageError` for what is no such list, and for a rule that there is not.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise UsageError(f'{where}: expected a list, as in ["GD106"], found {value!r:.80}.')
    return tuple(
        entry(one, rules=rules, where=f"{where}[{place}]", written=written) for place, one in enumerate(value)
    )


def options(value: object, *, rules: Rules, where: str) -> dict[str, dict[str, object]]:
    """Options by code; `UsageError` for a rule or an option that there is not, and a value of no use."""
    if not isinstance(value, Mapping):
        raise UsageError(
            f"{where}: expected options by rule, as in GD204 = {{windows = 40}}, found {value!r:.80}."
        )
    found: dict[str, dict[str, object]] = {}
    for name, table in value.items():
        code = _code(name, rules, f"{where}.{name}")
        if not isinstance(table, Mapping):
            raise UsageError(
                f"{where}.{name}: expected options, as in {{windows = 40}}, found {table!r:.80}."
            )
        found.setdefault(code, {}).update(_options_of(rules[code], table, f"{where}.{name}"))
    return found


def _options_of(rule: type[Rule], table: Mapping[str, object], where: str) -> dict[str, object]:
    try:
        return {option: rule.checked_option(option, value) for option, value in table.items()}
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def entry(value: object, *, rules: Rules, where: str, written: str) -> Acknowledgement:
    """One entry: a rule's code or slug, or a table that says more exactly what is known, and why."""
    if isinstance(value, str):
        return Acknowledgement(rules=(_code(value, rules, where),), written=written)
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected a rule's code or {_EXAMPLE}, found {value!r:.80}.")
    for key in value:
        if key not in _KEYS:
            raise UsageError(f"{where}: there is no key {key!r}; the keys are {', '.join(_KEYS)}.")
    if "rule" not in value:
        raise UsageError(f"{where}: it names no rule; write {_EXAMPLE}.")
    return _of_table(value, rules=rules, where=where, written=written)


def _of_table(table: Mapping[str, object], *, rules: Rules, where: str, written: str) -> Acknowledgement:
    codes = [_code(name, rules, f"{where}.rule") for name in _texts(table["rule"], f"{where}.rule")]
    file, lines = _place(_text(table.get("at", ""), f"{where}.at"))
    return Acknowledgement(
        rules=tuple(dict.fromkeys(codes)),
        parameters=_texts(table["params"], f"{where}.params") if "params" in table else (),
        file=file,
        lines=lines,
        reason=_text(table.get("reason", ""), f"{where}.reason"),
        written=written,
        reached=not file,
    )


def _place(place: str) -> tuple[str, tuple[int, int]]:
    """File and lines of ``train.py:41``, or of ``train.py``."""
    found = _LINE.fullmatch(place)
    return (found[1], (int(found[2]), int(found[2]))) if found else (place, (0, 0))


def _code(name: object, rules: Rules, where: str) -> str:
    word = _text(name, where)
    try:
        return code_of(word, rules)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _texts(value: object, where: str) -> tuple[str, ...]:
    """A text, or several."""
    if isinstance(value, list | tuple) and value:
        return tuple(_text(item, where) for item in value)
    return (_text(value, where),)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where}: expected a text in quotes, found {value!r:.80}.")
    return value
