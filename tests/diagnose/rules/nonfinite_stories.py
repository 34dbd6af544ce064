"""Events of NaN and inf as capture tells them, for the stories of GD501 to GD512."""

from __future__ import annotations

from typing import Any

from graddebug.records import GradientsCleared, Nonfinite, Operand, Origin, ScalerStep
from tests.diagnose.story import Story, site

TORCH = "2.13.0+cpu"
SQRT = site(12, "dist = torch.sqrt(x)")
ALL = (0, 1, 2, 3)


def zeros(name: str = "result", **fields: Any) -> Operand:
    """An operand of 128 elements, 3 of them 0."""
    told = {"shape": (128,), "dtype": "float32", "minimum": 0.0, "maximum": 4.0, "zeros": 3, "numel": 128}
    return Operand(name=name, **{**told, **fields})


def origin(**fields: Any) -> Origin:
    """The square root of 0, whose derivative is inf in 3 of 128 elements."""
    told = {
        "born": "backward",
        "op": "SqrtBackward0",
        "module": "net.dist",
        "site": SQRT,
        "shape": (128,),
        "dtype": "float32",
        "inf": 3,
        "numel": 128,
        "incoming": 0.5,
        "incoming_numel": 128,
        "operands": (zeros(),),
    }
    return Origin(**{**told, **fields})


def bad_backward(story: Story, *origins: Origin, params: tuple[int, ...] = ALL, **fields: Any) -> None:
    """A backward that leaves NaN or inf in parameters, and where it was born."""
    scale = fields.get("scale")
    inside = {key: fields.pop(key) for key in ("inside_step",) if key in fields}
    scaled = {"scale": scale, "scalers": (0,)} if scale else {}
    order = story.backward(nonfinite=params, **scaled, **inside)
    told: dict[str, Any] = {"captured": bool(origins), "loss": 1.5, "torch": TORCH} | fields
    story.tell(Nonfinite, backward=order, origins=origins, params=params, **told)


def scaler_skips(story: Story) -> None:
    """``scaler.step(optimizer)`` finds inf and does not step."""
    story.tell(
        ScalerStep,
        at=43,
        source="scaler.step(optimizer)",
        scaler=0,
        optimizer=0,
        params=ALL,
        nonfinite=ALL,
        scale=65536.0,
        skipped=True,
    )
    story.step_number += 1


def cleared(story: Story) -> None:
    """The gradients are cleared."""
    story.tell(
        GradientsCleared,
        at=39,
        source="optimizer.zero_grad()",
        params=ALL,
        how="optimizer.zero_grad",
        owner="optimizer",
        optimizer=0,
    )
