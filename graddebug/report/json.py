"""Findings as JSON, in the shape that `graddebug check --format json` promises (version 1)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from graddebug.diagnose.evidence import Judgement
from graddebug.records import Finding, NotObservable, Role

VERSION = 1


def check_json(
    *,
    run: Mapping[str, object],
    steps: int,
    findings: Sequence[Finding],
    not_observable: Iterable[NotObservable],
    judgements: Iterable[Judgement] = (),
    pages: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, object]:
    """The whole answer of a check as plain values; ``run`` describes the recording."""
    return {
        "version": VERSION,
        "run": dict(run),
        "steps": steps,
        "findings": [finding_json(finding) | {"page": pages.get(finding.rule)} for finding in findings],
        "not_observable": [
            {"what": unseen.what, "reason": unseen.reason, "step": unseen.step, "site": _where(unseen)}
            for unseen in not_observable
        ],
        "rules": [
            {"rule": one.rule, "slug": one.slug, "outcome": one.outcome.value, "reason": one.reason or None}
            for one in judgements
        ],
    }


def finding_json(finding: Finding) -> dict[str, object]:
    """One finding as plain values."""
    return {
        "id": finding.id,
        "rule": finding.rule,
        "slug": finding.slug,
        "severity": finding.severity.word,
        "message": finding.message,
        "fix": finding.fix,
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "count": finding.count,
        "parameters": list(finding.parameters),
        "sites": [_site(role) for role in finding.roles],
        "evidence": plain(finding.evidence),
        "acknowledged": finding.acknowledged,
        "acknowledged_by": finding.acknowledged_by or None,
    }


def _site(role: Role) -> dict[str, object]:
    site = role.site
    return {"role": role.role, "file": site.file, "line": site.line, "function": site.function}


def _where(unseen: NotObservable) -> dict[str, object] | None:
    site = unseen.site
    return None if site is None else {"file": site.file, "line": site.line, "function": site.function}


def plain(value: object) -> object:
    """The value with mappings and sequences as dicts and lists, and NaN and inf as their words."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def dumps(document: Mapping[str, object]) -> str:
    """Strict JSON (no NaN), ASCII only, indented; `ValueError` for a number JSON cannot hold."""
    return json.dumps(plain(document), indent=2, allow_nan=False)
