"""What configurations of diffusers say: of a training, and of the levels that a run visits."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch

from sortes._arrays import vector_of
from sortes._check import FINITE, POSITIVE, Domain, flag, integer, one_of, real, shown
from sortes._optional import require
from sortes.diffusion.adapters import _training_of
from sortes.diffusion.denoisers import Denoiser, _linear
from sortes.diffusion.path import Level, Path, _training_clock
from sortes.diffusion.schedules import Name, schedule, shift_sigmas, sigmas_flow
from sortes.diffusion.solvers import solver_names
from sortes.diffusion.thresholds import _LIMIT, _RATIO, DynamicThreshold
from sortes.diffusion.timesteps import timesteps_spacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

diffusers: Any = require("diffusers", extra="diffusers")

_PREDICTIONS: Final = ("epsilon", "sample", "v_prediction", "flow_prediction", "edm")
_BETAS: Final = ("linear", "scaled_linear", "squaredcos_cap_v2")
_SPACINGS: Final = ("trailing", "leading", "linspace")
_SHARE: Final = Domain("(0, 1)")
_STEPS: Final = Domain("[1, 2**31)", integer=True)
_OFFSET: Final = Domain("[0, 2**31)", integer=True)
ENTRY: Final = Domain("[0, 2**31)", integer=True)
Share: TypeAlias = Annotated[float, _SHARE]
Steps: TypeAlias = Annotated[int, _STEPS]
Offset: TypeAlias = Annotated[int, _OFFSET]
#: An entry of the times, and what the network is fed there.
Entry: TypeAlias = Annotated[int, ENTRY]
Time: TypeAlias = Annotated[float, FINITE]
#: What schedulers of diffusers say in the words that we use, but for a few of other classes.
_TAKEN: Final = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"),
    *("rescale_betas_zero_snr", "prediction_type", "timestep_spacing", "steps_offset"),
    *("final_sigmas_type", "clip_sample", "clip_sample_range", "thresholding"),
    *("dynamic_thresholding_ratio", "sample_max_value", "use_dynamic_shifting"),
    *("time_shift_type", "shift_terminal", "base_shift", "max_shift", "base_image_seq_len"),
    "max_image_seq_len",
)
#: What is refused where it is set, since there is no counterpart, and what to do instead.
_REFUSED: Final = {
    "invert_sigmas": "",
    "stochastic_sampling": ', use solver="consistency"',
    "use_lu_lambdas": ', use schedule="exponential"',
    "euler_at_final": ", use solver_options",
}


class Asked(NamedTuple):
    """How a network is asked: it is given ``gain * x`` and ``t``.

    The data are ``keep * x + take * output``.
    """

    gain: float
    keep: float
    take: float
    t: float


@dataclass
class Training:
    """How a network was trained, and how its outputs are read."""

    config: Mapping[str, Any]
    kind: str
    alphas_cumprod: NDArray[np.float64] | None
    #: Whether the network returns twice the channels.
    is_learned: bool
    _denoiser: Denoiser
    #: At which size predictions are clipped, or how they are thresholded.
    most: float | None
    _threshold: DynamicThreshold | None

    @property
    def total(self) -> int:
        """The number of times."""
        return int(self.config["num_train_timesteps"])

    def asked(self, level: Level) -> Asked:
        """Return how the network is asked at a level, and how its output is read."""
        if self.kind == "ve":
            at = self._denoiser._at(level)
            return Asked(at.gain, at.keep, at.take, at.t)
        keep, take = _linear(self.config["prediction_type"], level.alpha, level.sigma)
        return Asked(1.0, keep, take, level.t)

    def clipped(self, d: torch.Tensor) -> torch.Tensor:
        """Return a prediction of the data as the configuration wants it clipped."""
        if self._threshold is not None:
            return self._threshold(d, Level(1.0, 0.0, 0.0))
        return d if self.most is None else d.clamp(-self.most, self.most)

    def at_times(self, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return alpha and sigma at times of the training, where they are."""
        if self.kind == "flow":
            sigma = times / self.total
            return 1 - sigma, sigma
        if self.kind == "ve":
            sigma = torch.exp(4 * times)
            return torch.ones_like(sigma), sigma
        table = self.alphas_cumprod
        assert table is not None
        lam = -_training_clock(table)[0][::-1]
        whole = [torch.from_numpy(np.sqrt(part)) for part in (table, 1 - table)]
        nodes, alpha, sigma = (
            part.to(times.device, torch.float32) for part in (torch.from_numpy(lam.copy()), *whole)
        )
        k = times.long().clamp(0, len(table) - 1)
        share = times - k
        # Between two times, the logarithm of the ratio is linear.
        later = (k + 1).clamp(max=len(table) - 1)
        ratio = torch.exp(nodes[k] + share * (nodes[later] - nodes[k]))
        between = torch.rsqrt(1 + ratio**2)
        return (
            torch.where(share == 0, alpha[k], between),
            torch.where(share == 0, sigma[k], ratio * between),
        )

    def path(self, n: Any, timesteps: Any, sigmas: Any, mu: Any) -> Path:
        """Return the levels that are asked for."""
        if n is not None:
            n = _count(n, self.total)
        if mu is not None:
            mu = real(mu, "mu", FINITE)
        if self.kind == "vp":
            return self._of_betas(n, timesteps, sigmas)
        if self.kind == "flow":
            return self._of_flow(n, timesteps, sigmas, mu)
        return self._of_edm(n, timesteps, sigmas)

    def _of_betas(self, n: int | None, timesteps: Any, sigmas: Any) -> Path:
        config, table = self.config, self.alphas_cumprod
        assert table is not None
        name = config["schedule"]
        ends = config["final_sigmas_type"]
        if n is not None and name is None:
            kind, offset = config["timestep_spacing"], config["steps_offset"]
            with _renamed(n="num_inference_steps", offset="steps_offset"):
                timesteps = timesteps_spacing(
                    n,
                    kind=kind,
                    num_timesteps=len(table),
                    offset=offset if kind == "leading" else 0,
                    convention=config["spacing_convention"],
                )
        if timesteps is not None:
            times = vector_of(timesteps, "timesteps", double=True)
            Domain(f"[0, {len(table) - 1}]").check_items(times, "timesteps")
            _decreasing(times, "timesteps", above=False)
            if (times == np.rint(times)).all():
                final: Literal["first", "clean"] = (
                    "first" if ends == "sigma_min" and times[-1] > 0 else "clean"
                )
                return self._signal(Path.at_timesteps(table, times.astype(np.int64), final=final))
            nodes = _training_clock(table)
            levels = np.exp(-np.interp(times, nodes[1][::-1], nodes[0][::-1]))
        elif sigmas is not None:
            levels = vector_of(sigmas, "sigmas", double=True)
            Domain("[0, inf]").check_items(levels, "sigmas")
        else:
            assert n is not None
            with _renamed(n="num_inference_steps"):
                levels = schedule(n, name=name, alphas_cumprod=table)
        levels = self._ended(levels, float(np.sqrt((1 - table[0]) / table[0])))
        return self._signal(Path.vp(levels, alphas_cumprod=table))

    def _signal(self, path: Path) -> Path:
        """Return a path, whose first level must leave something to the network."""
        if path.alpha[0] == 0 and self.config["prediction_type"] == "epsilon":
            raise ValueError(
                "prediction_type: must not be 'epsilon' where a run begins with pure noise, of "
                "which it says nothing; networks for that predict 'v_prediction' or 'sample'"
            )
        return path

    def _ended(self, levels: NDArray[np.float64], least: float) -> NDArray[np.float64]:
        """Return levels with the last one: clean data, or the level of time 0."""
        _decreasing(levels, "sigmas")
        if len(levels) and levels[-1] == 0:
            return levels
        ends = self.config["final_sigmas_type"] == "sigma_min" and levels[-1] > least
        return np.append(levels, least if ends else 0.0)

    def _of_flow(self, n: int | None, timesteps: Any, sigmas: Any, mu: Any) -> Path:
        config, total = self.config, float(self.total)
        if timesteps is not None:
            times = vector_of(timesteps, "timesteps", double=True)
            Domain(f"[0, {self.total}]").check_items(times, "timesteps")
            _decreasing(times, "timesteps")
            levels = times / total
            return Path.flow(self._ended(levels, 0.0), t_scale=total)
        even = sigmas_flow(n, num_timesteps=self.total)[:-1] if n is not None else None
        if sigmas is not None:
            even = vector_of(sigmas, "sigmas", double=True)
            Domain("[0, 1]").check_items(even, "sigmas")
            _decreasing(even, "sigmas")
        assert even is not None
        levels = self._shifted(even, mu)
        if n is not None and config["schedule"] not in (None, "normal"):
            # The smallest and the largest level, or the whole table in the place of a training.
            table = self._shifted(np.arange(1, self.total + 1) / total, mu)
            levels = _named(n, config["schedule"], table)
        return Path.flow(self._ended(levels, 0.0), t_scale=total)

    def _shifted(self, levels: NDArray[np.float64], mu: Any) -> NDArray[np.float64]:
        """Return levels of flows, shifted and stretched."""
        config = self.config
        if config["use_dynamic_shifting"]:
            if mu is None:
                raise ValueError("mu: must be given with use_dynamic_shifting, got None")
            if config["time_shift_type"] == "exponential":
                levels = np.asarray(shift_sigmas(levels, mu=mu))
            else:
                with _renamed(shift="mu"):
                    levels = np.asarray(shift_sigmas(levels, mu))
        else:
            levels = np.asarray(shift_sigmas(levels, config["shift"]))
        last = config["shift_terminal"]
        inside = levels < 1
        if last and inside[-1] and levels[-1] > 0:
            levels = 1 - (1 - levels) * ((1 - last) / (1 - levels[-1]))
        return levels

    def _of_edm(self, n: int | None, timesteps: Any, sigmas: Any) -> Path:
        config = self.config
        if timesteps is not None:
            times = vector_of(timesteps, "timesteps", double=True)
            FINITE.check_items(times, "timesteps")
            _decreasing(times, "timesteps", above=False)
            levels = np.exp(4 * times)
        elif sigmas is not None:
            levels = vector_of(sigmas, "sigmas", double=True)
            Domain("[0, inf)").check_items(levels, "sigmas")
        else:
            assert n is not None
            ends = {"sigma_max": config["sigma_max"]}
            name: Name = config["schedule"] or "karras"
            if name not in ("linear_quadratic", "bong_tangent"):
                ends["sigma_min"] = config["sigma_min"]
            with _renamed(alphas_cumprod="schedule", sigma_min="schedule", n="num_inference_steps"):
                levels = schedule(n, name=name, **ends)
        return Path.ve(self._ended(levels, config["sigma_min"]))


def _named(n: int, name: Name, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the levels of a schedule of ComfyUI for flows."""
    if name in ("karras", "exponential", "kl_optimal"):
        return schedule(n, name=name, sigma_min=table[0], sigma_max=table[-1])
    if name in ("linear_quadratic", "bong_tangent"):
        return schedule(n, name=name, sigma_max=table[-1])
    with _renamed(n="num_inference_steps"):
        # These take entries of a table of ratios, of which these squares of alpha are made.
        return schedule(n, name=name, alphas_cumprod=1 / (1 + table**2))


def training_of(config: Mapping[str, Any]) -> Training:
    """Return the training of a configuration of ours, which is checked."""
    one_of(config["solver"], "solver", solver_names())
    if config["schedule"] is not None:
        one_of(config["schedule"], "schedule", get_args(Name))
    prediction = one_of(config["prediction_type"], "prediction_type", _PREDICTIONS)
    one_of(config["beta_schedule"], "beta_schedule", _BETAS)
    one_of(config["timestep_spacing"], "timestep_spacing", _SPACINGS)
    one_of(config["spacing_convention"], "spacing_convention", ("euler", "dpm"))
    one_of(config["final_sigmas_type"], "final_sigmas_type", ("zero", "sigma_min"))
    one_of(config["time_shift_type"], "time_shift_type", ("exponential", "linear"))
    for name in ("clip_sample", "thresholding", "use_dynamic_shifting", "rescale_betas_zero_snr"):
        flag(config[name], name)
    total = _STEPS.check(config["num_train_timesteps"], "num_train_timesteps")
    _OFFSET.check(config["steps_offset"], "steps_offset")
    for name in ("base_image_seq_len", "max_image_seq_len"):
        _STEPS.check(config[name], name)
    for name in ("base_shift", "max_shift"):
        FINITE.check(config[name], name)
    for name in ("clip_sample_range", "shift", "sigma_min", "sigma_max", "sigma_data"):
        POSITIVE.check(config[name], name)
    for name in ("beta_start", "beta_end"):
        _SHARE.check(config[name], name)
    if config["shift_terminal"] is not None:
        _SHARE.check(config["shift_terminal"], "shift_terminal")
    if config["variance_type"] is not None:
        one_of(config["variance_type"], "variance_type", ("learned", "learned_range"))
    if config["trained_betas"] is not None:
        variances = vector_of(config["trained_betas"], "trained_betas", double=True)
        _SHARE.check_items(variances, "trained_betas")
        if len(variances) != total:
            raise ValueError(
                f"trained_betas: must have shape ({total},), that of num_train_timesteps, "
                f"got ({len(variances)},)"
            )
    _RATIO.check(config["dynamic_thresholding_ratio"], "dynamic_thresholding_ratio")
    _LIMIT.check(config["sample_max_value"], "sample_max_value")
    threshold = None
    if config["thresholding"]:
        threshold = DynamicThreshold(
            _same,
            ratio=config["dynamic_thresholding_ratio"],
            max_value=config["sample_max_value"],
        )
    trained = None
    kind = {"flow_prediction": "flow", "edm": "ve"}.get(prediction, "vp")
    options: dict[str, Any]
    if kind == "vp":
        trained = _training_of(dict(config, _class_name="SortesScheduler"))[2]
        options = {"alphas_cumprod": trained}
    elif kind == "flow":
        options = {"t_from": "sigma", "t_scale": float(total)}
    else:
        options = {"sigma_data": config["sigma_data"]}
    return Training(
        config,
        kind,
        trained,
        config["variance_type"] is not None,
        Denoiser(_same, prediction=prediction, **options),
        config["clip_sample_range"] if config["clip_sample"] else None,
        threshold,
    )


def translated(given: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of another scheduler in our words.

    A scheduler says its class, and so does a configuration that was read from a file. Others are
    told by their keys, among which may be those of classes that they were made of.
    """
    config: Mapping[str, Any] = getattr(given, "config", given)
    if not isinstance(config, Mapping):
        raise TypeError(f"config: must be a mapping or a scheduler, got {shown(given)}")
    if "spacing_convention" in config:
        return {key: value for key, value in config.items() if key != "_use_default_values"}
    own = getattr(diffusers, str(config.get("_class_name")), None)
    own = type(given) if config is not given else own
    if isinstance(own, type):
        keys = inspect.signature(own.__init__).parameters  # type: ignore[misc]
        config = {key: value for key, value in config.items() if key in keys}
    for key, instead in _REFUSED.items():
        if config.get(key):
            raise ValueError(f"config: {key} has no counterpart{instead}, got {shown(config[key])}")
    # The defaults of the other class are part of what it says.
    found = {key: config[key] for key in _TAKEN if key in config}
    is_edm = "sigma_data" in config and "beta_schedule" not in config
    if is_edm:
        if config.get("prediction_type", "epsilon") != "epsilon":
            raise ValueError(
                "config: prediction_type of EDM must be 'epsilon', "
                f"got {shown(config['prediction_type'])}"
            )
        found |= {key: config[key] for key in ("sigma_min", "sigma_max", "sigma_data")}
        found |= {"prediction_type": "edm", "schedule": config.get("sigma_schedule")}
    elif config.get("use_flow_sigmas") or ("shift" in config and "beta_schedule" not in config):
        found["prediction_type"] = "flow_prediction"
        found["shift"] = config.get("shift", config.get("flow_shift", 1.0))
    for name in ("karras", "exponential", "beta"):
        if config.get(f"use_{name}_sigmas"):
            found["schedule"] = name
    if not is_edm and ("solver_order" in config or "predictor_order" in config):
        found["spacing_convention"] = "dpm"
    scheduled = chosen.get("schedule") or found.get("schedule")
    ends = config.get("set_alpha_to_one") is False and "final_sigmas_type" not in config
    if ends or config.get("algorithm_type") == "deis":
        found["final_sigmas_type"] = "zero" if scheduled else "sigma_min"
    if str(config.get("variance_type")).startswith("learned"):
        found["variance_type"] = config["variance_type"]
    if found.get("thresholding"):
        found["clip_sample"] = False
    return found


def _same(x: Any, *_: Any) -> Any:
    return x


def _count(n: Any, total: int) -> int:
    found = integer(n, "num_inference_steps")
    if not 1 <= found <= total:
        raise ValueError(
            f"num_inference_steps: must be in [1, {total}], the times of the training, got {found}"
        )
    return found


def _decreasing(levels: NDArray[np.float64], name: str, *, above: bool = True) -> None:
    """Refuse levels of which one is not below that before."""
    if not len(levels):
        raise ValueError(f"{name}: must hold at least one level, got 0")
    if levels[0] == 0 and above:
        raise ValueError(f"{name}: must begin above 0, got {levels[0]}")
    if (rises := np.flatnonzero(~(np.diff(levels) < 0))).size:
        at = int(rises[0]) + 1
        raise ValueError(
            f"{name}: item {at} must be below the one before, {levels[at - 1]}, got {levels[at]}"
        )


@contextmanager
def _renamed(**names: str) -> Iterator[None]:
    """Let errors say the names that arguments have here."""
    try:
        yield
    except ValueError as error:
        name, colon, rest = str(error).partition(": ")
        if not colon or name not in names:
            raise
        raise ValueError(f"{names[name]}: {rest}") from None
