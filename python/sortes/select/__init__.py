"""Points and subsets from data: seeding for k-means."""

from sortes.select.kmeans import SeedingStats, kmeans_plusplus, kmeans_plusplus_init

__all__ = ["SeedingStats", "kmeans_plusplus", "kmeans_plusplus_init"]
