"""The solvers by name: ours, ComfyUI's and those of diffusers, and what each takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    TypedDict,
    get_args,
)

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, vector_of
from sortes._check import (
    NON_NEGATIVE,
    POSITIVE,
    Domain,
    NonNegative,
    Positive,
    flag,
    items,
    one_of,
    real,
    several,
    shown,
)
from sortes.diffusion._cfg_pp import add_guidance
from sortes.diffusion.path import Path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ORDER: Final = Domain("[1, 4]", integer=True)
SHARE: Final = Domain("(0, 1]")
_RATIO: Final = Domain("[0, inf]")

LowerFinal: TypeAlias = Literal["auto", "clean"] | bool
Second: TypeAlias = Literal["midpoint", "heun", "bh1", "bh2", "phi_1", "phi_2"]
Warmup: TypeAlias = Literal["low_order", "singlestep"]
Frame: TypeAlias = Literal["noise", "flow"]
NoiseScale: TypeAlias = Literal["default", "ode", "sde"]


class ModelStatistics(NamedTuple):
    """What DPM-Solver-v3 knows of a model: numbers on nodes of the logarithm of signal to noise.

    With ``l=1, s=0, b=0`` the solver is DPM-Solver++, with ``l=0, s=-1, b=0`` it is DPM-Solver.

    Attributes
    ----------
    lam : ndarray of float64, shape (M,)
        The nodes, increasing; each level of the path must be one of them.
    l : ndarray of float64, shape (M,)
        How the prediction of the noise grows with the state.
    s : ndarray of float64, shape (M,)
        How the rest of it grows with `lam`.
    b : ndarray of float64, shape (M,)
        How it drifts.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import ModelStatistics, Path, plan
    >>> path = Path.ve(np.geomspace(10, 0.1, 5))
    >>> ones = np.ones(5)
    >>> known = ModelStatistics(path.lam, ones, 0 * ones, 0 * ones)
    >>> plan("dpm_v3", path, statistics=known).n_evaluations
    4
    """

    lam: NDArray[np.float64]
    l: NDArray[np.float64]  # noqa: E741 - the letter of the paper
    s: NDArray[np.float64]
    b: NDArray[np.float64]


class SolverOptions(TypedDict, total=False):
    """The options that `plan` describes."""

    order: Annotated[int, ORDER]
    eta: NonNegative
    s_noise: NonNegative
    solver_type: Second
    lower_order_final: LowerFinal
    warmup: Warmup
    corrector: bool
    corrector_order: Annotated[int, Domain("[0, 5]", integer=True)]
    disable_corrector: Sequence[int]
    compat: Literal["published"] | None
    frame: Frame
    r: Annotated[float, SHARE]
    s_churn: NonNegative
    s_tmin: NonNegative
    s_tmax: Annotated[float, _RATIO]
    gamma: Positive
    noise_scale: NoiseScale
    betas: tuple[float, float]
    statistics: ModelStatistics


#: The levels of a path as the native module takes them.
_Given: TypeAlias = tuple[str, Any, Any]


class _Rows(NamedTuple):
    """Rows of a plan, on a path that is usually the one that was given."""

    path: Path
    arrays: dict[str, Any]


def _rows() -> Any:
    """Return the native module."""
    return _core.diffusion.plans


def _given(path: Path) -> _Given:
    return path.kind, path.alpha, path.sigma


def _rule(path: Path) -> str:
    """How ancestral steps share noise: flows have a rule of their own."""
    return "flow" if path.kind == "flow" else "posterior"


def _lower(value: LowerFinal) -> str:
    return value if isinstance(value, str) else "always" if value else "never"


# Each function below makes the rows of a kind of solver; its keywords are the options that it has.


def _one_step(path: Path, *, rule: str, eta: float, s_noise: float = 1.0) -> _Rows:
    chosen = _rule(path) if rule == "ancestral" else rule
    return _Rows(path, _rows().one_step(_given(path), chosen, eta, s_noise))


def _maruyama(path: Path, *, eta: float = 0.7, s_noise: float = 1.0) -> _Rows:
    if path.kind != "flow":
        raise ValueError(f'path: must be of kind "flow" for flow_sde, got "{path.kind}"')
    return _Rows(path, _rows().one_step(_given(path), "maruyama", eta, s_noise))


def _multistep(
    path: Path,
    *,
    order: int,
    eta: float = 0.0,
    s_noise: float = 1.0,
    solver_type: str | None = None,
    lower_order_final: LowerFinal = "auto",
    warmup: str = "low_order",
    compat: str | None = None,
    ancestral: bool = False,
) -> _Rows:
    if warmup == "singlestep" and eta:
        raise ValueError(f'warmup: must be "low_order" with eta > 0, got {warmup!r}')
    published = compat == "published"
    kind = solver_type or ("midpoint" if published else "heun")
    second = "midpoint" if kind == "midpoint" else "exact"
    rows = _rows().adams(
        _given(path),
        (order, 0, False),
        second,
        published,
        ([eta] * path.n_steps, _rule(path) if ancestral else None, s_noise),
        (_lower(lower_order_final), warmup == "singlestep", []),
    )
    return _Rows(path, rows)


def _unipc(
    path: Path,
    *,
    order: int | None = None,
    solver_type: str = "bh2",
    lower_order_final: LowerFinal = True,
    corrector: bool = True,
    disable_corrector: Sequence[int] = (),
) -> _Rows:
    points = order or (2 if path.n_steps < 10 else 3)
    if not corrector and len(disable_corrector):
        raise ValueError("disable_corrector: must not be given with corrector=False")
    rows = _rows().adams(
        _given(path),
        (points, -1 if corrector else 0, False),
        {"bh1": "plain", "bh2": "midpoint", "heun": "exact"}[solver_type],
        False,
        ([0.0] * path.n_steps, None, 1.0),
        (_lower(lower_order_final), False, list(disable_corrector)),
    )
    return _Rows(path, rows)


def _stochastic_adams(
    path: Path,
    *,
    order: int = 3,
    corrector_order: int = 4,
    eta: float = 1.0,
    s_noise: float = 1.0,
    s_tmin: float = 0.0,
    s_tmax: float = np.inf,
    solver_type: str = "heun",
    lower_order_final: LowerFinal = True,
    again: bool = False,
) -> _Rows:
    inside = (path.ratio[1:] >= s_tmin) & (path.ratio[1:] <= s_tmax)
    rows = _rows().adams(
        _given(path),
        (order, corrector_order, again),
        {"bh1": "plain", "heun": "exact"}[solver_type],
        False,
        (np.where(inside, eta * eta, 0.0).tolist(), None, s_noise),
        (_lower(lower_order_final), False, []),
    )
    return _Rows(path, rows)


def _stages(
    path: Path,
    *,
    order: int,
    at: tuple[float, float],
    weights: str = "one",
    eta: float = 0.0,
    s_noise: float = 1.0,
    ancestral: bool = False,
) -> _Rows:
    noise = (eta, _rule(path) if ancestral else None, s_noise)
    orders = [order] * path.n_steps
    return _Rows(path, _rows().stages(_given(path), orders, list(at), weights, False, noise))


def _two_stages(
    path: Path,
    *,
    r: float = 0.5,
    solver_type: str = "phi_1",
    eta: float = 0.0,
    s_noise: float = 1.0,
    ancestral: bool = False,
) -> _Rows:
    weights = "one" if solver_type == "phi_1" else "two"
    return _stages(
        path, order=2, at=(r, 1.0), weights=weights, eta=eta, s_noise=s_noise, ancestral=ancestral
    )


def _fast(path: Path, *, eta: float = 0.0, s_noise: float = 1.0) -> _Rows:
    """Make steps of order 3, 2 and 1 on levels of its own, as many evaluations as steps."""
    finite = path.lam[np.isfinite(path.lam)]
    if len(finite) < 2 or path.lam[0] == -np.inf:
        raise ValueError("path: must begin with some signal for dpm_fast, got pure noise")
    is_clean = path.lam[-1] == np.inf
    n = path.n_steps - int(is_clean)
    last = n // 3 + 1
    orders = [3] * (last - 2) + [2, 1] if n % 3 == 0 else [3] * (last - 1) + [n % 3]
    lam = np.linspace(finite[0], finite[-1], len(orders) + 1)
    ends = [path.at_lambda(value) for value in lam[1:-1]]
    levels = [path[0], *ends, path[n], *([path[-1]] if is_clean else [])]
    inner = Path(*np.array(levels).T, kind=path.kind, clock=_clock(path))
    noise = (eta, "posterior" if eta else None, s_noise)
    orders += [1] * int(is_clean)
    return _Rows(
        inner,
        _rows().stages(_given(inner), orders, [1 / 3, 2 / 3], "one", True, noise),
    )


def _clock(path: Path) -> Any:
    """Return the nodes of a path's clock, for another path of the same times."""
    clock = path._clock
    return clock if isinstance(clock, tuple) else None


def _runge_kutta(
    path: Path,
    *,
    method: str,
    frame: str | None = None,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = np.inf,
    s_noise: float = 1.0,
    eta: float = 0.0,
) -> _Rows:
    frame = frame or _frame(path)
    churn = (s_churn, s_tmin, s_tmax, s_noise)
    return _Rows(path, _rows().heun(_given(path), frame, method, churn, (eta, _rule(path))))


def _frame(path: Path) -> str:
    return "flow" if path.kind == "flow" else "noise"


def _slopes(
    path: Path,
    *,
    clock: str,
    order: int,
    frame: str | None = None,
    numbers: Sequence[float] = (),
    lower_order_final: LowerFinal = False,
) -> _Rows:
    rows = _rows().slopes(
        _given(path),
        frame or _frame(path),
        clock,
        list(numbers),
        order,
        _lower(lower_order_final),
    )
    return _Rows(path, rows)


def _gradient(path: Path, *, gamma: float = 2.0, frame: str | None = None) -> _Rows:
    return _slopes(path, clock="gradient", order=2, frame=frame, numbers=[gamma])


def _deis_tab(
    path: Path,
    *,
    order: int = 3,
    betas: tuple[float, float] | None = None,
    lower_order_final: LowerFinal = False,
) -> _Rows:
    clock, numbers = "linear", list(betas or ())
    if betas is None:
        nodes = _clock(path)
        if nodes is None or len(nodes[0]) < 2:
            raise ValueError("betas: must be given where the path has no clock, got None")
        finite = np.isfinite(nodes[0])
        pairs = np.stack([nodes[0][finite], nodes[1][finite]], 1)
        clock, numbers = "nodes", pairs.ravel().tolist()
    return _slopes(
        path,
        clock=clock,
        order=order,
        frame="noise",
        numbers=numbers,
        lower_order_final=lower_order_final,
    )


def _deis_edm(path: Path, *, order: int = 3) -> _Rows:
    """Make DEIS in the time that ComfyUI gives to sigmas: linear betas from 0.002 to 80."""
    least, most = np.log1p(0.002**2), np.log1p(80.0**2)
    beta_d = 2 * (least / 1e-3 - most) / (1e-3 - 1)
    return _deis_tab(path, order=order, betas=(float(most - beta_d / 2), float(beta_d)))


def _er_sde(
    path: Path,
    *,
    order: int = 3,
    noise_scale: str = "default",
    s_noise: float = 1.0,
    compat: str | None = None,
) -> _Rows:
    if order > 3:
        raise ValueError(f"order: must be in [1, 3] for er_sde, got {order}")
    published = compat == "published"
    return _Rows(path, _rows().er_sde(_given(path), order, noise_scale, published, s_noise))


def _v3(
    path: Path,
    *,
    statistics: ModelStatistics,
    order: int = 2,
    lower_order_final: LowerFinal = "auto",
) -> _Rows:
    tables = {
        name: vector_of(values, "statistics", double=True).tolist()
        for name, values in zip(ModelStatistics._fields, statistics, strict=True)
    }
    if len({len(table) for table in tables.values()}) > 1 or not len(tables["lam"]):
        lengths = [len(table) for table in tables.values()]
        raise ValueError(f"statistics: must have arrays of one length, got {lengths}")
    for table in tables.values():
        values = np.array(table)
        items(np.isfinite(values), values, "statistics", "is not finite")
    return _Rows(
        path,
        _rows().statistics(_given(path), order, _lower(lower_order_final), tables),
    )


@dataclass(frozen=True)
class Solver:
    """A solver: what makes its rows, and what it takes."""

    make: Callable[..., _Rows]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    #: How guidance ends its steps, for CFG++.
    guided: str | None = None

    @property
    def options(self) -> list[str]:
        """The names of its options."""
        keywords = list(inspect.signature(self.make).parameters)[1:]
        return [k for k in keywords if k not in self.fixed and k not in self.hidden]

    @property
    def required(self) -> list[str]:
        """Those that have no default."""
        parameters = inspect.signature(self.make).parameters
        free = [p for p in self.options if p not in self.defaults]
        return [p for p in free if parameters[p].default is inspect.Parameter.empty]


def _of(
    make: Callable[..., _Rows],
    fixed: Mapping[str, Any],
    hidden: Iterable[str] = (),
    guided: str | None = None,
    **defaults: Any,
) -> Solver:
    return Solver(make, fixed, defaults, frozenset(hidden), guided)


_NO_NOISE = ("eta", "s_noise", "ancestral")
_NOISY = ("warmup", "ancestral")
_NO_CHURN = ("s_churn", "s_tmin", "s_tmax")
#: Our own names.
SOLVERS: Final[dict[str, Solver]] = {
    "ddim": _of(_one_step, {"rule": "posterior"}, eta=0.0),
    "ddpm": _of(_one_step, {"rule": "posterior", "eta": 1.0}),
    "ddpm_large": _of(_one_step, {"rule": "forward", "eta": 1.0}),
    "euler": _of(_runge_kutta, {"method": "euler", "eta": 0.0, "frame": "noise"}),
    "flow_euler": _of(_one_step, {"rule": "posterior", "eta": 0.0, "s_noise": 1.0}),
    "euler_ancestral": _of(_one_step, {"rule": "ancestral"}, eta=1.0),
    "dpmpp_1s_sde": _of(_one_step, {"rule": "sde"}, eta=1.0),
    "cps": _of(_one_step, {"rule": "angle"}, eta=0.7),
    "consistency": _of(_one_step, {"rule": "variance", "eta": 1.0}),
    "renoise": _of(_one_step, {"rule": "variance"}, eta=0.5),
    "flow_sde": _of(_maruyama, {}),
    "heun": _of(_runge_kutta, {"method": "heun", "eta": 0.0}),
    "heunpp2": _of(_runge_kutta, {"method": "heunpp", "eta": 0.0}),
    "dpm_2": _of(_runge_kutta, {"method": "log_midpoint", "eta": 0.0}),
    "dpm_2_ancestral": _of(_runge_kutta, {"method": "log_midpoint"}, _NO_CHURN, eta=1.0),
    "midpoint": _of(_runge_kutta, {"method": "midpoint", "eta": 0.0}),
    "dpmpp_2m": _of(_multistep, {"order": 2}, (*_NO_NOISE, "compat"), solver_type="midpoint"),
    "dpmpp_3m": _of(_multistep, {"order": 3}, _NO_NOISE),
    "dpmpp_2m_sde": _of(
        _multistep, {"order": 2}, (*_NOISY, "compat"), eta=1.0, solver_type="midpoint"
    ),
    "dpmpp_2m_sde_heun": _of(
        _multistep, {"order": 2, "solver_type": "heun"}, (*_NOISY, "compat"), eta=1.0
    ),
    "dpmpp_3m_sde": _of(_multistep, {"order": 3}, _NOISY, eta=1.0),
    "exp_ab": _of(_multistep, {"solver_type": "heun"}, (*_NO_NOISE, "compat"), order=2),
    "res_2m": _of(_multistep, {"order": 2, "solver_type": "heun"}, (*_NO_NOISE, "compat")),
    "res_3m": _of(_multistep, {"order": 3, "solver_type": "heun"}, (*_NO_NOISE, "compat")),
    "res_multistep_ancestral": _of(
        _multistep,
        {"order": 2, "solver_type": "heun", "ancestral": True},
        ("warmup", "compat"),
        eta=1.0,
    ),
    "unipc": _of(_unipc, {}),
    "sa_solver": _of(_stochastic_adams, {"again": False}),
    "sa_solver_pece": _of(_stochastic_adams, {"again": True}),
    "dpmpp_2s": _of(_two_stages, {"solver_type": "phi_1"}, _NO_NOISE),
    "dpmpp_2s_ancestral": _of(_two_stages, {"solver_type": "phi_1", "ancestral": True}, eta=1.0),
    "dpmpp_sde": _of(_two_stages, {"solver_type": "phi_1"}, ("ancestral",), eta=1.0),
    "dpmpp_3s": _of(_stages, {"order": 3, "at": (1 / 3, 2 / 3)}, (*_NO_NOISE, "weights")),
    "seeds_2": _of(_two_stages, {}, ("ancestral",), eta=1.0),
    "seeds_3": _of(_stages, {"order": 3, "at": (1 / 3, 2 / 3)}, ("ancestral", "weights"), eta=1.0),
    "res_2s": _of(_two_stages, {"solver_type": "phi_2"}, _NO_NOISE),
    "exp_heun_2_x0": _of(_two_stages, {"r": 1.0}, _NO_NOISE, solver_type="phi_2"),
    "exp_heun_2_x0_sde": _of(_two_stages, {"r": 1.0}, ("ancestral",), solver_type="phi_2", eta=1.0),
    "dpm_fast": _of(_fast, {}),
    "deis": _of(_deis_edm, {}),
    "deis_tab": _of(_deis_tab, {}),
    "deis_rhoab": _of(_slopes, {"clock": "time", "frame": "noise"}, ("numbers",), order=3),
    "deis_logrho": _of(_slopes, {"clock": "lambda", "frame": "noise"}, ("numbers",), order=2),
    "lms": _of(_slopes, {"clock": "time"}, ("numbers",), order=4, lower_order_final="clean"),
    "ipndm": _of(_slopes, {"clock": "uniform"}, ("numbers",), order=4, lower_order_final="clean"),
    "ipndm_v": _of(_slopes, {"clock": "time"}, ("numbers",), order=4, lower_order_final="clean"),
    "gradient_estimation": _of(_gradient, {}),
    "er_sde": _of(_er_sde, {}),
    "dpm_v3": _of(_v3, {}),
    # CFG++, for denoisers with guidance.
    "euler_cfg_pp": _of(_one_step, {"rule": "posterior", "eta": 0.0, "s_noise": 1.0}, guided="end"),
    "euler_ancestral_cfg_pp": _of(_one_step, {"rule": "posterior"}, guided="end", eta=1.0),
    "dpmpp_2s_ancestral_cfg_pp": _of(
        _two_stages, {"solver_type": "phi_1", "ancestral": True}, guided="end", eta=1.0
    ),
    "dpmpp_2m_cfg_pp": _of(
        _multistep,
        {"order": 2, "solver_type": "midpoint"},
        (*_NO_NOISE, "warmup"),
        guided="midpoint",
        lower_order_final=False,
    ),
    "res_multistep_cfg_pp": _of(
        _multistep,
        {"order": 2, "solver_type": "heun"},
        (*_NO_NOISE, "warmup"),
        guided="before",
        lower_order_final=False,
    ),
    "res_multistep_ancestral_cfg_pp": _of(
        _multistep,
        {"order": 2, "solver_type": "heun", "ancestral": True},
        ("warmup",),
        guided="before",
        eta=1.0,
        lower_order_final=False,
    ),
    "gradient_estimation_cfg_pp": _of(_gradient, {}, guided="end"),
}
#: Other names: those of ComfyUI and of diffusers, with what they set.
ALIASES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "lcm": ("consistency", {}),
    "res_multistep": ("res_2m", {"lower_order_final": False}),
    "uni_pc": ("unipc", {"order": 3, "solver_type": "bh1"}),
    "uni_pc_bh2": ("unipc", {"order": 3}),
    "dpmpp_sde_gpu": ("dpmpp_sde", {}),
    "dpmpp_2m_sde_gpu": ("dpmpp_2m_sde", {}),
    "dpmpp_2m_sde_heun_gpu": ("dpmpp_2m_sde_heun", {}),
    "dpmpp_3m_sde_gpu": ("dpmpp_3m_sde", {}),
    "flow_heun": ("heun", {"frame": "flow"}),
    "flow_midpoint": ("midpoint", {"frame": "flow"}),
    "edm_heun": ("heun", {"frame": "noise"}),
    "edm_euler": ("euler", {}),
    "DDIMScheduler": ("ddim", {}),
    "DDPMScheduler": ("ddpm", {}),
    "DEISMultistepScheduler": ("deis_logrho", {"lower_order_final": "auto"}),
    "DPMSolverMultistepScheduler": ("dpmpp_2m", {}),
    "EDMDPMSolverMultistepScheduler": ("dpmpp_2m", {}),
    "CosineDPMSolverMultistepScheduler": ("dpmpp_2m_sde", {}),
    "EDMEulerScheduler": ("euler", {}),
    "EulerAncestralDiscreteScheduler": ("euler_ancestral", {}),
    "EulerDiscreteScheduler": ("euler", {}),
    "FlowMatchEulerDiscreteScheduler": ("flow_euler", {}),
    "FlowMatchHeunDiscreteScheduler": ("heun", {"frame": "flow"}),
    "FlowMatchLCMScheduler": ("consistency", {}),
    "HeunDiscreteScheduler": ("heun", {}),
    "KDPM2AncestralDiscreteScheduler": ("dpm_2_ancestral", {}),
    "KDPM2DiscreteScheduler": ("dpm_2", {}),
    "LCMScheduler": ("consistency", {}),
    "LMSDiscreteScheduler": ("lms", {"lower_order_final": False}),
    "DPMSolverSDEScheduler": ("dpmpp_sde", {}),
    "SASolverScheduler": (
        "sa_solver",
        {"order": 2, "corrector_order": 2, "solver_type": "bh1"},
    ),
    "UniPCMultistepScheduler": ("unipc", {"order": 2}),
}


def solver_names() -> list[str]:
    """Return every name that `plan` knows, ours first.

    Returns
    -------
    list of str
        The names.

    Examples
    --------
    >>> from sortes.diffusion import solver_names
    >>> {"ddim", "uni_pc_bh2", "UniPCMultistepScheduler"} <= set(solver_names())
    True
    """
    return [*SOLVERS, *ALIASES]


def made(name: str, path: Path, options: Mapping[str, Any]) -> tuple[str, _Rows]:
    """Return our name of a solver and its rows on a path, from checked options."""
    preset: dict[str, Any] = {}
    known = name
    if name in ALIASES:
        known, preset = ALIASES[name]
    solver = SOLVERS[known]
    taken = solver.options
    chosen = dict(solver.defaults)
    for option, value in {**preset, **options}.items():
        if option not in taken:
            has = ", ".join(taken) or "none"
            raise ValueError(f"{option}: must not be given for {name}, which has {has}")
        chosen[option] = _checked(option, value, known)
    for option in solver.required:
        if option not in chosen:
            raise ValueError(f"{option}: must be given for {name}")
    if solver.guided is None:
        return known, solver.make(path, **solver.fixed, **chosen)
    compat = chosen.pop("compat", None)
    rows = solver.make(path, **solver.fixed, **chosen)
    add_guidance(rows.path, rows.arrays, solver.guided, compat)
    return known, rows


_KINDS: Final[Mapping[str, Sequence[str]]] = {
    "_multistep": ("midpoint", "heun"),
    "_unipc": ("bh1", "bh2", "heun"),
    "_stochastic_adams": ("bh1", "heun"),
    "_two_stages": ("phi_1", "phi_2"),
}


def _checked(option: str, value: Any, known: str) -> Any:
    """Return the value of an option, of the right type and in its domain."""
    if option in ("eta", "s_noise", "s_churn", "s_tmin"):
        return NON_NEGATIVE.check(value, option)
    if option == "s_tmax":
        return _RATIO.check(value, option)
    if option == "gamma":
        return POSITIVE.check(value, option)
    if option == "r":
        return SHARE.check(value, option)
    if option == "order":
        return ORDER.check(value, option)
    if option == "corrector_order":
        return Domain("[0, 5]", integer=True).check(value, option)
    if option == "solver_type":
        return one_of(value, option, _KINDS[SOLVERS[known].make.__name__])
    if option == "lower_order_final":
        if isinstance(value, str):
            clean = ("clean",) if SOLVERS[known].make in (_slopes, _deis_tab) else ()
            return one_of(value, option, ("auto", *clean))
        return flag(value, option)
    if option == "corrector":
        return flag(value, option)
    if option == "disable_corrector":
        return integers_of(value, option, Domain("[0, 2**63)", integer=True)).tolist()
    if option == "statistics":
        if not isinstance(value, ModelStatistics):
            raise TypeError(f"statistics: must be a ModelStatistics, got {shown(value)}")
        return value
    if option == "betas":
        pair = several(value, "betas", "beta_min and beta_d")
        if len(pair) != 2:
            raise ValueError(f"betas: must hold beta_min and beta_d, got {len(pair)} numbers")
        return tuple(real(beta, "betas", POSITIVE) for beta in pair)
    if option == "compat":
        return value if value is None else one_of(value, option, ("published",))
    literals = {"warmup": Warmup, "frame": Frame, "noise_scale": NoiseScale}
    return one_of(value, option, get_args(literals[option]))
