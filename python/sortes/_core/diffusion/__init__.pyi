"""Noise to data, by a denoiser."""

from . import mixture as mixture
from . import noise as noise
from . import plans as plans
from . import steps as steps

__all__ = ["mixture", "noise", "plans", "steps"]
