"""Valid calls of what the family offers."""

import numpy as np
from sortes.select import (
    AliasTable,
    BottomK,
    DynamicWeights,
    PivotalSampler,
    Reservoir,
    pivotal_sample,
    stratified_sample,
)

W = np.array([1.0, 2.0, 3.0, 4.0])
PI = np.array([0.2, 0.7, 0.6, 0.5])
X = np.array([[0.0, 1.0], [2.0, 0.5], [5.0, 5.0], [6.0, 5.5]])
IDS = np.array([10, 11, 12, 13])

CALLS = {
    # Weighted draws
    "choice": [
        {"weights": W, "size": 3, "rng": 0},
        {"weights": W, "size": 2, "replace": False, "on_short": "all", "rng": 0},
    ],
    "weighted_keys": {"weights": W, "rng": 0},
    "AliasTable": {"weights": W},
    "AliasTable.sample": {"size": 3, "rng": 0},
    "AliasTable.probabilities": {},
    "AliasTable.copy": {},
    "AliasTable.to_bytes": {},
    "AliasTable.from_bytes": {"data": AliasTable(W).to_bytes()},
    "DynamicWeights": {"weights": W},
    "DynamicWeights.update": [
        {"indices": 1, "weights": 2.0},
        {"indices": np.array([0, 2]), "weights": np.array([1.0, 5.0])},
    ],
    "DynamicWeights.sample": {"size": 3, "rng": 0},
    "DynamicWeights.pop": {"size": 2, "rng": 0},
    "DynamicWeights.from_bytes": {"data": DynamicWeights(W).to_bytes()},
    "Reservoir": {"k": 2, "rng": 0},
    "Reservoir.update": {"weights": W, "ids": IDS},
    "Reservoir.sample": {},
    "Reservoir.from_bytes": {"data": Reservoir(2, rng=0).to_bytes()},
    # Acquisition
    "stochastic_acquisition": [
        {"scores": W, "k": 2, "rng": 0},
        {"scores": W, "k": 2, "noise": np.zeros(4)},
    ],
    "acquisition_probs": {"scores": W},
    # Sketches
    "BottomK": {"k": 3, "rng": 0, "coordinated": False, "shard": 1},
    "PrioritySample": {"k": 3, "rng": 0, "coordinated": False, "shard": 1},
    "VarOpt": {"k": 3, "rng": 0, "shard": 1},
    "Sketch.update": {"ids": IDS, "weights": W, "values": W},
    "Sketch.merge": {"other": BottomK(3, rng=0).update(IDS + 9, W, W)},
    "Sketch.sample": {},
    "Sketch.estimate": {"where": np.array([True, False, True]), "of": np.ones(3)},
    "Sketch.for_shard": {"shard": 1},
    "Sketch.has_drawn": {"shard": 1},
    "Sketch.from_bytes": {"data": BottomK(3, rng=0).to_bytes()},
    "hash_ids": {"names": ["a", b"b"]},
    "sketch_array": {"weights": W, "sketch": BottomK(3, rng=0), "ids": IDS, "values": W},
    # Designs
    "inclusion_probabilities": {"weights": W, "k": 2.0},
    "poisson_sample": {"pi": PI, "rng": 0},
    "systematic_sample": [
        {"pi": PI, "order": np.array([3, 1, 0, 2]), "rng": 0},
        {"pi": PI, "u": 0.5},
    ],
    "horvitz_thompson": {"values": W, "pi": PI, "design": "poisson"},
    "DesignSample.estimate": {"values": np.array([1.0, 2.0])},
    "pivotal_sample": [
        {"pi": PI, "order": np.array([3, 1, 0, 2]), "rng": 0},
        {"pi": PI, "order": "local", "X": X, "rng": 0},
    ],
    "PivotalSampler": {"first": 0, "rng": 0},
    "PivotalSampler.update": {"pi": PI, "ids": IDS},
    "PivotalSampler.merge": {"other": PivotalSampler(first=9, rng=0)},
    "PivotalSampler.finish": {},
    "PivotalSampler.from_bytes": {"data": PivotalSampler(rng=0).to_bytes()},
    "conditional_poisson_sample": [
        {"pi": PI, "k": 2, "rng": 0},
        {"k": 2, "odds": W, "rng": 0},
    ],
    "conditional_poisson_probabilities": {"odds": W, "k": 2},
    "conditional_poisson_odds": {"pi": PI},
    "log_elementary_symmetric": {"logs": W, "k": 2},
    "stratified_masks": {"n_features": 3, "num_samples": 4, "rng": 0},
    "mask_weights": {"n_features": 3},
    "allocate": {"shares": W, "m": 5, "caps": np.array([1, 2, 9, 9])},
    "neyman_allocation": {"sizes": np.array([5, 6]), "sds": np.array([1.0, 2.0]), "m": 4},
    "stratified_sample": [
        {"strata": np.array([0, 1, 0, 1]), "m": 2, "rng": 0},
        {"strata": np.array([0, 1, 0, 1]), "m": 2, "allocation": np.array([1, 1]), "rng": 0},
        {"strata": np.array([0, 1]), "m": 1, "allocation": "neyman", "sds": np.ones(2), "rng": 0},
    ],
    "stratified_mean": {"values": W, "strata": np.array([0, 0, 1, 1]), "sizes": np.array([5, 6])},
    "StratifiedSample.estimate": {"values": np.array([1.0, 2.0])},
    "StratifiedSample.mean": {"values": np.array([1.0, 2.0])},
    # Centres of k-means
    "kmeans_plusplus": [
        {"X": X, "n_clusters": 2, "sample_weight": W, "random_state": 0},
        {"X": X, "n_clusters": 2, "method": "rejection", "max_trials": 9, "random_state": 0},
        {"X": X, "n_clusters": 2, "method": "afkmc2", "chain_length": 9, "random_state": 0},
        {"X": X, "n_clusters": 2, "method": "parallel", "n_rounds": 2, "random_state": 0},
    ],
    "kmeans_plusplus_init": {"X": X, "n_clusters": 2, "random_state": 0},
    # Training subsets
    "RS2Sampler": {"n": 9, "keep": 3, "rng": 0},
    "RS2Sampler.indices": {"epoch": 1},
    "RS2Sampler.set_epoch": {"epoch": 1},
    "RS2Sampler.state_dict": {},
    "RS2Sampler.load_state_dict": {
        "state": {
            "version": 2,
            **{"n": 9, "keep": 3, "replacement": False, "wrap": "distinct", "world_size": 1},
            **{"drop_last": False, "key": 5, "step": 0, "epoch": 2, "position": 1},
        }
    },
}


def _pivotal():
    part = PivotalSampler(rng=0)
    part.update(PI, IDS)
    return part


MADE = {
    "DesignSample": lambda: pivotal_sample(PI, rng=0),
    "PivotalSampler": _pivotal,
    "Reservoir": lambda: Reservoir(2, rng=0).update(W, IDS),
    "Sketch": lambda: BottomK(3, rng=0).update(IDS, W, W),
    "StratifiedSample": lambda: stratified_sample([0, 1, 0, 1], 2, rng=0),
}
