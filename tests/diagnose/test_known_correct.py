"""Correct but unusual training programs: none may cause a warning or an error."""

from __future__ import annotations

import random
from typing import Any

import pytest

from graddebug.records import OptimizerOwns
from tests.diagnose.story import Story, Tell


def correct(story: Story, *, reason: str = "finished") -> None:
    story.end(reason)
    assert story.alarms == []


@pytest.mark.parametrize("n", [1, 2, 7])
def test_accumulation_with_a_partial_tail(tell: Tell, n: int) -> None:
    """N backwards, one step; the last window is flushed."""
    story = tell()
    for _ in range(3):
        for i in range(10):
            story.backward()
            if (i + 1) % n == 0 or i == 9:
                story.step()
                story.clear("optimizer")
    correct(story)


def test_accumulation_of_varying_length(tell: Tell) -> None:
    """The data decide how many backwards a step takes."""
    story, chance = tell(), random.Random(7)
    for _ in range(50):
        for _ in range(chance.randint(1, 6)):
            story.backward()
        story.step()
        story.clear("optimizer")
    correct(story)


@pytest.mark.parametrize("place", ["before forward", "before backward", "after step"])
@pytest.mark.parametrize(
    "how",
    [
        {"optimizer": "optimizer"},
        {"params": None, "how": "module.zero_grad"},
        {"params": None, "how": "set to None", "at": None},
        {"params": None, "how": "zeroed", "at": None, "to_none": False},
    ],
    ids=["optimizer", "module", "None", "zeroed"],
)
def test_cleared_anywhere_and_anyhow(tell: Tell, place: str, how: dict[str, Any]) -> None:
    """Six ways to clear at three places, all right."""
    story = tell()
    for _ in range(5):
        if place == "before forward":
            story.clear(**how)
        story.forward()
        if place == "before backward":
            story.clear(**how)
        story.backward()
        story.step()
        if place == "after step":
            story.clear(**how)
    correct(story)


@pytest.mark.parametrize("keep", [True, False], ids=["zeros kept", "set to None"])
def test_gan(tell: Tell, keep: bool) -> None:
    """Two optimizers, leftovers cleared, two backwards for the discriminator."""
    story = tell(optimizers={"opt_d": ("D.w", "D.b"), "opt_g": ("G.w", "G.b")})
    for _ in range(30):
        story.forward(("D.w", "D.b"), module="D")
        story.clear("opt_d", to_none=not keep)
        story.backward(("D.w", "D.b"), at=50)
        story.backward(("D.w", "D.b"), at=51, retain_graph=True)
        story.step("opt_d", at=52)
        story.clear("opt_g", to_none=not keep)
        story.backward(at=60)
        story.step("opt_g", at=61)
    correct(story)


def test_gan_with_many_critic_steps(tell: Tell) -> None:
    """Five critic steps for each generator step, with a gradient penalty by autograd.grad."""
    story = tell(optimizers={"opt_d": ("D",), "opt_g": ("G",)})
    for _ in range(8):
        for _ in range(5):
            story.clear("opt_d")
            story.backward(("D",), at=49, accumulates=False, create_graph=True, other_leaves=1)
            story.backward(("D",), at=50)
            story.step("opt_d", at=51)
        story.clear("opt_g")
        story.backward(at=60)
        story.step("opt_g", at=61)
    correct(story)


def test_gan_with_one_training_function(tell: Tell) -> None:
    """Clear, backward and step of both networks lie on the same three lines."""
    story = tell(optimizers={"opt_d": ("D",), "opt_g": ("G",)})
    for _ in range(9):
        for name, written in (("opt_d", ("D",)), ("opt_g", ("D", "G"))):
            story.clear(name, at=20)
            story.backward(written, at=21)
            story.step(name, at=22)
    story.end()
    assert story.codes == []


def test_lbfgs(tell: Tell) -> None:
    """A line search: many closures, many clears in one step."""
    story = tell()
    for _ in range(6):
        begin = story.enter(closure=True, at=44)
        for _ in range(5):
            story.clear("optimizer")
            story.backward(inside_step=begin)
        story.leave(begin)
    correct(story)


def test_optimizer_in_backward(tell: Tell) -> None:
    """A hook steps and clears one parameter after the other while the backward runs."""
    story = tell(optimizers={f"opt_{name}": (name,) for name in "abcd"})
    for _ in range(25):
        for name in "dcba":
            story.backward((name,), at=41)
            story.step(f"opt_{name}", at=12)
            story.clear(f"opt_{name}", at=13)
    correct(story)


def test_clearing_hook_inside_a_backward(tell: Tell) -> None:
    """An update in a hook sets gradients to None before the backward is told of."""
    story = tell()
    for _ in range(5):
        begin = story.order
        story.order += 1
        story.graded |= {0, 1}
        story.clear(params=("fc1.weight", "fc1.bias"), at=None, how="set to None")
        end, story.order = story.order, begin
        story.backward(("fc1.weight", "fc1.bias"))
        story.order, story.graded = end, set()
    story.events.clear()
    correct(story)


def test_sam_in_two_lines(tell: Tell) -> None:
    """Backward, perturb, clear, backward, step."""
    story = tell(optimizers={"base_optimizer": ("w",)})
    for _ in range(9):
        story.backward(at=41)
        story.clear("base_optimizer", at=80)
        story.backward(at=43)
        story.step("base_optimizer", at=85)
        story.clear("base_optimizer", at=86)
    correct(story)


def test_sam_by_closure(tell: Tell) -> None:
    """The wrapper's step runs its closure and the base optimizer's step."""
    story = tell(optimizers={"sam": ("w",), "base": ("w",)})
    for _ in range(9):
        story.backward(at=41)
        begin = story.enter("sam", closure=True, at=42)
        story.clear("base", at=80)
        story.backward(at=30, inside_step=begin)
        story.step("base", at=85, parent=begin)
        story.clear("base", at=86)
        story.leave(begin, "sam")
        story.clear("base", at=43)
    correct(story)


def test_lookahead(tell: Tell) -> None:
    """A wrapper that steps its base and moves weights itself."""
    story = tell(optimizers={"lookahead": ("w", "v"), "base": ("w", "v")})
    for _ in range(9):
        story.backward()
        begin = story.enter("lookahead")
        story.step("base", parent=begin)
        story.leave(begin, "lookahead", moved_idle=())
        story.clear("base")
    correct(story)


def test_reentrant_checkpoint(tell: Tell) -> None:
    """Backwards nested in a backward write the inner parameters first."""
    story = tell()
    for _ in range(9):
        story.clear("optimizer")
        parent = story.order + 1
        story.order += 1
        story.backward(("fc1.weight", "fc1.bias"), parent=parent, at=41)
        inner, story.order = story.order, parent - 1
        story.backward(("fc2.weight", "fc2.bias"), at=41)
        story.order = inner
        story.step()
    correct(story)


def test_maml(tell: Tell) -> None:
    """Inner gradients by autograd.grad, one outer backward."""
    story = tell()
    for _ in range(6):
        story.clear("optimizer")
        for _ in range(3):
            story.backward(accumulates=False, create_graph=True, at=20)
        story.backward()
        story.step()
    correct(story)


def test_frozen_backbone(tell: Tell) -> None:
    """Half of what the optimizer holds is frozen from the start."""
    story = tell()
    story.freeze(("fc1.weight", "fc1.bias"))
    for _ in range(30):
        story.used()
        story.clear("optimizer")
        story.backward(("fc2.weight", "fc2.bias"))
        story.step()
    correct(story)


def test_mixture_of_experts(tell: Tell) -> None:
    """Each step trains another random part."""
    experts = [f"experts.{i}.w" for i in range(8)]
    story, chance = tell("gate", *experts), random.Random(3)
    for _ in range(60):
        chosen = chance.sample(experts, 3)
        story.used(("gate", *chosen))
        story.backward(("gate", *chosen))
        story.step()
        story.clear("optimizer")
    correct(story)


def test_pcgrad(tell: Tell) -> None:
    """One autograd.grad a task, then gradients by hand."""
    story = tell()
    for _ in range(6):
        for task in range(3):
            story.backward(accumulates=False, at=20 + task)
        story.edit(how="assigned")
        story.step()
        story.clear("optimizer")
    correct(story)


def test_dp_sgd(tell: Tell) -> None:
    """Noise is added to gradients before the step."""
    story = tell()
    for _ in range(6):
        story.backward()
        story.edit()
        story.step()
        story.clear("optimizer")
    correct(story)


@pytest.mark.parametrize("fused", [True, False])
def test_scaler_that_skips_at_first(tell: Tell, fused: bool) -> None:
    """The scale is too large for some steps; each loop starts with a clear."""
    story = tell()
    for i in range(12):
        bad = i in {0, 1, 8}
        story.clear("optimizer")
        story.backward(nonfinite=story.set(None) if bad else ())
        if fused:
            story.step(skipped=bad)
        elif not bad:
            story.step()
    correct(story)


def test_one_scaler_for_two_optimizers(tell: Tell) -> None:
    """Two losses, two steps, cleared together."""
    story = tell(optimizers={"opt_a": ("a",), "opt_b": ("b",)})
    for _ in range(6):
        story.clear("opt_a")
        story.clear("opt_b")
        story.backward(at=50, retain_graph=True)
        story.backward(at=51)
        story.step("opt_a", at=52)
        story.step("opt_b", at=53)
    correct(story)


def test_skip_on_a_spike(tell: Tell) -> None:
    """Now and then a step is left out and its gradients cleared."""
    story = tell()
    for i in range(60):
        story.clear("optimizer")
        story.backward(nonfinite=(0,) if i % 20 == 19 else ())
        story.clip()
        if i % 10 != 9:
            story.step()
    correct(story)


def test_ppo_with_early_stop(tell: Tell) -> None:
    """Several epochs over one rollout; the last backward may not be applied."""
    story, chance = tell(), random.Random(5)
    for _ in range(10):
        for _ in range(chance.randint(3, 8)):
            story.clear("optimizer")
            story.backward()
            story.step()
        story.clear("optimizer")
        story.backward()
    correct(story)


def test_adversarial_training(tell: Tell) -> None:
    """PGD writes parameter gradients nobody wants, then clears them."""
    story = tell()
    for _ in range(9):
        for _ in range(3):
            story.backward(at=20, other_leaves=1)
        story.clear("optimizer")
        story.backward()
        story.step()
        story.clear("optimizer")
    correct(story)


def test_grad_cam_between_epochs(tell: Tell) -> None:
    """A backward in eval mode whose gradients are cleared."""
    story = tell()
    everything = story.set(None)
    for _ in range(4):
        for _ in range(5):
            story.clear("optimizer")
            story.backward(forwards=(story.forward(),))
            story.step(in_train_mode=everything)
        order = story.forward(training=False, at=70)
        story.backward(at=71, written_in_eval=everything, forwards=(order,))
    correct(story)


def test_manual_sgd(tell: Tell) -> None:
    """No optimizer at all: weights are changed under no_grad."""
    story = tell(optimizers={}, outside=("w", "b"))
    for _ in range(30):
        story.forward()
        story.backward()
        story.clear(params=None, at=None, how="zeroed", to_none=False)
    correct(story)


def test_layer_local_training(tell: Tell) -> None:
    """Each layer has its loss and its optimizer."""
    story = tell(optimizers={f"opt_{i}": (f"layer{i}.w",) for i in range(4)})
    for _ in range(25):
        for i in range(4):
            story.clear(f"opt_{i}")
            story.backward((f"layer{i}.w",), at=40)
            story.step(f"opt_{i}", at=41)
    correct(story)


def test_teacher_in_the_watch(tell: Tell) -> None:
    """A teacher under no_grad: no gradient, no optimizer."""
    story = tell(optimizers={"optimizer": ("student.w",)}, outside=("teacher.w",))
    for _ in range(30):
        story.forward(("teacher.w",), module="teacher", built_graph=False, grad_enabled=False)
        story.forward(("student.w",), module="student")
        story.clear("optimizer")
        story.backward(("student.w",))
        story.step()
    correct(story)


def test_parameters_added_later(tell: Tell) -> None:
    """Layers are unfrozen and given to the optimizer in the middle of training."""
    story = tell()
    late = ("fc1.weight", "fc1.bias")
    story.freeze(late)
    for epoch in range(4):
        if epoch == 2:
            story.freeze(late, frozen=False)
            story.tell(OptimizerOwns, optimizer=0, params=story.set(None))
            story.used(late)
        for _ in range(10):
            story.clear("optimizer")
            story.backward(None if epoch >= 2 else ("fc2.weight", "fc2.bias"))
            story.step()
    correct(story)


def test_learned_loss_weights(tell: Tell) -> None:
    """A parameter that belongs to no module but to the optimizer."""
    story = tell("fc.w", "log_sigma", origins={"log_sigma": "optimizer"})
    for _ in range(30):
        story.clear("optimizer")
        story.backward()
        story.step()
    correct(story)


def test_style_transfer(tell: Tell) -> None:
    """The image is what learns; the network's gradients are nobody's."""
    story = tell(optimizers={"optimizer": ("image",)}, origins={"image": "optimizer"})
    for _ in range(30):
        story.clear("optimizer")
        story.backward()
        story.step()
    correct(story)


def test_full_batch(tell: Tell) -> None:
    """One step an epoch, one clear an epoch."""
    story = tell()
    for _ in range(9):
        for _ in range(5):
            story.backward()
        story.clip()
        story.step()
        story.clear("optimizer")
    correct(story)


def test_gradient_cache(tell: Tell) -> None:
    """Gradients of representations first, then one backward a chunk."""
    story = tell()
    for _ in range(6):
        story.clear("optimizer")
        story.backward((), reached=(), at=20, other_leaves=8)
        for _ in range(4):
            story.backward(at=25)
        story.step()
    correct(story)


def test_keyboard_interrupt_in_a_window(tell: Tell) -> None:
    """A run may be cut anywhere."""
    story = tell()
    story.backward()
    correct(story, reason="interrupted")
