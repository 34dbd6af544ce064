"""Which parameters there are, and what they are called."""

from __future__ import annotations

import torch
from torch import nn

import graddebug
from graddebug.records import (
    Backward,
    OptimizerOwns,
    OptimizerStep,
    OptimizerStepEnd,
    ParametersUnregistered,
    ParametersUsed,
    TrainableChanged,
)
from tests.capture.observing import mlp, observe


class Tied(nn.Module):
    """An embedding whose weight is the output layer's, too."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.embed(tokens))
        return out


class Listed(nn.Module):
    """Layers in a plain list, which registers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        out: torch.Tensor = self.head(x)
        return out


def test_qualified_names_shapes_and_modules() -> None:
    """As named_parameters() has them."""
    model = mlp(4, 3, 2)
    model[2].bias.requires_grad_(False)
    with observe(model) as seen:
        pass
    assert [info.name for info in seen.parameters] == [name for name, _ in model.named_parameters()]
    assert seen.parameters[0].shape == (3, 4)
    assert (seen.parameters[2].module, seen.parameters[2].module_type) == ("2", "Linear")
    assert [info.requires_grad for info in seen.parameters] == [True, True, True, False]


def test_a_tied_weight_is_one_parameter_with_two_names() -> None:
    """Written once by a backward that comes through both uses."""
    model = Tied()
    with observe(model) as seen:
        model(torch.tensor([1, 2])).sum().backward()
    (info,) = seen.parameters
    assert (info.name, info.also) == ("embed.weight", ("head.weight",))
    assert [event.written for event in seen.of(Backward)] == [(0,)]


def test_several_models_are_told_apart() -> None:
    """By the names they are watched under."""
    with observe(net=nn.Linear(4, 2), critic=nn.Linear(2, 1)) as seen:
        pass
    assert [info.name for info in seen.parameters] == [
        "net.weight",
        "net.bias",
        "critic.weight",
        "critic.bias",
    ]


def test_parameters_outside_modules_come_from_the_optimizer() -> None:
    """Learned loss weights and the like are named by their place in the optimizer."""
    model, weight = nn.Linear(4, 1), nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([*model.parameters(), weight], lr=0.1)
    with observe(model, optimizer) as seen:
        (model(torch.ones(2, 4)).mean() * weight.exp()).backward()
        optimizer.step()
    assert [info.origin for info in seen.parameters] == ["module", "module", "optimizer"]
    assert seen.parameters[2].name.endswith("[2]")
    assert seen.of(Backward)[0].written == (0, 1, 2)


def test_groups_added_later_are_owned_from_then_on() -> None:
    """add_param_group is followed."""
    model = mlp(4, 3, 2)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        optimizer.add_param_group({"params": model[0].parameters()})
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    assert [event.params for event in seen.of(OptimizerOwns)] == [(2, 3), (0, 1, 2, 3)]


def test_parameters_nobody_registered_are_found_and_named() -> None:
    """By the attribute of the module that hides them."""
    model = Listed()
    with observe(model) as seen:
        model(torch.ones(2, 4)).sum().backward()
    hidden = [info for info in seen.parameters if info.origin == "unregistered"]
    assert sorted(info.name for info in hidden) == [
        "layers[0].bias",
        "layers[0].weight",
        "layers[1].bias",
        "layers[1].weight",
    ]


def test_a_replaced_layer_is_told() -> None:
    """The new one is known, the old one has left its module."""
    model = mlp(4, 3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        model[2] = nn.Linear(3, 2)
        model(torch.ones(2, 4)).sum().backward()
    assert [event.params for event in seen.of(ParametersUnregistered)] == [(2, 3)]
    assert [info.name for info in seen.parameters][4:] == ["2.weight", "2.bias"]


def test_freezing_is_noticed_at_the_next_step() -> None:
    """requires_grad is read again."""
    model = mlp(4, 3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as seen:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        model[0].requires_grad_(False)
        optimizer.step()
    (event,) = seen.of(TrainableChanged)
    assert (event.params, event.requires_grad) == ((0, 1), False)


def test_with_nothing_named_all_is_found() -> None:
    """Models by their first call, optimizers by their use, under the user's own words."""
    with observe() as seen:
        net = nn.Linear(4, 2)
        opt = torch.optim.Adam(net.parameters())
        for _ in range(2):
            opt.zero_grad()
            net(torch.ones(1, 4)).sum().backward()
            opt.step()
    assert [info.name for info in seen.parameters] == ["weight", "bias"]
    assert [(info.name, info.type) for info in seen.optimizers] == [("opt", "Adam")]


def test_modules_in_a_dict_have_names_of_their_own() -> None:
    """No two parameters are called the same."""
    nets = {"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}
    optimizers = {key: torch.optim.SGD(net.parameters(), lr=0.1) for key, net in nets.items()}
    with graddebug.watch(on_finding="silent") as run:
        for _ in range(2):
            nets["b"](nets["a"](torch.ones(1, 2))).sum().backward()
            for optimizer in optimizers.values():
                optimizer.step()
    (finding,) = run.findings
    assert finding.parameters == ("nets['a'].weight", "nets['a'].bias", "nets['b'].weight", "nets['b'].bias")


def test_a_module_without_gradient_is_told_once_a_window() -> None:
    """Until it gets one; the others are told once."""
    model = nn.ModuleList([nn.Linear(4, 2), nn.Linear(4, 2)])
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with observe(model) as seen:
        for step in range(5):
            outputs = [layer(torch.ones(3, 4)).sum() for layer in model]
            outputs[0].backward() if step < 3 else sum(outputs).backward()
            optimizer.step()
    told = [seen.names(event.params)[0] for event in seen.of(ParametersUsed)]
    assert told == ["0.weight", *["1.weight"] * 4]


def test_a_closures_first_step_waits_for_the_names_of_the_modules_inside() -> None:
    """LBFGS, and trainers that run the whole batch in a closure, step before any module has run."""
    with observe() as seen:
        net = nn.Linear(4, 1)
        opt = torch.optim.LBFGS(net.parameters(), max_iter=2)

        def closure() -> float:
            opt.zero_grad()
            loss = net(torch.ones(2, 4)).square().mean()
            loss.backward()
            return float(loss.detach())

        for _ in range(2):
            opt.step(closure)
    assert [(info.name, info.origin) for info in seen.parameters] == [
        ("weight", "module"),
        ("bias", "module"),
    ]
    assert [event.params for event in seen.of(OptimizerStep)] == [(0, 1), (0, 1)]
    assert [event.ready for event in seen.of(OptimizerStepEnd)] == [(0, 1), (0, 1)]


def test_a_closure_without_backward_still_shows_what_its_optimizer_owns() -> None:
    """Once the step has returned."""
    weight = nn.Parameter(torch.ones(2))
    with observe() as seen:
        opt = torch.optim.SGD([weight], lr=0.1)
        opt.step(lambda: 0.0)
    assert [event.params for event in seen.of(OptimizerOwns)] == [(0,)]
