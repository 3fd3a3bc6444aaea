"""Distinct sequences of a model: without replacement, or the surest ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Unpack,
    get_args,
)

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sortes import _core
from sortes._arrays import host, integers_of
from sortes._check import (
    AT_LEAST_1,
    COUNT,
    WORD,
    AtLeastOne,
    Count,
    Domain,
    count,
    one_of,
    shown,
)
from sortes._device import to_host
from sortes._interrupt import Interrupted
from sortes._progress import Progress, job_of, reporter
from sortes._rng import as_stream, refuse_randomness
from sortes.decode._call import LogitBias, Request, bias_of, prepare
from sortes.decode.rules import RuleArgs, Rules, as_rules
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

#: From beginnings to rows of logits.
Model: TypeAlias = Callable[[list[NDArray[np.int64]]], ArrayLike]
#: Which sequence comes next.
Priority: TypeAlias = Literal["gumbel", "token", "sequence"]
#: Which is the surest.
GreedyPriority: TypeAlias = Literal["token", "sequence"]
#: What Ctrl-C does.
OnInterrupt: TypeAlias = Literal["raise", "return"]
#: A token of the vocabulary.
TokenId: TypeAlias = Annotated[int, WORD]
#: How many tokens a sequence may have.
LENGTH: Final = Domain("[1, 2**31)", integer=True)
#: What stands behind the end of a sequence.
PAD: Final = -1
#: What a search returns.
Result = TypeVar("Result")


class FoundSequence(NamedTuple):
    """A sequence, as it is found.

    Attributes
    ----------
    tokens : ndarray of int64, shape (T,)
        Its tokens, with the one that ended it.
    logprob : float
        Its log-probability in nats, in the law that the rules left.
    priority : float
        With ``"gumbel"`` its perturbed log-probability; else the log-probability of the token, or
        of the beginning, with which its turn came, and NaN for the first.
    complete : bool
        Whether a token of `eos_token_id` ended it, not the limit.
    """

    tokens: NDArray[np.int64]
    logprob: float
    priority: float
    complete: bool


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
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    priorities: NDArray[np.float64]
    complete: NDArray[np.bool_]


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
        one_of(method, "method", get_args(Method))
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
        one_of(method, "method", get_args(Method))
        kappa = None if method == "unordered" else self.kappa
        return distinct_mean(values, self.logprobs, kappa, method=method)


class SequenceSearch(Iterator[FoundSequence]):
    """Distinct sequences of a model one by one, each as soon as it is found.

    Parameters
    ----------
    model : callable
        ``model(prefixes)`` returns the logits that follow each of a list of `B` beginnings (arrays
        of int64, the first of all is empty): an array or tensor of shape (B, V).
    num_samples : int
        How many sequences, at most.
    max_new_tokens : int
        How many tokens a sequence may have.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`).
    priority : {"gumbel", "token", "sequence"}, default "gumbel"
        Which sequence comes next: see `sample_without_replacement` for ``"gumbel"``, and
        `priority_sample` for the others.
    eos_token_id : int or sequence of int, optional
        Tokens that end a sequence.
    node_batch_size : int, default 16
        How many beginnings the model is given together, at most. The sequences do not depend on it.
    logit_bias
        As in `sortes.decode.sample`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        Only for ``"gumbel"``: the others draw nothing.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Attributes
    ----------
    kappa : float
        With ``"gumbel"`` the largest perturbed log-probability of what has not come yet; minus
        infinity if there is nothing.

    Raises
    ------
    ValueError
        If an argument is outside its domain. While it runs: if a row of logits holds NaN or
        ``+inf``, or no finite logit, or there is not a row for each beginning.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    After an error of the model, or a Ctrl-C, the search can go on where it was.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import SequenceSearch
    >>> def model(prefixes):
    ...     return np.log([[0.5, 0.3, 0.2]] * len(prefixes))
    >>> for found in SequenceSearch(model, 3, 2, priority="token", eos_token_id=2):
    ...     print(found.tokens, round(found.logprob, 2), found.complete)
    [0 0] -1.39 False
    [1 0] -1.9 False
    [0 1] -1.9 False
    """

    def __init__(
        self,
        model: Model,
        num_samples: Count,
        max_new_tokens: Annotated[int, LENGTH],
        rules: Rules | None = None,
        *,
        priority: Priority = "gumbel",
        eos_token_id: TokenId | Sequence[int] | None = None,
        node_batch_size: AtLeastOne = 16,
        logit_bias: LogitBias | None = None,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        **rule_args: Unpack[RuleArgs],
    ) -> None:
        if not callable(model):
            raise TypeError(f"model: must be callable, got {shown(model)}")
        num_samples = COUNT.check(num_samples, "num_samples")
        length = LENGTH.check(max_new_tokens, "max_new_tokens")
        one_of(priority, "priority", get_args(Priority))
        ends = [] if eos_token_id is None else _ends(eos_token_id)
        self._model, self._most = model, AT_LEAST_1.check(node_batch_size, "node_batch_size")
        chosen = as_rules(rules, rule_args)
        if logit_bias is not None:
            bias_of(logit_bias)
        if num_threads is not None:
            count(num_threads, "num_threads", 1, 1024)
        self._request, self._num_threads = Request(chosen, logit_bias), num_threads
        if priority == "gumbel":
            stream = as_stream(rng, step)
        else:
            _refuse_chance(priority, chosen, rng, step)
            stream = as_stream(0)
        self._tree = _core.sequences.tree.SequenceTree(priority, num_samples, length, ends, stream)
        self._num_samples, self._returned = num_samples, 0

    @property
    def kappa(self) -> float:
        """The largest perturbed log-probability of what has not come yet."""
        ahead = self._tree.found(self._returned, self._returned + 1)
        return ahead[0][2] if ahead else self._tree.kappa

    def __iter__(self) -> SequenceSearch:
        """Return the search itself."""
        return self

    def __next__(self) -> FoundSequence:
        """Return the next sequence."""
        while not (ahead := self._tree.found(self._returned, self._returned + 1)):
            if self._tree.is_finished:
                raise StopIteration
            self._expand()
        self._returned += 1
        return FoundSequence(*ahead[0])

    def _expand(self) -> None:
        """Ask the model what follows the next beginnings."""
        nodes = self._tree.next_batch(self._most)
        logits = self._model([self._tree.path(node) for node in nodes.tolist()])
        _, given = prepare(to_host(logits), self._request)
        rows = len(given.logits)
        if rows != len(nodes):
            raise ValueError(f"model: must return {len(nodes)} rows of logits, got {rows}")
        with job_of(self._num_threads, None) as job:
            self._tree.expand(nodes, given, job)

    def _to_the_end(
        self,
        finish: Callable[[], Result],
        on_interrupt: str,
        progress: Progress,
        each: Callable[[FoundSequence], object] | None = None,
    ) -> Result:
        """Find all; return what `finish` makes of them, or of those that were found by a Ctrl-C."""
        one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
        with reporter(progress, "sequences") as report:
            try:
                for found in self:
                    if each is not None:
                        each(found)
                    if report is not None:
                        report(self._returned, self._num_samples)
            except KeyboardInterrupt:
                if on_interrupt == "return":
                    return finish()
                raise Interrupted(finish()) from None
        return finish()

    def _columns(self) -> _Columns:
        """Everything that was found, in columns."""
        found = self._tree.found(0, self._num_samples)
        lengths = np.array([len(tokens) for tokens, *_ in found], np.int64)
        padded = np.full((len(found), max(lengths, default=0)), PAD, np.int64)
        for row, (tokens, *_) in zip(padded, found, strict=True):
            row[: len(tokens)] = tokens
        logprobs, priorities = (np.array([one[i] for one in found], float) for i in (1, 2))
        complete = np.array([one[3] for one in found], bool)
        return _Columns(padded, lengths, logprobs, priorities, complete)

    def _drawn(self) -> DistinctSequences:
        tokens, lengths, logprobs, perturbed, complete = self._columns()
        kappa = self._tree.kappa
        return DistinctSequences(tokens, lengths, logprobs, perturbed, kappa, complete)

    def _taken(self) -> PrioritySequences:
        return PrioritySequences(*self._columns())


def sample_without_replacement(
    model: Model,
    num_samples: Count,
    max_new_tokens: Annotated[int, LENGTH],
    rules: Rules | None = None,
    *,
    eos_token_id: TokenId | Sequence[int] | None = None,
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
        Tokens that end a sequence.
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
        If an argument is outside its domain; if a row of logits holds NaN or ``+inf``, or no finite
        logit, or there is not a row for each beginning.
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
        node_batch_size=node_batch_size,
        logit_bias=logit_bias,
        rng=rng,
        step=step,
        num_threads=num_threads,
        **rule_args,
    )
    return search._to_the_end(search._drawn, on_interrupt, progress)


def stochastic_beam_search(
    model: Model,
    num_beams: AtLeastOne,
    max_new_tokens: Annotated[int, LENGTH],
    rules: Rules | None = None,
    *,
    eos_token_id: TokenId | Sequence[int] | None = None,
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
        Tokens that end a sequence.
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
        node_batch_size=num_beams,
        logit_bias=logit_bias,
        rng=rng,
        step=step,
        num_threads=num_threads,
        **rule_args,
    )
    return search._to_the_end(search._drawn, on_interrupt, progress)


def priority_sample(
    model: Model,
    num_samples: Count,
    max_new_tokens: Annotated[int, LENGTH],
    rules: Rules | None = None,
    *,
    priority: GreedyPriority = "token",
    eos_token_id: TokenId | Sequence[int] | None = None,
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
        Tokens that end a sequence.
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
        node_batch_size=node_batch_size,
        logit_bias=logit_bias,
        num_threads=num_threads,
        **rule_args,
    )
    return search._to_the_end(search._taken, on_interrupt, progress)


class _Columns(NamedTuple):
    """What was found: tokens, lengths, log-probabilities, priorities, whether complete."""

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    priorities: NDArray[np.float64]
    complete: NDArray[np.bool_]


def _ends(eos_token_id: Any) -> list[int]:
    """Return the ids that end a sequence."""
    given = to_host(eos_token_id)
    if host(given, "eos_token_id", None).ndim == 0:
        return [WORD.check(given, "eos_token_id")]
    return integers_of(given, "eos_token_id", WORD).tolist()  # type: ignore[no-any-return]


def _refuse_chance(priority: str, rules: Rules, rng: Rng, step: int) -> None:
    """Raise if something is to be drawn where nothing is."""
    refuse_randomness(rng, step, f"the priority {priority!r}, which draws nothing")
    if rules.is_random:
        raise ValueError(
            f"rules: must not act at random with the priority {priority!r}, which draws nothing, "
            f"got {shown(rules)}"
        )
