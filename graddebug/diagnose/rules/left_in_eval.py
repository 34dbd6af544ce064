"""GD801: dropout and batch norm stay in eval mode after an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import names, quoted, times
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import Backward, Forward, ModulesInEval, Severity, Site

_REMEMBERED_FORWARDS = 1024


@dataclass(slots=True)
class _Story:
    """Of the backwards of one line through one outermost module.

    ``steps``: in eval mode, in a row, after one in train mode; ``step``: the last of them.
    """

    trained: bool = False
    steps: int = 0
    step: int = -1
    evaluation: Site | None = None
    mark: ModulesInEval | None = None


class LeftInEval(Rule):
    """The same backward that was run in train mode is run in eval mode now, step after step.

    Layers are asked themselves: the flag of the outermost module can lie. Not: training that was in eval mode
    from its first step on; batch norm or dropout layers that were switched one by one; a part that is frozen.
    """

    code = "GD801"
    slug = "left-in-eval"
    title = "Training goes on in eval mode after an evaluation"
    severity = Severity.WARNING
    needs = (STEPS,)
    why = (
        "eval() stays until train() is called. From the first evaluation on dropout is off and batch norm "
        "uses, and no longer updates, its running statistics: the model overfits sooner, and what it was "
        "evaluated with is not what it is trained with."
    )
    fix = "Call `model.train()` after each evaluation, or at the beginning of each epoch."
    example = (
        "model.train()\n"
        "for epoch in range(epochs):                 # wrong: evaluate() calls model.eval()\n"
        "    train_one_epoch(model)\n"
        "    evaluate(model)\n"
        "\n"
        "for epoch in range(epochs):\n"
        "    model.train()                           # right\n"
        "    train_one_epoch(model)\n"
        "    evaluate(model)\n"
    )
    options = thresholds(
        steps="steps in a row in eval mode",
    )
    #: Steps in a row.
    steps = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._marks: dict[str, ModulesInEval] = {}
        self._forwards: dict[int, tuple[str, ModulesInEval | None]] = {}
        self._evaluations: dict[str, Forward] = {}
        self._stories: dict[tuple[Line | None, str], _Story] = {}
        self._ripe: set[tuple[Line | None, str]] = set()

    def on_in_eval(self, event: ModulesInEval, ledger: Ledger) -> Claims:
        """What is in eval mode from the next forward on."""
        if event.parts and not _is_frozen_statistics(event):
            self._marks[event.module] = event
        else:
            self._marks.pop(event.module, None)
        return None

    def on_forward(self, event: Forward, ledger: Ledger) -> Claims:
        """Remember in which mode a graph was built, and where an evaluation ran."""
        if not event.built_graph:
            if not event.grad_enabled:
                self._evaluations[event.module] = event
            return None
        self._forwards[event.order] = (event.module, self._marks.get(event.module))
        if len(self._forwards) > _REMEMBERED_FORWARDS:
            del self._forwards[next(iter(self._forwards))]
        return None

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """Compare the modes of the forwards it runs through with those that its line had before."""
        if not event.accumulates or not event.written:
            return None
        modes: dict[str, list[ModulesInEval | None]] = {}
        for order in event.forwards:
            if order in self._forwards:
                module, mark = self._forwards[order]
                modes.setdefault(module, []).append(mark)
        for module, marks in modes.items():
            self._note((line_of(event.site), module), marks, event)
        return None

    def _note(
        self,
        key: tuple[Line | None, str],
        marks: list[ModulesInEval | None],
        event: Backward,
    ) -> None:
        story = self._stories.setdefault(key, _Story())
        mark = marks[-1]
        if any(one is None or (one.params and _stands(one, event)) for one in marks):
            if None in marks:
                story.trained = True
            story.steps, story.mark = 0, None
            self._ripe.discard(key)
        elif story.trained and mark is not None and story.step != event.step:
            if not story.steps:
                evaluation = self._evaluations.get(key[1])
                story.evaluation = evaluation.site if evaluation else None
            story.steps, story.step, story.mark = story.steps + 1, event.step, mark
            if story.steps >= self.steps:
                self._ripe.add(key)

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """A step applies what such a backward wrote."""
        if not self._ripe:
            return None
        lines = {part.line: part for portion in fact.portions for part in portion.fresh}
        return [
            _claim(fact, self._stories[key], lines[key[0]].site, ledger)
            for key in sorted(self._ripe, key=repr)
            if key[0] in lines
        ]


def _stands(mark: ModulesInEval, event: Backward) -> bool:
    """Whether nothing in eval mode is trained: its parameters are frozen, or out of reach."""
    return frozenset(mark.params).isdisjoint(event.written)


def _is_frozen_statistics(event: ModulesInEval) -> bool:
    """Whether only batch norms of a part are concerned, and the rest is in train mode: that is meant."""
    return event.rest and all("batchnorm" in layer.lower() for layer in event.layers)


def _claim(fact: Consumed, story: _Story, backward: Site | None, ledger: Ledger) -> Claim:
    mark = story.mark
    assert mark is not None  # set with the steps
    parts = names([f"`{part}`" for part in mark.parts])
    since = f" since the evaluation at {quoted(story.evaluation, 'forward')}" if story.evaluation else ""
    layers, name = names(mark.layers), ledger.optimizer_name(fact.optimizer.index)
    return Claim(
        step=fact.step.step,
        message=(
            f"{parts} {'has' if len(mark.parts) == 1 else 'have'} been in eval mode{since}, and "
            f"{quoted(backward, 'backward()')} and `{name}.step()` go on training "
            f"{'it' if len(mark.parts) == 1 else 'them'} so, for {times(story.steps, 'step')} by now; "
            f"before that the same loop was in train mode. {layers} "
            f"{'works' if len(mark.layers) == 1 else 'work'} as in an evaluation."
        ),
        fix=f"Call {_train_calls(mark)} after the evaluation, before the next training step.",
        roles=roles(evaluation=story.evaluation, backward=backward, step=fact.step.site),
        parameters=mark.params,
        evidence={"parts": list(mark.parts), "layers": list(mark.layers), "steps": story.steps},
        anchor=("backward", "step"),
        topic=name,
        latest=True,
    )


def _train_calls(mark: ModulesInEval) -> str:
    if mark.parts == (mark.module,) or len(mark.parts) > 2:
        return f"`{mark.module}.train()`"
    return names([f"`{part}.train()`" for part in mark.parts])
