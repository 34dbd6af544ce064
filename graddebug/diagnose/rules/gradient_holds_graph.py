"""GD308: a gradient keeps the graph it came from."""

from __future__ import annotations

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles
from graddebug.diagnose.wording import quoted
from graddebug.ledger import Ledger
from graddebug.records import (
    Backward,
    Forward,
    GradientsCleared,
    GradientsEdited,
    OptimizerStepEnd,
    ParameterSet,
    Severity,
)


class GradientHoldsGraph(Rule):
    """``backward(create_graph=True)`` leaves a cycle of parameter, gradient and graph."""

    code = "GD308"
    slug = "gradient-holds-graph"
    title = "Gradients keep their graph after a step"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "backward(create_graph=True) makes each .grad part of a graph that holds the parameter again. The "
        "cycle keeps all activations alive until the garbage collector finds it, and memory grows from "
        "step to step."
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
        self._graph_used = False
        self._held: dict[int, OptimizerStepEnd] = {}
        self._holding: set[int] = set()

    def on_step_end(self, event: OptimizerStepEnd, ledger: Ledger) -> Claims:
        """A graph that nobody differentiated was made for nothing; one that was used may still be cleared."""
        if not event.holds_graph:
            return None
        if not self._graph_used:
            return [_claim(event, event.holds_graph, self._graph_made, ledger, used=False)]
        self._held[event.optimizer] = event
        self._holding.update(event.holds_graph)
        return None

    def on_cleared(self, event: GradientsCleared, ledger: Ledger) -> Claims:
        """A clear cuts gradients off their graph, to None or to zero."""
        self._holding.difference_update(event.params)
        return None

    def on_edited(self, event: GradientsEdited, ledger: Ledger) -> Claims:
        """So does another gradient in its place."""
        if event.how == "assigned":
            self._holding.difference_update(event.params)
        return None

    def on_forward(self, event: Forward, ledger: Ledger) -> Claims:
        """A new graph is made while the old one is alive."""
        return self._judge(ledger) if self._held and event.built_graph else None

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Likewise where no watched module made it; and remember the newest that kept a graph of itself."""
        claims = self._judge(ledger) if self._held else None
        if event.create_graph and event.accumulates:
            self._graph_made, self._graph_used = event, False
        else:
            self._graph_used = True
        return claims

    def _judge(self, ledger: Ledger) -> Claims:
        held, self._held = self._held, {}
        holding, self._holding = self._holding, set()
        claims = []
        for step in held.values():
            params = tuple(p for p in step.holds_graph if p in holding)
            if params:
                claims.append(_claim(step, params, self._graph_made, ledger, used=True))
        return claims


def _claim(
    step: OptimizerStepEnd, params: ParameterSet, made: Backward | None, ledger: Ledger, *, used: bool
) -> Claim:
    backward = made.site if made else None
    line = quoted(backward, "backward(create_graph=True)")
    name = ledger.optimizer_name(step.optimizer)
    why = (
        "nothing cleared them before the next graph was made"
        if used
        else "no second backward has gone through it"
    )
    return Claim(
        step=step.step,
        message=(
            f"After `{name}.step()` the gradients of {PARAMETERS} still hold the graph of {line}, and "
            f"{why}: parameter, gradient and graph keep each other alive, with all activations."
        ),
        fix=(
            f"Use `torch.autograd.grad(..., create_graph=True)` instead of {line}, and call "
            f"`{name}.zero_grad()` right after the step."
            if used
            else f"Leave `create_graph=True` out of {line}, or, where a term of the loss needs the "
            "gradients' graph, use `torch.autograd.grad(..., create_graph=True)` for it."
        ),
        roles=roles(backward=backward, step=step.site),
        parameters=params,
        evidence={"gradients_with_graph": len(params)},
        topic=name,
    )
