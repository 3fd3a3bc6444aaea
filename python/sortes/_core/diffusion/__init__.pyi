"""Noise to data, by a denoiser."""

from . import noise as noise
from . import plans as plans

__all__ = ["noise", "plans"]
