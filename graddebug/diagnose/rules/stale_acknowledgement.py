"""GD001: an acknowledgement that nothing answers to."""

from __future__ import annotations

from graddebug.diagnose.acknowledge import AcknowledgementsSettled, where_written
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.diagnose.wording import names
from graddebug.ledger import Ledger
from graddebug.records import Acknowledgement, Severity


class StaleAcknowledgement(Rule):
    """At the end of a run that finished and was seen whole, no finding answers to it.

    Only where the rule was judged, the program came by the line, and the run has parameters of those names.
    """

    code = "GD001"
    slug = "stale-acknowledgement"
    title = "An acknowledgement acknowledges nothing any more"
    severity = Severity.NOTE
    why = (
        "Whoever reads it believes that something is wrong there, and known. Should the same thing go wrong "
        "again one day, for another reason, nobody will be told."
    )
    fix = "Remove it, or name the rule, the line and the parameters that it is meant for."
    example = (
        "optimizer.zero_grad()\n"
        "loss.backward()\n"
        "optimizer.step()    # graddebug: ignore[GD101] on purpose     (wrong: it is cleared now)\n"
        "\n"
        "optimizer.step()    # right\n"
    )

    def on_acknowledgements_settled(self, fact: AcknowledgementsSettled, ledger: Ledger) -> Claims:
        """One finding for each place where acknowledgements are written."""
        by_place: dict[str, list[tuple[Acknowledgement, tuple[str, ...]]]] = {}
        for entry, codes in fact.stale:
            by_place.setdefault(entry.written, []).append((entry, codes))
        return [_claim(fact, stale) for stale in by_place.values()]


def _claim(fact: AcknowledgementsSettled, stale: list[tuple[Acknowledgement, tuple[str, ...]]]) -> Claim:
    entry = stale[0][0]
    said = list(dict.fromkeys(_said(entry, codes) for entry, codes in stale))
    place = where_written(entry.written)
    where = "The comment" if entry.site else place
    return Claim(
        step=fact.event.step,
        message=f"{where} acknowledges {'; '.join(said)}, and this run has no such finding.",
        fix=f"Remove it from {place}, unless it is meant for other runs than this one."
        if entry.site is None
        else f"Remove the comment ({place.removeprefix('comment ')}).",
        roles=roles(comment=entry.site),
        topic=entry.written,
    )


def _said(entry: Acknowledgement, codes: tuple[str, ...]) -> str:
    parts = [names(codes)]
    if entry.parameters:
        parts.append(f"of {names(entry.parameters)}")
    if entry.file and entry.site is None:
        parts.append(f"at {entry.file}{f':{entry.lines[0]}' if entry.lines[0] else ''}")
    return " ".join(parts)
