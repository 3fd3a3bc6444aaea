"""Noise to data, by a denoiser."""

from . import noise as noise

__all__ = ["noise"]
