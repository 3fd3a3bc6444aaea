"""Trees that are verified on the device where the target's logits are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sortes import _core
from sortes._device import check_dense
from sortes._rng import as_streams
from sortes.decode import _torch
from sortes.sequences._drafts import flat

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from sortes.decode._call import Request
    from sortes.sequences.draft_trees import DraftTree


def by_drawing(
    trees: list[DraftTree], logits: torch.Tensor, request: Request
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Draw the target's token after every node at once, and follow them here: one copy waits."""
    check_dense(logits, "target_logits")
    texts, (each, vocabulary) = len(trees), logits.shape[-2:]
    for name, value in request.rules.params.items():
        if not isinstance(value, float):
            raise ValueError(f"{name}: must be one number for all texts on a device")
    depths = np.zeros((texts, each), np.int64)
    for text, tree in enumerate(trees):
        if tree.tokens[1:].max(initial=0) >= vocabulary:
            node = int(np.argmax(tree.tokens >= vocabulary))
            at = (text, node) if logits.ndim == 3 else node
            reason = f"item {at} must be in [0, {vocabulary}), got {tree.tokens[node]}"
            raise ValueError(f"tree: {reason}")
        depths[text, : len(tree)] = tree.depths
    ids = np.arange(texts) if request.rows is None else flat(request.rows).reshape(-1)
    if ids.shape != (texts,):
        raise ValueError(f"rows: must have shape ({texts},), got {ids.shape}")
    streams = as_streams(request.rng, texts, request.step)
    of_text = [streams] * texts if isinstance(streams, _core.Stream) else streams
    pairs = zip(of_text, depths.tolist(), strict=True)
    places = [stream.advance(depth) for stream, row in pairs for depth in row]
    mask: Any = request.mask
    if mask is not None:
        mask = mask.reshape(-1, mask.shape[-1])
    asked = request._replace(mask=mask, rows=np.repeat(ids, each), rng=places, step=0)
    rows = logits.reshape(-1, vocabulary)
    try:
        tokens = _torch.sample(rows, asked, None, None, False, None)[0]
    except (TypeError, ValueError) as error:
        if not str(error).startswith("logits:"):
            raise
        raise type(error)(f"target_{error}") from None
    return _followed(trees, tokens.cpu().numpy().reshape(texts, each))


def _followed(
    trees: list[DraftTree], after: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Follow the tokens that were drawn after all nodes: nodes, how many, and what follows."""
    nodes: list[int] = []
    counts, last = [], []
    for text, tree in enumerate(trees):
        pairs = zip(tree.parents.tolist(), tree.tokens.tolist(), strict=True)
        children = {pair: node for node, pair in enumerate(pairs)}
        node, before = 0, len(nodes)
        while (child := children.get((node, int(after[text, node])))) is not None:
            nodes.append(node := child)
        if after[text, node] < 0:
            row = (text, node) if len(trees) > 1 else node
            reason = "contains NaN or +inf, or no finite logit"
            raise ValueError(f"target_logits: row {row}: {reason}")
        counts.append(len(nodes) - before)
        last.append(after[text, node])
    return np.array(nodes, np.int64), np.array(counts), np.array(last)
