"""GD411: numbers come close to the largest that half precision can hold."""

from __future__ import annotations

from graddebug.diagnose.evidence import HALF, MEASURED_NODES
from graddebug.diagnose.half import LARGEST, headroom
from graddebug.diagnose.rule import Claim, Claims, Rule, roles, thresholds
from graddebug.diagnose.wording import number
from graddebug.ledger import Ledger
from graddebug.records import HalfMeasured, Severity


class NearOverflow(Rule):
    """Before it overflows: outputs, and gradients that no scaler looks after."""

    code = "GD411"
    slug = "near-overflow"
    title = "Numbers come close to what half precision can hold"
    severity = Severity.WARNING
    needs = (HALF, MEASURED_NODES)
    why = (
        "float16 ends at 65,504. An activation near that end works until one batch is a little larger, and "
        "then it is inf, and soon everything is NaN; no loss scale helps there. Models trained in bfloat16 "
        "and run in float16 do this."
    )
    fix = "Compute that module in float32 or bfloat16, or normalise what goes into it."
    example = (
        "with torch.autocast('cuda', torch.float16):\n"
        "    scores = q @ k.mT / math.sqrt(d)      # wrong: the product overflows before it is divided\n"
        "\n"
        "    scores = (q / math.sqrt(d)) @ k.mT    # right: divided first\n"
    )
    options = thresholds(
        bits="bits left below the dtype's maximum",
        measured="measurements of one place that came so near",
    )
    #: Bits below the dtype's maximum.
    bits = 2.0
    #: Measurements of the same place that came so near, each with another value: a constant is a mask's.
    measured = 2

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._near: dict[tuple[str, str, str, str], set[float]] = {}

    def on_half(self, event: HalfMeasured, ledger: Ledger) -> Claims:
        """Judge the largest value of a measured backward or forward.

        Scaled gradients are meant to come near the end: finding it is the scaler's work.
        """
        room = headroom(event)
        if not room < self.bits or (event.what == "gradients" and event.scale is not None):
            return None
        if event.absmax == LARGEST[event.dtype]:  # put there on purpose: torch.finfo(dtype).max
            return None
        seen = self._near.setdefault((event.what, event.dtype, event.module, event.op), set())
        if len(seen) < self.measured:
            seen.add(event.absmax)
        return [_claim(event, room)] if len(seen) >= self.measured else None


def _claim(event: HalfMeasured, room: float) -> Claim:
    what = "An output" if event.what == "outputs" else "A gradient"
    of = f" of {event.module}" if event.module else f" of {event.op}" if event.op else ""
    bits = f"{room:.1f} bits" if room >= 0.05 else "less than 0.1 bits"
    other = "bfloat16 or float32" if event.dtype == "float16" else "float32"
    return Claim(
        step=event.step,
        message=(
            f"{what}{of} reached {number(event.absmax)} in {event.dtype}, which ends at "
            f"{number(LARGEST[event.dtype])}: {bits} are left. A slightly larger batch makes it inf."
        ),
        fix=(
            f"Compute {event.module or 'it'} in {other} (`with torch.autocast(device, enabled=False)`, its "
            "input cast first), or make what goes into it smaller."
        ),
        roles=roles(op=event.largest_at),
        evidence={"absmax": event.absmax, "headroom_bits": room, "dtype": event.dtype},
        topic=f"{event.what} {event.dtype} {event.module} {event.op}",
    )
