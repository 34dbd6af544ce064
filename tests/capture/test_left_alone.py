"""What a program does in a watch works, and is seen, as outside one."""

from __future__ import annotations

import gc
import multiprocessing
import warnings
import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import graddebug
from graddebug.errors import FindingRaised
from graddebug.records import Finding
from tests.capture.small import assert_seen, model, sgd, train, unseen


def watch(*objects: object) -> graddebug.Run:
    """A watch that only collects."""
    return graddebug.watch(*objects, on_finding="silent")


def test_parameters_can_be_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch refuses to swap tensors that are held weakly, as ours are: we let go meanwhile."""
    monkeypatch.setattr(torch.__future__, "get_swap_module_params_on_conversion", lambda: True)
    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer) as run:
        train(module, optimizer, 2)
        module.double().float()
        module.load_state_dict(module.state_dict())
        train(module, optimizer, 2)
    assert_seen(run, steps=4)


def test_compiled_module_gives_no_warning_of_our_hooks() -> None:
    """Torch warns of global module hooks beside compiled modules; ours are none of the user's business."""
    module = model()
    optimizer = sgd(module)
    compiled = torch.compile(module, backend="eager")
    with warnings.catch_warnings(), watch(module, optimizer) as run:
        warnings.simplefilter("error")
        train(compiled, optimizer)
    assert_seen(run, steps=3)


def test_compiled_module_still_warns_of_the_users_own_hooks() -> None:
    """The warning is torch's to give where the user has global hooks."""
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with watch(model()), pytest.warns(UserWarning, match="global hooks"):
            torch.compile(model(), backend="eager")(torch.ones(1, 4))
    finally:
        handle.remove()


@pytest.mark.parametrize("clip", [nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_])
def test_compiled_clipping_does_not_trace_our_wrapper(clip: Callable[..., Any]) -> None:
    """Clipping compiles to one graph without a break, as it does unwatched."""
    module = model()
    optimizer = sgd(module)
    module(torch.ones(5, 4)).mean().backward()
    try:
        _compiled_clipping(clip.__name__, module)()
    except torch._dynamo.exc.Unsupported:
        pytest.skip("this torch cannot compile clipping at all")
    with watch(module, optimizer):
        _compiled_clipping(clip.__name__, module)()


def _compiled_clipping(name: str, module: nn.Module) -> Callable[[], object]:
    torch.compiler.reset()
    clip_now = getattr(nn.utils, name)
    return torch.compile(lambda: clip_now(list(module.parameters()), 1.0), backend="eager", fullgraph=True)


class _Operators(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.called: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.called.append(str(func))
        return func(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.called.append(str(getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", [_Operators, _Functions])
def test_users_modes_see_only_their_own_calls(mode: type[_Operators] | type[_Functions]) -> None:
    """A FLOP counter or a logger of the user's counts the same with and without a watch."""
    module = model()
    optimizer = sgd(module)
    train(module, optimizer)
    with mode() as unwatched:
        train(module, optimizer)
    with watch(module, optimizer):
        train(module, optimizer)
        with mode() as watched:
            train(module, optimizer)
    assert watched.called == unwatched.called


def test_tensor_subclass_sees_only_its_own_calls() -> None:
    """``__torch_function__`` of a parameter's class is not asked for what we read."""
    called: list[str] = []

    class Logged(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            called.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]

    module = nn.Linear(4, 2)
    module.weight = nn.Parameter(module.weight.detach().as_subclass(Logged))
    optimizer = sgd(module)
    train(module, optimizer, 1)
    called.clear()
    train(module, optimizer, 1)
    unwatched = called.copy()
    with watch(module, optimizer):
        called.clear()
        train(module, optimizer, 1)
        assert called == unwatched


def test_weight_computed_in_place_gives_no_warning() -> None:
    """Torch warns when ``.grad`` of a tensor with a history is read; we do not read it."""
    module, maker = nn.Linear(4, 2), nn.Linear(3, 8)
    module.weight.requires_grad_(False)
    optimizer = sgd(maker)
    with warnings.catch_warnings(), watch(module, maker, optimizer) as run:
        warnings.simplefilter("error")
        for _ in range(3):
            optimizer.zero_grad()
            module.bias.grad = None
            module.weight.detach_().copy_(maker(torch.ones(3)).view(2, 4))
            module(torch.ones(5, 4)).pow(2).mean().backward()
            optimizer.step()
    assert unseen(run) == []


def test_exception_without_readable_text_passes() -> None:
    """An exception whose ``__str__`` raises leaves the watch as it came."""

    class Unreadable(Exception):
        def __str__(self) -> str:
            raise ValueError

    with pytest.raises(Unreadable), watch(model()):
        raise Unreadable


def test_error_of_backward_is_kept_when_a_finding_would_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's own error reaches its handler; the finding is a note on it."""

    def find(*_: object, failed: bool) -> None:
        raise FindingRaised(cast("Finding", None), "a finding")

    module = model()
    with graddebug.watch(module, on_finding="raise") as run:
        monkeypatch.setattr(run._capture, "backward_end", find)
        loss = module(torch.ones(5, 4)).pow(2).mean()
        with pytest.raises(FindingRaised):
            loss.backward()
        with pytest.raises(RuntimeError, match="second time") as raised:
            loss.backward()
    assert raised.value.__notes__ == ["a finding"]


def test_model_is_freed_in_the_watch() -> None:
    """What the user drops goes at once, also when it was named to the watch."""
    module = model()
    optimizer = sgd(module)
    module_gone, optimizer_gone = weakref.ref(module), weakref.ref(optimizer)
    gc.collect()
    gc.disable()
    try:
        with watch(module, optimizer):
            train(module, optimizer)
            del module, optimizer
            assert (module_gone(), optimizer_gone()) == (None, None)
    finally:
        gc.enable()


def test_interrupted_forward_does_not_blind_the_watch() -> None:
    """After Ctrl-C in a forward that the program survives, forward calls are seen again."""

    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 2)
            self.interrupt = False

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.interrupt:
                raise KeyboardInterrupt
            return self.inner(x)  # type: ignore[no-any-return]

    module = Interrupted()
    optimizer = sgd(module)
    events: list[str] = []
    with watch(module, optimizer) as run:
        run._recorder.event = lambda event: events.append(event.kind)  # type: ignore[method-assign]
        module.interrupt = True
        with pytest.raises(KeyboardInterrupt):
            module(torch.ones(5, 4))
        module.interrupt = False
        train(module, optimizer)
    assert events.count("forward") == 3


def test_patch_laid_over_ours_does_not_double_the_next_watch() -> None:
    """Somebody's wrapper that keeps our old one in place does not make later events come twice."""
    module = model()
    optimizer = sgd(module)
    original = torch.optim.Optimizer.zero_grad
    try:
        with watch(module, optimizer):
            ours = torch.optim.Optimizer.zero_grad

            def theirs(self: torch.optim.Optimizer, set_to_none: bool = True) -> None:
                ours(self, set_to_none)

            torch.optim.Optimizer.zero_grad = theirs  # type: ignore[method-assign]
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        with watch(module, optimizer) as run:
            assert run._capture is not None
            run._capture.before_clear = count  # type: ignore[method-assign,assignment]
            optimizer.zero_grad()
        assert calls == 1
    finally:
        torch.optim.Optimizer.zero_grad = original  # type: ignore[method-assign]


def _train_in_child(queue: Any) -> None:
    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer) as run:
        train(module, optimizer)
    queue.put((run.steps, [finding.rule for finding in run.findings]))


def test_forked_child_can_watch_for_itself() -> None:
    """A child forked inside a watch is rid of its parent's hooks: its own watch sees each event once."""
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    with watch(model()):
        child = fork.Process(target=_train_in_child, args=(queue,))
        child.start()
        assert queue.get(timeout=60) == (3, [])
        child.join()


def test_clip_function_stays_one_object() -> None:
    """Both places that hold ``clip_grad_value_`` hold the same wrapper, so that it can be pickled."""
    with watch(model()):
        assert nn.utils.clip_grad_value_ is nn.utils.clip_grad.clip_grad_value_


def test_module_intervals_do_not_pile_up() -> None:
    """What is remembered of forward calls does not grow with the number of steps."""
    module = model()
    optimizer = sgd(module)
    with watch(module, optimizer) as run:
        train(module, optimizer, 50)
        assert run._capture is not None
        kept = run._capture._context.intervals._by_thread.values()
        assert max(map(len, kept)) <= 3 * len(module)
