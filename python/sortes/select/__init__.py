"""Points and subsets from data.

Weighted draws (`choice`, `AliasTable`, `DynamicWeights`, `Reservoir`), sketches that merge
(`BottomK`, `PrioritySample`, `VarOpt`), centres for k-means (`kmeans_plusplus`), batches for active
learning (`stochastic_acquisition`), and what each epoch of a training run sees (`RS2Sampler`).
"""

from sortes.select.acquisition import acquisition_probs, stochastic_acquisition
from sortes.select.kmeans import SeedingStats, kmeans_plusplus, kmeans_plusplus_init
from sortes.select.rs2 import RS2Sampler
from sortes.select.sketches import (
    BottomK,
    Estimate,
    PrioritySample,
    Sketch,
    SketchSample,
    VarOpt,
    hash_ids,
    sketch_array,
)
from sortes.select.weighted import AliasTable, DynamicWeights, Reservoir, choice, weighted_keys

__all__ = [
    "AliasTable",
    "BottomK",
    "DynamicWeights",
    "Estimate",
    "PrioritySample",
    "RS2Sampler",
    "Reservoir",
    "SeedingStats",
    "Sketch",
    "SketchSample",
    "VarOpt",
    "acquisition_probs",
    "choice",
    "hash_ids",
    "kmeans_plusplus",
    "kmeans_plusplus_init",
    "sketch_array",
    "stochastic_acquisition",
    "weighted_keys",
]
