"""Mixtures of normals on the line, exactly."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["cdf", "quantile", "transport", "wasserstein_1"]

def cdf(
    x: NDArray[np.float64],
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    scales: NDArray[np.float64],
    job: Job,
) -> NDArray[np.float64]: ...
def quantile(
    p: NDArray[np.float64],
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    scales: NDArray[np.float64],
    job: Job,
) -> NDArray[np.float64]: ...
def transport(
    x: NDArray[np.float64],
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    scales: NDArray[np.float64],
    to_means: NDArray[np.float64],
    to_scales: NDArray[np.float64],
    job: Job,
) -> NDArray[np.float64]: ...
def wasserstein_1(
    sorted: NDArray[np.float64],
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    scales: NDArray[np.float64],
    job: Job,
) -> float: ...
