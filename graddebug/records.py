"""The nouns of a recording: events and tables as frozen dataclasses of plain values.

No torch, no I/O, no judgement lives here. Capture writes these, the trace stores them, the
ledger folds them, rules read them, reports and the terminal UI show them.

Conventions
-----------
* A **step** is counted from 0.
* A **parameter** is its index in the recording's parameter table (`ParameterInfo.index`).
* A `ParameterSet` is a sorted tuple of such indices. Capture interns them, so that the sets of
  two steps that touch the same parameters are the same object.
* ``order`` is an event's place in program order over the whole run, counted from 0; events refer
  to each other by it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ParameterSet = tuple[int, ...]

#: Columns of the per-step statistics table, float32, NaN where a number was not measured.
#:
#: ========================  =====================================================================
#: ``grad_norm``             L2 norm of the gradient as the optimizer's step consumed it
#: ``grad_norm_written``     L2 norm right after the last backward (before clipping or unscaling)
#: ``grad_absmax``           largest absolute value in the gradient's sample
#: ``grad_mean``             mean of the gradient's sample
#: ``grad_zero_share``       share of exact zeros in the gradient's sample, 0 to 1
#: ``grad_nonfinite``        number of NaN and inf elements in the whole gradient
#: ``weight_norm``           L2 norm of the parameter before the step
#: ``update_ratio``          norm of the step's change over norm of the weights, on the weight sample
#: ``changed_share``         share of the weight sample whose value the step changed, 0 to 1
#: ``grad_scale``            loss scale that ``grad_norm_written`` still carries, 1 for none
#: ``grad_subnormal_share``  share of the gradient's sample below its dtype's smallest normal number
#: ========================  =====================================================================
#:
#: Columns are only ever added at the end: a recording made before one was has NaN there.
#: A sample is a strided one of at most 1,024 elements: tensors up to that size are measured whole. Norms are
#: taken in every step, samples in the first 32 and then as often as 1 % of the time pays for (at least in one
#: step of 7, and where the gradients stand out): their columns are NaN in the other steps.
STATISTICS: tuple[str, ...] = (
    "grad_norm",
    "grad_norm_written",
    "grad_absmax",
    "grad_mean",
    "grad_zero_share",
    "grad_nonfinite",
    "weight_norm",
    "update_ratio",
    "changed_share",
    "grad_scale",
    "grad_subnormal_share",
)


#: Columns of a measured backward's table of nodes, float32, NaN where a number was not measured. The
#: numbers are those autograd passed on: still scaled if the backward was.
#:
#: ====================  =========================================================================
#: ``norm_in``           L2 norm of the gradients that came into the node
#: ``norm_out``          L2 norm of the gradients that went out, over all edges; inf for NaN, too
#: ``absmax_out``        largest absolute value that went out; half precision only
#: ``zero_share``        share of exact zeros among what went out, 0 to 1; half precision only
#: ``subnormal_share``   share of numbers below the dtype's smallest normal one; half precision only
#: ====================  =========================================================================
NODE_STATISTICS: tuple[str, ...] = ("norm_in", "norm_out", "absmax_out", "zero_share", "subnormal_share")

#: Columns of a measured forward's table of module outputs, float32.
#:
#: ====================  =========================================================================
#: ``norm``              L2 norm of the output
#: ``absmax``            largest absolute value; half precision only
#: ``headroom``          bits between that and the dtype's maximum: log2(max / absmax)
#: ``nonfinite``         1 if the output holds NaN or inf, 0 if not
#: ====================  =========================================================================
MODULE_STATISTICS: tuple[str, ...] = ("norm", "absmax", "headroom", "nonfinite")


class Severity(enum.IntEnum):
    """How much a finding matters; compares by weight, prints as its word."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """``"note"``, ``"warning"`` or ``"error"``."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Severity:
        """The severity a word names; `KeyError` for any other word."""
        return cls[word.upper()]


@dataclass(frozen=True, slots=True)
class Site:
    """A line of the user's program: the innermost frame outside torch, graddebug and installed packages.

    ``library`` names the frame inside an installed package that made the call on the user's behalf
    (a trainer), as ``path:line in function``; empty when the user's line made it directly.
    ``excerpt`` holds the source around the line as it was when recorded, ``excerpt_start`` the
    number of its first line, so that a recording can be read where the program is not.
    """

    file: str
    line: int
    function: str
    library: str = ""
    excerpt: tuple[str, ...] = field(default=(), compare=False)
    excerpt_start: int = field(default=0, compare=False)

    @property
    def source(self) -> str:
        """The line itself, stripped; empty where the source was not available."""
        offset = self.line - self.excerpt_start
        return self.excerpt[offset].strip() if 0 <= offset < len(self.excerpt) else ""


# --- tables ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterInfo:
    """One parameter of the run, known from when it was first seen.

    ``origin`` says where it was found: ``"module"`` (registered in a watched module),
    ``"optimizer"`` (only in an optimizer's groups), ``"unregistered"`` (reached by a backward from
    inside a watched module, but registered nowhere), ``"leaf"`` (a free parameter in the graph).
    ``also`` lists further qualified names of a tied parameter.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    device: str = "cpu"
    requires_grad: bool = True
    origin: str = "module"
    module: str = ""
    module_type: str = ""
    also: tuple[str, ...] = ()

    @property
    def numel(self) -> int:
        """Number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerInfo:
    """One optimizer of the run; ``name`` is the user's own word for it where that is known.

    ``stock``: its class is one of torch's own, of which it is known how it rounds and when it skips.
    """

    index: int
    name: str
    type: str
    fused: bool = False
    stock: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is written first into a recording: who made it, with what, when, where."""

    created: str
    graddebug: str
    torch: str
    python: str
    argv: tuple[str, ...] = ()
    cwd: str = ""
    host: str = ""
    pid: int = 0
    device: str = "cpu"
    rank: int = 0
    world: int = 1
    title: str = ""
    #: Options of rules that differ from their default: ``{"GD204": {"windows": 40}}``.
    options: dict[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One committed step: ``time`` in seconds since the epoch at its end, ``duration`` in seconds.

    ``loss`` is the last scalar root of a backward in the step, unscaled, ``graph`` the hash of the backward
    graph that step ran last, ``scale`` the loss scale if a scaler was seen.
    """

    step: int
    time: float
    duration: float
    loss: float | None = None
    scale: float | None = None
    graph: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeTable:
    """The nodes of one measured backward: ``values`` is (nodes, `NODE_STATISTICS`) float32.

    ``graph`` is the hash of the graph whose node indices the rows are, ``scale`` the loss scale that
    the numbers carry (1 for none).
    """

    step: int
    backward: int
    graph: str
    scale: float
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModuleTable:
    """The outputs of modules in one measured step: ``values`` is (modules, `MODULE_STATISTICS`) float32.

    ``modules`` are their qualified names and ``dtypes`` the dtypes of their outputs, a row each; a module
    that ran several times has the row of its largest output.
    """

    step: int
    modules: tuple[str, ...]
    dtypes: tuple[str, ...]
    values: npt.NDArray[np.float32]


# --- events ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in the training program, in program order."""

    kind: ClassVar[str] = "event"
    step: int
    order: int
    site: Site | None = None
    thread: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward(Event):
    """The outermost call of a watched module.

    ``module`` is its name, ``params`` the parameters registered in it. ``built_graph`` says whether
    an output carries a ``grad_fn``, ``training`` is the module's own flag, ``autocast`` the dtype of
    an autocast region it ran in.
    """

    kind: ClassVar[str] = "forward"
    module: str
    module_type: str = ""
    params: ParameterSet = ()
    training: bool = True
    grad_enabled: bool = True
    built_graph: bool = True
    autocast: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersUsed(Event):
    """The modules that own ``params`` ran forward with gradients enabled.

    Told for the first time, and again once a window (a stretch between optimizer steps) while
    trainable ones of ``params`` have never had a gradient, at most 32 times.
    """

    kind: ClassVar[str] = "parameters_used"
    params: ParameterSet


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietForwards(Event):
    """Modules ran forward in so many ``steps``, while no backward wrote ``params``, which they own.

    Told of trainable parameters that an optimizer owns, once for each stretch of steps and at the run's
    end. ``how`` they ran: ``"graph"`` (with gradients enabled at least once), ``"checkpoint"`` (inside of a
    reentrant checkpoint, which disables them) or ``"no_grad"``; ``training`` is their own flag; ``site`` is
    a line that called one of them. ``in_front`` are the parameters of modules that lay between the loss and
    ``params`` in the last graph that reached these, as far as that graph is still known.
    """

    kind: ClassVar[str] = "quiet"
    params: ParameterSet
    how: str
    training: bool = True
    steps: int = 1
    in_front: ParameterSet = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulesInEval(Event):
    """From the next `Forward` of ``module`` that builds a graph on, ``parts`` of it are in eval mode.

    A part is a module in eval mode, its container in train mode or the outermost one itself, that holds
    dropout or batch norm in eval mode, and parameters; one that is such a layer itself does not count.
    ``layers`` are the types of those layers, ``params`` the parameters in ``parts``. ``rest``: other
    parameters of ``module`` are in modules in train mode. No ``parts``: from here on everything is in train
    mode again.
    """

    kind: ClassVar[str] = "in_eval"
    module: str
    parts: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    params: ParameterSet = ()
    rest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersUnregistered(Event):
    """No watched module holds ``params`` any longer: their layer was replaced or removed."""

    kind: ClassVar[str] = "unregistered"
    params: ParameterSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Backward(Event):
    """One ``backward()`` (or, with ``accumulates`` False, one ``torch.autograd.grad``).

    ``written`` are the parameters whose ``.grad`` it wrote, ``reached`` those its graph ends in,
    ``nonfinite`` those whose ``.grad`` holds NaN or inf afterwards, ``written_in_eval`` those that it
    wrote through a watched module that ran forward in eval mode. ``other_leaves`` counts leaves of
    the graph that are no parameter (an input that wants its gradient). ``forwards`` are the orders
    of the `Forward` events whose graph it ran. ``parent`` is the order of the backward it runs
    inside of (a checkpoint's recomputation), ``inside_step`` that of the `OptimizerStep` whose
    closure called it. ``loss`` is the root's value if it is one number, without the loss scale.

    ``scalers`` are the loss scalers whose ``scale()`` made a part of the graph it ran through (empty: the
    gradients are not scaled) and ``scale`` the loss scale of the last of them. ``autocast`` is the dtype
    of an autocast region that was open while it ran, ``captured`` whether its nodes were measured.
    ``seeded``: the program gave it gradients to begin with (``out.backward(grad)``), or a large factor in its
    root (``loss * (scale / n)``), and so it may be scaled.
    ``outdated`` are parameters of which its graph had kept values from before a fused optimizer's last step.
    ``stale_casts`` are those of which it ran through a copy in low precision that was made before their last
    step, by an op that ran after it.
    """

    kind: ClassVar[str] = "backward"
    written: ParameterSet = ()
    reached: ParameterSet = ()
    nonfinite: ParameterSet = ()
    written_in_eval: ParameterSet = ()
    root_op: str = ""
    leaf_root: bool = False
    loss: float | None = None
    other_leaves: int = 0
    graph: str | None = None
    nodes: int = 0
    forwards: tuple[int, ...] = ()
    accumulates: bool = True
    retain_graph: bool = False
    create_graph: bool = False
    parent: int | None = None
    inside_step: int | None = None
    failed: bool = False
    scalers: tuple[int, ...] = ()
    scale: float | None = None
    autocast: str | None = None
    captured: bool = False
    seeded: bool = False
    outdated: ParameterSet = ()
    stale_casts: ParameterSet = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsCleared(Event):
    """Gradients became None or zero outside a backward.

    ``how`` is ``"optimizer.zero_grad"``, ``"module.zero_grad"``, or, when no call was seen,
    ``"set to None"`` or ``"zeroed"``; then ``site`` is None and ``noticed_at`` is the site of
    the event before which it was noticed. ``owner`` names the optimizer or module whose call it was.
    """

    kind: ClassVar[str] = "cleared"
    params: ParameterSet
    how: str
    to_none: bool = True
    owner: str = ""
    optimizer: int | None = None
    noticed_at: Site | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsEdited(Event):
    """Gradients changed value outside a backward without becoming zero.

    ``how`` is ``"assigned"`` (another tensor was put into ``.grad``) or ``"in place"``.

    ``scale`` is the loss scale that the gradients carried, None for gradients that are not scaled: of those
    the rest is not measured, nor where NaN or inf stands in the way. ``factor`` is the one number that
    every changed element was multiplied by (elements set to zero left out), 1 if none was changed, None if
    there is no such number. ``norm_before`` and ``norm_after`` are L2 norms over ``params``. ``pinned`` is a
    magnitude that different elements, or the norms of different tensors, were all brought to.
    """

    kind: ClassVar[str] = "edited"
    params: ParameterSet
    how: str
    noticed_at: Site | None = None
    scale: float | None = None
    factor: float | None = None
    norm_before: float | None = None
    norm_after: float | None = None
    pinned: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipped(Event):
    """A clipping function of torch ran over ``params`` (those that had a gradient).

    ``total_norm`` is what it measured and ``max_norm`` its limit, where it has them; ``clip_value`` is the
    limit of one that clips elements. ``scale`` to ``pinned`` are those of `GradientsEdited`.

    A call that found no gradient at all has no ``params``; it was given the parameters ``without`` and
    ``strangers`` other tensors, which are the ``gradients`` themselves of parameters, or none at all.
    Where ``params`` do not all belong to one optimizer, ``norms`` are the L2 norms, before the clip, of what
    belongs to each of the optimizers ``owners`` (-1: to none, -2: to several); NaN where not known.
    """

    kind: ClassVar[str] = "clipped"
    params: ParameterSet
    function: str
    max_norm: float | None = None
    total_norm: float | None = None
    clip_value: float | None = None
    scale: float | None = None
    factor: float | None = None
    norm_before: float | None = None
    norm_after: float | None = None
    pinned: float | None = None
    without: ParameterSet = ()
    strangers: int = 0
    gradients: bool = False
    owners: tuple[int, ...] = ()
    norms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerOwns(Event):
    """The parameters in an optimizer's groups, whenever that changes.

    ``groups`` says in which group each of ``params`` is, in their order; empty where there is one group.
    """

    kind: ClassVar[str] = "owns"
    optimizer: int
    params: ParameterSet
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainableChanged(Event):
    """``requires_grad`` of ``params`` was found to be ``requires_grad`` from here on."""

    kind: ClassVar[str] = "trainable"
    params: ParameterSet
    requires_grad: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsMoved(Event):
    """The values of ``params`` changed since the event before, outside of every optimizer's step.

    By hand: a target copied, a weight averaged, clamped, perturbed or loaded. Noticed before an outermost
    backward and at the run's end, from version counters and, on the CPU, from single elements; what moved
    on another device through ``.data`` is not noticed.
    """

    kind: ClassVar[str] = "weights_moved"
    params: ParameterSet


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerStep(Event):
    """``optimizer.step()`` was entered.

    ``params`` are those it owns; ``ready`` those of them with a gradient, ``zero`` those whose
    gradient is all zero, ``nonfinite`` those whose gradient holds NaN or inf; ``frozen`` those of
    ``ready`` whose ``requires_grad`` is False. With ``closure`` True the gradients that count are
    the ones its closure writes, so they are consumed at `OptimizerStepEnd`. ``parent`` is the order
    of the step this one runs inside of (SAM around its base optimizer). ``in_train_mode`` are those of
    ``ready`` whose outermost watched module is in train mode now. ``lr`` is one learning rate a group.

    ``scaler`` is the loss scaler whose ``step()`` made the call, ``grad_scale`` the scale that the gradients
    still carry because a fused kernel divides by it itself (1 otherwise), ``autocast`` the dtype of an
    autocast region that is open.
    """

    kind: ClassVar[str] = "step"
    optimizer: int
    params: ParameterSet
    ready: ParameterSet = ()
    zero: ParameterSet = ()
    nonfinite: ParameterSet = ()
    frozen: ParameterSet = ()
    lr: tuple[float, ...] = ()
    closure: bool = False
    parent: int | None = None
    in_train_mode: ParameterSet = ()
    scaler: int | None = None
    grad_scale: float = 1.0
    autocast: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerStepEnd(Event):
    """``optimizer.step()`` returned.

    ``begin`` is the order of its `OptimizerStep`. ``skipped`` says that the kernel left the weights
    alone (a fused optimizer under a scaler that found inf). ``moved_idle`` are the parameters
    whose value changed although their gradient was not written since the step before (measured
    only for those in doubt). ``holds_graph`` are those whose ``.grad`` requires grad. ``ready`` are those
    with a gradient when it returned, with which a closure's step consumed them. ``nonfinite_weights`` are
    the parameters of which a sampled element is NaN or inf now and was finite before the step,
    ``nonfinite_state`` those of which the optimizer's state is (looked at where weights became so, and where
    a gradient is so large that its square may be), ``state_entries`` the names of that state (``exp_avg_sq``)
    and ``eps`` the optimizer's, if it has one; all three only where something was found.
    """

    kind: ClassVar[str] = "step_end"
    optimizer: int
    begin: int
    skipped: bool = False
    failed: bool = False
    moved_idle: ParameterSet = ()
    holds_graph: ParameterSet = ()
    ready: ParameterSet = ()
    nonfinite_weights: ParameterSet = ()
    nonfinite_state: ParameterSet = ()
    state_entries: tuple[str, ...] = ()
    eps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerSeen(Event):
    """A loss scaler (``torch.amp.GradScaler``) is used for the first time; ``scaler`` is its index.

    A disabled one is told of, too: it scales nothing, and no other event of it follows. ``scale`` is its
    first scale; it grows by ``growth_factor`` after ``growth_interval`` steps without an overflow and
    shrinks by ``backoff_factor`` after one.
    """

    kind: ClassVar[str] = "scaler"
    scaler: int
    name: str
    enabled: bool = True
    scale: float = 1.0
    growth_factor: float = 2.0
    backoff_factor: float = 0.5
    growth_interval: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscaled(Event):
    """A scaler divided the gradients of an optimizer's ``params`` by ``scale``, and looked for NaN and inf.

    ``found_inf``: it found one. ``implicit``: ``scaler.step()`` did it because nobody had before.
    """

    kind: ClassVar[str] = "unscaled"
    scaler: int
    optimizer: int
    params: ParameterSet
    scale: float
    found_inf: bool = False
    implicit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerStep(Event):
    """``scaler.step(optimizer)`` returned.

    ``skipped`` says that the weights were left alone because of NaN or inf: ``optimizer.step()`` was not
    called, or a fused kernel did nothing. ``params`` are those of the optimizer that have a gradient,
    ``nonfinite`` those of them known to hold NaN or inf. ``optimizer_step`` is the order of the
    `OptimizerStep` inside, None if there was none.
    """

    kind: ClassVar[str] = "scaler_step"
    scaler: int
    optimizer: int
    params: ParameterSet = ()
    nonfinite: ParameterSet = ()
    scale: float = 1.0
    skipped: bool = False
    optimizer_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerUpdate(Event):
    """``scaler.update()`` changed the scale from ``before`` to ``after``.

    ``growth_tracker`` is the number of steps without an overflow that it counts now; ``given``: the
    program passed a new scale itself.
    """

    kind: ClassVar[str] = "scaler_update"
    scaler: int
    before: float
    after: float
    growth_tracker: int = 0
    given: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerStep(Event):
    """``scheduler.step()`` of a learning-rate scheduler ran; ``lr`` is one learning rate a group after it.

    ``done`` is how often it has moved so far and ``planned`` after how many moves its schedule is over, both
    by its own account, where it keeps one.
    """

    kind: ClassVar[str] = "scheduler_step"
    optimizer: int
    scheduler: str
    lr: tuple[float, ...] = ()
    done: int | None = None
    planned: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRaised(Event):
    """torch raised an exception that the record can explain; it is on its way to the program.

    ``call`` is what raised it (``"scaler.step"``, ``"scaler.unscale_"``, ``"scaler.update"``,
    ``"backward"``), ``error`` the exception's type and ``text`` the beginning of what it says. ``params``
    are the parameters it is about: those the optimizer owns, or those that were changed in place.
    ``op``, ``module`` and ``op_site`` are the forward op whose saved tensor was changed in place, where
    that is known, ``changed_at`` the line that changed it.
    """

    kind: ClassVar[str] = "error"
    call: str
    error: str
    text: str
    scaler: int | None = None
    optimizer: int | None = None
    params: ParameterSet = ()
    op: str = ""
    module: str = ""
    op_site: Site | None = None
    changed_at: Site | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A tensor that an autograd node keeps of its forward op: ``name`` is autograd's (``self``, ``result``).

    ``minimum`` and ``maximum`` are over its finite elements (NaN if there are none); ``zeros``, ``nan``,
    ``inf`` (of either sign), ``negative_inf`` and ``numel`` count elements. ``parameter`` is its index if
    it is one, ``scalar`` True for a plain number (an exponent).
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    minimum: float = float("nan")
    maximum: float = float("nan")
    zeros: int = 0
    nan: int = 0
    inf: int = 0
    negative_inf: int = 0
    numel: int = 0
    parameter: int | None = None
    scalar: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """An op at which finite numbers became NaN or inf, or at which they entered the graph as such.

    ``born`` is ``"backward"`` (finite gradients came in, others went out), ``"forward"`` (finite operands,
    non-finite result), ``"data"`` (an input was non-finite), ``"weights"`` (a parameter was) or
    ``"root"`` (the gradient that backward began with was). ``op`` is the autograd node's name,
    ``node`` its index in the graph, ``module`` and ``site`` where its forward op ran.

    ``nan``, ``inf`` and ``numel`` count elements of the non-finite tensor, of ``shape`` and ``dtype``.
    ``incoming`` is the norm of the finite gradient that came in, ``incoming_zeros`` the number of zeros
    among ``incoming_numel`` elements; both only for ``"backward"``. ``mask_op`` and ``mask_site``
    are the ``where`` or ``masked_fill`` above it that hid the bad value in forward. ``function`` is the
    function of torch that the program called (``kl_div``, whose last node is ``MeanBackward0``), where a
    forward op was seen to be called.
    """

    born: str
    op: str = ""
    node: int = -1
    module: str = ""
    site: Site | None = None
    shape: tuple[int, ...] = ()
    dtype: str = ""
    nan: int = 0
    inf: int = 0
    numel: int = 0
    incoming: float = float("nan")
    incoming_zeros: int = 0
    incoming_numel: int = 0
    operands: tuple[Operand, ...] = ()
    parameter: int | None = None
    mask_op: str = ""
    mask_site: Site | None = None
    function: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonfinite(Event):
    """NaN or inf showed up in a backward: in its loss or in gradients that it wrote.

    ``backward`` is that event's order. ``origins`` are where the bad numbers were born, the first one
    first; empty when nothing was measured (``captured`` False), and then ``params`` (non-finite) and
    ``healthy`` (written and finite) are all that is known. Then ``between`` narrows it down: one entry
    with operands is the first op of which something saved was not finite; one or two without are the
    nodes at or between which (from the loss on) it was born; more are several such places. ``loss`` is the
    root's value without the loss scale, ``scale`` that (None: not scaled), ``torch`` its version.

    ``backward`` is -1 where no backward was called on what the forward of step ``made_in`` had made.
    """

    kind: ClassVar[str] = "nonfinite"
    backward: int
    graph: str | None = None
    origins: tuple[Origin, ...] = ()
    params: ParameterSet = ()
    healthy: ParameterSet = ()
    captured: bool = False
    between: tuple[Origin, ...] = ()
    loss: float | None = None
    scale: float | None = None
    torch: str = ""
    made_in: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amplified(Event):
    """A node of a measured backward multiplied the norm of a finite gradient by ``ratio``, 1e4 or more.

    ``norm_in`` and ``norm_out`` are the L2 norms of what came in and went out, ``origin`` (with ``born``
    ``"backward"``) the op and its operands. Told for the worst node of a backward only. ``written`` is the
    largest norm of a parameter's gradient after that backward, in the same unit (None: not known).
    """

    kind: ClassVar[str] = "amplified"
    backward: int
    ratio: float
    norm_in: float
    norm_out: float
    origins: tuple[Origin, ...] = ()
    written: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfMeasured(Event):
    """Numbers in half precision were measured: ``what`` is ``"gradients"`` or ``"outputs"`` of modules.

    One event a measured backward and dtype (``"float16"`` or ``"bfloat16"``). ``absmax`` is the largest
    absolute value of all (scaled, for gradients of a scaled backward), found at ``op`` in ``module`` at
    ``largest_at``. The shares are over a strided sample of at most 1,024 elements a tensor: exact zeros, and
    numbers below the smallest normal one. ``flushed_share`` is over elements that were not zero before a
    cast to this dtype and are zero after it: proof that they were lost. ``exponents`` is a histogram of the
    sample's non-zero elements by binary exponent, from ``lowest_exponent`` on. ``scale`` is the loss scale
    (None: not scaled).
    """

    kind: ClassVar[str] = "half"
    backward: int
    what: str
    dtype: str
    absmax: float = 0.0
    op: str = ""
    module: str = ""
    largest_at: Site | None = None
    elements: int = 0
    zero_share: float = 0.0
    subnormal_share: float = 0.0
    flushed_share: float = 0.0
    lowest_exponent: int = 0
    exponents: tuple[int, ...] = ()
    scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfReduction(Event):
    """A backward's graph, of a structure not seen before, holds a loss or a long sum computed in float16.

    ``op`` is the autograd node's name, ``module`` and ``op_site`` where its forward op ran. ``loss``: it is a
    loss by itself. ``elements`` are added up for each result, 0 if that is not known.
    """

    kind: ClassVar[str] = "half_reduction"
    op: str
    module: str = ""
    op_site: Site | None = None
    loss: bool = False
    elements: int = 0
    graph: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleSoftmax(Event):
    """A backward's graph, of a structure not seen before, has a log-softmax of what a softmax made.

    ``module`` and ``op_site`` are where the log-softmax ran (inside a cross-entropy, mostly),
    ``softmax_module`` and ``softmax_site`` where the softmax did; both run over ``classes`` numbers.
    """

    kind: ClassVar[str] = "double_softmax"
    classes: int
    module: str = ""
    op_site: Site | None = None
    softmax_module: str = ""
    softmax_site: Site | None = None
    graph: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphGrew(Event):
    """The graph that a line's backward is about to run has grown in ``grown`` steps in a row, 4 or more.

    It had ``before`` nodes then and has ``nodes`` now; its oldest was made ``reach`` steps ago. ``op``,
    ``module`` and ``op_site`` are an op of this step that continues what an earlier step has made, and
    ``scalar`` says that its result is one number (a sum of losses). Told at most 64 times in a row, and then
    at each power of two; never of a graph that was made in this step alone.
    """

    kind: ClassVar[str] = "graph_grew"
    grown: int
    before: int
    nodes: int
    reach: int
    op: str = ""
    module: str = ""
    op_site: Site | None = None
    scalar: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedTerm(Event):
    """A number without a graph was added to a loss, and it was computed from one that had a graph.

    What the line ``added_at`` added was ``factor`` times what the line ``computed_at`` had computed, ``seen``
    times (5 or more) in a row, each time another number; no backward of those steps ran through that.
    ``site`` is the backward of the loss. Known only of steps whose ops are measured, and on the CPU.
    """

    kind: ClassVar[str] = "detached_term"
    added_at: Site | None = None
    computed_at: Site | None = None
    factor: float = 1.0
    seen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphsKept(Event):
    """Graphs of a module's forwards of past steps are alive, though a backward has run through each.

    They are of ``graphs`` different steps, the first of which is ``oldest``. ``held`` is ``"sum"`` where a
    tensor that was computed from them keeps them (at ``kept_at``), the type of a container (``"list"``) that
    holds tensors with them, or empty where neither was found; ``name`` is what a global variable or an
    attribute calls it. Told from 8 steps on, and again whenever there are half as many more. A ``deque`` that
    has a maximum length is not told.
    """

    kind: ClassVar[str] = "graphs_kept"
    module: str
    graphs: int
    oldest: int
    held: str = ""
    name: str = ""
    kept_at: Site | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCut(Event):
    """A reentrant checkpoint ran with gradients enabled, and none of its inputs wants one.

    What runs inside is in no graph: ``params`` are the trainable parameters there. Told once in each window
    (a stretch between optimizer steps), at most 32 times.
    """

    kind: ClassVar[str] = "checkpoint_cut"
    params: ParameterSet


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphReleased(Event):
    """The graph of a `Forward` was freed and no backward had run through it.

    ``forward`` is that event's order; ``saved_bytes`` what the graph held for backward, if known.
    """

    kind: ClassVar[str] = "graph_released"
    forward: int
    module: str
    training: bool
    saved_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd(Event):
    """A step of the training loop is over (marked by the user, or inferred from the optimizers)."""

    kind: ClassVar[str] = "step_over"
    loss: float | None = None
    duration: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotObservable(Event):
    """Something graddebug could not see, and why: never reported as fine."""

    kind: ClassVar[str] = "not_observable"
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd(Event):
    """The watch was left; ``reason`` is ``"finished"``, ``"exception"`` or ``"interrupted"``."""

    kind: ClassVar[str] = "run_end"
    reason: str
    detail: str = ""


#: Every kind of event a recording can hold, by the word it is stored under.
EVENTS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        Forward,
        ParametersUsed,
        QuietForwards,
        ModulesInEval,
        ParametersUnregistered,
        Backward,
        GradientsCleared,
        GradientsEdited,
        Clipped,
        OptimizerOwns,
        TrainableChanged,
        WeightsMoved,
        OptimizerStep,
        OptimizerStepEnd,
        ScalerSeen,
        Unscaled,
        ScalerStep,
        ScalerUpdate,
        SchedulerStep,
        ErrorRaised,
        Nonfinite,
        Amplified,
        HalfMeasured,
        HalfReduction,
        DoubleSoftmax,
        GraphGrew,
        GraphsKept,
        DetachedTerm,
        CheckpointCut,
        GraphReleased,
        StepEnd,
        NotObservable,
        RunEnd,
    )
}


# --- findings -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Role:
    """A source line and the part it plays in a finding: ``backward``, ``step``, ``zero_grad``."""

    role: str
    site: Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule has to say: what happened, where, since when, how often, the proof, and the fix.

    ``id`` is stable for the same rule, lines and parameters: those are one finding with a count.
    ``evidence`` maps words to plain numbers, strings or short lists of them. ``acknowledged`` is None, or the
    reason why the user takes it as known; ``acknowledged_by`` says where they wrote so, see
    `Acknowledgement.written`.
    """

    id: str
    rule: str
    slug: str
    severity: Severity
    message: str
    fix: str
    first_step: int
    last_step: int
    count: int = 1
    parameters: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    evidence: dict[str, object] = field(default_factory=dict, hash=False)
    acknowledged: str | None = None
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """A user's word that findings are known: what all of its criteria agree with warns and fails no more.

    ``rules`` are codes. ``parameters`` are globs of qualified names: each parameter of a finding must match
    one of them. ``file`` is a path, its end, or a glob of it, and ``lines`` the first and last line in it
    (0 and 0: all): one line of the finding must lie there.

    ``written`` says where it stands: ``"comment train.py:41"``, ``"pyproject.toml"``, ``"watch()"``,
    ``"--ignore"`` or ``"baseline known.json"``; ``site`` is the line of a comment. ``reached`` is False where
    the program is not known to have come by its lines. ``problem`` says why a comment cannot be honoured.
    """

    rules: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    file: str = ""
    lines: tuple[int, int] = (0, 0)
    reason: str = ""
    written: str = ""
    site: Site | None = None
    reached: bool = True
    problem: str = ""
