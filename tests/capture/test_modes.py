"""Which layers are in eval mode while a graph is built."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from graddebug.capture.modes import mode_layers, parts_in_eval
from graddebug.records import ModulesInEval
from tests.capture.observing import Seen, observe


def net() -> nn.Sequential:
    """A body with both kinds of layers, and a head."""
    body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.1))
    return nn.Sequential(body, nn.Linear(4, 1))


def train(*changes: Callable[[nn.Module], object], grad: bool = True) -> Seen:
    """One step after each change."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(optimizer, model=model) as seen:
        for change in changes:
            change(model)
            with torch.set_grad_enabled(grad):
                loss = model(torch.randn(3, 4)).square().mean()
            if grad:
                loss.backward()
            optimizer.step()
    return seen


def told(seen: Seen) -> list[tuple[tuple[str, ...], tuple[str, ...], bool]]:
    """What was told, in order."""
    return [(event.parts, event.layers, event.rest) for event in seen.of(ModulesInEval)]


def test_train_mode_tells_nothing() -> None:
    """Not even once."""
    assert told(train(nn.Module.train, nn.Module.train)) == []


def test_eval_and_back() -> None:
    """Told when it changes, before the forward."""
    seen = train(nn.Module.train, nn.Module.eval, nn.Module.eval, nn.Module.train)
    assert told(seen) == [(("model",), ("BatchNorm1d", "Dropout"), False), ((), (), True)]
    assert seen.names(seen.of(ModulesInEval)[0].params) == [
        "0.0.weight",
        "0.0.bias",
        "0.1.weight",
        "0.1.bias",
        "1.weight",
        "1.bias",
    ]


def test_a_part_whose_container_is_in_train_mode() -> None:
    """The flag of the outermost module can lie."""
    assert told(train(lambda model: model.get_submodule("0").eval())) == [
        (("model.0",), ("BatchNorm1d", "Dropout"), True)
    ]


def test_evaluations_without_a_graph_are_passed_over() -> None:
    """Nothing is trained in them."""
    assert told(train(nn.Module.eval, grad=False)) == []


def test_layers_switched_one_by_one_are_no_part() -> None:
    """Who switches single layers means it."""
    model = net()
    for layer in mode_layers(model):
        layer.eval()
    assert list(parts_in_eval(model)) == []


def test_dropout_between_the_layers_of_an_rnn() -> None:
    """It is no layer of its own."""
    with_it, without = nn.LSTM(2, 2, num_layers=2, dropout=0.1), nn.LSTM(2, 2)
    assert mode_layers(nn.Sequential(with_it, without)) == [with_it]


def test_layers_that_work_the_same_in_both_modes() -> None:
    """Dropout of nothing, batch norm without running statistics."""
    assert mode_layers(nn.Sequential(nn.Dropout(0.0), nn.BatchNorm1d(2, track_running_stats=False))) == []
