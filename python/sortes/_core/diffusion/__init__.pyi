"""Noise to data, by a denoiser."""

from . import mixture as mixture
from . import noise as noise

__all__ = ["mixture", "noise"]
