from graddebug.records import Backward, GradientsCleared, OptimizerStep, OptimizerStepEnd
from graddebug.views.held import GradientsHeld, Held


def _backward(order: int, *written: int, step: int = 0) -> Backward:
    return Backward(step=step, order=order, written=written)


def _stepped(order: int, *params: int, skipped: bool = False) -> tuple[OptimizerStep, OptimizerStepEnd]:
    begin = OptimizerStep(step=0, order=order, optimizer=0, params=params, ready=params)
    return begin, OptimizerStepEnd(step=0, order=order + 1, optimizer=0, begin=order, skipped=skipped)


def _fed(*events: Backward | GradientsCleared | OptimizerStep | OptimizerStepEnd) -> GradientsHeld:
    held = GradientsHeld()
    for event in events:
        held.feed(event)
    return held


def test_parameters_with_one_history_are_one_group() -> None:
    """A backward over a thousand parameters is one entry."""
    held = _fed(_backward(0, *range(1000)))
    assert held.groups == {Held(since=0, last=0, fresh=1): frozenset(range(1000))}


def test_a_second_backward_parts_those_it_reached() -> None:
    """Only the parameters written twice hold two backwards."""
    held = _fed(_backward(0, 0, 1), _backward(1, 1))
    assert held.of([0]) == {Held(since=0, last=0, fresh=1): frozenset({0})}
    assert held.of([1]) == {Held(since=0, last=1, fresh=2): frozenset({1})}


def test_a_step_marks_what_it_consumed() -> None:
    """What is written afterwards is fresh on top of it."""
    held = _fed(_backward(0, 0), *_stepped(1, 0), _backward(3, 0))
    assert held.of([0]) == {Held(since=0, last=3, fresh=1, used=1): frozenset({0})}


def test_a_skipped_step_consumes_nothing() -> None:
    """The scaler left the weights alone, so the gradient is still fresh."""
    held = _fed(_backward(0, 0), *_stepped(1, 0, skipped=True))
    assert held.of([0]) == {Held(since=0, last=0, fresh=1): frozenset({0})}


def test_clearing_forgets() -> None:
    """A cleared gradient holds nothing."""
    held = _fed(_backward(0, 0, 1), GradientsCleared(step=0, order=1, params=(0,), how="zeroed"))
    assert held.groups == {Held(since=0, last=0, fresh=1): frozenset({1})}
