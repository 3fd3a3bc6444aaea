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
    count,
    flag,
    shown,
)
from sortes._rng import as_stream
from sortes.decode._call import bias_of
from sortes.decode._history import ids_of

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
        As in `sortes.decode.penalize`, like all that follow but the two windows.
    penalty_last_n : int
        How far these three look back. As in llama.cpp, 0 is off, and -1, the default, is the
        whole context.
    dry_multiplier, dry_base : float
        What repeated passages cost.
    dry_allowed_length : int
        Which passages are long enough.
    dry_penalty_last_n : int
        How far to look for them; 0 and -1 as in `penalty_last_n`.
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
#: The windows, and what is off where they are 0.
_WINDOWS = {
    "penalty_last_n": ("repetition_penalty", "frequency_penalty", "presence_penalty"),
    "dry_penalty_last_n": ("dry_multiplier",),
}
_IDS = Domain("[0, 2**63)", integer=True)
_LARGEST = float(np.finfo(np.single).max)


class SortesLogitsProcessor:
    """A bias, penalties, and any combination of rules; and the draw, if asked for.

    Parameters
    ----------
    logit_bias : mapping of int to float, optional
        Added to the logits first, before the penalties, as in llama.cpp. Ids may be strings of
        digits, as JSON has them; minus infinity bans. Give it here: a completion that is called
        with ``logit_bias`` loses all its processors.
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

    What the constructor takes does not fail later, where the library would go on without any rule.
    Ids that turn out to be outside the vocabulary are passed over, one by one. What penalties push
    out of the range of float32 becomes its largest number. Logits that are NaN do raise in a call:
    see `reraise`.

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
        logit_bias: Mapping[int | str, float] | None = None,
        draw: bool = False,
        rng: Rng = None,
        **arguments: Unpack[ProcessorArgs],
    ) -> None:
        given: dict[str, Any] = {**arguments}
        penalties = {name: given.pop(name) for name in _PENALTIES & given.keys()}
        prompt = penalties.pop("prompt_lengths", None)
        self._prompt = 0 if prompt is None else count(prompt, "prompt_lengths")
        self._bias = _bias(logit_bias)
        self._words = _words(penalties.pop("bad_words_ids", None))
        eos = penalties.pop("eos_token_id", None)
        self._eos = [] if eos is None else _ids(eos, "eos_token_id")
        self._penalties = _checked(penalties, may_end=bool(self._eos))
        self._inside: tuple[int, dict[str, Any]] = (-1, {})
        self._error: BaseException | None = None
        self.rules = decode.Rules(**given)
        decode.truncate(np.zeros(1, np.single), self.rules, rng=0)  # refuses those of several rows
        self.draw = flag(draw, "draw")
        self.stream = as_stream(rng)

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
            If a logit is NaN or plus infinity, or there is no token to draw.
        TypeError
            If the text holds no integers.
        """
        try:
            return self._leave(self._penalized(input_ids, scores), len(input_ids))
        except BaseException as error:
            self._error = error
            raise

    def reraise(self, input_ids: NDArray[np.intc], logits: NDArray[np.single]) -> bool:
        """Raise what the last call has raised: a stopping criterion.

        llama-cpp-python calls processors from C. It prints what they raise, Ctrl-C as well, and
        draws that token without any rule. Pass this method beside the processor, as
        ``stopping_criteria=StoppingCriteriaList([processor.reraise])``, and the completion raises
        it instead.

        Parameters
        ----------
        input_ids, logits
            Not looked at.

        Returns
        -------
        bool
            False: the text goes on.

        Raises
        ------
        BaseException
            Once, what the last call has raised.

        Examples
        --------
        >>> SortesLogitsProcessor(top_k=2).reraise(np.array([1, 2], np.intc), None)
        False
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        return False

    def _penalized(
        self, input_ids: NDArray[np.intc], scores: NDArray[np.single]
    ) -> NDArray[np.single]:
        if self._inside[0] != len(scores):
            self._inside = (len(scores), self._of_vocabulary(len(scores)))
        penalties = self._inside[1]
        if not penalties:
            return scores
        prompt = min(self._prompt, len(input_ids))
        charged = decode.penalize(scores, input_ids, prompt_lengths=prompt, **penalties)
        if not charged.max() <= _LARGEST and (scores <= _LARGEST).all():
            # A token that is rewarded beyond all bounds stays the best, one that is banned banned.
            charged = np.nan_to_num(charged, nan=-math.inf, posinf=_LARGEST, neginf=-math.inf)
        return charged

    def _leave(self, scores: NDArray[np.single], step: int) -> NDArray[np.single]:
        if not self.draw:
            return decode.truncate(scores, self.rules, scaled=True, rng=self.stream, step=step)
        token = decode.sample(scores, self.rules, rng=self.stream, step=step)
        alone = np.full(scores.shape, -math.inf, np.single)
        alone[token] = 0.0
        return alone

    def _of_vocabulary(self, size: int) -> dict[str, Any]:
        """Return the arguments of `penalize` without ids that a vocabulary does not have."""
        lists = {
            "logit_bias": {i: value for i, value in self._bias.items() if i < size},
            "bad_words_ids": [word for word in self._words if max(word, default=0) < size],
            "eos_token_id": [i for i in self._eos if i < size],
        }
        penalties = {**self._penalties, **{name: ids for name, ids in lists.items() if ids}}
        if not lists["eos_token_id"]:
            penalties.pop("min_new_tokens", None)
        return penalties


def _bias(logit_bias: Any) -> dict[int, float]:
    """Check a bias."""
    if logit_bias is None:
        return {}
    if not isinstance(logit_bias, Mapping):
        raise TypeError(f"logit_bias: must be a mapping, got {shown(logit_bias)}")
    known = {_id(i): value for i, value in logit_bias.items()}
    if len(known) < len(logit_bias):
        ids = [_id(i) for i in logit_bias]
        twice = next(i for i in known if ids.count(i) > 1)
        raise ValueError(f"logit_bias: names {twice} twice")
    _, values = bias_of(known)
    return dict(zip(known, values.tolist(), strict=True))


def _id(given: Any) -> int:
    """Check an id of a bias, a number or its digits."""
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 20:
        given = int(given)
    return count(given, "logit_bias")


def _words(bad_words_ids: Any) -> list[list[int]]:
    """Check words."""
    if bad_words_ids is None:
        return []
    try:
        each = list(bad_words_ids)
    except TypeError:
        fault = f"must hold sequences of ids, got {shown(bad_words_ids)}"
        raise TypeError(f"bad_words_ids: {fault}") from None
    return [_ids(word, "bad_words_ids") for word in each]


def _ids(given: Any, name: str) -> list[int]:
    """Check token ids, one or several."""
    array = ids_of(given, name)
    _IDS.check_items(array, name)
    ids: list[int] = array.tolist()
    return ids


def _checked(penalties: dict[str, Any], *, may_end: bool) -> dict[str, Any]:
    """Check penalties; return those that do something."""
    eos = 0 if may_end else None
    decode.penalize(np.zeros(1, np.single), [], eos_token_id=eos, **penalties)
    for window, charges in _WINDOWS.items():
        if window in penalties and np.all(np.equal(penalties[window], 0)):
            penalties = {name: penalties[name] for name in penalties.keys() - {window, *charges}}
    return penalties
