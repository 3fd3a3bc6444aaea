"""Rules and draws as a logits processor of llama-cpp-python.

The library passes one row at a time through its own chain *after* the processors: ``top_k=40``,
``top_p=0.95``, ``min_p=0.05`` and ``temperature=0.8`` by default. Pass ``**NEUTRAL`` beside
``logits_processor=`` to switch it off.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sortes import decode
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._rng import Rng

__all__ = ["NEUTRAL", "SortesLogitsProcessor"]

#: Arguments of a completion under which the chain of llama.cpp only draws.
NEUTRAL: Final[Mapping[str, float]] = {
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "temperature": 1.0,
    "repeat_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
}

_PENALTIES = frozenset(inspect.signature(decode.penalize).parameters) - {
    *("logits", "input_ids", "logit_bias", "out", "num_threads", "attention_mask", "pad_token_id")
}


class SortesLogitsProcessor:
    """Penalties, a bias, and any combination of rules; and the draw, if asked for.

    Parameters
    ----------
    logit_bias : mapping of int to float, optional
        Added to the logits first. Give it here: a completion that is called with ``logit_bias``
        loses all its processors.
    draw : bool
        Draw the token here and leave it as the only one, so that the chain that follows changes
        nothing. Otherwise the tokens that are removed get minus infinity.
    rng : int, Stream, ..., optional
        As in `sortes.decode.sample`; for the draw, and the coin of XTC. The draw at a position is
        a function of `rng` and the length of the text.
    **arguments
        Rule arguments of `sortes.decode.sample`, and penalties of `sortes.decode.penalize`
        (``repetition_penalty``, ``dry_multiplier``, ``prompt_lengths``, ...).

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain, or unknown.

    Notes
    -----
    What is kept is divided by the temperature. The rules act in the order ``order="hf"`` unless
    told otherwise; ``order="llama.cpp"`` is that of the library's chain.

    Examples
    --------
    >>> text = np.array([1, 2], np.intc)
    >>> logits = np.array([2.0, 1.0, 0.0], np.single)
    >>> SortesLogitsProcessor(top_k=2, temperature=0.5)(text, logits)
    array([  4.,   2., -inf], dtype=float32)
    >>> SortesLogitsProcessor(draw=True, top_k=1)(text, logits)
    array([  0., -inf, -inf], dtype=float32)
    """

    def __init__(
        self,
        *,
        logit_bias: Mapping[int, float] | None = None,
        draw: bool = False,
        rng: Rng = None,
        **arguments: Any,
    ) -> None:
        self.penalties = {n: arguments.pop(n) for n in _PENALTIES & arguments.keys()}
        self.rules = decode.Rules(**arguments)
        self.logit_bias = dict(logit_bias or {})
        self.draw = draw
        self.stream = as_stream(rng)
        if "dynatemp_range" in self.rules.params and not draw:
            raise ValueError("dynatemp_range: needs draw=True")
        decode.penalize(np.zeros(1, np.single), [], **self.penalties)  # reports bad ones here

    def __call__(
        self, input_ids: NDArray[np.intc], scores: NDArray[np.single]
    ) -> NDArray[np.single]:
        """Process one row.

        Parameters
        ----------
        input_ids : ndarray of intc, shape (T,)
            The text so far.
        scores : ndarray of single, shape (V,)
            Its logits, any distance apart.

        Returns
        -------
        ndarray of single, shape (V,)
            A new array.
        """
        if self.penalties:
            scores = decode.penalize(scores, input_ids, **self.penalties)
        common: dict[str, Any] = {
            "logit_bias": self.logit_bias or None,
            "rng": self.stream,
            "step": len(input_ids),
        }
        if self.draw:
            token = decode.sample(scores, self.rules, **common)
            alone = np.full(scores.shape, -math.inf, np.single)
            alone[token] = 0.0
            return alone
        kept: NDArray[np.single] = decode.truncate(scores, self.rules, **common)
        temperature = self.rules.params.get("temperature", 1.0)
        return kept / np.single(temperature) if temperature != 0 else kept
