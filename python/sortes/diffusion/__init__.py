"""Noise to data, by a denoiser that is given: levels of noise.

A `Path` is what a sampler walks along: noise levels (`Level`) from the noisiest to the cleanest, of
one of three kinds (variance-preserving, variance-exploding, flow). A denoiser is any function of a
state and its level that predicts the data.
"""

from sortes.diffusion.path import Level, Path

__all__ = ["Level", "Path"]
