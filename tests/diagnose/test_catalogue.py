"""The catalogue: what every rule must say of itself."""

from __future__ import annotations

import re

import pytest

from graddebug.diagnose.registry import all_rules
from graddebug.diagnose.rule import Rule
from graddebug.records import Severity

CATALOGUE = {
    "GD001": ("stale-acknowledgement", "note"),
    "GD002": ("unreadable-acknowledgement", "note"),
    "GD101": ("stale-gradient", "error"),
    "GD102": ("discarded-gradient", "warning"),
    "GD103": ("cleared-before-step", "error"),
    "GD104": ("foreign-gradient", "error"),
    "GD105": ("eval-gradient", "warning"),
    "GD106": ("unowned-gradient", "warning"),
    "GD107": ("step-without-gradient", "warning"),
    "GD108": ("idle-parameter-moved", "warning"),
    "GD109": ("unconsumed-tail", "note"),
    "GD110": ("uneven-accumulation", "note"),
    "GD111": ("nonfinite-gradient-kept", "error"),
    "GD112": ("idle-optimizer", "warning"),
    "GD201": ("parameter-without-optimizer", "warning"),
    "GD202": ("orphan-parameter", "error"),
    "GD203": ("unregistered-parameter", "warning"),
    "GD204": ("never-receives-gradient", "warning"),
    "GD205": ("gradient-lost", "warning"),
    "GD207": ("update-lost-to-precision", "error"),
    "GD208": ("nothing-trainable", "error"),
    "GD209": ("two-owners", "warning"),
    "GD210": ("parameter-did-not-move", "error"),
    "GD301": ("loss-without-parameters", "error"),
    "GD302": ("detached-term", "note"),
    "GD303": ("detached-step", "error"),
    "GD304": ("graph-without-backward", "warning"),
    "GD305": ("graph-kept-alive", "warning"),
    "GD306": ("graph-grows", "warning"),
    "GD308": ("gradient-holds-graph", "warning"),
    "GD309": ("stepped-before-backward", "error"),
    "GD310": ("checkpoint-cuts-gradient", "error"),
    "GD311": ("trained-under-no-grad", "warning"),
    "GD312": ("double-softmax", "warning"),
    "GD313": ("stale-autocast-cache", "error"),
    "GD401": ("clip-before-unscale", "error"),
    "GD402": ("backward-not-scaled", "error"),
    "GD403": ("scaler-bypassed", "error"),
    "GD404": ("scaler-not-updated", "error"),
    "GD405": ("unscaled-by-another-scale", "error"),
    "GD406": ("accumulate-after-unscale", "error"),
    "GD407": ("no-gradients-to-unscale", "error"),
    "GD408": ("half-parameters-scaled", "error"),
    "GD409": ("scale-collapse", "error"),
    "GD410": ("half-without-scaler", "warning"),
    "GD411": ("near-overflow", "warning"),
    "GD412": ("schedule-on-skipped-step", "note"),
    "GD413": ("unscaled-twice", "error"),
    "GD414": ("step-skipped", "note"),
    "GD415": ("gradient-underflow", "warning"),
    "GD416": ("backward-under-autocast", "note"),
    "GD418": ("reduction-in-half", "warning"),
    "GD501": ("nonfinite-born-backward", "error"),
    "GD502": ("nonfinite-born-forward", "error"),
    "GD503": ("masked-branch-nan", "error"),
    "GD504": ("gradient-amplified", "warning"),
    "GD505": ("nonfinite-gradient-consumed", "error"),
    "GD506": ("optimizer-state-nonfinite", "error"),
    "GD507": ("exploding", "warning"),
    "GD508": ("vanishing", "warning"),
    "GD509": ("spike", "warning"),
    "GD510": ("zero-gradient", "warning"),
    "GD511": ("update-ratio", "note"),
    "GD512": ("nonfinite-loss-healthy-gradient", "note"),
    "GD601": ("clip-after-step", "error"),
    "GD602": ("clip-before-backward", "error"),
    "GD603": ("clip-nothing", "warning"),
    "GD604": ("clip-per-micro-batch", "warning"),
    "GD605": ("clip-nonfinite", "error"),
    "GD606": ("clip-rules-the-rate", "note"),
    "GD607": ("clip-negative", "error"),
    "GD608": ("clip-foreign-parameters", "warning"),
    "GD610": ("schedule-per-micro-batch", "warning"),
    "GD801": ("left-in-eval", "warning"),
}


def test_codes_slugs_and_severities_are_public_api() -> None:
    """They are never reused and never change silently."""
    assert {c: (r.slug, r.severity.word) for c, r in all_rules().items()} == CATALOGUE


@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.code)
def test_every_rule_explains_itself(rule: type[Rule]) -> None:
    """A title, why it matters, a fix, and an example with a wrong and a right half."""
    assert rule.title
    assert not rule.title.endswith(".")
    assert 2 <= len(re.findall(r"[.:;?](\s|$)", rule.why)) <= 5
    assert rule.fix.endswith(".")
    assert "wrong" in rule.example
    assert "right" in rule.example
    assert isinstance(rule.severity, Severity)
    assert rule.__module__.endswith(rule.slug.replace("-", "_"))


@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.code)
def test_every_option_has_a_default_and_says_what_it_is(rule: type[Rule]) -> None:
    """Options are attributes of the class, and numbers."""
    assert all(type(getattr(rule, option)) in (int, float) for option in rule.options)
    assert all(text and not text.endswith(".") for text in rule.options.values())


def test_rules_are_sorted_by_code() -> None:
    """`graddebug rules` prints them so."""
    assert list(all_rules()) == sorted(all_rules())
