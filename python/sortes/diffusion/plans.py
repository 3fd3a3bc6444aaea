"""Plans: what each step of a solver combines, made once on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack, final

import numpy as np

from sortes._check import Count, integer, one_of, shown
from sortes.diffusion.path import Level, Path
from sortes.diffusion.solvers import SolverOptions, made, solver_names

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PlanRow(NamedTuple):
    """What comes before an evaluation of a plan, and after the last.

    The loop holds the last argument of the model `y`, its last predictions `m` and the last noises
    `z`; a row makes the next argument: ``c * y + sum(w * m) + sum(n * z) + offset``, the newest
    prediction and noise first.

    Attributes
    ----------
    c : float
        The factor of the last argument.
    w : ndarray of float64
        The factors of predictions.
    n : ndarray of float64
        The factors of noises.
    offset : float
        What is added.
    draws : bool
        Whether the newest noise is a fresh one.

    Examples
    --------
    >>> from sortes.diffusion import Path, plan
    >>> plan("ddim", Path.flow([1.0, 0.5, 0.0])).row(1)[:2]
    (0.5, array([0.5]))
    """

    c: float
    w: NDArray[np.float64]
    n: NDArray[np.float64]
    offset: float
    draws: bool


@final
@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """The rows of coefficients of a solver on a path, which `plan` makes and `sample` executes.

    A plan of `n_evaluations` evaluations has one row more: row k makes the argument of evaluation
    k, the last row the result. Everything is float64 on the host. Plans can be pickled.

    Attributes
    ----------
    solver : str
        The solver, by our name for it.
    path : Path
        The path whose levels the steps go through.

    Examples
    --------
    >>> from sortes.diffusion import Path, plan
    >>> made = plan("dpmpp_2m", Path.flow([0.9, 0.7, 0.3, 0.0]))
    >>> made
    Plan('dpmpp_2m', n_steps=3, n_evaluations=3, n_draws=0)
    >>> made.row(2).w.round(3)
    array([ 0.93 , -0.359])
    """

    solver: str
    path: Path
    _arrays: dict[str, Any]
    _levels: tuple[Level, ...]
    #: What loops made of it, for each kind of tensors.
    _programs: dict[Any, Any]

    @classmethod
    def _of(cls, solver: str, path: Path, arrays: dict[str, Any]) -> Plan:
        evaluations = len(arrays["step"])
        for name, rows in (("w", 1), ("n", 1), ("state_w", 0), ("state_n", 0), ("mix", 0)):
            arrays[name] = arrays[name].reshape(evaluations + rows, -1)
        levels = tuple(
            path[index] if index >= 0 else path.at_lambda(lam)
            for index, lam in zip(arrays["index"].tolist(), arrays["lam"].tolist(), strict=True)
        )
        return cls(solver, path, arrays, levels, {})

    @property
    def n_steps(self) -> int:
        """The number of steps."""
        return self.path.n_steps

    @property
    def guided(self) -> bool:
        """Whether it needs predictions with guidance and without condition: CFG++."""
        return "apart" in self._arrays

    @property
    def n_evaluations(self) -> int:
        """How often the model is asked."""
        return len(self._levels)

    @property
    def n_draws(self) -> int:
        """How many fresh noises there are, each of the shape of the state."""
        return int(self._arrays["fresh"].sum())

    @property
    def levels(self) -> tuple[Level, ...]:
        """The level of each evaluation, on the path or between its levels."""
        return self._levels

    @property
    def init_sigma(self) -> float:
        """The standard deviation of the noise from which a run starts."""
        return float(self.path.sigma[0])

    def row(self, k: Count) -> PlanRow:
        """Return a row of coefficients.

        Parameters
        ----------
        k : int
            The row, in ``[0, n_evaluations]``.

        Returns
        -------
        PlanRow
            Its coefficients.

        Raises
        ------
        ValueError
            If there is no such row.
        TypeError
            If `k` is no integer.

        Examples
        --------
        >>> from sortes.diffusion import Path, plan
        >>> plan("euler", Path.ve([2.0, 1.0, 0.0])).row(1).c
        0.5
        """
        at = integer(k, "k")
        if not 0 <= at <= self.n_evaluations:
            raise ValueError(f"k: must be in [0, {self.n_evaluations}], got {shown(at)}")
        arrays = self._arrays
        return PlanRow(
            float(arrays["c"][at]),
            arrays["w"][at].copy(),
            arrays["n"][at].copy(),
            float(arrays["offset"][at]),
            bool(arrays["fresh"][at]),
        )

    def __repr__(self) -> str:
        counts = f"n_steps={self.n_steps}, n_evaluations={self.n_evaluations}"
        return f"Plan({self.solver!r}, {counts}, n_draws={self.n_draws})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan._of, (self.solver, self.path, self._arrays)


def plan(solver: str, path: Path, **options: Unpack[SolverOptions]) -> Plan:
    r"""Make the rows of a solver on a path.

    Parameters
    ----------
    solver : str
        Its name: ours, that of ComfyUI, or the class of diffusers (see `solver_names`).
    path : Path
        The noise levels.
    **options : SolverOptions
        What the solver has; others are refused by name. `order`: how many points it uses, 1 to 4.
        `eta`: how much of the noise is fresh, 0 for none. `s_noise`: a factor of that noise.
        `solver_type`: ``"midpoint"`` or ``"heun"`` for DPM-Solver++ of second order, ``"bh1"``,
        ``"bh2"`` or ``"heun"`` for UniPC, ``"bh1"`` or ``"heun"`` for SA-Solver, ``"phi_1"`` or
        ``"phi_2"`` for two stages.
        `lower_order_final`: whether the last steps are of lower order; ``"auto"``: below 15 steps.
        `warmup`: ``"low_order"``, or ``"singlestep"`` for first steps of full order with more
        evaluations. `corrector`, `disable_corrector`: whether UniPC corrects, and after which
        steps not. `corrector_order`: points of the corrector of SA-Solver, 0 for none.
        `compat`: ``"published"`` for third orders as their authors have them, and for CFG++ as
        ComfyUI has it. `frame`: whether
        derivatives are those of the noise or of the flow. `r`: where the second stage is, in
        (0, 1]. `s_churn`, `s_tmin`, `s_tmax`: the churn of EDM, and between which ratios of noise
        to signal it acts (for SA-Solver: the fresh noise). `gamma`: of gradient estimation.
        `noise_scale`: of ER-SDE. `betas`: ``(beta_min, beta_d)`` of the linear schedule whose time
        DEIS takes. `statistics`: `ModelStatistics` of DPM-Solver-v3.

    Returns
    -------
    Plan
        The rows.

    Raises
    ------
    ValueError
        If there is no such solver, an option is out of its domain or not one of the solver, or the
        solver has no finite coefficients on the path.
    TypeError
        If an argument has the wrong type.

    See Also
    --------
    sample : Executes a plan.

    Notes
    -----
    A single register, the last argument of the model, is enough for all of them: the state at the
    beginning of a step is a combination of what a stage made of it and of predictions that are
    still held. Making a plan costs microseconds for each step.

    References
    ----------
    Song et al., "Denoising diffusion implicit models", ICLR 2021, arXiv:2010.02502.

    Karras et al., "Elucidating the design space of diffusion-based generative models", NeurIPS
    2022, arXiv:2206.00364.

    Lu et al., "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models",
    2022, arXiv:2211.01095.

    Zhao et al., "UniPC: a unified predictor-corrector framework for fast sampling of diffusion
    models", NeurIPS 2023, arXiv:2302.04867.

    Zhang and Chen, "Fast sampling of diffusion models with exponential integrator", ICLR 2023,
    arXiv:2204.13902.

    Zheng et al., "DPM-Solver-v3: improved diffusion ODE solver with empirical model statistics",
    NeurIPS 2023, arXiv:2310.13268.

    Xue et al., "SA-Solver: stochastic Adams solver for fast sampling of diffusion models", NeurIPS
    2023, arXiv:2309.05019.

    Gonzalez et al., "SEEDS: exponential SDE solvers for fast high-quality sampling from diffusion
    models", NeurIPS 2023, arXiv:2305.14267.

    Cui et al., "Elucidating the solution space of extended reverse-time SDE for diffusion models",
    2023, arXiv:2309.06169.

    Chung et al., "CFG++: manifold-constrained classifier free guidance for diffusion models", ICLR
    2025, arXiv:2406.08070.

    Zhang et al., "Improved order analysis and design of exponential integrator for diffusion models
    sampling", 2023, arXiv:2308.02157.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import Path, plan
    >>> path = Path.ve(np.append(np.geomspace(14.6, 0.03, 10), 0.0))
    >>> plan("unipc", path, order=3)
    Plan('unipc', n_steps=10, n_evaluations=10, n_draws=0)
    >>> plan("ddim", path, order=3)
    Traceback (most recent call last):
    ValueError: order: must not be given for ddim, which has eta, s_noise
    """
    if not isinstance(path, Path):
        raise TypeError(f"path: must be a Path, got {shown(path)}")
    name = _named(solver)
    ours, rows = made(name, path, options)
    return Plan._of(ours, rows.path, rows.arrays)


def _named(solver: str) -> str:
    known = solver_names()
    if isinstance(solver, str) and solver not in known:
        from difflib import get_close_matches

        near = get_close_matches(solver, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"solver: must be one of solver_names(), got {solver!r}{hint}")
    return one_of(solver, "solver", known)
