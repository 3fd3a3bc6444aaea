"""Basis-aware truncation: keep what the output matrix of the model does not let be an error."""

from __future__ import annotations

import sys
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, rows_of
from sortes._check import (
    COUNT,
    NON_NEGATIVE,
    UNIT,
    Domain,
    NonNegative,
    Unit,
    count,
    flag,
    one_of,
)
from sortes._device import to_host
from sortes._progress import Progress, reporter
from sortes._rng import as_streams, keys_and_step
from sortes.decode._call import row_ids

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Base = Literal["eta", "epsilon", "top_p"]

_FORMAT = 1
#: Rows of the matrix that are widened at once.
_BLOCK = 16_384
#: Directions with less than this share of the largest squared singular value are rounding errors.
_NOISE = 1e-12
#: The most programs and steps that can be asked for.
_MOST = 2**32 - 2
_OPEN, _TOP_P = Domain("(0, 1)"), Domain("(0, 1]")


class BasisAwareOutput(NamedTuple):
    """Tokens, and the work behind them.

    Attributes
    ----------
    tokens : array of int64, shape (B,)
        The tokens, in the caller's kind of array.
    programs : ndarray of int64, shape (B,)
        Linear programs solved for each row.
    failures : ndarray of int64, shape (B,)
        Programs that the solver gave up on, whose tokens were kept.
    """

    tokens: Any
    programs: NDArray[np.int64]
    failures: NDArray[np.int64]


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


class BasisAwareSampler:
    r"""Draw tokens by basis-aware truncation.

    Parameters
    ----------
    W : array_like, shape (V, d)
        The output matrix of the model (``lm_head.weight``): NumPy or Torch, on any device. It is
        reduced once, on the device where it lies.
    rank : int, default 20
        How many right singular vectors are kept. More keep more tokens, and cost more. Directions
        in which `W` vanishes are left out.
    base : {"eta", "epsilon", "top_p"}
        The rule whose threshold `tau` is taken over: ``min(epsilon, sqrt(epsilon) exp(-H))`` with
        the entropy `H` in nats, ``epsilon``, or the smallest probability in the nucleus.
    epsilon : float, optional
        Parameter of the first two, in (0, 1). Default 0.015 for eta and 0.01 for epsilon.
    top_p : float, optional
        Parameter of the third, in (0, 1]. Default 0.35.
    nonneg : bool, default True
        Ask for ``q >= 0`` in the program. The published sampler leaves it out, and keeps fewer
        tokens.
    max_lp : int or None, default 64
        Programs solved for one draw; after these it is from the tokens with ``p >= tau``. ``None``
        sets no limit.
    max_pivots : int, default 10000
        Simplex steps before a program is given up.
    strict : bool, default False
        Raise when a program is given up. Otherwise its token is kept.

    Raises
    ------
    ValueError
        If an argument is out of its domain; the message begins with its name.

    Notes
    -----
    With :math:`a_j = (W_j, 1)` after the reduction and :math:`\sigma = 1/(1-\tau)`, token `i` is
    removed if and only if some :math:`q` with :math:`\sum_j q_j a_j = \sum_j p_j a_j`,
    :math:`q_i = 0` and :math:`0 \le q \le \sigma p` exists: then the true distribution may lack
    the token, the model being trained to match the mean of :math:`a` and assumed to overestimate
    no token by more than :math:`\sigma`. Without the columns of `W` this is the threshold rule
    :math:`p_i > \tau`; with them it keeps more tokens, never fewer. The most probable token, and
    every token with :math:`p_i \ge \tau`, is kept.

    Tokens are drawn from `p` without replacement until one is kept, which is exactly `p`
    restricted to the kept set. A draw costs a pass over the row, and a linear program, a few
    milliseconds for 50,000 tokens at rank 20, for each token below the threshold that comes up.
    The draws of a row depend only on (its logits, `rng`, its entry of `rows`, `step`).

    The object is immutable, can be pickled, and holds ``V (rank + 1)`` numbers in three layouts.

    References
    ----------
    Finlayson, Hewitt, Koller, Swayamdipta and Sabharwal, "Closing the Curious Case of Neural Text
    Degeneration", ICLR 2024, arXiv:2310.01693.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> W, h = rng.standard_normal((1000, 16)), rng.standard_normal(16)
    >>> sampler = BasisAwareSampler(W, rank=4, base="epsilon", epsilon=0.01)
    >>> sampler.sample(W @ h, rng=0).shape
    ()
    """

    def __init__(
        self,
        W: Any,  # noqa: N803 (the matrix is W wherever it is written about)
        rank: int = 20,
        base: Base = "eta",
        *,
        epsilon: float | None = None,
        top_p: float | None = None,
        nonneg: bool = True,
        max_lp: int | None = 64,
        max_pivots: int = 10_000,
        strict: bool = False,
    ) -> None:
        self._init(
            _reduce(W, count(rank, "rank", 0, _MOST)),
            base,
            epsilon,
            top_p,
            nonneg=nonneg,
            max_lp=max_lp,
            max_pivots=max_pivots,
            strict=strict,
        )

    def _init(
        self,
        features: NDArray[np.float32],
        base: Base,
        epsilon: float | None,
        top_p: float | None,
        *,
        nonneg: bool,
        max_lp: int | None,
        max_pivots: int,
        strict: bool,
    ) -> None:
        self._features = features
        self._rule = (base, _parameter(base, epsilon, top_p))
        self._nonneg = flag(nonneg, "nonneg")
        self._max_lp = None if max_lp is None else count(max_lp, "max_lp", 0, _MOST)
        self._max_pivots = count(max_pivots, "max_pivots", 1, _MOST)
        self._strict = flag(strict, "strict")
        self._basis = _core.decode.basis_aware.Basis(features, self._nonneg, self._max_pivots)

    @property
    def features(self) -> NDArray[np.float32]:
        """The reduced matrix with a column of ones at the end, shape (V, c + 1)."""
        view = self._features.view()
        view.flags.writeable = False
        return view

    @property
    def options(self) -> dict[str, Any]:
        """The arguments other than the matrix and the rank, with their defaults filled in."""
        base, parameter = self._rule
        return {
            "base": base,
            "top_p" if base == "top_p" else "epsilon": parameter,
            "nonneg": self._nonneg,
            "max_lp": self._max_lp,
            "max_pivots": self._max_pivots,
            "strict": self._strict,
        }

    @classmethod
    def from_features(cls, features: ArrayLike, base: Base = "eta", **options: Any) -> Self:
        """Make a sampler from a matrix that is reduced already.

        Parameters
        ----------
        features : array_like, shape (V, c + 1)
            What `features` gives: the last column holds ones.
        base, **options
            As in the constructor.

        Returns
        -------
        BasisAwareSampler
            The sampler.

        Examples
        --------
        >>> import numpy as np
        >>> one = BasisAwareSampler(np.eye(4), rank=2)
        >>> other = BasisAwareSampler.from_features(one.features, max_lp=8)
        >>> other.options["max_lp"]
        8
        """
        matrix = np.array(features, np.float32, order="C")
        if matrix.ndim != 2 or matrix.size == 0:
            raise ValueError(f"features: must have shape (V, c + 1), got {matrix.shape}")
        defaults = {
            "epsilon": None,
            "top_p": None,
            "nonneg": True,
            "max_lp": 64,
            "max_pivots": 10_000,
            "strict": False,
        }
        unknown = options.keys() - defaults.keys()
        if unknown:
            raise TypeError(f"{min(unknown)}: is not an option of BasisAwareSampler")
        sampler = cls.__new__(cls)
        sampler._init(matrix, base, **(defaults | options))
        return sampler

    def with_options(self, **options: Any) -> Self:
        """Make a sampler of the same matrix with other options.

        Parameters
        ----------
        **options
            Any of the constructor's arguments but `W` and `rank`.

        Returns
        -------
        BasisAwareSampler
            The sampler.

        Examples
        --------
        >>> import numpy as np
        >>> sampler = BasisAwareSampler(np.eye(4), rank=2)
        >>> sampler.with_options(strict=True).options["strict"]
        True
        """
        kept = self.options
        if "base" in options and options["base"] != kept["base"]:
            kept.pop("epsilon", None)
            kept.pop("top_p", None)
        return type(self).from_features(self._features, **(kept | options))

    def sample(
        self,
        logits: Any,
        *,
        temperature: NonNegative = 1.0,
        rng: Rng = None,
        rows: ArrayLike | None = None,
        step: int = 0,
        details: bool = False,
        num_threads: int | None = None,
    ) -> Any:
        """Draw one token from each row.

        Parameters
        ----------
        logits : array_like, shape (V,) or (B, V)
            NumPy or Torch. A tensor on another device is copied to the CPU, where the programs
            are solved.
        temperature : float, default 1.0
            What logits are divided by, before the threshold is taken.
        rng
            As everywhere in sortes; or a list of streams, one for each row.
        rows : array_like of int, shape (B,), optional
            Stream ids of the rows, by default their positions.
        step : int, default 0
            The position in the text.
        details : bool, default False
            Return a `BasisAwareOutput` with counts of programs as well.
        num_threads : int, optional
            Threads that rows are spread over.

        Returns
        -------
        array of int64, shape (B,) or (), or BasisAwareOutput
            The tokens, in the caller's kind of array and on its device.

        Raises
        ------
        ValueError
            If a row contains NaN or a positive infinity, or has no finite logit; or, in a strict
            sampler, if a program is given up.

        Examples
        --------
        >>> import numpy as np
        >>> sampler = BasisAwareSampler(np.eye(4), rank=2)
        >>> sampler.sample(np.array([[9.0, 0, 0, 0]], np.float32), rng=0)
        array([0])
        """
        view = rows_of(to_host(logits))
        batch = len(view.array)
        ids = None if rows is None else row_ids(rows, batch)
        keys, step = keys_and_step(as_streams(rng, batch, step))
        tokens, programs, failures = self._basis.sample(
            view.array,
            self._rule,
            NON_NEGATIVE.check(temperature, "temperature"),
            np.array(np.broadcast_to(keys, (batch,)), np.uint64),
            ids,
            step,
            self._max_lp,
            self._strict,
            bf16=view.bf16,
            num_threads=num_threads,
        )
        tokens = _beside(view.wrap(tokens), logits)
        return BasisAwareOutput(tokens, programs, failures) if details else tokens

    def keep_mask(
        self,
        logits: Any,
        *,
        temperature: NonNegative = 1.0,
        progress: Progress = None,
        num_threads: int | None = None,
    ) -> Any:
        """Decide on every token.

        Parameters
        ----------
        logits : array_like, shape (V,) or (B, V)
            As in `sample`.
        temperature : float, default 1.0
            As in `sample`.
        progress : bool or callable
            Show a bar, or call ``progress(done, total)``: a row of a large model takes seconds.
        num_threads : int, optional
            Threads that tokens are spread over.

        Returns
        -------
        array of bool, shape of `logits`
            Which tokens are kept.

        Raises
        ------
        ValueError
            As in `sample`.

        Examples
        --------
        >>> import numpy as np
        >>> sampler = BasisAwareSampler(np.eye(4), rank=0, base="epsilon", epsilon=0.05)
        >>> sampler.keep_mask(np.log([0.5, 0.3, 0.18, 0.02]))
        array([ True,  True,  True, False])
        """
        view = rows_of(to_host(logits))
        with reporter(progress, "keep_mask") as callback:
            mask = self._basis.keep_mask(
                view.array,
                self._rule,
                NON_NEGATIVE.check(temperature, "temperature"),
                self._strict,
                bf16=view.bf16,
                num_threads=num_threads,
                progress=callback,
            )
        return _beside(view.wrap(mask), logits)

    def thresholds(self, logits: Any, *, temperature: NonNegative = 1.0) -> NDArray[np.float64]:
        """Return the threshold `tau` of each row.

        Parameters
        ----------
        logits : array_like, shape (V,) or (B, V)
            As in `sample`.
        temperature : float, default 1.0
            As in `sample`.

        Returns
        -------
        ndarray of float64, shape (B,) or ()
            The thresholds.

        Examples
        --------
        >>> import numpy as np
        >>> sampler = BasisAwareSampler(np.eye(2), rank=0, base="top_p", top_p=0.6)
        >>> sampler.thresholds(np.log([[0.75, 0.25], [0.5, 0.5]]))
        array([0.75, 0.5 ])
        """
        view = rows_of(to_host(logits))
        tau: NDArray[np.float64] = self._basis.thresholds(
            view.array, self._rule, NON_NEGATIVE.check(temperature, "temperature"), bf16=view.bf16
        )
        return tau.reshape(()) if view.one_dim else tau

    def tau_crit(
        self,
        logits: Any,
        ids: ArrayLike | None = None,
        *,
        temperature: NonNegative = 1.0,
        progress: Progress = None,
        num_threads: int | None = None,
    ) -> NDArray[np.float64]:
        r"""Return the threshold at which each token leaves the kept set.

        Parameters
        ----------
        logits : array_like, shape (V,) or (B, V)
            As in `sample`.
        ids : array_like of int, shape (m,), optional
            Tokens to look at, by default all: one program each.
        temperature : float, default 1.0
            As in `sample`.
        progress : bool or callable
            Show a bar, or call ``progress(done, total)``.
        num_threads : int, optional
            Threads that tokens are spread over.

        Returns
        -------
        ndarray of float64, shape (V,), (m,), (B, V) or (B, m)
            The critical values: token `i` is kept if ``tau_crit[i] > tau``.

        Raises
        ------
        ValueError
            If the logits are unusable, an id is out of range, or a program is given up.

        Notes
        -----
        The critical value is the mass of the smallest part of `p` that holds all of token `i` and
        has the mean of `p`: the least :math:`t` with :math:`\sum_j d_j a_j = t \sum_j p_j a_j`,
        :math:`d_i = p_i`, :math:`0 \le d \le p`. It is at least :math:`p_i`, and 1 if no smaller
        part will do.

        Examples
        --------
        >>> import numpy as np
        >>> sampler = BasisAwareSampler(np.array([[1.0], [-1.0], [0.0]]), rank=1)
        >>> sampler.tau_crit(np.log([0.2, 0.3, 0.5])).round(6)
        array([0.444444, 1.      , 0.555556])
        """
        view = rows_of(to_host(logits))
        with reporter(progress, "tau_crit") as callback:
            values: NDArray[np.float64] = self._basis.critical(
                view.array,
                None if ids is None else integers_of([ids] if np.ndim(ids) == 0 else ids, "ids"),
                NON_NEGATIVE.check(temperature, "temperature"),
                bf16=view.bf16,
                num_threads=num_threads,
                progress=callback,
            )
        return values[0] if view.one_dim else values

    def certificate(
        self, logits: Any, id: int, tau: Unit, *, temperature: NonNegative = 1.0
    ) -> Certificate:
        r"""Decide on one token, with a proof.

        Parameters
        ----------
        logits : array_like, shape (V,)
            As in `sample`.
        id : int
            The token.
        tau : float
            The threshold, in [0, 1). Here a token with ``p[id] == tau`` gets no benefit of the
            tie: it is kept if its critical value is larger.
        temperature : float, default 1.0
            As in `sample`.

        Returns
        -------
        Certificate
            Whether the token is kept, and `y` or `q`.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or the program is given up.

        Notes
        -----
        With the rows :math:`a_j` of `features` and :math:`\sigma = 1/(1-\tau)`, `y` proves that
        the token is kept by

        .. math:: f(y) = \sigma \sum_{j \ne i} p_j \max(a_j \cdot y, 0) - \sum_j p_j a_j \cdot y < 0

        and `q` that it is removed by :math:`q_i = 0`, :math:`0 \le q \le \sigma p` and
        :math:`\sum_j q_j a_j = \sum_j p_j a_j`. Without `nonneg`, :math:`a_j \cdot y \ge 0` for
        :math:`j \ne i`, and `q` may be negative.

        Examples
        --------
        >>> import numpy as np
        >>> sampler = BasisAwareSampler(np.array([[1.0], [-1.0], [0.0]]), rank=1)
        >>> sampler.certificate(np.log([0.2, 0.3, 0.5]), 0, tau=0.5).vector.round(6)
        array([0. , 0.1, 0.9])
        """
        view = rows_of(to_host(logits))
        if not view.one_dim:
            raise ValueError(f"logits: must have shape (V,), got {view.array.shape}")
        tau = UNIT.check(tau, "tau")
        t = NON_NEGATIVE.check(temperature, "temperature")
        token = COUNT.check(id, "id")
        kept, vector = self._basis.decide(view.array, token, tau, t, bf16=view.bf16)
        return Certificate(kept, vector)

    def save(self, file: str | PathLike[str]) -> None:
        """Write the reduced matrix and the options to a ``.npz`` file.

        Parameters
        ----------
        file : path
            Where to.

        Examples
        --------
        >>> import numpy as np, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "basis.npz")
        >>> BasisAwareSampler(np.eye(4), rank=2).save(path)
        >>> BasisAwareSampler.load(path).features.shape
        (4, 3)
        """
        options = {k: v for k, v in self.options.items() if v is not None}
        with open(file, "wb") as stream:
            np.savez(stream, format=_FORMAT, features=self._features, **options)

    @classmethod
    def load(cls, file: str | PathLike[str], **options: Any) -> Self:
        """Read what `save` has written.

        Parameters
        ----------
        file : path
            Where from.
        **options
            Replace what the file says.

        Returns
        -------
        BasisAwareSampler
            The sampler.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        with np.load(file, allow_pickle=False) as archive:
            if "format" not in archive or archive["format"] != _FORMAT:
                raise ValueError(f"file: {file} was not written by BasisAwareSampler.save")
            held = {name: archive[name].item() for name in archive.files if name != "features"}
            features = archive["features"]
        del held["format"]
        # What is absent was None.
        sampler = cls.from_features(features, **({"max_lp": None} | held))
        return sampler.with_options(**options) if options else sampler

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._features, self.options)

    def __repr__(self) -> str:
        vocabulary, columns = self._features.shape
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"BasisAwareSampler(<{vocabulary} tokens>, rank={columns - 1}, {options})"


def _restore(
    cls: type[BasisAwareSampler], features: NDArray[np.float32], options: dict[str, Any]
) -> BasisAwareSampler:
    return cls.from_features(features, **options)


def _reduce(W: Any, rank: int) -> NDArray[np.float32]:  # noqa: N803
    """Project the rows of `W` on its first right singular vectors, and append a one."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(W, torch.Tensor):
        torch = None
        W = np.asarray(W)  # noqa: N806
        if W.dtype.kind not in "fiu" and W.dtype.name != "bfloat16":
            raise TypeError(f"W: dtype must be a real number, got {W.dtype}")
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(f"W: must have shape (V, d), got {tuple(W.shape)}")
    if rank > min(W.shape):
        raise ValueError(f"rank: must be at most {min(W.shape)} for W of shape {tuple(W.shape)}")

    def wide(block: Any) -> Any:
        return block.detach().double() if torch is not None else block.astype(np.float64)

    # The d x d moments in double precision give the leading vectors as well as a decomposition of
    # W would, for a fraction of its cost.
    blocks = [W[start : start + _BLOCK] for start in range(0, len(W), _BLOCK)]
    moments = sum(wide(block).T @ wide(block) for block in blocks)
    host = moments.cpu().numpy() if torch is not None else moments
    if not np.isfinite(host).all():
        raise ValueError("W: contains NaN or infinities")
    squares, vectors = np.linalg.eigh(host)
    leading = squares[::-1][:rank] > _NOISE * squares[-1]
    basis: Any = np.ascontiguousarray(vectors[:, ::-1][:, :rank][:, leading])
    features = np.ones((len(W), basis.shape[1] + 1), np.float32)
    if torch is not None:
        basis = torch.from_numpy(basis).to(W.device)
    start = 0
    for block in blocks:
        reduced = wide(block) @ basis
        stop = start + len(block)
        features[start:stop, :-1] = reduced.cpu().numpy() if torch is not None else reduced
        start = stop
    return features


def _parameter(base: str, epsilon: float | None, top_p: float | None) -> float:
    one_of(base, "base", get_args(Base))
    if base == "top_p":
        if epsilon is not None:
            raise ValueError(f"epsilon: is not a parameter of base='top_p', got {epsilon}")
        return _TOP_P.check(0.35 if top_p is None else top_p, "top_p")  # type: ignore[no-any-return]
    if top_p is not None:
        raise ValueError(f"top_p: is not a parameter of base={base!r}, got {top_p}")
    default = {"eta": 0.015, "epsilon": 0.01}[base]
    return _OPEN.check(default if epsilon is None else epsilon, "epsilon")  # type: ignore[no-any-return]


def _beside(result: Any, logits: Any) -> Any:
    """Move a tensor to where the logits are."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(result, torch.Tensor):
        return result.to(logits.device)
    return result
