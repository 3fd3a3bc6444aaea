"""Noise to data, by a denoiser."""

from . import fitting as fitting
from . import mixture as mixture
from . import noise as noise
from . import plans as plans
from . import steps as steps

__all__ = ["fitting", "mixture", "noise", "plans", "steps"]
