"""How the texts of `power_sample` are made: what is asked of the model, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np

from sortes import _core
from sortes._progress import job_of
from sortes.sequences.search import PAD, checked, of_the_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sortes._progress import Job
    from sortes.decode._call import Given, Request
    from sortes.sequences.search import Model

    #: As the kernels take the law.
    Law: TypeAlias = tuple[
        float, float, int, list[int], tuple[_core.sequences.automaton.TokenAutomaton, bool] | None
    ]
    Prefixes: TypeAlias = list[NDArray[np.int64]]


#: How many beginnings a list looks at before it decides which are next.
TOGETHER: Final = 16


class Made(NamedTuple):
    """Texts, and what they weigh."""

    texts: list[tuple[NDArray[np.int64], float, bool]]
    #: Logarithms of weights, in any unit; minus infinity for none.
    log_weights: NDArray[np.float64]
    #: The logarithm of the normaliser; NaN if it is not estimated.
    log_z: float
    is_exact: bool
    resampled_at: NDArray[np.int64]
    ancestors: NDArray[np.int64]
    acceptance: float


class Loop(Protocol):
    """What one method makes of a model."""

    def open(self) -> Prefixes:
        """Return the beginnings to ask the model about; none at the end."""

    def step(self, given: Given, job: Job) -> None:
        """Take in what follows them."""

    def done(self) -> tuple[int, int]:
        """Return how much is done, and of how much, or 0."""

    def made(self) -> Made:
        """Return what there is."""


class Smc:
    """Particles."""

    def __init__(
        self, law: Law, n: int, scheme: str, threshold: float, stream: _core.Stream
    ) -> None:
        self._native = _core.sequences.power.Particles(law, n, scheme, threshold, stream)
        self._n, self._most = n, law[2]

    def open(self) -> Prefixes:
        return self._native.beginnings()

    def step(self, given: Given, job: Job) -> None:
        self._native.step(given, job)

    def done(self) -> tuple[int, int]:
        return self._native.position, self._most

    def made(self) -> Made:
        log_weights, at, ancestors = self._native.weights()
        lineage = at, ancestors.reshape(-1, self._n)
        texts, log_z = self._native.texts(), self._native.log_z
        return Made(texts, log_weights, log_z, False, *lineage, np.nan)


class Mcmc:
    """Chains."""

    def __init__(self, law: Law, n: int, blocks: int, steps: int, stream: _core.Stream) -> None:
        self._native = _core.sequences.power.Chains(law, n, blocks, steps, stream)
        self._n = n

    def open(self) -> Prefixes:
        return self._native.beginnings()

    def step(self, given: Given, job: Job) -> None:
        self._native.step(given, job)

    def done(self) -> tuple[int, int]:
        every, made, _ = self._native.transitions
        return made, every

    def made(self) -> Made:
        texts, alive = self._native.texts()
        log_weights = np.where(alive, 0.0, -np.inf)
        _, made, taken = self._native.transitions
        acceptance = taken / made if made else np.nan
        return Made(texts, log_weights, np.nan, False, *_no_lineage(self._n), acceptance)


class Exact:
    """The list of all texts that matter."""

    def __init__(self, law: Law, n: int, most: int, stream: _core.Stream) -> None:
        self._native = _core.sequences.power.Listing(law, most)
        self._n, self._stream = n, stream
        self._is_whole = False

    def open(self) -> Prefixes:
        beginnings = self._native.beginnings(TOGETHER)
        self._is_whole = not beginnings
        return beginnings

    def step(self, given: Given, job: Job) -> None:
        self._native.step(given, job)

    def done(self) -> tuple[int, int]:
        return len(self._native), 0

    def made(self) -> Made:
        texts = self._native.draw(self._n, self._stream) if self._is_whole else []
        log_z = self._native.log_z if self._is_whole else np.nan
        no_lineage = _no_lineage(len(texts))
        return Made(texts, np.zeros(len(texts)), log_z, True, *no_lineage, np.nan)


def run(
    loop: Loop, model: Model, request: Request, together: int, num_threads: int | None
) -> Iterator[tuple[int, int]]:
    """Run a loop to its end; after each step, how much is done."""
    vocab_size: int | None = None
    while beginnings := loop.open():
        parts = []
        for batch in _batches(beginnings, together):
            logits = model(batch)
            with of_the_model():
                part = checked(logits, request, len(batch), vocab_size)
            vocab_size = part.logits.shape[1]
            # The next call of a model may write to the same place.
            parts.append(part if len(batch) == len(beginnings) else _kept(part))
        with of_the_model(), job_of(num_threads, None) as job:
            loop.step(_joined(parts), job)
        yield loop.done()


def _batches(beginnings: Prefixes, together: int) -> Iterator[Prefixes]:
    """Divide beginnings; the empty one comes alone."""
    batch: Prefixes = []
    for beginning in beginnings:
        if batch and (len(batch) == together or not (len(batch[-1]) and len(beginning))):
            yield batch
            batch = []
        batch.append(beginning)
    yield batch


def _kept(part: Given) -> Given:
    return part._replace(logits=part.logits.copy())


def _joined(parts: list[Given]) -> Given:
    if len(parts) == 1:
        return parts[0]
    if len({(part.logits.dtype, part.bf16) for part in parts}) > 1:
        raise TypeError("model: must return logits of one dtype in all calls")
    return parts[0]._replace(logits=np.concatenate([part.logits for part in parts]))


def _no_lineage(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.empty(0, np.int64), np.empty((0, n), np.int64)


def padded(texts: list[tuple[NDArray[np.int64], float, bool]]) -> tuple[NDArray[Any], ...]:
    """Return texts in columns: tokens, lengths, log-probabilities, whether they are complete."""
    lengths = np.array([len(tokens) for tokens, _, _ in texts], np.int64)
    tokens = np.full((len(texts), max(lengths, default=0)), PAD, np.int64)
    for row, (own, _, _) in zip(tokens, texts, strict=True):
        row[: len(own)] = own
    logprobs = np.array([logprob for _, logprob, _ in texts], float)
    return tokens, lengths, logprobs, np.array([whole for *_, whole in texts], bool)
