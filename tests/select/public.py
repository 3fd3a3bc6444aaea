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

#: How many times each of these is repeated; `public.resize` sets it.
SCALE: int = globals().get("SCALE", 1)
W = np.tile([1.0, 2.0, 3.0, 4.0], SCALE)
PI = np.tile([0.2, 0.7, 0.6, 0.5], SCALE)
X = np.tile([[0.0, 1.0], [2.0, 0.5], [5.0, 5.0], [6.0, 5.5]], (SCALE, 1))
IDS = np.arange(4 * SCALE) + 10
ORDER = np.arange(4 * SCALE)[::-1].copy()
STRATA = np.tile([0, 1], 2 * SCALE)

CALLS = {
    # Weighted draws
    "choice": [
        {"weights": W, "size": 3 * SCALE, "rng": 0},
        {"weights": W, "size": 2 * SCALE, "replace": False, "on_short": "all", "rng": 0},
    ],
    "weighted_keys": {"weights": W, "rng": 0},
    "AliasTable": {"weights": W},
    "AliasTable.sample": {"size": 3 * SCALE, "rng": 0},
    "AliasTable.probabilities": {},
    "AliasTable.copy": {},
    "AliasTable.to_bytes": {},
    "AliasTable.from_bytes": {"data": AliasTable(W).to_bytes()},
    "DynamicWeights": {"weights": W},
    "DynamicWeights.update": [
        {"indices": 1, "weights": 2.0},
        {"indices": 2 * np.arange(2 * SCALE), "weights": np.tile([1.0, 5.0], SCALE)},
    ],
    "DynamicWeights.sample": {"size": 3 * SCALE, "rng": 0},
    "DynamicWeights.pop": {"size": 2 * SCALE, "rng": 0},
    "DynamicWeights.from_bytes": {"data": DynamicWeights(W).to_bytes()},
    "Reservoir": {"k": 2 * SCALE, "rng": 0},
    "Reservoir.update": {"weights": W, "ids": IDS},
    "Reservoir.sample": {},
    "Reservoir.from_bytes": {"data": Reservoir(2 * SCALE, rng=0).update(W).to_bytes()},
    # Acquisition
    "stochastic_acquisition": [
        {"scores": W, "k": 2 * SCALE, "rng": 0},
        {"scores": W, "k": 2 * SCALE, "noise": np.zeros(4 * SCALE)},
    ],
    "acquisition_probs": {"scores": W},
    # Sketches
    "BottomK": {"k": 3 * SCALE, "rng": 0, "coordinated": False, "shard": 1},
    "PrioritySample": {"k": 3 * SCALE, "rng": 0, "coordinated": False, "shard": 1},
    "VarOpt": {"k": 3 * SCALE, "rng": 0, "shard": 1},
    "Sketch.update": {"ids": IDS, "weights": W, "values": W},
    "Sketch.merge": {"other": BottomK(3 * SCALE, rng=0).update(IDS + 9, W, W)},
    "Sketch.sample": {},
    "Sketch.estimate": {"where": np.tile([True, False, True], SCALE), "of": np.ones(3 * SCALE)},
    "Sketch.for_shard": {"shard": 1},
    "Sketch.has_drawn": {"shard": 1},
    "Sketch.from_bytes": {"data": BottomK(3 * SCALE, rng=0).update(IDS).to_bytes()},
    "hash_ids": {"names": ["a", b"b"] * SCALE},
    "sketch_array": {"weights": W, "sketch": BottomK(3 * SCALE, rng=0), "ids": IDS, "values": W},
    # Designs
    "inclusion_probabilities": {"weights": W, "k": 2.0 * SCALE},
    "poisson_sample": {"pi": PI, "rng": 0},
    "systematic_sample": [
        {"pi": PI, "order": ORDER, "rng": 0},
        {"pi": PI, "u": 0.5},
    ],
    "horvitz_thompson": {"values": W, "pi": PI, "design": "poisson"},
    "DesignSample.estimate": {"values": np.tile([1.0, 2.0], SCALE)},
    "pivotal_sample": [
        {"pi": PI, "order": ORDER, "rng": 0},
        {"pi": PI, "order": "tree", "rng": 0},
        {"pi": PI, "order": "local", "X": X, "rng": 0},
    ],
    "PivotalSampler": {"first": 0, "rng": 0},
    "PivotalSampler.update": {"pi": PI, "ids": IDS},
    "PivotalSampler.merge": {"other": PivotalSampler(first=9, rng=0)},
    "PivotalSampler.finish": {},
    "PivotalSampler.from_bytes": {
        "data": PivotalSampler(rng=0).update(np.ones(4 * SCALE)).to_bytes()
    },
    "conditional_poisson_sample": [
        {"pi": PI / SCALE, "k": 2, "rng": 0},
        {"k": 2, "odds": W, "rng": 0},
    ],
    "conditional_poisson_probabilities": {"odds": W, "k": 2},
    "conditional_poisson_odds": {"pi": PI / SCALE},
    "log_elementary_symmetric": {"logs": W, "k": 2},
    "stratified_masks": {"n_features": 3, "num_samples": 4 * SCALE, "rng": 0},
    "mask_weights": {"n_features": 3 * SCALE},
    "allocate": {"shares": W, "m": 5 * SCALE, "caps": np.tile([1, 2, 9, 9], SCALE)},
    "neyman_allocation": {"sizes": IDS, "sds": W, "m": 4 * SCALE},
    "stratified_sample": [
        {"strata": STRATA, "m": 2 * SCALE, "rng": 0},
        {"strata": STRATA, "m": 2 * SCALE, "allocation": np.array([1, 1]) * SCALE, "rng": 0},
        {"strata": np.array([0, 1]), "m": 1, "allocation": "neyman", "sds": np.ones(2), "rng": 0},
    ],
    "stratified_mean": {"values": W, "strata": STRATA, "sizes": np.array([5, 6]) * SCALE},
    "StratifiedSample.estimate": {"values": np.tile([1.0, 2.0], SCALE)},
    "StratifiedSample.mean": {"values": np.tile([1.0, 2.0], SCALE)},
    # Centres of k-means
    "kmeans_plusplus": [
        {"X": X, "n_clusters": 2, "sample_weight": W, "random_state": 0},
        {"X": X, "n_clusters": 2, "method": "rejection", "max_trials": 9, "random_state": 0},
        {"X": X, "n_clusters": 2, "method": "afkmc2", "chain_length": 9, "random_state": 0},
        {"X": X, "n_clusters": 2, "method": "parallel", "n_rounds": 2, "random_state": 0},
    ],
    "kmeans_plusplus_init": {"X": X, "n_clusters": 2, "random_state": 0},
    # Training subsets
    "RS2Sampler": {"n": 9 * SCALE, "keep": 3 * SCALE, "rng": 0},
    "RS2Sampler.indices": {"epoch": 1},
    "RS2Sampler.set_epoch": {"epoch": 1},
    "RS2Sampler.state_dict": {},
    "RS2Sampler.load_state_dict": {
        "state": {
            "version": 2,
            **{
                "n": 9 * SCALE,
                "keep": 3 * SCALE,
                "replacement": False,
                "wrap": "distinct",
                "world_size": 1,
            },
            **{"drop_last": False, "key": 5, "step": 0, "epoch": 2, "position": 1},
        }
    },
}

#: Values that act, and what some need beside them.
VALUES = {
    "noise": [np.array([9.0, 0.0, 0.0, 0.0])],
    "stratified_sample allocation": [np.array([2, 0])],
    "sds": [np.array([9.0, 0.01])],
    "X": [np.array([[0.0], [9.0], [0.0], [9.0]])],
}
CUBES = np.c_[np.arange(40.0) ** 3, np.zeros(40)]
BESIDE = {
    "coordinated": {"shard": 0},
    "rank": {"world_size": 3},
    "Reservoir.update ids": {"weights": W * 1e6},
    "min_per_stratum": {"shares": np.array([0.01, 1.0, 1.0, 1.0]), "strata": [0] * 9 + [1]},
    "on_short": {"weights": np.array([1.0, 0.0]), "size": 2, "replace": False},
    "max_trials": {"X": CUBES, "n_clusters": 9, "method": "rejection", "sample_weight": None},
    "fallback": {"X": CUBES, "n_clusters": 9, "method": "rejection", "max_trials": 1},
    "n_local_trials": {"X": CUBES, "n_clusters": 9, "method": "exact"},
    "pivotal_sample X": {"order": "local"},
    "strategy": {"scores": np.array([0.1, 5.0, 0.2, 0.3]), "k": 4},
    "noise": {"rng": ..., "noise": np.zeros(4)},
    "sds": {"allocation": "neyman", "strata": np.array([0, 0, 0, 1, 1, 1]), "m": 3},
}


def _pivotal():
    part = PivotalSampler(rng=0)
    part.update(PI, IDS)  # of which few are open
    part.update(np.ones(4 * SCALE), 9 * IDS)
    return part


MADE = {
    "DesignSample": lambda: pivotal_sample(PI, rng=0),
    "PivotalSampler": _pivotal,
    "Reservoir": lambda: Reservoir(2 * SCALE, rng=0).update(W, IDS),
    "Sketch": lambda: BottomK(3 * SCALE, rng=0).update(IDS, W, W),
    "StratifiedSample": lambda: stratified_sample(STRATA, 2 * SCALE, rng=0),
}
#: How large the data are where memory is little, and where calls are long.
STARVED = {"wide": [150_000, 1_500_000]}
LONG = {"wide": [200_000, 500_000, 1_500_000, 4_000_000]}
