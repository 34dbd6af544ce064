"""What capture knows that it does not see: told once each, never called fine.

Asked for each new structure of a graph and at the end of a run; nothing here costs anything in a step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from graddebug.capture import underscored
from graddebug.graph import BackwardGraph

#: What is hidden, and why.
Unseen = tuple[str, str]

_HIDING: dict[str, Unseen] = {
    "CompiledFunctionBackward": (
        "ops inside torch.compile",
        "a compiled region is one node of the graph: its gradients of parameters are seen, its ops are not",
    ),
    "DifferentiableGraphBackward": (
        "ops inside TorchScript",
        "a scripted region is one node of the graph: its gradients of parameters are seen, its ops are not",
    ),
    "GraphedBackward": (
        "ops inside CUDA graphs",
        "what is replayed on the device calls no hook: only what comes out of it is seen",
    ),
    "CheckpointFunctionBackward": (
        "graphs inside reentrant checkpoints",
        "each is made anew and run as a backward of its own, and is missing in the graph around it",
    ),
}


def hidden_in(graph: BackwardGraph) -> Iterator[Unseen]:
    """What a graph's nodes hide."""
    for op in dict.fromkeys(node.op for node in graph.nodes):
        if op in _HIDING:
            yield _HIDING[op]


def hidden_in_run(
    *, nodes_off: bool, inside_func: bool, inside_step: bool, wrote: bool, stepped: bool
) -> Iterator[Unseen]:
    """What a run that is over has hidden.

    ``nodes_off``: measuring was turned off, ``inside_func``: a transform of ``torch.func`` differentiated,
    ``inside_step``: an optimizer's step differentiated and left no ``.grad``, ``wrote``: a backward wrote a
    gradient, ``stepped``: an optimizer of torch's kind stepped.
    """
    compiled = "torch._dynamo.eval_frame" in sys.modules and underscored.anything_compiled()
    if compiled:
        yield (
            "calls inside compiled functions",
            "torch.compile is in use: what is compiled (a backward, a step, a clip) calls no hook; gradients "
            "and weights are looked at when the function has returned",
        )
    if inside_func:
        yield (
            "gradients inside torch.func",
            "its transforms return gradients to the program: only what is put into .grad is followed",
        )
    if inside_step:
        yield (
            "gradients inside an optimizer's step",
            "it differentiates by itself (torch.autograd.grad) and writes no .grad: what it applies is "
            "not seen",
        )
    if nodes_off:
        yield "every op and node", "measuring them is off (nodes='off')"
    if not wrote:
        yield (
            "training",
            "no backward was seen to write a gradient of what is watched: child processes and compiled code "
            "are not looked into",
        )
    elif not stepped and not compiled:
        yield (
            "how weights are updated",
            "no torch.optim.Optimizer stepped: an update by hand or by another kind of optimizer is not seen",
        )
