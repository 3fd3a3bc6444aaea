"""Arithmetic sampling: many texts from codes that are spread evenly."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Unpack,
    get_args,
    overload,
)

import numpy as np

from sortes import _core
from sortes._arrays import host, integers_of
from sortes._check import AT_LEAST_1, UNIT, WORD, AtLeastOne, Domain, flag, one_of
from sortes._device import is_on_device, to_host
from sortes._progress import Progress, at_once, job_of
from sortes._rng import as_stream
from sortes._state import Stateful
from sortes.decode._call import LogitBias, Request, RowArgs, prepare, rows_in, token_target
from sortes.decode.rules import RuleArgs, Rules, as_rules

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

#: How codes are spread.
Codebook: TypeAlias = Literal["lattice", "stratified", "t5x"]
#: In which order the vocabulary divides the interval.
TokenOrder: TypeAlias = Literal["id", "probability", "random"]
#: The number of codes of a prompt.
SOME: Final = Domain("[1, 2**31]", integer=True)
_TOKEN: Final = Domain("[-2**63, 2**63)", integer=True)
_NO_PAD = -1

#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")


class ArithmeticOutput(NamedTuple, Generic[Array]):
    """Tokens of a step and their log-probabilities; arrays of the same kind as the logits.

    Attributes
    ----------
    tokens : int64, shape (n_prompts * n,)
        The next token of each text.
    logprob : float64, shape (n_prompts * n,)
        Its log-probability in nats, in the law that the rules left; 0 in finished rows.
    """

    tokens: Array
    logprob: Array


class StepArgs(RowArgs, total=False):
    """The keywords of a step, but for those that decide what it returns."""

    finished: ArrayLike | None
    pad_token_id: int | None
    out: Any


def arithmetic_codes(
    n: Annotated[int, SOME],
    *,
    codebook: Codebook = "lattice",
    rng: Rng = None,
    step: int = 0,
) -> NDArray[np.float64]:
    """Draw `n` codes for one prompt, as numbers: to look at, or for a decoder of one's own.

    Parameters
    ----------
    n : int
        How many, in [1, 2**31].
    codebook : {"lattice", "stratified", "t5x"}, default "lattice"
        As in `ArithmeticCodes`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.

    Returns
    -------
    ndarray of float64, shape (n,)
        Numbers in [0, 1): the first 53 bits of the codes of ``ArithmeticCodes(1, n)``.

    Raises
    ------
    ValueError
        If `n` is out of range, or `codebook` unknown.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for them.

    Notes
    -----
    A decoder in float64 has used them up after about 53 bits, that is ``53 / H`` tokens at an
    entropy of ``H`` bits each; what it returns from then on is no sample. `ArithmeticCodes` has no
    such limit.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import arithmetic_codes
    >>> codes = arithmetic_codes(4, rng=0)
    >>> np.sort(codes * 4).astype(int)
    array([0, 1, 2, 3])
    """
    one_of(codebook, "codebook", get_args(Codebook))
    return ArithmeticCodes(1, n, codebook=codebook, rng=rng, step=step).codes.ravel()


class ArithmeticCodes(Stateful):
    r"""Codes of many texts: each step takes the next token of all of them.

    Parameters
    ----------
    n_prompts : int
        How many prompts.
    n : int
        How many texts of each prompt, in [1, 2**31].
    codebook : {"lattice", "stratified", "t5x"}, optional
        How the codes of a prompt are spread, by default ``"lattice"``; see the notes.
    codes : array_like of float64, shape (n,) or (n_prompts, n), optional
        Codes in [0, 1) in the place of a codebook's. They are read as multiples of 2**-53; what
        lies below is random, so that texts of any length can be drawn.
    token_order : {"id", "probability", "random"}, default "id"
        In which order the tokens divide the interval: by id; the most likely first; or by a random
        order, another one at each step, which all texts share.
    prompt_ids : array_like of int, shape (n_prompts,), optional
        Stream ids of the prompts, by default 0, 1, ... The texts of a prompt depend on its logits,
        the rules, `rng`, `step` and its id: not on the other prompts, nor on threads.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. It is that of
        the whole object, not of a token.

    Attributes
    ----------
    n_prompts, n : int
        As given.
    codebook : str
        As given; ``"explicit"`` for codes that were given.
    token_order : str
        As given.
    steps : int
        How many steps were taken.
    codes : ndarray of float64, shape (n_prompts, n)
        Where each code lies in the interval of its text so far, rounded down.

    Raises
    ------
    ValueError
        If an argument is outside its domain, or both `codes` and `codebook` are given.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the codes.

    Notes
    -----
    A code $u \in [0, 1)$ stands for one text: with running sums $C_j$ of the probabilities of the
    next token, it takes the first token with $C_j > u$, and goes on with
    $(u - C_{j-1}) / p_j$. If $u$ is uniform, so is that, and the text is an exact sample. The
    codebooks, with $v, v_i$ uniform on $[0, 1)$ and $i$ from 0 to $n - 1$:

    - ``"lattice"``: $(i + v) / n$. A text, or a beginning, of probability $P$ comes
      $\lfloor n P \rfloor$ or $\lceil n P \rceil$ times, hence no text of $P \le 1 / n$ comes
      twice. The variance of a mean over the texts is mostly far below that of independent ones; it
      can be above where $n$ resonates with the probabilities.
    - ``"stratified"``: $(i + v_i) / n$. The variance is never above that of independent
      texts; a text of $P < 1 / n$ comes at most twice.
    - ``"t5x"``: a lattice of $n + 1$ codes without one of them, chosen at random: what the authors
      published, for comparison.

    The first text of a prompt has one of these codes, chosen at random, and the others follow
    around the end: each text is an exact sample, whatever its place, and the mean over them is an
    unbiased estimate. The texts of one lattice say nothing of its error: take the spread of several
    objects. ``n=1`` is ordinary sampling.

    A code in floating point is used up after a few dozen tokens. Here it is a pair of 64-bit
    integers $x < R$; a token narrows them, and the digits that follow, by long division from a
    stream of random bits, are shifted in: texts of any length are exact. Two texts divide the
    interval alike as long as their logits are equal; where a model rounds differently in two rows
    of a batch, only a code that close to a boundary can tell.

    A step costs what `sortes.decode.draw` does. An object is changed by its steps; for a pure step
    take it on a ``copy()``. Threads may share it.

    References
    ----------
    Vilnis, Zemlyanskiy, Murray, Passos and Sanghai, "Arithmetic Sampling: Parallel Diverse Decoding
    for Large Language Models", ICML 2023, arXiv:2210.15458.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import ArithmeticCodes
    >>> codes = ArithmeticCodes(1, 4, rng=0)
    >>> np.sort(codes.step(np.log(np.tile([0.25, 0.5, 0.25], (4, 1)))))
    array([0, 1, 1, 2])
    >>> codes.steps
    1
    """

    _native_class = _core.sequences.arithmetic.ArithmeticCodes
    _native: _core.sequences.arithmetic.ArithmeticCodes

    def __init__(
        self,
        n_prompts: AtLeastOne,
        n: Annotated[int, SOME],
        *,
        codebook: Codebook | None = None,
        codes: Annotated[ArrayLike, UNIT] | None = None,
        token_order: TokenOrder = "id",
        prompt_ids: ArrayLike | None = None,
        rng: Rng = None,
        step: int = 0,
    ) -> None:
        n_prompts, n = AT_LEAST_1.check(n_prompts, "n_prompts"), SOME.check(n, "n")
        if codebook is not None:
            one_of(codebook, "codebook", get_args(Codebook))
        one_of(token_order, "token_order", get_args(TokenOrder))
        given = None if codes is None else _given(codes, n_prompts, n)
        if given is not None and codebook is not None:
            raise ValueError(f"codebook: must not be given with codes, got {codebook!r}")
        ids = None if prompt_ids is None else _ids(prompt_ids, n_prompts)
        spread = "explicit" if given is not None else codebook or "lattice"
        stream = as_stream(rng, step)
        prompts = (n_prompts, ids)
        self._native = self._native_class(prompts, n, spread, given, token_order, stream)

    def __len__(self) -> int:
        """Return the number of texts: rows of logits."""
        return len(self._native)

    @property
    def n_prompts(self) -> int:
        """How many prompts there are."""
        return len(self._native) // self._native.n

    @property
    def n(self) -> int:
        """How many texts a prompt has."""
        return self._native.n

    @property
    def codebook(self) -> str:
        """How the codes were spread; ``"explicit"`` for codes that were given."""
        return self._native.codebook

    @property
    def token_order(self) -> str:
        """In which order the tokens divide the interval."""
        return self._native.token_order

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self._native.steps

    @property
    def codes(self) -> NDArray[np.float64]:
        """Where each code lies in the interval of its text so far."""
        return self._native.codes().reshape(-1, self._native.n)

    @overload
    def step(
        self,
        logits: torch.Tensor,
        rules: Rules | None = None,
        *,
        logprobs: Literal[False] = False,
        **arguments: Unpack[StepArgs],
    ) -> torch.Tensor: ...
    @overload
    def step(
        self,
        logits: torch.Tensor,
        rules: Rules | None = None,
        *,
        logprobs: Literal[True],
        **arguments: Unpack[StepArgs],
    ) -> ArithmeticOutput[torch.Tensor]: ...
    @overload
    def step(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        logprobs: Literal[False] = False,
        **arguments: Unpack[StepArgs],
    ) -> NDArray[np.int64]: ...
    @overload
    def step(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        logprobs: Literal[True],
        **arguments: Unpack[StepArgs],
    ) -> ArithmeticOutput[NDArray[Any]]: ...
    def step(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        logit_bias: LogitBias | None = None,
        mask: ArrayLike | None = None,
        finished: ArrayLike | None = None,
        pad_token_id: Annotated[int, _TOKEN] | None = None,
        logprobs: bool = False,
        out: Any = None,
        num_threads: int | None = None,
        progress: Progress = None,
        **rule_args: Unpack[RuleArgs],
    ) -> Any:
        """Take the next token of every text.

        Parameters
        ----------
        logits : array_like or tensor, shape (n_prompts * n, V)
            As in `sortes.decode.sample`: row ``p * n + i`` is that of text `i` of prompt `p`.
        rules : Rules, optional
            Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). The
            laws of texts with the same beginning must be the same, or they are exact samples each
            but no longer spread evenly. XTC acts on all texts of a prompt or on none.
        logit_bias, mask
            As in `sortes.decode.sample`.
        finished : array_like of bool, shape (n_prompts * n,), optional
            Texts that have ended: they keep their code, and their logits are not read.
        pad_token_id : int, optional
            What they get as their token, by default -1.
        logprobs : bool, default False
            Also return the log-probabilities of the tokens.
        out : array or tensor, optional
            Where to write the result; it must not overlap an input. The tokens: int64, shape
            (n_prompts * n,), C-contiguous.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts rows.
        **rule_args
            The arguments of `sortes.decode.Rules`.

        Returns
        -------
        tokens : int64, shape (n_prompts * n,)
            The tokens; with `logprobs`, an `ArithmeticOutput`.

        Raises
        ------
        ValueError
            If a row holds NaN or ``+inf``, or no finite logit; the number of rows is another, or
            the vocabulary not that of the last step; or an argument is out of its domain. The codes
            are as they were then.
        TypeError
            If an argument has the wrong type.

        Notes
        -----
        Logits on a device stay there: it looks for the tokens, and sends these and the ends of
        their intervals, some bytes for each row, to the CPU, where the codes are.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import ArithmeticCodes
        >>> codes = ArithmeticCodes(2, 3, rng=0)
        >>> given = {"finished": np.arange(6) == 2, "pad_token_id": 9}
        >>> logits = np.log(np.tile([0.5, 0.25, 0.25], (6, 1)))
        >>> out = codes.step(logits, top_k=1, logprobs=True, **given)
        >>> out.tokens, out.logprob
        (array([0, 0, 9, 0, 0, 0]), array([0., 0., 0., 0., 0., 0.]))
        """
        chosen = as_rules(rules, rule_args)
        logprobs = flag(logprobs, "logprobs")
        done = None if finished is None else _finished(finished, len(self))
        if pad_token_id is None:
            pad = _NO_PAD
        elif done is None:
            raise ValueError(f"pad_token_id: needs finished, got {pad_token_id!r} without it")
        else:
            pad = _TOKEN.check(pad_token_id, "pad_token_id")
        request = Request(chosen, logit_bias, mask)
        if is_on_device(logits):
            from sortes.sequences import _torch

            with at_once(progress, rows_in(logits)):
                parts = _torch.step(self._native, logits, request, (done, pad), logprobs, out)
            return ArithmeticOutput(*parts) if logprobs else parts[0]

        view, given = prepare(logits, request)
        batch = len(view.array)
        tokens = np.empty(batch, np.int64) if out is None else token_target(out, view, given)
        known = np.empty(batch) if logprobs else None
        with job_of(num_threads, progress, "texts") as job:
            self._native.step(given, done, pad, tokens, known, job)
        result = view.wrap(tokens) if out is None else out
        return result if known is None else ArithmeticOutput(result, view.wrap(known))

    def __repr__(self) -> str:
        """Return what the codes are."""
        said = f"n_prompts={self.n_prompts}, n={self.n}, codebook={self.codebook!r}"
        return f"ArithmeticCodes({said}, token_order={self.token_order!r})"


def _given(codes: Any, n_prompts: int, n: int) -> NDArray[np.float64]:
    """Return codes as a matrix: one row for all prompts, or one for each."""
    array = host(to_host(codes), "codes", "iuf")
    if array.shape not in ((n,), (n_prompts, n)):
        raise ValueError(f"codes: must have shape ({n},) or ({n_prompts}, {n}), got {array.shape}")
    UNIT.check_items(array, "codes")
    return np.require(np.atleast_2d(array), np.float64, ("C", "A"))


def _ids(prompt_ids: Any, n_prompts: int) -> NDArray[np.uint32]:
    ids = integers_of(to_host(prompt_ids), "prompt_ids", WORD)
    if ids.shape != (n_prompts,):
        raise ValueError(f"prompt_ids: must have shape ({n_prompts},), got {ids.shape}")
    return ids.astype(np.uint32)


def _finished(finished: Any, n: int) -> NDArray[np.bool_]:
    array = host(to_host(finished), "finished", None)
    if array.dtype != np.bool_:
        raise TypeError(f"finished: must hold booleans, got {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"finished: must have shape ({n},), got {array.shape}")
    return np.ascontiguousarray(array)
