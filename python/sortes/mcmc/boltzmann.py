"""Restricted Boltzmann machines, and chains that draw their units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import FINITE, AtLeastOne, Count, count, one_of
from sortes._estimate import Estimate
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress, job_of
from sortes._rng import Rng, as_stream
from sortes.mcmc._annealed import annealed, betas_of
from sortes.mcmc._runs import Init, chained, chains_of, finished, plan_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._core.mcmc.spins import Sampler


class BoltzmannTrace(NamedTuple):
    """The draws of several chains of a restricted Boltzmann machine.

    Attributes
    ----------
    visible : ndarray of uint8, shape (chains, n, num_visible)
        The visible units of each draw; n is 0 with ``keep_units=False``.
    hidden : ndarray of uint8, shape (chains, n, num_hidden)
        The hidden units.
    last : ndarray of uint8, shape (chains, num_visible)
        The visible units at the end, from which another call may go on (``init=``).
    energy : ndarray of float64, shape (chains, n)
        The energy of each draw.
    interrupted : bool
        Whether Ctrl-C ended the chains early.

    Examples
    --------
    >>> from sortes.mcmc import BernoulliRBM
    >>> trace = BernoulliRBM([[0.5], [-1.0]]).sample(draws=10, chains=2, rng=0)
    >>> trace.visible.shape, trace.hidden.shape
    ((2, 10, 2), (2, 10, 1))
    """

    visible: NDArray[np.uint8]
    hidden: NDArray[np.uint8]
    last: NDArray[np.uint8]
    energy: NDArray[np.float64]
    interrupted: bool


class BernoulliRBM:
    r"""A restricted Boltzmann machine: two layers of units that are 0 or 1.

    The law is $p(v, h) \propto e^{b \cdot v + c \cdot h + v^T W h}$.

    Parameters
    ----------
    weights : array_like, shape (num_visible, num_hidden)
        The weights $W$, finite. Those of scikit-learn's are ``components_.T``.
    visible_bias : float or array_like, shape (num_visible,), default 0.0
        The biases $b$.
    hidden_bias : float or array_like, shape (num_hidden,), default 0.0
        The biases $c$.

    Attributes
    ----------
    weights : ndarray, shape (num_visible, num_hidden)
        The weights: float32 if they were given so, otherwise float64.
    visible_bias : ndarray, shape (num_visible,)
        The biases, of the same dtype.
    hidden_bias : ndarray, shape (num_hidden,)
        The biases, of the same dtype.

    Raises
    ------
    ValueError
        If shapes do not fit, or a number is not finite.
    TypeError
        If an argument does not hold numbers.

    Examples
    --------
    >>> from sortes.mcmc import BernoulliRBM
    >>> BernoulliRBM([[0.5, 1.0], [-1.0, 0.0], [0.0, 2.0]])
    BernoulliRBM(3 visible units, 2 hidden units)
    """

    def __init__(
        self, weights: ArrayLike, visible_bias: ArrayLike = 0.0, hidden_bias: ArrayLike = 0.0
    ) -> None:
        given = host(weights, "weights")
        if given.ndim != 2 or not given.size:
            raise ValueError(
                f"weights: must have shape (num_visible, num_hidden), got {given.shape}"
            )
        half = given.dtype.kind == "f" and given.dtype.itemsize < 8
        dtype = np.dtype(np.float32 if half else np.float64)
        self.weights = _fixed(given, given.shape, dtype, "weights")
        self.visible_bias = _fixed(visible_bias, given.shape[:1], dtype, "visible_bias")
        self.hidden_bias = _fixed(hidden_bias, given.shape[1:], dtype, "hidden_bias")
        # What sums may reach, on the way to any unit.
        most = (
            np.abs(self.weights, dtype=np.float64).sum()
            + np.abs(self.visible_bias, dtype=np.float64).sum()
            + np.abs(self.hidden_bias, dtype=np.float64).sum()
        )
        if not most < (np.finfo(np.float32).max if half else np.finfo(np.float64).max):
            raise ValueError(f"weights: must have sums in the range of {dtype}, got {most}")
        self._built: _core.mcmc.spins.Machine | None = None

    def __repr__(self) -> str:
        visible, hidden = self.weights.shape
        return f"BernoulliRBM({visible} visible units, {hidden} hidden units)"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": None}

    def free_energy(self, visible: ArrayLike) -> float | NDArray[np.float64]:
        r"""Return the free energy of visible units: the law of these is $p(v) \propto e^{-F(v)}$.

        Parameters
        ----------
        visible : array_like of int, shape (..., num_visible)
            Units that are 0 or 1.

        Returns
        -------
        float or ndarray of float64, shape (...)
            $F(v) = -b \cdot v - \sum_j \log(1 + e^{c_j + (v^T W)_j})$.

        Raises
        ------
        ValueError
            If a unit is neither 0 nor 1, or the shape does not fit.
        TypeError
            If `visible` does not hold integers.

        Examples
        --------
        >>> from sortes.mcmc import BernoulliRBM
        >>> round(BernoulliRBM([[0.5], [-1.0]]).free_energy([1, 0]), 3)
        -0.974
        """
        units = self._units(visible, "visible").astype(np.float64)
        sums = units @ self.weights.astype(np.float64) + self.hidden_bias
        found = -units @ self.visible_bias.astype(np.float64) - np.logaddexp(0, sums).sum(axis=-1)
        return float(found) if units.ndim == 1 else found

    def sample(
        self,
        *,
        draws: AtLeastOne = 1000,
        init: Init = "random",
        clamped: ArrayLike | None = None,
        warmup: Count = 100,
        chains: AtLeastOne | None = None,
        thin: AtLeastOne = 1,
        keep_units: bool = True,
        on_interrupt: OnInterrupt = "return",
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> BoltzmannTrace:
        r"""Draw units by block Gibbs sampling: one layer given the other, in turn.

        Parameters
        ----------
        draws : int, default 1000
            Draws of each chain.
        init : "random" or array_like of int, shape (num_visible,) or (chains, num_visible)
            The visible units with which chains begin. The first update draws the hidden ones.
        clamped : array_like of bool, shape (num_visible,), optional
            Which visible units stay as they begin; the others are drawn given these.
        warmup : int, default 100
            Updates of each chain before the first draw.
        chains : int, optional
            How many chains: as many as `init` has, or 4.
        thin : int, default 1
            Updates for each draw, of which the last is kept.
        keep_units : bool, default True
            Whether the trace holds the units of each draw, a byte each, or energies alone.
        on_interrupt : {"return", "raise"}
            What Ctrl-C does: return what there is, or raise `sortes.Interrupted`, which holds it.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts updates.

        Returns
        -------
        BoltzmannTrace
            The draws.

        Raises
        ------
        ValueError
            If an argument is out of its domain.
        TypeError
            If an argument has the wrong type.
        MemoryError
            If there is no memory for the draws.
        Interrupted
            If Ctrl-C stops it and `on_interrupt` says so.

        Notes
        -----
        An update draws $h_j = 1$ with probability $1 / (1 + e^{-c_j - (v^T W)_j})$, then $v_i = 1$
        with probability $1 / (1 + e^{-b_i - (W h)_i})$. Sums have the precision of the weights,
        decisions 53 bits. The persistent chains of contrastive divergence go on from ``last``, at
        the next ``step``.

        References
        ----------
        Hinton, "Training products of experts by minimizing contrastive divergence", Neural
        Computation 14, 2002.

        Examples
        --------
        >>> from sortes.mcmc import BernoulliRBM
        >>> machine = BernoulliRBM([[2.0], [-2.0]], hidden_bias=-1.0)
        >>> trace = machine.sample(draws=2000, rng=0)
        >>> trace.visible.mean((0, 1)).round(1)
        array([0.7, 0.3])
        """
        plan = plan_of(draws, warmup, thin, keep_units, "keep_units")
        one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
        visible, hidden = self.weights.shape
        given = None
        if isinstance(init, str):
            one_of(init, "init", ["random"])
        else:
            given = chained(self._units(init, "init"), chains)
        stays = np.zeros(0, np.bool_)
        if clamped is not None:
            mask = host(clamped, "clamped", "b")
            if mask.shape != (visible,):
                raise ValueError(f"clamped: must have shape ({visible},), got {mask.shape}")
            stays = np.ascontiguousarray(mask, np.bool_)
        stream = as_stream(rng, step)
        native = _core.mcmc.spins
        with job_of(num_threads, progress, "updates") as job:
            if given is None:
                n = chains_of(chains)
                given = native.random_states(2, visible, n, stream, job).reshape(n, visible)
            if self._built is None:
                flat = self.weights.reshape(-1)
                self._built = native.Machine(flat, self.visible_bias, self.hidden_bias, job)
            sampler = native.Sampler.machine(self._built, stays, given, plan, stream, job)
            trace, stop = finished(
                sampler, job, lambda: _trace(sampler, len(given), visible, hidden)
            )
        if stop is None:
            return trace  # type: ignore[no-any-return]
        trace = trace._replace(interrupted=True)
        if on_interrupt == "raise":
            raise Interrupted(trace) from stop
        return trace  # type: ignore[no-any-return]

    def log_partition(
        self,
        *,
        betas: AtLeastOne | ArrayLike = 1000,
        chains: AtLeastOne = 100,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Estimate:
        r"""Estimate the logarithm of the normalising constant, by annealed importance sampling.

        Parameters
        ----------
        betas : int or array_like, shape (n,), default 1000
            The inverse temperatures after 0: as many, equally spaced; or numbers that rise to 1.
        chains : int, default 100
            How many independent weights there are.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts temperatures.

        Returns
        -------
        Estimate
            The estimate of $\log \sum_{v, h} e^{b \cdot v + c \cdot h + v^T W h}$, and its standard
            error: that of the mean weight over the mean weight, NaN with one chain.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or temperatures do not rise to 1.
        TypeError
            If an argument has the wrong type.

        Notes
        -----
        At the inverse temperature $eta$ the machine has the weights $eta W$ and the hidden
        biases $eta c$: at 0 visible units are independent and its constant is known. A chain
        begins with an exact draw of these and makes one update at each temperature; its weight is
        the product of $e^{F_{k-1}(v) - F_k(v)}$ over temperatures, with $F$ of `free_energy`. The
        mean weight is unbiased for the ratio of the constants, whatever the temperatures; its
        logarithm is too low by about half the squared standard error. A standard error of chains
        that all miss a mode misses it too.

        References
        ----------
        Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.

        Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks", ICML 2008.

        Examples
        --------
        >>> from sortes.mcmc import BernoulliRBM
        >>> found = BernoulliRBM([[2.0], [-2.0]]).log_partition(betas=100, rng=0)
        >>> bool(abs(found.value - 2.604) < 5 * found.stderr)
        True
        """
        return annealed(
            self.weights,
            self.visible_bias,
            self.hidden_bias,
            betas_of(betas),
            count(chains, "chains", 1),
            as_stream(rng, step),
            num_threads,
            progress,
        )

    def _units(self, units: Any, name: str) -> NDArray[np.uint8]:
        array = host(units, name, "biu")
        visible = self.weights.shape[0]
        if not array.ndim or array.shape[-1] != visible:
            raise ValueError(f"{name}: must have shape (..., {visible}), got {array.shape}")
        fine = (array == 0) | (array == 1)
        if not fine.all():
            at = tuple(int(i) for i in np.argwhere(~fine)[0])
            item = at[0] if len(at) == 1 else at
            raise ValueError(f"{name}: item {item} must be 0 or 1, got {array[at]}")
        return np.ascontiguousarray(array, np.uint8)


def _fixed(x: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Return a copy that nobody writes to, of finite numbers."""
    array = host(x, name)
    if array.shape not in ((), shape):
        raise ValueError(f"{name}: must have shape {shape}, got {array.shape}")
    with np.errstate(over="ignore"):
        copy = np.array(np.broadcast_to(array, shape), dtype, order="C")
    if array.ndim:
        FINITE.check_items(copy, name)
    else:
        FINITE.check(float(copy.flat[0]), name)
    copy.flags.writeable = False
    return copy


def _trace(sampler: Sampler, chains: int, visible: int, hidden: int) -> BoltzmannTrace:
    n, states, last, energy, _ = sampler.take()
    kept = n if states.size else 0
    units = states.reshape(chains, kept, visible + hidden)
    return BoltzmannTrace(
        units[:, :, :visible],
        units[:, :, visible:],
        last.reshape(chains, -1)[:, :visible].copy(),
        energy.reshape(chains, n),
        False,
    )
