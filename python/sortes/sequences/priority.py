"""The surest sequences of a model, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

from sortes._check import AtLeastOne, Count, one_of
from sortes._interrupt import OnInterrupt
from sortes._progress import Progress
from sortes.decode._call import LogitBias
from sortes.decode.rules import RuleArgs, Rules
from sortes.sequences.automaton import LENGTH, TokenAutomaton
from sortes.sequences.search import Model, SequenceSearch, columns_of, to_the_end
from sortes.sequences.vocabulary import TokenId

#: What a beginning waits with.
GreedyPriority: TypeAlias = Literal["token", "sequence"]


class PrioritySequences(NamedTuple):
    """Distinct sequences, the first one greedy.

    Attributes
    ----------
    tokens : ndarray of int64, shape (n, T)
        The sequences, in the order in which they came; -1 behind their ends.
    lengths : ndarray of int64, shape (n,)
        How many tokens each has.
    logprobs : ndarray of float64, shape (n,)
        Their log-probabilities in nats, in the law that the rules left.
    priorities : ndarray of float64, shape (n,)
        The log-probability of the token, or of the beginning, with which the turn of each came; NaN
        for the first.
    complete : ndarray of bool, shape (n,)
        Whether a token of `eos_token_id` ended each, not the limit.
    legal_logprobs : ndarray of float64, shape (n, T)
        With an automaton, for each token the logarithm of the mass of all that might have stood
        there, in the law of the model at its temperature, before any other rule; else, and behind
        the ends, 0.
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    priorities: NDArray[np.float64]
    complete: NDArray[np.bool_]
    legal_logprobs: NDArray[np.float64]


def priority_sample(
    model: Model,
    num_samples: Count,
    max_new_tokens: Annotated[int, LENGTH],
    rules: Rules | None = None,
    *,
    priority: GreedyPriority = "token",
    eos_token_id: TokenId | Sequence[int] | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    node_batch_size: AtLeastOne = 16,
    logit_bias: LogitBias | None = None,
    on_interrupt: OnInterrupt = "raise",
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> PrioritySequences:
    r"""Take distinct sequences of a model, the surest ones first: nothing is drawn.

    Parameters
    ----------
    model : callable
        As in `sample_without_replacement`.
    num_samples : int
        How many sequences; fewer come if the model has fewer.
    max_new_tokens : int
        How many tokens a sequence may have.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). Tokens
        that they remove are never taken.
    priority : {"token", "sequence"}, default "token"
        What a beginning waits with: the probability of its last token, or its own.
    eos_token_id : int or sequence of int, optional
        Tokens that end a sequence; with an automaton, those of its vocabulary.
    automaton : TokenAutomaton, optional
        As in `sample_without_replacement`.
    ensure_completion : bool, default True
        As in `sample_without_replacement`.
    node_batch_size : int, default 16
        How many beginnings the model is given together, at most: some that may come later, besides
        the next. The sequences do not depend on it.
    logit_bias
        As in `sortes.decode.sample`.
    on_interrupt : {"raise", "return"}, default "raise"
        As in `sample_without_replacement`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts sequences.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    PrioritySequences
        The sequences in the order in which they came.

    Raises
    ------
    ValueError, TypeError, Interrupted
        As `sample_without_replacement`; and for rules that act at random.

    Notes
    -----
    The first sequence is that of greedy decoding. On the way every other token that may follow is
    put in a queue, as a beginning of its own. Then the beginning with the highest priority leaves
    the queue and is extended greedily to its end, which puts more of them there; and so on. A
    beginning ends with a token that was not taken where it branches off, so that no sequence comes
    twice. Ties: what came first into the queue, which at one place is the likelier token and then
    the lower id. The queue holds as many beginnings as there are sequences still to come.

    Grubisic and others (2024) describe the priority as the probability of the token.

    References
    ----------
    Grubisic, Seeker, Synnaeve, Leather, Mellor-Crummey and Cummins, "Priority Sampling of Large
    Language Models for Compilers", EuroMLSys 2024, arXiv:2402.18734.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import priority_sample
    >>> def model(prefixes):
    ...     return np.log([[0.5, 0.3, 0.2]] * len(prefixes))
    >>> taken = priority_sample(model, 3, 2, eos_token_id=2)
    >>> taken.tokens.tolist(), np.exp(taken.priorities[1:]).round(2)
    ([[0, 0], [1, 0], [0, 1]], array([0.3, 0.3]))
    """
    one_of(priority, "priority", get_args(GreedyPriority))
    search = SequenceSearch(
        model,
        num_samples,
        max_new_tokens,
        rules,
        priority=priority,
        eos_token_id=eos_token_id,
        automaton=automaton,
        ensure_completion=ensure_completion,
        node_batch_size=node_batch_size,
        logit_bias=logit_bias,
        num_threads=num_threads,
        **rule_args,
    )
    return to_the_end(search, taken, on_interrupt, progress)


def taken(search: SequenceSearch) -> PrioritySequences:
    """Return what a search has taken."""
    return PrioritySequences(*columns_of(search)[:-1])
