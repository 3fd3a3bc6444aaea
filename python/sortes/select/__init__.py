"""Points and subsets from data.

Weighted draws (`choice`, `AliasTable`, `DynamicWeights`, `Reservoir`); sketches that merge
(`BottomK`, `PrioritySample`, `VarOpt`); designs with given inclusion probabilities
(`pivotal_sample` and its like) and strata (`stratified_sample`, `stratified_masks`); centres for
k-means (`kmeans_plusplus`); batches for active learning (`stochastic_acquisition`); and what each
epoch of a training run sees (`RS2Sampler`).
"""

from sortes._estimate import Estimate
from sortes.select.acquisition import acquisition_probs, stochastic_acquisition
from sortes.select.design.conditional_poisson import (
    conditional_poisson_odds,
    conditional_poisson_probabilities,
    conditional_poisson_sample,
    log_elementary_symmetric,
)
from sortes.select.design.inclusion import (
    InclusionProbabilities,
    inclusion_probabilities,
    poisson_sample,
    systematic_sample,
)
from sortes.select.design.masks import Masks, mask_weights, stratified_masks
from sortes.select.design.pivotal import PivotalSampler, pivotal_sample
from sortes.select.design.sample import DesignSample, horvitz_thompson
from sortes.select.design.strata import (
    StratifiedSample,
    allocate,
    neyman_allocation,
    stratified_mean,
    stratified_sample,
)
from sortes.select.kmeans import SeedingStats, kmeans_plusplus, kmeans_plusplus_init
from sortes.select.rs2 import RS2Sampler
from sortes.select.sketch import (
    BottomK,
    PrioritySample,
    Sketch,
    SketchSample,
    VarOpt,
    hash_ids,
    sketch_array,
)
from sortes.select.weighted.draws import choice, weighted_keys
from sortes.select.weighted.dynamic import DynamicWeights
from sortes.select.weighted.reservoir import Reservoir
from sortes.select.weighted.table import AliasTable

__all__ = [
    "AliasTable",
    "BottomK",
    "DesignSample",
    "DynamicWeights",
    "Estimate",
    "InclusionProbabilities",
    "Masks",
    "PivotalSampler",
    "PrioritySample",
    "RS2Sampler",
    "Reservoir",
    "SeedingStats",
    "Sketch",
    "SketchSample",
    "StratifiedSample",
    "VarOpt",
    "acquisition_probs",
    "allocate",
    "choice",
    "conditional_poisson_odds",
    "conditional_poisson_probabilities",
    "conditional_poisson_sample",
    "hash_ids",
    "horvitz_thompson",
    "inclusion_probabilities",
    "kmeans_plusplus",
    "kmeans_plusplus_init",
    "log_elementary_symmetric",
    "mask_weights",
    "neyman_allocation",
    "pivotal_sample",
    "poisson_sample",
    "sketch_array",
    "stochastic_acquisition",
    "stratified_masks",
    "stratified_mean",
    "stratified_sample",
    "systematic_sample",
    "weighted_keys",
]
