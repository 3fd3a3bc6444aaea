"""Subsets with given inclusion probabilities, strata."""

from . import conditional_poisson as conditional_poisson
from . import inclusion as inclusion
from . import masks as masks
from . import pivotal as pivotal
from . import strata as strata

__all__ = ["conditional_poisson", "inclusion", "masks", "pivotal", "strata"]
