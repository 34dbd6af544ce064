"""GD310: a reentrant checkpoint over inputs that want no gradient keeps it from the layers inside."""

from __future__ import annotations

from graddebug.diagnose.causes import cut_off, nothing_can_change
from graddebug.diagnose.evidence import STEPS
from graddebug.diagnose.rule import PARAMETERS, Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, times
from graddebug.ledger import Consumed, Ledger, Line, line_of
from graddebug.records import CheckpointCut, Severity


class CheckpointCutsGradient(Rule):
    """Everything outside trains, so that nobody notices."""

    code = "GD310"
    slug = "checkpoint-cuts-gradient"
    title = "A reentrant checkpoint keeps the gradient from the layers inside"
    severity = Severity.ERROR
    needs = (STEPS,)
    why = (
        "A reentrant checkpoint runs its layers without a graph and takes its place in the graph of its "
        "inputs. If none of its inputs wants a gradient (raw data, frozen embeddings) it is in no graph: the "
        "layers inside get no gradient, and the optimizer skips them without a word while the rest trains."
    )
    fix = "Pass `use_reentrant=False` to the checkpoint, or let one of its inputs require a gradient."
    example = (
        "h = checkpoint(self.block, x, use_reentrant=True)     # wrong: x is data, the block never learns\n"
        "\n"
        "h = checkpoint(self.block, x, use_reentrant=False)    # right\n"
    )
    options = thresholds(
        windows="steps in a row that found no gradient inside",
    )
    #: Steps in a row that found nothing: now and then a forward is not meant to be trained.
    windows = 2

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._in_vain: dict[int, int] = {}

    def on_consumed(self, fact: Consumed, ledger: Ledger) -> Claims:
        """Count the steps that found no gradient for what ran inside such a checkpoint."""
        if not ledger.cut or nothing_can_change(fact.step):
            return None
        cut = cut_off(fact.optimizer, ledger, fact.since)
        counts = {index: self._in_vain.get(index, 0) + 1 for index in cut}
        for index in fact.step.params:
            self._in_vain.pop(index, None)
        self._in_vain.update(counts)
        by_line: dict[Line | None, list[int]] = {}
        for index in cut:
            if counts[index] >= self.windows:
                by_line.setdefault(line_of(ledger.cut[index][1].site), []).append(index)
        return [_claim(fact, params, ledger, counts[params[0]]) for params in by_line.values()]


def _claim(fact: Consumed, params: list[int], ledger: Ledger, windows: int) -> Claim:
    event: CheckpointCut = ledger.cut[params[0]][1]
    checkpoint = quoted(event.site, "checkpoint(...)")
    step = quoted(fact.step.site, f"{ledger.optimizer_name(fact.optimizer.index)}.step()")
    return Claim(
        step=fact.step.step,
        message=(
            f"{PARAMETERS} get no gradient: they run inside {checkpoint}, a reentrant checkpoint of whose "
            f"inputs none requires a gradient, and so nothing in there is part of the graph. {step} found "
            f"nothing to apply to them in {times(windows, 'window')}."
        ),
        fix=(
            f"Pass `use_reentrant=False` to the checkpoint at {place(event.site)}, or let its input require "
            "a gradient (`x.requires_grad_()`; for a transformers model `enable_input_require_grads()`)."
        ),
        roles=roles(step=fact.step.site, checkpoint=event.site),
        parameters=tuple(params),
        evidence={"windows": windows},
        anchor=("checkpoint",),
    )
