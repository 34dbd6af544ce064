"""What became of each rule in a run."""

from __future__ import annotations

from graddebug.diagnose.engine import Engine
from graddebug.diagnose.evidence import Judgement, Outcome
from graddebug.diagnose.registry import all_rules
from graddebug.diagnose.rule import Claims, Rule
from graddebug.ledger import Ledger
from graddebug.records import Backward, Event, OptimizerStep, ScalerSeen, Severity


def judged(*events: Event) -> dict[str, Judgement]:
    """What became of each rule after these events."""
    engine = Engine([], [])
    for event in events:
        engine.feed(event)
    return {one.rule: one for one in engine.judgements}


def test_without_its_evidence_a_rule_says_so() -> None:
    """Nothing was seen: rules about steps could not judge, rules about scalers had nothing to."""
    told = judged()
    assert (told["GD101"].outcome, told["GD101"].reason) == (
        Outcome.NOT_JUDGED,
        "no optimizer's step was seen",
    )
    assert told["GD402"].outcome is Outcome.NOT_APPLICABLE


def test_a_backward_that_was_not_measured_is_no_evidence_of_nodes() -> None:
    """The same event shows one kind of evidence and not another."""
    backward = Backward(step=0, order=0, captured=False)
    assert judged(backward)["GD504"].reason == "no backward's nodes were measured"
    measured = Backward(step=0, order=1, captured=True)
    assert judged(backward, measured)["GD504"].outcome is Outcome.NOTHING_FOUND


def test_what_could_not_be_seen_comes_before_what_is_not_there() -> None:
    """Half precision may have been in use where nothing was measured."""
    assert judged()["GD411"].outcome is Outcome.NOT_JUDGED
    seen = judged(Backward(step=0, order=0, captured=True))["GD411"]
    assert (seen.outcome, seen.reason) == (Outcome.NOT_APPLICABLE, "nothing in half precision was measured")


def test_with_its_evidence_silence_means_nothing_was_found() -> None:
    """A step was seen, and a scaler."""
    step = OptimizerStep(step=0, order=0, optimizer=0, params=())
    scaler = ScalerSeen(step=0, order=1, scaler=0, name="scaler")
    assert judged(step, scaler)["GD402"].outcome is Outcome.NOTHING_FOUND


def test_a_disabled_scaler_is_none() -> None:
    """It scales nothing, so there is nothing to judge."""
    off = ScalerSeen(step=0, order=0, scaler=0, name="scaler", enabled=False)
    assert judged(off)["GD402"].outcome is Outcome.NOT_APPLICABLE


def test_every_rule_about_training_says_what_it_needs() -> None:
    """Only those about acknowledging judge without having seen anything."""
    assert [code for code, rule in all_rules().items() if not rule.needs] == ["GD001", "GD002"]


def test_a_rule_that_failed_could_not_judge() -> None:
    """One that raised is left out, and that is told here too."""
    import pytest

    class Broken(Rule):
        """Raises."""

        code, slug, severity = "X1", "broken", Severity.NOTE

        def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
            """Fail."""
            raise ValueError

    engine = Engine([], [], rules=[Broken])
    with pytest.warns(RuntimeWarning, match="leaves out the rule X1"):
        engine.feed(Backward(step=0, order=0))
    assert engine.judgements == [Judgement("X1", "broken", Outcome.NOT_JUDGED, "it raised ValueError")]
