"""GD304: evaluation builds graphs that nobody runs backward."""

from __future__ import annotations

from dataclasses import dataclass

from graddebug.diagnose.evidence import EVALUATION
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import place, quoted, size, times
from graddebug.ledger import Ledger, Line, line_of
from graddebug.records import Backward, Forward, GraphReleased, RunEnd, Severity, Site

_REMEMBERED_FORWARDS = 1024


@dataclass(slots=True)
class _Streak:
    """Graphs of one module in eval mode that died unused, in a row."""

    released: int = 0
    saved_bytes: int = 0
    step: int = 0
    site: Site | None = None


class GraphWithoutBackward(Rule):
    """``torch.no_grad()`` is missing around an evaluation."""

    code = "GD304"
    slug = "graph-without-backward"
    title = "Evaluation builds graphs that no backward uses"
    severity = Severity.WARNING
    needs = (EVALUATION,)
    why = (
        "eval() changes dropout and batch norm; it does not stop autograd. Without no_grad each forward "
        "keeps its activations for a backward that never comes: evaluation needs the memory of training, "
        "and is slower."
    )
    fix = "Evaluate under `torch.no_grad()` or `torch.inference_mode()`."
    example = (
        "model.eval()\n"
        "for x, y in val_loader:\n"
        "    correct += (model(x).argmax(1) == y).sum()        # wrong: builds a graph each time\n"
        "\n"
        "model.eval()\n"
        "with torch.no_grad():                                 # right\n"
        "    for x, y in val_loader:\n"
        "        correct += (model(x).argmax(1) == y).sum()\n"
    )
    options = thresholds(
        forwards="forwards in a row in eval mode whose graphs no backward used",
    )
    forwards = 3

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._sites: dict[int, tuple[str, Site | None]] = {}
        self._streaks: dict[tuple[str, Line | None], _Streak] = {}
        self._trains: set[str] = set()
        self._trains_in_eval: set[str] = set()
        self._attacks: set[tuple[str, str, str]] = set()

    def on_forward(self, event: Forward, ledger: Ledger) -> Claims:
        """Remember forwards in eval mode that built a graph."""
        if event.training:
            self._trains.add(event.module)
        elif event.built_graph and event.module not in self._trains_in_eval:
            if len(self._sites) >= _REMEMBERED_FORWARDS:
                del self._sites[next(iter(self._sites))]
            self._sites[event.order] = (event.module, event.site)
        return None

    def on_backward(self, event: Backward, ledger: Ledger) -> Claims:
        """A backward through a forward in eval mode: the program wants that graph."""
        if self._sites:
            known = (self._sites[forward] for forward in event.forwards if forward in self._sites)
            for module, site in known:
                if event.accumulates:
                    self._trains_in_eval.add(module)
                elif site is not None:  # an attack, a saliency map: what that function computes is wanted
                    self._attacks.add((module, site.file, site.function))
        return None

    def _wanted(self, module: str, site: Site | None) -> bool:
        """Whether the program runs backward through such graphs, though not through each of them."""
        attack = site is not None and (module, site.file, site.function) in self._attacks
        return attack or module in self._trains_in_eval

    def on_graph_released(self, event: GraphReleased, ledger: Ledger) -> Claims:
        """Count graphs that died unused."""
        module, site = self._sites.pop(event.forward, (event.module, None))
        if event.training or self._wanted(module, site):
            return None
        streak = self._streaks.setdefault((module, line_of(site)), _Streak())
        streak.released += 1
        streak.saved_bytes = max(streak.saved_bytes, event.saved_bytes or 0)
        streak.step, streak.site = event.step, site or streak.site
        # A module never seen in train mode may yet turn out to train in eval mode: wait for the end.
        proven = streak.released >= self.forwards and module in self._trains
        return [_claim(module, streak)] if proven else None

    def on_run_end(self, event: RunEnd, ledger: Ledger) -> Claims:
        """Modules that were only ever in eval mode."""
        return [
            _claim(module, streak)
            for (module, _), streak in self._streaks.items()
            if streak.released >= self.forwards and module not in self._trains
            if not self._wanted(module, streak.site)
        ]


def _claim(module: str, streak: _Streak) -> Claim:
    called = f"`{module}`" if module else "the model"
    held = f", each holding up to {size(streak.saved_bytes)} for it" if streak.saved_bytes else ""
    return Claim(
        step=streak.step,
        message=(
            f"{times(streak.released, 'forward')} of {called} in eval mode built a graph that no backward "
            f"used{held}: {quoted(streak.site, 'forward')}."
        ),
        fix=f"Put `with torch.no_grad():` (or `torch.inference_mode()`) around {place(streak.site)}.",
        roles=roles(forward=streak.site),
        evidence={"forwards": streak.released, "saved_bytes": streak.saved_bytes, "module": module},
        topic=module,
    )
