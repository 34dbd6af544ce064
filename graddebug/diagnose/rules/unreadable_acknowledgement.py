"""GD002: a comment that means to acknowledge, and does not."""

from __future__ import annotations

from graddebug.diagnose.acknowledge import AcknowledgementsSettled
from graddebug.diagnose.rule import Claim, Claims, Rule, roles
from graddebug.ledger import Ledger
from graddebug.records import Severity


class UnreadableAcknowledgement(Rule):
    """A comment ``graddebug: ignore`` names no rule, or one that there is not."""

    code = "GD002"
    slug = "unreadable-acknowledgement"
    title = "A comment means to acknowledge, and does not"
    severity = Severity.NOTE
    why = "What it should silence is reported all the same; or it silences nothing, and nobody notices."
    fix = "Write `# graddebug: ignore[CODE] reason`, with the codes that `graddebug rules` lists."
    example = (
        "optimizer.step()    # graddebug: ignore GD101                 (wrong: no brackets)\n"
        "\n"
        "optimizer.step()    # graddebug: ignore[GD101] on purpose     (right)\n"
    )

    def on_acknowledgements_settled(self, fact: AcknowledgementsSettled, ledger: Ledger) -> Claims:
        """One finding for each problem of a comment."""
        return [
            Claim(
                step=fact.event.step,
                message=f"This comment is not understood: {entry.problem}",
                fix=self.fix,
                roles=roles(comment=entry.site),
                topic=entry.written,
                variant=entry.problem,
            )
            for entry in fact.unreadable
        ]
