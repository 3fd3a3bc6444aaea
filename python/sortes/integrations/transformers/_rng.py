"""Where draws inside ``generate`` take their randomness from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sortes import Stream
from sortes._arrays import integers_of
from sortes._check import WORD
from sortes._device import to_host
from sortes._rng import as_stream, holds_streams

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

_ADVANCING = (np.random.Generator, np.random.RandomState, torch.Generator)


def settled(rng: Rng) -> Any:
    """Hash a seed once, into a stream; streams stay, and so do generators and None."""
    if rng is None or isinstance(rng, (Stream, *_ADVANCING)) or holds_streams(rng, "rng"):
        return rng
    return as_stream(rng)


def ids_of_rows(rows: ArrayLike | None) -> NDArray[np.int64] | None:
    """Check the stream ids of rows, of which there may be any number yet."""
    return None if rows is None else integers_of(to_host(rows), "rows", WORD)


def coins(rng: Any, input_ids: torch.Tensor) -> dict[str, Any]:
    """Return the `rng` and the `step` of a draw that knows nothing but the text so far.

    Parameters
    ----------
    rng
        What `settled` returned. For None Torch's global generator is advanced, as ``generate``
        does it, so that ``torch.manual_seed`` and ``transformers.set_seed`` have their effect.
    input_ids
        The text so far; its length is the step.

    Returns
    -------
    dict
        Arguments for `sortes.decode.sample`.
    """
    if rng is None:
        return {"rng": torch.default_generator, "step": 0}
    return {"rng": rng, "step": input_ids.shape[-1]}


def stream_of(rng: Rng) -> Any:
    """Return what the steps of one text draw from: a stream, or one for each row."""
    if isinstance(rng, Stream) or holds_streams(rng, "rng"):
        return rng
    return as_stream(torch.default_generator if rng is None else rng)
