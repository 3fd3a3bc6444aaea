"""Points and subsets from data."""

from . import acquisition as acquisition
from . import design as design
from . import kmeans as kmeans
from . import rs2 as rs2
from . import sketch as sketch
from . import weighted as weighted

__all__ = ["acquisition", "design", "kmeans", "rs2", "sketch", "weighted"]
