"""Draws without replacement from the sequences of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sortes._check import AT_LEAST_1, AtLeastOne, Count, one_of
from sortes._interrupt import OnInterrupt
from sortes._progress import Progress
from sortes.decode._call import LogitBias
from sortes.decode.rules import RuleArgs, Rules
from sortes.sequences.automaton import LENGTH, TokenAutomaton
from sortes.sequences.search import Model, SequenceSearch, columns_of, to_the_end
from sortes.sequences.vocabulary import TokenId
from sortes.sequences.weights import (
    Method,
    distinct_mean,
    self_normalized_weights,
    threshold_weights,
    unordered_set_weights,
)

if TYPE_CHECKING:
    from sortes._estimate import Estimate
    from sortes._rng import Rng


@dataclass(frozen=True, eq=False)
class DistinctSequences:
    """Draws without replacement from the sequences of a model.

    Attributes
    ----------
    tokens : ndarray of int64, shape (n, T)
        The sequences, in the order in which they were drawn; -1 behind their ends.
    lengths : ndarray of int64, shape (n,)
        How many tokens each has.
    logprobs : ndarray of float64, shape (n,)
        Their log-probabilities in nats, in the law that the rules left.
    perturbed : ndarray of float64, shape (n,)
        Their perturbed log-probabilities, descending.
    kappa : float
        The largest perturbed log-probability of the sequences that were not drawn; minus infinity
        if there are none.
    complete : ndarray of bool, shape (n,)
        Whether a token of `eos_token_id` ended each, not the limit.
    legal_logprobs : ndarray of float64, shape (n, T)
        With an automaton, for each token the logarithm of the mass of all that might have stood
        there, in the law of the model at its temperature, before any other rule; else, and behind
        the ends, 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import sample_without_replacement
    >>> coin = lambda prefixes: np.zeros((len(prefixes), 2))
    >>> drawn = sample_without_replacement(coin, 3, 2, rng=0)
    >>> len(drawn), len(drawn.weights())
    (3, 3)
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    perturbed: NDArray[np.float64]
    kappa: float
    complete: NDArray[np.bool_]
    legal_logprobs: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.tokens)

    def weights(self, *, method: Method = "self_normalized") -> NDArray[np.float64]:
        """Return the weight of each sequence.

        Parameters
        ----------
        method : {"self_normalized", "threshold", "unordered"}, default "self_normalized"
            As in `sortes.sequences.distinct_mean`.

        Returns
        -------
        ndarray of float64, shape (n,)
            The weights.

        Raises
        ------
        ValueError
            If `method` is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import sample_without_replacement
        >>> coin = lambda prefixes: np.zeros((len(prefixes), 2))
        >>> sample_without_replacement(coin, 4, 2, rng=0).weights(method="threshold")
        array([0.25, 0.25, 0.25, 0.25])
        """
        method = self._suited(method)
        if method == "unordered":
            return unordered_set_weights(self.logprobs)
        weigh = threshold_weights if method == "threshold" else self_normalized_weights
        return weigh(self.logprobs, self.kappa)

    def mean(self, values: ArrayLike, *, method: Method = "self_normalized") -> Estimate:
        """Estimate the mean of a function over everything that the model can say.

        Parameters
        ----------
        values : array_like, shape (n,)
            Its value at each sequence.
        method : {"self_normalized", "threshold", "unordered"}, default "self_normalized"
            As in `sortes.sequences.distinct_mean`.

        Returns
        -------
        Estimate
            The mean and its standard error.

        Raises
        ------
        ValueError
            If `method` is unknown, or there is not a finite value for each sequence.
        TypeError
            If the values are no numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import sample_without_replacement
        >>> coin = lambda prefixes: np.zeros((len(prefixes), 2))
        >>> drawn = sample_without_replacement(coin, 4, 2, rng=0)
        >>> drawn.mean(drawn.tokens.sum(1))  # heads in two flips
        Estimate(value=1.0, stderr=0.0)
        """
        method = self._suited(method)
        kappa = None if method == "unordered" else self.kappa
        return distinct_mean(values, self.logprobs, kappa, method=method)

    def _suited(self, method: Method) -> Method:
        """Check the method; if nothing is left to draw, take one that needs no rounded rest."""
        one_of(method, "method", get_args(Method))
        is_everything = method == "unordered" and self.kappa == -np.inf
        return "self_normalized" if is_everything else method


def sample_without_replacement(
    model: Model,
    num_samples: Count,
    max_new_tokens: Annotated[int, LENGTH],
    rules: Rules | None = None,
    *,
    eos_token_id: TokenId | Sequence[int] | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    node_batch_size: AtLeastOne = 16,
    logit_bias: LogitBias | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> DistinctSequences:
    r"""Draw distinct sequences of a model: exact draws without replacement.

    Parameters
    ----------
    model : callable
        ``model(prefixes)`` returns the logits that follow each of a list of `B` beginnings (arrays
        of int64, the first of all is empty): an array or tensor of shape (B, V).
    num_samples : int
        How many sequences; fewer come if the model has fewer.
    max_new_tokens : int
        How many tokens a sequence may have.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). They
        make the law from which the sequences are drawn.
    eos_token_id : int or sequence of int, optional
        Tokens that end a sequence; with an automaton, those of its vocabulary.
    automaton : TokenAutomaton, optional
        What the sequences must match. Only the tokens that may follow are looked at, as if the
        others had no probability.
    ensure_completion : bool, default True
        With an automaton, whether every sequence matches: only tokens are taken after which it can
        be finished within `max_new_tokens`. Otherwise that may cut it.
    node_batch_size : int, default 16
        How many beginnings the model is given together, at most. The sequences do not depend on it.
    logit_bias
        As in `sortes.decode.sample`.
    on_interrupt : {"raise", "return"}, default "raise"
        What Ctrl-C does: raise `sortes.Interrupted`, whose ``partial`` is what would have been
        returned, as far as it came, with its own `kappa`; or return that.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts sequences.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    DistinctSequences
        The sequences in the order in which they were drawn, with what weighs them.

    Raises
    ------
    ValueError
        If an argument is outside its domain, or no sequence of the automaton is short enough; if a
        row of logits holds NaN or ``+inf``, or no finite logit, or fewer logits than the automaton
        has tokens, or there is not a row for each beginning.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stopped it.

    Notes
    -----
    The first sequence is an exact sample; each further one is an exact sample given that it is none
    of those before:

    $$P(y_1, \ldots, y_k) = \prod_j \frac{p(y_j)}{1 - \sum_{l < j} p(y_l)}.$$

    A beginning waits with the perturbed log-probability of the best sequence below it. The next
    beginnings in that order are given to the model, and what may follow them is drawn given that
    value (Kool, van Hoof and Welling 2020, incrementally). A beginning is dropped once it cannot
    come any more: memory and work grow with `num_samples`, not with the vocabulary. Its noise
    depends on the seed and its tokens, so that the first sequences are the same for every
    `num_samples` and `node_batch_size`. Where a model rounds differently in batches of different
    sizes, values move by as much.

    With an automaton, the law of a token is that of the model given that the token may follow, and
    then the rules act on it. That is not the law of the model's texts given that they match, but
    the product of ``exp(legal_logprobs)`` is what it takes to get there: where a temperature is the
    only rule, a sequence has the probability ``exp(logprobs + legal_logprobs.sum(1))`` without an
    automaton. A beginning after which the model, the rules or `logit_bias` leave no token that may
    follow is discarded; the log-probabilities of the others are as if it had stayed.

    References
    ----------
    Kool, van Hoof and Welling, "Ancestral Gumbel-Top-k Sampling for Sampling Without Replacement",
    JMLR 21, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import sample_without_replacement
    >>> def model(prefixes):
    ...     return np.log([[0.5, 0.3, 0.2]] * len(prefixes))
    >>> drawn = sample_without_replacement(model, 4, 3, eos_token_id=2, rng=0)
    >>> len(set(map(tuple, drawn.tokens.tolist())))
    4
    """
    search = SequenceSearch(
        model,
        num_samples,
        max_new_tokens,
        rules,
        eos_token_id=eos_token_id,
        automaton=automaton,
        ensure_completion=ensure_completion,
        node_batch_size=node_batch_size,
        logit_bias=logit_bias,
        rng=rng,
        step=step,
        num_threads=num_threads,
        **rule_args,
    )
    return to_the_end(search, drawn, on_interrupt, progress)


def stochastic_beam_search(
    model: Model,
    num_beams: AtLeastOne,
    max_new_tokens: Annotated[int, LENGTH],
    rules: Rules | None = None,
    *,
    eos_token_id: TokenId | Sequence[int] | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    logit_bias: LogitBias | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> DistinctSequences:
    """Draw distinct sequences of a model, all of them a token longer at a time.

    Parameters
    ----------
    model : callable
        As in `sample_without_replacement`; it is called at most `max_new_tokens` times, with
        `num_beams` beginnings of one length at most.
    num_beams : int
        How many sequences; fewer come if the model has fewer.
    max_new_tokens : int
        How many tokens a sequence may have.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`).
    eos_token_id : int or sequence of int, optional
        Tokens that end a sequence; with an automaton, those of its vocabulary.
    automaton : TokenAutomaton, optional
        As in `sample_without_replacement`.
    ensure_completion : bool, default True
        As in `sample_without_replacement`.
    logit_bias
        As in `sortes.decode.sample`.
    on_interrupt : {"raise", "return"}, default "raise"
        As in `sample_without_replacement`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts sequences.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    DistinctSequences
        The sequences in the order in which they were drawn, with what weighs them.

    Raises
    ------
    ValueError, TypeError, Interrupted
        As `sample_without_replacement`.

    Notes
    -----
    The beam holds the beginnings with the largest perturbed log-probabilities (Kool, van Hoof and
    Welling 2019). One whose best sequence is drawn is never lost, so that the result is that of
    `sample_without_replacement` for the same seed, and so is `kappa`: the value of the root is
    drawn, not fixed at zero, without which the weights would be biased. This way there are fewer
    and larger calls of the model, and some beginnings in them that lead nowhere.

    References
    ----------
    Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them: The Gumbel-Top-k Trick for
    Sampling Sequences Without Replacement", ICML 2019, arXiv:1903.06059.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import sample_without_replacement
    >>> from sortes.sequences import stochastic_beam_search
    >>> def model(prefixes):
    ...     return np.log([[0.5, 0.3, 0.2]] * len(prefixes))
    >>> beams = stochastic_beam_search(model, 4, 3, eos_token_id=2, rng=0)
    >>> drawn = sample_without_replacement(model, 4, 3, eos_token_id=2, rng=0)
    >>> np.array_equal(beams.tokens, drawn.tokens), beams.kappa == drawn.kappa
    (True, True)
    """
    search = SequenceSearch(
        model,
        AT_LEAST_1.check(num_beams, "num_beams"),
        max_new_tokens,
        rules,
        eos_token_id=eos_token_id,
        automaton=automaton,
        ensure_completion=ensure_completion,
        node_batch_size=num_beams,
        logit_bias=logit_bias,
        rng=rng,
        step=step,
        num_threads=num_threads,
        **rule_args,
    )
    return to_the_end(search, drawn, on_interrupt, progress)


def drawn(search: SequenceSearch) -> DistinctSequences:
    """Return what a search has drawn."""
    tokens, lengths, logprobs, perturbed, complete, legal, kappa = columns_of(search)
    return DistinctSequences(tokens, lengths, logprobs, perturbed, kappa, complete, legal)
