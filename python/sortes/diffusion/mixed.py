"""Plans whose steps differ: each has its order, its history and its noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias, get_args

from sortes import _core
from sortes._check import NON_NEGATIVE, NonNegative, flag, one_of, several, shown
from sortes.diffusion.path import Path
from sortes.diffusion.plans import Plan
from sortes.diffusion.solvers import ORDER

#: What a step takes as a polynomial, and in which variable.
History: TypeAlias = Literal["x0", "eps"]
Clock: TypeAlias = Literal["lam", "rho"]


class StepSpec(NamedTuple):
    r"""How a step of a plan is made, for `plan_from_steps`.

    Attributes
    ----------
    order : int, default 2
        How many points it uses, 1 to 4; the first steps have fewer.
    history : {"x0", "eps"}
        Whether earlier predictions of the data or of the noise make a polynomial.
    clock : {"lam", "rho"}
        Of what it is one: of the logarithm of signal to noise, or, for noise, of the ratio of noise
        to signal.
    corrector : bool, default False
        Whether the next prediction corrects the state; that costs no evaluation.
    eta : float, default 0.0
        The share of fresh noise, that of the SDE; 0 with ``history="eps"``.

    Examples
    --------
    >>> from sortes.diffusion import StepSpec
    >>> StepSpec(order=3, corrector=True)
    StepSpec(order=3, history='x0', clock='lam', corrector=True, eta=0.0)
    """

    order: Annotated[int, ORDER] = 2
    history: History = "x0"
    clock: Clock = "lam"
    corrector: bool = False
    eta: NonNegative = 0.0


def plan_from_steps(steps: Sequence[StepSpec], path: Path) -> Plan:
    """Make the rows of steps that differ.

    Parameters
    ----------
    steps : sequence of StepSpec, shape (N,)
        How each step of the path is made.
    path : Path
        The noise levels. A step to clean data takes its last prediction, and one from pure noise
        its first.

    Returns
    -------
    Plan
        The rows, of the solver "steps".

    Raises
    ------
    ValueError
        If there are not as many as the path has steps, or a step is not possible.
    TypeError
        If something has a wrong type.

    Notes
    -----
    Steps of one kind are solvers of their own: ``StepSpec(order)`` is ``exp_ab``, with
    ``history="eps"`` it is ``deis_logrho``, with ``clock="rho"`` ``deis_rhoab``, with a corrector
    ``unipc`` of ``solver_type="heun"``, with `eta` the SDE of DPM-Solver++.

    References
    ----------
    Liu et al., "A unified sampling framework for solver searching of diffusion probabilistic
    models", ICLR 2024, arXiv:2312.07243.

    Examples
    --------
    >>> from sortes.diffusion import Path, StepSpec, plan_from_steps
    >>> path = Path.ve([10.0, 2.0, 0.5, 0.0])
    >>> steps = [StepSpec(1), StepSpec(2, "eps"), StepSpec(2)]
    >>> plan_from_steps(steps, path)
    Plan('steps', n_steps=3, n_evaluations=3, n_draws=0)
    """
    if not isinstance(path, Path):
        raise TypeError(f"path: must be a Path, got {shown(path)}")
    given = [
        _checked(step, f"item {i} ") for i, step in enumerate(several(steps, "steps", "StepSpecs"))
    ]
    if len(given) != path.n_steps:
        raise ValueError(f"steps: must hold {path.n_steps}, one for each, got {len(given)}")
    native = [(s.order, _of(s), s.eta, s.corrector) for s in given]
    rows = _core.diffusion.plans.mixed((path.kind, path.alpha, path.sigma), native)
    return Plan._of("steps", path, rows)


def _checked(step: StepSpec, item: str, name: str = "steps") -> StepSpec:
    """Return a step of checked parts."""
    if not isinstance(step, StepSpec):
        raise TypeError(f"{name}: {item}must be a StepSpec, got {shown(step)}")
    prefix = f"{name}: {item}"
    made = StepSpec(
        ORDER.check(step.order, f"{prefix}order"),
        one_of(step.history, f"{prefix}history", get_args(History)),
        one_of(step.clock, f"{prefix}clock", get_args(Clock)),
        flag(step.corrector, f"{prefix}corrector"),
        NON_NEGATIVE.check(step.eta, f"{prefix}eta"),
    )
    if made.history == "eps" and made.eta:
        raise ValueError(f'{prefix}eta: must be 0 with history="eps", got {made.eta}')
    if made.history == "x0" and made.clock == "rho":
        raise ValueError(f'{prefix}clock: must be "lam" with history="x0", got "rho"')
    return made


def _of(step: StepSpec) -> str:
    if step.history == "x0":
        return "data"
    return "noise_in_lambda" if step.clock == "lam" else "noise_in_ratio"
