"""The life of every gradient: written, edited, consumed or discarded, folded from events.

Pure book-keeping: plain values in, facts out. What a fact means is the business of `graddebug.diagnose`.
"""

from graddebug.ledger.books import Ledger, OptimizerLife
from graddebug.ledger.cohorts import Cohort, Partition
from graddebug.ledger.facts import (
    AddedToNonfinite,
    Consumed,
    Discarded,
    Fact,
    NonfiniteSettled,
    Portion,
)
from graddebug.ledger.life import (
    Contribution,
    Discard,
    Life,
    Line,
    Old,
    count_of,
    line_of,
    newest_of,
)
from graddebug.ledger.scaling import Division, ScalerLife, Scaling

__all__ = [
    "AddedToNonfinite",
    "Cohort",
    "Consumed",
    "Contribution",
    "Discard",
    "Discarded",
    "Division",
    "Fact",
    "Ledger",
    "Life",
    "Line",
    "NonfiniteSettled",
    "Old",
    "OptimizerLife",
    "Partition",
    "Portion",
    "ScalerLife",
    "Scaling",
    "count_of",
    "line_of",
    "newest_of",
]
