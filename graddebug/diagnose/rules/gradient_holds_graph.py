"""GD308: a gradient keeps the graph it came from."""

from __future__ import annotations

from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger
from graddebug.records import Backward, OptimizerStepEnd, Severity


class GradientHoldsGraph(Rule):
    """``backward(create_graph=True)`` leaves a cycle of parameter, gradient and graph."""

    code = "GD308"
    slug = "gradient-holds-graph"
    title = "Gradients keep their graph after a step"
    severity = Severity.WARNING
    why = (
        "backward(create_graph=True) makes each .grad part of a graph that holds the parameter again. The "
        "cycle keeps "
        "all activations alive until the garbage collector finds it, and memory grows from step to step."
    )
    fix = (
        "Use `torch.autograd.grad(..., create_graph=True)`, which does not touch .grad, or set gradients "
        "to None after the step."
    )
    example = (
        "loss.backward(create_graph=True)                                        # wrong: .grad holds the "
        "graph\n"
        "\n"
        "grads = torch.autograd.grad(loss, model.parameters(), create_graph=True)    # right\n"
        "(loss + penalty(grads)).backward()\n"
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._graph_made: Backward | None = None

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Remember the newest backward that kept a graph of itself."""
        if event.create_graph and event.accumulates:
            self._graph_made = event
        return None

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """Judge what is left in ``.grad`` after the step."""
        if not event.holds_graph:
            return None
        backward = self._graph_made.site if self._graph_made else None
        line = quoted(backward, "backward(create_graph=True)")
        name = ledger.optimizer_name(event.optimizer)
        return [
            Claim(
                step=event.step,
                message=(
                    f"After `{name}.step()` the gradients of {PARAMETERS} still hold the graph of {line}: "
                    "parameter, gradient and graph keep each other alive, and memory grows."
                ),
                fix=(
                    f"Use `torch.autograd.grad(..., create_graph=True)` instead of {line}, or call "
                    f"`{name}.zero_grad()` right after the step."
                ),
                roles=roles(backward=backward, step=event.site),
                parameters=event.holds_graph,
                evidence={"gradients_with_graph": len(event.holds_graph)},
                topic=name,
            )
        ]
