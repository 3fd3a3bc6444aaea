"""The search for distinct sequences of a model, one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from sortes._check import (
    AT_LEAST_1,
    COUNT,
    AtLeastOne,
    Count,
    count,
    flag,
    one_of,
    shown,
)
from sortes._device import to_host
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress, job_of, reporter
from sortes._rng import as_stream, refuse_randomness
from sortes.decode._call import Given, LogitBias, Request, bias_of, prepare
from sortes.decode.rules import RuleArgs, Rules, as_rules
from sortes.sequences.automaton import LENGTH, TokenAutomaton
from sortes.sequences.vocabulary import TokenId, ids_of

if TYPE_CHECKING:
    from sortes._rng import Rng

#: From beginnings to rows of logits.
Model: TypeAlias = Callable[[list[NDArray[np.int64]]], ArrayLike]
#: Which sequence comes next.
Priority: TypeAlias = Literal["gumbel", "token", "sequence"]
#: What stands behind the end of a sequence.
PAD: Final = -1
#: What becomes of a search.
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
    legal_logprobs : ndarray of float64, shape (T,)
        With an automaton, for each token the logarithm of the mass of all that might have stood
        there, in the law of the model at its temperature, before any other rule; else 0.
    """

    tokens: NDArray[np.int64]
    logprob: float
    priority: float
    complete: bool
    legal_logprobs: NDArray[np.float64]


class Columns(NamedTuple):
    """What a search has found, in columns."""

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    priorities: NDArray[np.float64]
    complete: NDArray[np.bool_]
    legal_logprobs: NDArray[np.float64]
    #: The largest perturbed log-probability of what was not found.
    kappa: float


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
        infinity if there is nothing. With an automaton it may be that of a beginning that will be
        discarded, until the search has ended, which asks the model once more than the sequences do.

    Raises
    ------
    ValueError
        If an argument is outside its domain, or no sequence of the automaton is short enough. While
        it runs: if a row of logits holds NaN or ``+inf``, or no finite logit, or fewer logits than
        the automaton has tokens, or another number than before, or there is not a row for each
        beginning; if the search is running already, in another thread.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    After an error of the model, or a Ctrl-C, the search can go on where it was.

    A beginning after which the model, the rules or `logit_bias` leave no token that may follow is
    discarded. The log-probabilities of the others are as if it had stayed.

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
        automaton: TokenAutomaton | None = None,
        ensure_completion: bool = True,
        node_batch_size: AtLeastOne = 16,
        logit_bias: LogitBias | None = None,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        **rule_args: Unpack[RuleArgs],
    ) -> None:
        check_callable(model)
        num_samples = COUNT.check(num_samples, "num_samples")
        length = LENGTH.check(max_new_tokens, "max_new_tokens")
        one_of(priority, "priority", get_args(Priority))
        ends, constraint = constraint_of(automaton, ensure_completion, eos_token_id)
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
        self._tree = _core.sequences.tree.SequenceTree(
            priority, num_samples, length, ends, stream, constraint
        )
        self._num_samples, self._returned = num_samples, 0
        self._vocab_size: int | None = None
        self._running = threading.Lock()

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
        if not self._running.acquire(blocking=False):
            raise ValueError("search: is running already, in another thread or as its own model")
        try:
            while not (ahead := self._tree.found(self._returned, self._returned + 1)):
                if self._tree.is_finished:
                    raise StopIteration
                self._expand()
            self._returned += 1
        finally:
            self._running.release()
        return FoundSequence(*ahead[0])

    def _expand(self) -> None:
        """Ask the model what follows the next beginnings."""
        nodes = self._tree.next_batch(self._most)
        logits = self._model([self._tree.path(node) for node in nodes.tolist()])
        with of_the_model():
            given = checked(logits, self._request, len(nodes), self._vocab_size)
            with job_of(self._num_threads, None) as job:
                self._tree.expand(nodes, given, job)
        self._vocab_size = given.logits.shape[1]


def check_callable(model: Any) -> None:
    """Check what is given as a model."""
    if not callable(model):
        raise TypeError(f"model: must be callable, got {shown(model)}")


@contextmanager
def of_the_model() -> Iterator[None]:
    """Say of bad logits that they are the model's."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not str(error).startswith("logits"):
            raise
        raise type(error)(f"model: {error}") from None


def checked(logits: Any, request: Request, expected: int, vocab_size: int | None) -> Given:
    """Check what a model returned."""
    if logits is None:
        raise TypeError("model: must return logits, got None")
    _, given = prepare(to_host(logits), request)
    rows, size = given.logits.shape
    if rows != expected:
        raise ValueError(f"model: must return {expected} rows of logits, got {rows}")
    if size != (vocab_size or size):
        reason = f"must return {vocab_size} logits in each row, as before"
        raise ValueError(f"model: {reason}, got {size}")
    return given


def to_the_end(
    search: SequenceSearch,
    make: Callable[[SequenceSearch], Result],
    on_interrupt: str,
    progress: Progress,
    each: Callable[[FoundSequence], object] | None = None,
) -> Result:
    """Find all; return what `make` makes of the search, or of what a Ctrl-C left of it."""
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    with reporter(progress, "sequences") as report:
        try:
            for found in search:
                if each is not None:
                    each(found)
                if report is not None:
                    report(search._returned, search._num_samples)
        except KeyboardInterrupt:
            if on_interrupt == "return":
                return make(search)
            raise Interrupted(make(search)) from None
    return make(search)


def columns_of(search: SequenceSearch) -> Columns:
    """Return everything that a search has found."""
    found = search._tree.found(0, search._num_samples)
    lengths = np.array([len(tokens) for tokens, *_ in found], np.int64)
    padded = np.full((len(found), max(lengths, default=0)), PAD, np.int64)
    legal = np.zeros(padded.shape)
    for i, (tokens, *_, masses) in enumerate(found):
        padded[i, : len(tokens)] = tokens
        legal[i, : len(tokens)] = masses
    logprobs, priorities = (np.array([one[i] for one in found], float) for i in (1, 2))
    complete = np.array([one[3] for one in found], bool)
    return Columns(padded, lengths, logprobs, priorities, complete, legal, search._tree.kappa)


def constraint_of(
    automaton: Any, ensure_completion: Any, eos_token_id: Any
) -> tuple[list[int], tuple[_core.sequences.automaton.TokenAutomaton, bool] | None]:
    """Return the tokens that end a sequence, and what kernels are told of the automaton."""
    ends: list[int] = []
    if eos_token_id is not None:
        ends = sorted({*ids_of(eos_token_id, "eos_token_id").reshape(-1).tolist()})
    completes = flag(ensure_completion, "ensure_completion")
    if automaton is None:
        if not completes:
            raise ValueError("ensure_completion: must be True without an automaton, got False")
        return ends, None
    if not isinstance(automaton, TokenAutomaton):
        made = "must be TokenAutomaton(pattern, Vocabulary.from_tokenizer(tokenizer))"
        raise TypeError(f"automaton: {made}, got {shown(automaton)}")
    own = list(automaton.vocabulary.eos_token_ids)
    if ends and ends != own:
        reason = f"must be those of the automaton's vocabulary, {own}, got {ends}"
        raise ValueError(f"eos_token_id: {reason} (a Vocabulary takes eos_token_id)")
    return own, (automaton._native, completes)


def _refuse_chance(priority: str, rules: Rules, rng: Rng, step: int) -> None:
    """Raise if something is to be drawn where nothing is."""
    refuse_randomness(rng, step, f"the priority {priority!r}, which draws nothing")
    if rules.is_random:
        raise ValueError(
            f"rules: must not act at random with the priority {priority!r}, which draws nothing, "
            f"got {shown(rules)}"
        )
