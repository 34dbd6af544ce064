"""What makes NaN and inf: the knowledge of ops, and how an origin is told."""

from graddebug.diagnose.nonfinite.entry import Explanation
from graddebug.diagnose.nonfinite.knowledge import explain

__all__ = ["Explanation", "explain"]
