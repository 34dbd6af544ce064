"""Findings as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graddebug.diagnose.evidence import Judgement, Outcome
from graddebug.report.json import check_json, dumps, plain
from tests.report.stories import EVAL, STALE, UNSEEN, finding

GOLDEN = Path(__file__).parent / "golden" / "check.json"


def test_the_whole_document() -> None:
    """The public schema, version 1, with every field."""
    document = check_json(
        run={"folder": "runs/demo", "closed": "finished"},
        steps=400,
        findings=[STALE, EVAL],
        not_observable=[UNSEEN],
        judgements=[
            Judgement("GD101", "stale-gradient", Outcome.FOUND),
            Judgement("GD402", "backward-not-scaled", Outcome.NOT_APPLICABLE, "no loss scaler was in use"),
        ],
        pages={"GD101": "https://rules.example/GD101.md"},
    )
    assert dumps(document) + "\n" == GOLDEN.read_text("utf-8")


def test_nan_and_inf_are_words() -> None:
    """Strict JSON has no NaN: readers in other languages must not choke."""
    document = check_json(
        run={},
        steps=1,
        findings=[finding(evidence={"norms": (float("nan"), float("-inf"))})],
        not_observable=[],
    )
    assert json.loads(dumps(document))["findings"][0]["evidence"] == {"norms": ["nan", "-inf"]}


@pytest.mark.parametrize("value", [1, 1.5, "text", None, True])
def test_plain_values_stay(value: object) -> None:
    """Everything JSON knows passes unchanged."""
    assert plain(value) is value


def test_the_text_is_ascii() -> None:
    """Names with control or foreign characters are escaped, so any pipe carries them."""
    text = dumps({"name": "größe\x1b\u202e"})
    assert text.isascii()
    assert json.loads(text) == {"name": "größe\x1b\u202e"}
