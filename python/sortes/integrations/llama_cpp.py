"""Rules and draws as a logits processor of llama-cpp-python.

The library passes one row at a time through its own chain *after* the processors: ``top_k=40``,
``top_p=0.95``, ``min_p=0.05`` and ``temperature=0.8`` by default. Pass ``**NEUTRAL`` beside
``logits_processor=`` to switch it off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack

import numpy as np

from sortes import decode
from sortes._check import (
    AT_LEAST_1,
    COUNT,
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    Domain,
    Finite,
    flag,
    shown,
)
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._rng import Rng

__all__ = ["NEUTRAL", "ProcessorArgs", "SortesLogitsProcessor"]

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


class ProcessorArgs(decode.RuleArgs, total=False):
    """Rule arguments, and the penalties of `sortes.decode.penalize` for one text.

    Attributes
    ----------
    prompt_lengths : int
        How many leading tokens are the prompt.
    repetition_penalty, frequency_penalty, presence_penalty : float
        As in `sortes.decode.penalize`, like all that follow.
    penalty_last_n : int
        How far these three look back.
    dry_multiplier, dry_base : float
        What repeated passages cost.
    dry_allowed_length, dry_penalty_last_n : int
        Which passages are long enough, and how far to look back.
    dry_sequence_breakers : iterable of int or of sequences of int
        What ends a passage.
    no_repeat_ngram_size : int
        The size of the n-grams that may not come twice.
    bad_words_ids : iterable of sequences of int
        Words that are never completed.
    min_new_tokens : int
        How many tokens come before one of `eos_token_id`.
    eos_token_id : int or iterable of int
        The tokens that end a text.
    """

    prompt_lengths: Annotated[int, COUNT] | None
    repetition_penalty: Annotated[float, POSITIVE]
    frequency_penalty: Annotated[float, FINITE]
    presence_penalty: Annotated[float, FINITE]
    penalty_last_n: Annotated[int, Domain("[-1, 2**63)", integer=True)]
    dry_multiplier: Annotated[float, NON_NEGATIVE]
    dry_base: Annotated[float, Domain("[1, inf)")]
    dry_allowed_length: Annotated[int, AT_LEAST_1]
    dry_penalty_last_n: Annotated[int, Domain("[-1, 2**63)", integer=True)]
    dry_sequence_breakers: Iterable[int | Sequence[int]]
    no_repeat_ngram_size: Annotated[int, COUNT]
    bad_words_ids: Iterable[Sequence[int]] | None
    min_new_tokens: Annotated[int, COUNT]
    eos_token_id: int | Iterable[int] | None


_PENALTIES = ProcessorArgs.__annotations__.keys() - decode.RuleArgs.__annotations__.keys()


class SortesLogitsProcessor:
    """Penalties, a bias, and any combination of rules; and the draw, if asked for.

    Parameters
    ----------
    logit_bias : mapping of int to float, optional
        Added to the logits first. Give it here: a completion that is called with ``logit_bias``
        loses all its processors.
    draw : bool, default False
        Draw the token here and leave it as the only one, so that the chain that follows changes
        nothing. Otherwise the tokens that are removed get minus infinity.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        It is for the draw, and for the coin of XTC: both are functions of `rng` and the length of
        the text.
    **arguments
        Rule arguments of `sortes.decode.sample`, and penalties of `sortes.decode.penalize`
        (``repetition_penalty``, ``dry_multiplier``, ``prompt_lengths``, ...).

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain, or unknown.

    Notes
    -----
    What is kept is divided by the temperature, as by `sortes.truncate` with ``scaled=True``. The
    rules act in the order ``order="hf"`` unless told otherwise; ``order="llama.cpp"`` is that of
    the library's chain.

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
        logit_bias: Mapping[int, Finite] | None = None,
        draw: bool = False,
        rng: Rng = None,
        **arguments: Unpack[ProcessorArgs],
    ) -> None:
        given: dict[str, Any] = {**arguments}
        if not isinstance(logit_bias, Mapping | None):
            raise TypeError(f"logit_bias: must be a mapping, got {shown(logit_bias)}")
        self.penalties = {name: given.pop(name) for name in _PENALTIES & given.keys()}
        self.rules = decode.Rules(**given)
        self.logit_bias = dict(logit_bias or {})
        self.draw = flag(draw, "draw")
        self.stream = as_stream(rng)
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

        Raises
        ------
        ValueError
            If a logit is NaN or plus infinity, or there are others than the arguments need: an id
            of `logit_bias` is outside [0, V).
        TypeError
            If the text holds no integers.
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
        return decode.truncate(scores, self.rules, scaled=True, **common)
