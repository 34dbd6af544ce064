"""Function modes of the user's beside ours, which lies on torch's stack in every measured forward."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

import graddebug
from tests.capture.small import assert_seen, model, sgd, train, unseen

#: Its name, which must not stand near a line that a finding quotes.
HANDLER = "__torch_function__"


class Transparent(TorchFunctionMode):
    """Only calls."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


class Loud(torch.Tensor):
    """A tensor that answers for its operators itself, and keeps their names."""

    held: torch.Tensor
    called: tuple[str, ...] = ()
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Loud:
        made: Loud = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        made.held = inner
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        Loud.called = (*Loud.called, str(func))
        result = func(*(one.held if isinstance(one, Loud) else one for one in args), **(kwargs or {}))
        return Loud(result) if isinstance(result, torch.Tensor) else result


def modes() -> list[Any]:
    """This thread's stack, lowest first."""
    return list(_get_current_function_mode_stack())


def watch(*objects: object) -> graddebug.Run:
    """A watch that measures everything and only collects."""
    return graddebug.watch(*objects, nodes="always", on_finding="silent")


def test_a_mode_of_the_users_ends_with_its_block() -> None:
    """Leaving a mode takes off what is on top: ours comes back below it after each optimizer step."""
    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer) as run:
        with Transparent() as mine:
            train(module, optimizer)
        assert mine not in modes()
    assert modes() == []
    assert_seen(run, steps=3)


def test_a_device_block_ends_with_its_block() -> None:
    """``with torch.device`` lies on top of the stack, and ours stays below it."""
    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer):
        with torch.device("cpu"):
            train(module, optimizer)
        assert len(modes()) == 1
    assert modes() == []


def test_the_default_device_stays_lowest() -> None:
    """``torch.set_default_device`` takes off what is at the bottom."""
    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer):
        torch.set_default_device("cpu")
        train(module, optimizer)
        torch.set_default_device(None)
    assert modes() == []


def test_a_line_seen_through_a_users_mode_is_where_the_op_was_called() -> None:
    """A handler is not the line that we look for."""
    weight = nn.Parameter(torch.zeros(2))
    with watch(nn.ParameterList([weight])) as run, Transparent():
        (weight / 0).sum().backward()
    finding = next(one for one in run.findings if one.rule.startswith("GD50"))
    assert HANDLER not in str(finding)


def test_a_watch_closed_in_another_thread_leaves_the_stack_with_the_next_call() -> None:
    """Each thread has a stack of its own."""
    run = watch(model())
    run.__enter__()
    closing = threading.Thread(target=run.close)
    closing.start()
    closing.join()
    torch.ones(2).add(1)
    assert modes() == []


def test_a_watch_closed_in_a_gradient_hook_leaves_the_stack() -> None:
    """Torch puts our mode back when the backward returns."""
    module = model()
    run = watch(module)
    run.__enter__()
    handle = next(module.parameters()).register_hook(lambda _grad: run.close())
    module(torch.ones(1, 4)).sum().backward()
    handle.remove()
    assert modes() == []


def test_batched_gradients_are_left_alone() -> None:
    """Values of the tensors in a vectorised Hessian cannot be read."""
    module = model()
    with watch(module) as run:
        torch.autograd.functional.hessian(lambda x: module(x).pow(3).sum(), torch.ones(4), vectorize=True)
    assert unseen(run) == []


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_trace_of_torch_jit_holds_no_reading_of_ours() -> None:
    """While ``torch.jit.trace`` records, every operator called is recorded."""
    module, x = model(), torch.ones(2, 4)
    plain = [node.kind() for node in torch.jit.trace(module, x).inlined_graph.nodes()]
    with watch(module):
        traced = [node.kind() for node in torch.jit.trace(module, x).inlined_graph.nodes()]
    assert traced == plain


def test_a_tensor_that_answers_for_its_operators_is_asked_nothing() -> None:
    """Neither of the result of an op nor of a gradient on its way."""

    def ops() -> tuple[str, ...]:
        Loud.called = ()
        weight = nn.Parameter(Loud(torch.ones(2)))
        weight.exp().backward(Loud(torch.ones(2)))
        return Loud.called

    plain = ops()
    with watch(model()):
        assert ops() == plain


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("frozen", ["encoder", "layers"])
def test_an_encoder_chooses_as_without_us(frozen: str) -> None:
    """A layer in eval mode decides, be its encoder in training mode or not."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).requires_grad_(False)
    (encoder if frozen == "encoder" else encoder.layers).eval()
    x, padding = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    plain = encoder(x, src_key_padding_mask=padding)
    with watch(model()):
        assert torch.equal(encoder(x, src_key_padding_mask=padding), plain)


def test_a_closed_watch_holds_nothing_weakly() -> None:
    """Torch refuses to swap tensors with weak references."""
    module = model()
    optimizer = sgd(module)
    held = [module, *module.modules(), *module.parameters(), optimizer]
    before = [weakref.getweakrefcount(one) for one in held]  # dynamo's, where it was used before
    with watch(module, optimizer):
        train(module, optimizer)
    assert [weakref.getweakrefcount(one) for one in held] == before
