"""Estimates and how sure they are."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """An estimate of a sum, a total or a mean.

    Attributes
    ----------
    value : float
        The estimate.
    stderr : float
        Its standard error: the root of an estimate of its variance. NaN where there is none.
    """

    value: float
    stderr: float
