"""Using many samples of each problem."""

from . import best as best
from . import coverage as coverage
from . import distinct as distinct
from . import passes as passes
from . import votes as votes

__all__ = ["best", "coverage", "distinct", "passes", "votes"]
