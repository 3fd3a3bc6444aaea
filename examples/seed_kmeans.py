"""Seed k-means on the pixels of a picture, and see what it cost.

    pip install scikit-learn
    python examples/seed_kmeans.py

The colours of a picture are clustered into a palette. scikit-learn brings the picture; where it is
not installed, random colours take its place.
"""

import time

import numpy as np
from sortes.select import kmeans_plusplus

COLOURS = 64


def pixels() -> np.ndarray:
    """Return the pixels of scikit-learn's picture of a temple, or random ones."""
    try:
        from sklearn.datasets import load_sample_image
    except ImportError:
        return np.random.default_rng(0).random((270_000, 3), np.float32)
    return (load_sample_image("china.jpg").reshape(-1, 3) / 255).astype(np.float32)


def main() -> None:
    """Draw palettes in several ways and compare their costs."""
    X = pixels()
    print(f"{len(X):,} pixels, {COLOURS} colours")
    for title, options in {
        "k-means++": {},
        "greedy k-means++": {"n_local_trials": None},
        "random pixels": {"method": "random"},
    }.items():
        began = time.perf_counter()
        kmeans_plusplus(X, COLOURS, random_state=0, **options)
        seconds = time.perf_counter() - began
        *_, stats = kmeans_plusplus(X, COLOURS, random_state=0, return_stats=True, **options)
        print(
            f"{title:18} {1e3 * seconds:7.1f} ms   cost {stats.inertia:8.1f}"
            f"   {stats.distance_evaluations / len(X):6.2f} distances per pixel"
        )


if __name__ == "__main__":
    main()
