"""Points and subsets from data."""

from . import design as design
from . import kmeans as kmeans
from . import rs2 as rs2
from . import sketch as sketch
from . import weighted as weighted

__all__ = ["design", "kmeans", "rs2", "sketch", "weighted"]
