"""Basis-aware truncation: keep what the output matrix of the model does not let be an error."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

import numpy as np

from sortes import _core
from sortes._arrays import Rows, host
from sortes._check import COUNT, NON_NEGATIVE, UNIT, Count, Domain, NonNegative, Unit, flag
from sortes._device import is_on_device, to_host
from sortes._progress import Progress, job_of, reporter
from sortes._state import Stateful
from sortes.decode._call import CallArgs, Given, LogitBias, Request, RowArgs, prepare, streams_of
from sortes.decode._history import ids_of
from sortes.decode._reduction import reduced
from sortes.decode.rules import RuleArgs, Rules, as_rules

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")

_RANK: Final = Domain("[0, 2**32 - 1)", integer=True)
_STEPS: Final = Domain("[1, 2**32 - 1)", integer=True)


class BasisAwareOutput(NamedTuple, Generic[Array]):
    """Tokens, and the work behind them; arrays of the same kind as the logits.

    Attributes
    ----------
    tokens : int64, shape (B,)
        The tokens.
    programs : int64, shape (B,)
        Linear programs solved for each row.
    failures : int64, shape (B,)
        Programs that the solver gave up on, whose tokens were kept.
    """

    tokens: Array
    programs: Array
    failures: Array


class Certificate(NamedTuple):
    """A decision of the basis-aware test, with a proof that is easy to check.

    Attributes
    ----------
    kept : bool
        Whether the token is kept.
    vector : ndarray of float64
        If kept, `y` of shape (c + 1,) with ``f(y) < 0``; else `q` of shape (V,), a distribution
        without the token that the model cannot tell from its own.
    """

    kept: bool
    vector: NDArray[np.float64]


class BasisOptions(TypedDict, total=False):
    """The arguments of `BasisAwareSampler` beside the matrix."""

    nonneg: bool
    max_lp: Annotated[int, _RANK] | None
    max_pivots: Annotated[int, _STEPS]
    strict: bool


class LawArgs(TypedDict, total=False):
    """The keywords of functions to which the law alone matters, not where it is cut."""

    temperature: NonNegative
    logit_bias: LogitBias | None
    mask: ArrayLike | None
    num_threads: int | None
    progress: Progress


class BasisAwareSampler(Stateful):
    r"""Truncation by rules, less what the output matrix of the model forbids to remove.

    Parameters
    ----------
    W : array_like, shape (V, d)
        The output matrix of the model (``lm_head.weight``): NumPy or Torch, on any device. It is
        reduced once, on the device where it lies.
    rank : int, default 20
        How many right singular vectors are kept. More keep more tokens, and cost more. Directions
        in which `W` vanishes are left out.
    nonneg : bool, default True
        Ask for ``q >= 0`` in the program. The published sampler leaves it out, and keeps fewer
        tokens.
    max_lp : int or None, default 64
        Programs solved for one draw; after these it is from what the rules keep. ``None`` sets no
        limit.
    max_pivots : int, default 10000
        Simplex steps before a program is given up.
    strict : bool, default False
        Raise when a program is given up. Otherwise its token is kept.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows of `W`, twice.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or `W` holds NaN or infinities.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    Let $p$ be the law of a row after bias, mask and temperature, and $\tau$ the probability at
    which the rules of a call cut it: the threshold of `eta_cutoff`, the least likely token of the
    nucleus of `top_p`. What the rules keep is kept. With $a_j = (W_j, 1)$ after the reduction and
    $\sigma = 1/(1-\tau)$, a token $i$ that they remove is removed if and only if some $q$ with
    $\sum_j q_j a_j = \sum_j p_j a_j$, $q_i = 0$ and $0 \le q \le \sigma p$ exists: then the true
    distribution may lack the token, the model being trained to match the mean of $a$ and assumed
    to overestimate no token by more than $\sigma$. Without the columns of `W` these are the rules
    alone; with them more tokens are kept, never fewer. Without a rule that cuts there is nothing
    to keep: the draw is that of `sample`.

    The assumptions are about the law of the model itself; a temperature, a bias or a mask changes
    it. Rules that may remove the most likely token (typical, XTC) are refused.

    Tokens are drawn from $p$ without replacement until one is kept, which is exactly $p$
    restricted to the kept set. The first of them is the token that `sample` draws without the cut
    from the same `rng` and `step`. A draw costs a pass over the row and, for each token below the
    cut that comes up, a linear program: a few milliseconds for 50,000 tokens at rank 20. A row's
    token depends on nothing but its logits, its rules, `rng`, its entry of `rows`, and `step`.

    The object is immutable, and holds ``V (rank + 1)`` numbers in two layouts.

    References
    ----------
    Finlayson, Hewitt, Koller, Swayamdipta and Sabharwal, "Closing the Curious Case of Neural Text
    Degeneration", ICLR 2024, arXiv:2310.01693.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import BasisAwareSampler
    >>> rng = np.random.default_rng(0)
    >>> W, h = rng.standard_normal((1000, 16)), rng.standard_normal(16)
    >>> sampler = BasisAwareSampler(W, rank=4)
    >>> sampler.sample(W @ h, eta_cutoff=0.015, rng=0).shape
    ()
    """

    _native_class = _core.decode.basis_aware.Basis

    def __init__(
        self,
        W: ArrayLike,  # noqa: N803 (the matrix is W wherever it is written about)
        rank: Annotated[int, _RANK] = 20,
        *,
        nonneg: bool = True,
        max_lp: Annotated[int, _RANK] | None = 64,
        max_pivots: Annotated[int, _STEPS] = 10_000,
        strict: bool = False,
        progress: Progress = None,
    ) -> None:
        options = _checked(nonneg, max_lp, max_pivots, strict)
        rank = _RANK.check(rank, "rank")
        with reporter(progress, "BasisAwareSampler") as report:
            self._native = _core.decode.basis_aware.Basis(reduced(W, rank, report), options)

    @property
    def features(self) -> NDArray[np.float32]:
        """A copy of the reduced matrix with a column of ones at the end, shape (V, c + 1)."""
        return self._native.features()  # type: ignore[no-any-return]

    @property
    def options(self) -> BasisOptions:
        """The arguments other than the matrix and the rank."""
        nonneg, max_lp, max_pivots, strict = self._native.options
        return {"nonneg": nonneg, "max_lp": max_lp, "max_pivots": max_pivots, "strict": strict}

    @classmethod
    def from_features(cls, features: ArrayLike, **options: Unpack[BasisOptions]) -> Self:
        """Make a sampler from a matrix that is reduced already.

        Parameters
        ----------
        features : array_like, shape (V, c + 1)
            What `features` gives: the last column holds ones.
        **options
            As in the constructor.

        Returns
        -------
        BasisAwareSampler
            The sampler.

        Raises
        ------
        ValueError
            If the matrix is none of features, or an option is out of its domain.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import BasisAwareSampler
        >>> one = BasisAwareSampler(np.eye(4), rank=2)
        >>> other = BasisAwareSampler.from_features(one.features, max_lp=8)
        >>> other.options["max_lp"]
        8
        """
        matrix = np.ascontiguousarray(host(features, "features", "iuf"), np.float32)
        if matrix.ndim != 2 or matrix.size == 0:
            raise ValueError(f"features: must have shape (V, c + 1), got {matrix.shape}")
        defaults: BasisOptions = {
            "nonneg": True,
            "max_lp": 64,
            "max_pivots": 10_000,
            "strict": False,
        }
        given = _checked(**_merged(defaults, options))
        return cls._of(_core.decode.basis_aware.Basis(matrix, given))

    def with_options(self, **options: Unpack[BasisOptions]) -> Self:
        """Make a sampler of the same matrix with other options.

        Parameters
        ----------
        **options
            As in the constructor.

        Returns
        -------
        BasisAwareSampler
            The sampler, which shares the matrix.

        Raises
        ------
        ValueError
            If an option is out of its domain.
        TypeError
            If an option is unknown, or has the wrong type.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import BasisAwareSampler
        >>> sampler = BasisAwareSampler(np.eye(4), rank=2)
        >>> sampler.with_options(strict=True).options["strict"]
        True
        """
        return self._of(self._native.with_options(_checked(**_merged(self.options, options))))

    @overload
    def sample(
        self,
        logits: torch.Tensor,
        rules: Rules | None = None,
        *,
        details: Literal[False] = False,
        **arguments: Unpack[CallArgs],
    ) -> torch.Tensor: ...
    @overload
    def sample(
        self,
        logits: torch.Tensor,
        rules: Rules | None = None,
        *,
        details: Literal[True],
        **arguments: Unpack[CallArgs],
    ) -> BasisAwareOutput[torch.Tensor]: ...
    @overload
    def sample(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        details: Literal[False] = False,
        **arguments: Unpack[CallArgs],
    ) -> NDArray[np.int64]: ...
    @overload
    def sample(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        details: Literal[True],
        **arguments: Unpack[CallArgs],
    ) -> BasisAwareOutput[NDArray[np.int64]]: ...
    def sample(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        logit_bias: LogitBias | None = None,
        mask: ArrayLike | None = None,
        rows: ArrayLike | None = None,
        details: bool = False,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
        **rule_args: Unpack[RuleArgs],
    ) -> Any:
        """Draw one token from each row.

        Parameters
        ----------
        logits : array_like or tensor, shape (V,) or (B, V)
            As in `sortes.decode.sample`, but a tensor on another device is copied to the CPU,
            where the programs are solved.
        rules : Rules, optional
            Compiled rules; or give the rules as keyword arguments, such as ``eta_cutoff=0.015``.
        logit_bias, mask, rows
            As in `sortes.decode.sample`.
        details : bool, default False
            Return a `BasisAwareOutput` with counts of programs as well.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`). A list has one stream for each row.
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws. Give the
            number of the token in its text.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts rows.
        **rule_args
            The arguments of `Rules`.

        Returns
        -------
        tokens : int64, shape (B,) or (), or BasisAwareOutput
            The tokens, in the caller's kind of array and on its device.

        Raises
        ------
        ValueError
            If a row holds NaN or ``+inf``, or no finite logit; if a rule may remove the most
            likely token; in a strict sampler, if a program is given up.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import BasisAwareSampler
        >>> sampler = BasisAwareSampler(np.eye(4), rank=2)
        >>> logits = np.array([[9.0, 0, 0, 0]], np.float32)
        >>> sampler.sample(logits, eta_cutoff=0.015, rng=0)
        array([0])
        """
        details = flag(details, "details")
        request = Request(as_rules(rules, rule_args), logit_bias, mask, rows, rng, step)
        view, given = prepare(to_host(logits), request)
        with job_of(num_threads, progress) as job:
            parts = self._native.sample(given, streams_of(request, len(given.logits)), job)
        output = BasisAwareOutput(*(_beside(view, part, logits) for part in parts))
        return output if details else output.tokens

    @overload
    def keep_mask(
        self, logits: torch.Tensor, rules: Rules | None = None, **arguments: Unpack[RowArgs]
    ) -> torch.Tensor: ...
    @overload
    def keep_mask(
        self, logits: ArrayLike, rules: Rules | None = None, **arguments: Unpack[RowArgs]
    ) -> NDArray[np.bool_]: ...
    def keep_mask(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        logit_bias: LogitBias | None = None,
        mask: ArrayLike | None = None,
        num_threads: int | None = None,
        progress: Progress = None,
        **rule_args: Unpack[RuleArgs],
    ) -> Any:
        """Decide on every token.

        Parameters
        ----------
        logits, rules, logit_bias, mask
            As in `sample`.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts tokens: a row of a
            large model takes seconds.
        **rule_args
            The arguments of `Rules`.

        Returns
        -------
        keep : bool, shape of `logits`
            Which tokens are kept.

        Raises
        ------
        ValueError
            As in `sample`.
        TypeError
            As in `sample`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import BasisAwareSampler
        >>> sampler = BasisAwareSampler(np.eye(4), rank=0)
        >>> logits = np.log([0.5, 0.3, 0.18, 0.02])
        >>> sampler.keep_mask(logits, epsilon_cutoff=0.05)
        array([ True,  True,  True, False])
        """
        request = Request(as_rules(rules, rule_args), logit_bias, mask)
        view, given = prepare(to_host(logits), request)
        keep = np.empty(given.logits.shape, np.bool_)
        with job_of(num_threads, progress, "keep_mask") as job:
            self._native.keep_mask(given, keep, job)
        return _beside(view, keep, logits)

    @overload
    def cutoffs(
        self, logits: torch.Tensor, rules: Rules | None = None, **arguments: Unpack[RowArgs]
    ) -> torch.Tensor: ...
    @overload
    def cutoffs(
        self, logits: ArrayLike, rules: Rules | None = None, **arguments: Unpack[RowArgs]
    ) -> NDArray[np.float64]: ...
    def cutoffs(
        self,
        logits: ArrayLike,
        rules: Rules | None = None,
        *,
        logit_bias: LogitBias | None = None,
        mask: ArrayLike | None = None,
        num_threads: int | None = None,
        progress: Progress = None,
        **rule_args: Unpack[RuleArgs],
    ) -> Any:
        r"""Give the probability $\tau$ at which the rules cut each row.

        Parameters
        ----------
        logits, rules, logit_bias, mask
            As in `sample`.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts rows.
        **rule_args
            The arguments of `Rules`.

        Returns
        -------
        tau : float64, shape (B,) or ()
            What the critical value of a removed token must exceed for it to be kept: the threshold
            of a rule that has one, or the probability of the least likely token that is kept; the
            highest of these, and 0 if nothing is cut. Thresholds are those of the logits, to about
            1e-7 of their value.

        Raises
        ------
        ValueError
            As in `sample`.
        TypeError
            As in `sample`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import BasisAwareSampler
        >>> sampler = BasisAwareSampler(np.eye(2), rank=0)
        >>> sampler.cutoffs(np.log([[0.75, 0.25], [0.5, 0.5]]), top_p=0.6).round(6)
        array([0.75, 0.5 ])
        """
        request = Request(as_rules(rules, rule_args), logit_bias, mask)
        view, given = prepare(to_host(logits), request)
        tau = np.empty(len(given.logits))
        with job_of(num_threads, progress) as job:
            self._native.cutoffs(given, tau, job)
        return _beside(view, tau, logits)

    @overload
    def critical(
        self,
        logits: torch.Tensor,
        ids: ArrayLike | None = None,
        **arguments: Unpack[LawArgs],
    ) -> torch.Tensor: ...
    @overload
    def critical(
        self,
        logits: ArrayLike,
        ids: ArrayLike | None = None,
        **arguments: Unpack[LawArgs],
    ) -> NDArray[np.float64]: ...
    def critical(
        self,
        logits: ArrayLike,
        ids: ArrayLike | None = None,
        *,
        temperature: NonNegative = 1.0,
        logit_bias: LogitBias | None = None,
        mask: ArrayLike | None = None,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Any:
        r"""Compute the cut at which each token leaves the kept set.

        Parameters
        ----------
        logits : array_like or tensor, shape (V,) or (B, V)
            As in `sample`.
        ids : array_like of int, shape (m,), optional
            Tokens to look at, by default all: one program each.
        temperature : float, default 1.0
            What logits are divided by.
        logit_bias, mask
            As in `sample`.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts tokens.

        Returns
        -------
        values : float64, shape (V,), (m,), (B, V) or (B, m)
            The critical values: a token that the rules remove is kept if its value exceeds their
            cut, see `cutoffs`.

        Raises
        ------
        ValueError
            If the logits are unusable, an id is out of range, or a program is given up.
        TypeError
            If an argument has the wrong type.

        Notes
        -----
        The critical value is the mass of the smallest part of $p$ that holds all of token $i$ and
        has the mean of $p$: the least $t$ with $\sum_j d_j a_j = t \sum_j p_j a_j$, $d_i = p_i$,
        $0 \le d \le p$. It is at least $p_i$, and 1 if no smaller part will do.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import BasisAwareSampler
        >>> W = np.array([[1.0], [-1.0], [0.0]])
        >>> sampler = BasisAwareSampler(W, rank=1)
        >>> sampler.critical(np.log([0.2, 0.3, 0.5])).round(6)
        array([0.444444, 1.      , 0.555556])
        """
        view, given = _given(logits, temperature, logit_bias, mask)
        if ids is None:
            tokens = np.arange(given.logits.shape[1])
        else:
            tokens = ids_of(ids, "ids")
        values = np.empty((len(given.logits), len(tokens)))
        with job_of(num_threads, progress, "critical") as job:
            self._native.critical(given, tokens, values, job)
        return _beside(view, values, logits)

    def certificate(
        self,
        logits: ArrayLike,
        id: Count,
        tau: Unit,
        *,
        temperature: NonNegative = 1.0,
        logit_bias: LogitBias | None = None,
        mask: ArrayLike | None = None,
    ) -> Certificate:
        r"""Decide on one token, with a proof.

        Parameters
        ----------
        logits : array_like or tensor, shape (V,)
            As in `sample`.
        id : int
            The token.
        tau : float
            The cut, in [0, 1). A token with ``p[id] == tau`` gets no benefit of the tie here: it
            is kept if its critical value is larger.
        temperature : float, default 1.0
            What logits are divided by.
        logit_bias, mask
            As in `sample`.

        Returns
        -------
        Certificate
            Whether the token is kept, and $y$ or $q$.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or the program is given up.
        TypeError
            If an argument has the wrong type.

        Notes
        -----
        With the rows $a_j$ of `features` and $\sigma = 1/(1-\tau)$, $y$ proves that the token is
        kept by

        $$ f(y) = \sigma \sum_{j \ne i} p_j \max(a_j \cdot y, 0) - \sum_j p_j a_j \cdot y < 0 $$

        and $q$ that it is removed by $q_i = 0$, $0 \le q \le \sigma p$ and
        $\sum_j q_j a_j = \sum_j p_j a_j$. Without `nonneg`, $a_j \cdot y \ge 0$ for $j \ne i$, and
        $q$ may be negative.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import BasisAwareSampler
        >>> W = np.array([[1.0], [-1.0], [0.0]])
        >>> sampler = BasisAwareSampler(W, rank=1)
        >>> proof = sampler.certificate(np.log([0.2, 0.3, 0.5]), 0, tau=0.5)
        >>> proof.vector.round(6)
        array([0. , 0.1, 0.9])
        """
        view, given = _given(logits, temperature, logit_bias, mask)
        if not view.one_dim:
            raise ValueError(f"logits: must have shape (V,), got {given.logits.shape}")
        token = COUNT.check(id, "id")
        return Certificate(*self._native.decide(given, token, UNIT.check(tau, "tau")))

    def __repr__(self) -> str:
        vocabulary, columns = self.features.shape
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"BasisAwareSampler(<{vocabulary} tokens>, rank={columns - 1}, {options})"


def _checked(
    nonneg: bool, max_lp: int | None, max_pivots: int, strict: bool
) -> tuple[bool, int | None, int, bool]:
    """Return the options as the native class takes them."""
    return (
        flag(nonneg, "nonneg"),
        None if max_lp is None else _RANK.check(max_lp, "max_lp"),
        _STEPS.check(max_pivots, "max_pivots"),
        flag(strict, "strict"),
    )


def _merged(defaults: BasisOptions, options: BasisOptions) -> dict[str, Any]:
    for name in options.keys() - defaults.keys():
        raise TypeError(f"{name}: is not an option of BasisAwareSampler")
    return {**defaults, **options}


def _given(
    logits: Any, temperature: float, logit_bias: LogitBias | None, mask: ArrayLike | None
) -> tuple[Rows, Given]:
    """Prepare a call to which the law alone matters."""
    rules = Rules(temperature=NON_NEGATIVE.check(temperature, "temperature"))
    return prepare(to_host(logits), Request(rules, logit_bias, mask))


def _beside(view: Rows, result: NDArray[Any], logits: Any) -> Any:
    """Turn a result into the caller's kind of array, on the device of the logits."""
    wrapped = view.wrap(result)
    return wrapped.to(logits.device) if is_on_device(logits) else wrapped
