"""`graddebug.watch`: what it takes, when it stops the program, what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import graddebug
from graddebug import FindingRaised, UsageError
from graddebug.records import Backward
from tests.capture.observing import mlp, train
from tests.capture.small import unseen


def forgetful(model: nn.Module, optimizer: torch.optim.Optimizer, *, steps: int = 3) -> None:
    """A loop without zero_grad."""
    for _ in range(steps):
        loss: Any = model(torch.ones(2, 4)).square().mean()
        loss.backward()
        optimizer.step()


def parts() -> tuple[nn.Sequential, torch.optim.Optimizer]:
    model = mlp(4, 3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


# --- what is watched ------------------------------------------------------------------------------


def test_positional_objects_are_called_as_in_the_call() -> None:
    """Findings speak of the user's own variable."""
    net, opt = parts()
    with graddebug.watch(net, opt, on_finding="silent") as run:
        forgetful(net, opt)
    (finding,) = run.findings
    assert finding.rule == "GD101"
    assert finding.message.startswith("`opt.step()` applied")


def test_keywords_name_what_is_watched() -> None:
    """Several modules: the name qualifies the parameters."""
    net, opt = parts()
    with graddebug.watch(actor=net, critic=nn.Linear(1, 1), adam=opt, on_finding="silent") as run:
        forgetful(net, opt)
    (finding,) = run.findings
    assert finding.parameters[0] == "actor.0.weight"
    assert finding.message.startswith("`adam.step()` applied")


def test_nothing_named_finds_all() -> None:
    """Also optimizers that were made before."""
    net, opt = parts()
    with graddebug.watch(on_finding="silent") as run:
        forgetful(net, opt)
    assert [finding.rule for finding in run.findings] == ["GD101"]


def test_a_model_alone_brings_its_optimizer() -> None:
    """The optimizer that owns its parameters is watched, too."""
    net, opt = parts()
    with graddebug.watch(net, on_finding="silent") as run:
        forgetful(net, opt)
    assert [finding.rule for finding in run.findings] == ["GD101"]


def test_schedulers_and_scalers_are_welcome() -> None:
    """Any mix may be handed over."""
    net, opt = parts()
    with graddebug.watch(net, opt, torch.optim.lr_scheduler.StepLR(opt, 1), torch.amp.GradScaler("cpu")):
        pass


# --- bad input -------------------------------------------------------------------------------------


def test_a_model_without_parameters_is_refused() -> None:
    """There would be no gradients to watch."""
    model = nn.ReLU()
    with pytest.raises(UsageError, match="model has no parameters, so it has no gradients to watch"):
        graddebug.watch(model)


def test_other_objects_are_refused() -> None:
    """With the name of the type."""
    with pytest.raises(UsageError, match="takes modules, optimizers, schedulers and scalers; x is a Tensor"):
        graddebug.watch(x=torch.ones(1))


def test_an_unknown_reaction_is_refused() -> None:
    """With the ones there are."""
    with pytest.raises(UsageError, match='"warn", "raise" or "silent", not'):
        graddebug.watch(on_finding="shout")  # type: ignore[arg-type]


def test_the_same_watch_cannot_be_entered_twice() -> None:
    """Neither inside itself nor afterwards; what it saw is kept."""
    net, opt = parts()
    with graddebug.watch(net, opt) as run:
        train(net, opt, steps=2)
        with pytest.raises(UsageError, match="This watch is already open"):
            run.__enter__()
        train(net, opt)
    with pytest.raises(UsageError, match="This watch was already used"):
        run.__enter__()
    assert run.steps == 3


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """A recording is never overwritten."""
    (tmp_path / "notes.txt").write_text("mine")
    watch = graddebug.watch(nn.Linear(1, 1), out=tmp_path)
    with pytest.raises(UsageError, match="already holds files"):
        watch.__enter__()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Before anything is watched."""
    (tmp_path / "file").write_text("")
    watch = graddebug.watch(nn.Linear(1, 1), out=tmp_path / "file" / "run")
    with pytest.raises(UsageError, match="file"):
        watch.__enter__()


def test_a_step_outside_the_watch_is_refused() -> None:
    """With the way to write it."""
    run = graddebug.watch(nn.Linear(1, 1))
    with pytest.raises(UsageError, match="belongs inside the watch"), run.step():
        pass


# --- stopping before the harm ---------------------------------------------------------------------


def test_raise_stops_before_the_guilty_step_changes_a_weight() -> None:
    """The weights are those after the last good step; the user's line is the last of the traceback's own."""
    net, opt = parts()
    with graddebug.watch(net, opt, on_finding="raise"):
        forgetful(net, opt, steps=1)
        before = [parameter.detach().clone() for parameter in net.parameters()]
        with pytest.raises(FindingRaised) as caught:
            forgetful(net, opt, steps=1)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert caught.value.finding.rule == "GD101"
    assert "optimizer.step()" in str(caught.value)


def test_raise_lets_notes_pass() -> None:
    """A note is no reason to stop a training."""
    net, opt = parts()
    with graddebug.watch(net, opt, on_finding="raise") as run:
        train(net, opt)
        net(torch.ones(1, 4)).sum().backward()
    assert [finding.rule for finding in run.findings if finding.severity > graddebug.Severity.NOTE] == []


def test_warn_prints_each_finding_once(capsys: pytest.CaptureFixture[str]) -> None:
    """To standard error, at its first sighting, however often it is seen."""
    net, opt = parts()
    with graddebug.watch(net, opt) as run:
        forgetful(net, opt, steps=6)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("GD101") == 1
    assert run.findings[0].count == 5


# --- several watches --------------------------------------------------------------------------------


def test_watches_nest() -> None:
    """Each hears of its own objects; the inner one's end leaves the outer one watching."""
    net, opt = parts()
    other, other_opt = parts()
    with graddebug.watch(net, opt, on_finding="silent") as outer:
        with graddebug.watch(other, other_opt, on_finding="silent") as inner:
            forgetful(other, other_opt)
            train(net, opt)
        forgetful(net, opt)
    assert [finding.rule for finding in inner.findings] == ["GD101"]
    assert [finding.rule for finding in outer.findings] == ["GD101"]
    assert (inner.steps, outer.steps) == (3, 4)


def test_two_watches_of_the_same_objects_agree() -> None:
    """Torch is wrapped once, events go to both."""
    net, opt = parts()
    with (
        graddebug.watch(net, opt, on_finding="silent") as first,
        graddebug.watch(on_finding="silent") as second,
    ):
        forgetful(net, opt)
    assert [f.rule for f in first.findings] == [f.rule for f in second.findings] == ["GD101"]


def test_watches_may_close_in_any_order() -> None:
    """The last one out gives torch back."""
    net, opt = parts()
    first, second = graddebug.watch(net, opt).__enter__(), graddebug.watch(net, opt).__enter__()
    first.close()
    train(net, opt, steps=2)
    second.close()
    assert (first.steps, second.steps) == (0, 2)


# --- the record -------------------------------------------------------------------------------------


def test_the_recording_holds_what_the_run_said(tmp_path: Path) -> None:
    """Findings, steps, statistics and events come back."""
    net, opt = parts()
    with graddebug.watch(net, opt, out=tmp_path / "run", on_finding="silent") as run:
        forgetful(net, opt)
    recording = run.recording
    assert len(recording) == run.steps == 3
    assert [finding.id for finding in recording.findings] == [finding.id for finding in run.findings]
    assert sum(type(event) is Backward for event in recording.events()) == 3
    assert recording.closed == "finished"
    assert run.folder == tmp_path / "run"


def test_a_run_without_a_folder_has_no_recording() -> None:
    """And says how to get one."""
    with graddebug.watch(nn.Linear(1, 1)) as run:
        pass
    with pytest.raises(UsageError, match="Give it a folder"):
        _ = run.recording


def test_an_exception_keeps_the_record(tmp_path: Path) -> None:
    """With the steps so far and how it ended."""
    net, opt = parts()

    def block() -> None:
        with graddebug.watch(net, opt, out=tmp_path / "run"):
            train(net, opt, steps=2)
            raise ValueError("broken batch")

    with pytest.raises(ValueError, match="broken batch"):
        block()
    recording = graddebug.Recording.open(tmp_path / "run")
    assert (len(recording), recording.closed) == (2, "exception")


def test_our_own_failure_ends_the_watch_and_not_the_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says so, and it is not observable from there on."""
    net, opt = parts()
    with graddebug.watch(net, opt) as run:
        train(net, opt)
        with monkeypatch.context() as patch:
            patch.setattr("graddebug.capture.backwards.walk", lambda *_: 1 / 0)
            train(net, opt, steps=3)
    assert capsys.readouterr().err.count("graddebug stopped watching") == 1
    assert unseen(run) == ["everything from here on"]


@pytest.mark.parametrize("quick", ["enter_inner", "leave_inner"])
def test_a_failure_on_the_quick_way_is_ours_too(
    quick: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most module calls pass a lighter border: nothing of ours passes that either."""

    def fail(*_: object) -> bool:
        raise RuntimeError("ours")

    monkeypatch.setattr(f"graddebug.capture.forwards.Forwards.{quick}", fail)
    with graddebug.watch(nn.Linear(2, 1)):
        nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))(torch.ones(1, 2)).sum().backward()
    assert capsys.readouterr().err.count("graddebug stopped watching") == 1


def test_a_recording_that_cannot_be_finished_ends_the_watch_and_not_the_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong while the record is closed is one word on standard error."""
    monkeypatch.setattr("graddebug.trace.writer.TraceWriter._finish", lambda *_: int("x"))
    net, opt = parts()
    with graddebug.watch(net, opt, out=tmp_path / "run"):
        train(net, opt)
    assert "graddebug could not finish the recording (ValueError" in capsys.readouterr().err


def test_marked_steps_count(tmp_path: Path) -> None:
    """run.step() around two optimizer steps is one step."""
    net, opt = parts()
    with graddebug.watch(net, opt) as run:
        for _ in range(3):
            with run.step():
                train(net, opt, steps=2)
    assert run.steps == 3
