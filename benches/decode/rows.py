"""Rows of logits: flat, peaked, and those of a real model at the sizes of larger vocabularies."""

import functools
from pathlib import Path

import numpy as np
import torch

RECORDED = next(Path(__file__).parents[2].glob("tests/data/**/smollm_rows.npz"))
KINDS = ("flat", "peaked", "real")
VOCABULARIES = (32_768, 128_256, 262_144)
MIDDLE, GOAL_VOCABULARIES = VOCABULARIES[1], VOCABULARIES[1:]
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
LARGEST_BATCH = 64
# Contenders take turns with this many batches: no branch predictor learns a row by heart, and at
# B = 1 all rows together still fit into a usual last-level cache, where a model leaves its logits.
BATCHES = {1: 8, 64: 1, 256: 1}


def batches(kind: str, B: int, V: int, dtype: str) -> list[torch.Tensor]:
    """Return batches of shape (B, V) for the contenders to take turns with."""
    rows = _rows(kind, V)
    if len(rows) < B:
        rows = rows.repeat(-(-B // len(rows)), 1)
    count = BATCHES[B]
    return [rows[n * B : (n + 1) * B].to(DTYPES[dtype]).contiguous() for n in range(count)]


@functools.lru_cache(maxsize=1)
def _rows(kind: str, V: int) -> torch.Tensor:
    rng = np.random.default_rng([KINDS.index(kind), V])
    if kind == "real":
        rows = np.stack([_enlarged(row, V, rng) for row in _recorded()])
        rows = np.concatenate(
            [rng.permuted(rows, axis=1) for _ in range(LARGEST_BATCH // len(rows))]
        )
    else:
        deviation = {"flat": 2, "peaked": 5}[kind]
        rows = rng.standard_normal((LARGEST_BATCH, V), np.float32) * np.float32(deviation)
    return torch.from_numpy(rows)


def _recorded() -> np.ndarray:
    with np.load(RECORDED) as file:
        return file["logits"].astype(np.float32)


def _enlarged(row: np.ndarray, V: int, rng: np.random.Generator) -> np.ndarray:
    """Return a row of V logits that falls with the logarithm of the rank as `row` does.

    The best logit stays the best and the worst the worst; in between rank r of the new row takes
    the place of rank r ** (log V / log n) of the old one. A little noise undoes float16's ties.
    """
    falling = np.sort(row)[::-1]
    ranks = np.arange(1, V + 1) ** (np.log(row.size) / np.log(V))
    noise = rng.normal(0, 1e-3, V)
    return (np.interp(ranks, np.arange(1, row.size + 1), falling) + noise).astype(np.float32)
