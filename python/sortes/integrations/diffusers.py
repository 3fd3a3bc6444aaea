"""A scheduler for the pipelines of diffusers: every solver of `sortes.diffusion`, on any levels."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from sortes._check import FINITE, Finite, Positive, flag, shown
from sortes._device import check_real
from sortes._optional import require
from sortes.diffusion.loop import _Run, check_state
from sortes.diffusion.path import Level, Path
from sortes.diffusion.plans import Plan, plan
from sortes.diffusion.solvers import ModelStatistics
from sortes.diffusion.thresholds import Limit, Ratio
from sortes.integrations._diffusers_levels import (
    ENTRY,
    Entry,
    Offset,
    Share,
    Steps,
    Time,
    Training,
    training_of,
    translated,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SortesScheduler", "SortesSchedulerOutput"]

_schedulers: Any = require("diffusers.schedulers.scheduling_utils", extra="diffusers")
_configuration: Any = require("diffusers.configuration_utils", extra="diffusers")
_randn_tensor: Any = require("diffusers.utils.torch_utils", extra="diffusers").randn_tensor
_BaseOutput: Any = require("diffusers.utils", extra="diffusers").BaseOutput
_SchedulerMixin: Any = _schedulers.SchedulerMixin
_ConfigMixin: Any = _configuration.ConfigMixin

#: The steps of a run that has not begun.
_NOT_SET: Final = "num_inference_steps: is not known, call set_timesteps before"


@dataclass(frozen=True, eq=False)
class SortesSchedulerOutput(_BaseOutput):  # type: ignore[misc]
    """What a step returns.

    Attributes
    ----------
    prev_sample : Tensor
        The next argument of the network.
    pred_original_sample : Tensor
        The prediction of the data.
    """

    prev_sample: torch.Tensor
    pred_original_sample: torch.Tensor | None = None


class SortesScheduler(_SchedulerMixin, _ConfigMixin):  # type: ignore[misc]
    r"""A scheduler of diffusers that executes the plans of `sortes.diffusion`.

    ``pipe.scheduler = SortesScheduler.from_config(pipe.scheduler.config, solver="unipc")`` is all
    that a pipeline needs. What the configuration says of the training, of what the network
    predicts, of clipping, spacing and shifting is taken over.

    Parameters
    ----------
    solver : str, default "unipc"
        A name of `sortes.diffusion.solver_names`, but for CFG++.
    solver_options : mapping, optional
        The options of the solver, as `sortes.diffusion.plan` takes them. ``statistics`` may be a
        mapping of lists, which can be saved.
    schedule : str, optional
        Which levels are visited: a name of `sortes.diffusion.schedule`. Without it,
        `timestep_spacing` says so, or for flows even levels that are shifted.
    num_train_timesteps : int, default 1000
        The number of times of the training.
    beta_start, beta_end : float
        The first and the last variance of the training.
    beta_schedule : {"linear", "scaled_linear", "squaredcos_cap_v2"}
        How the variances grow.
    trained_betas : array_like, shape (num_train_timesteps,), optional
        The variances themselves.
    rescale_betas_zero_snr : bool, default False
        Whether the last time is rescaled to pure noise.
    prediction_type : str, default "epsilon"
        What the network predicts: ``"epsilon"``, ``"sample"``, ``"v_prediction"``;
        ``"flow_prediction"`` for rectified flows, or ``"edm"`` for the raw network of EDM.
    variance_type : str, optional
        ``"learned"`` or ``"learned_range"`` where the network returns twice the channels, of which
        the second half is left.
    timestep_spacing : {"trailing", "leading", "linspace"}
        How the times are spaced without a schedule.
    spacing_convention : {"euler", "dpm"}
        How they are counted, see `sortes.diffusion.timesteps_spacing`.
    steps_offset : int, default 0
        What ``"leading"`` adds to each.
    final_sigmas_type : {"zero", "sigma_min"}
        Whether the last step goes to clean data or to the level of time 0.
    clip_sample : bool, default False
        Whether predictions of the data are clipped.
    clip_sample_range : float, default 1.0
        At which size.
    thresholding : bool, default False
        Whether they are thresholded dynamically, see `sortes.diffusion.DynamicThreshold`.
    dynamic_thresholding_ratio : float, default 0.995
        Which quantile.
    sample_max_value : float, default 1.0
        What the threshold is at most.
    shift : float, default 1.0
        How far the levels of flows are shifted.
    use_dynamic_shifting : bool, default False
        Whether the pipeline tells the shift, by `mu`.
    time_shift_type : {"exponential", "linear"}
        Whether `mu` is the logarithm of the shift or the shift itself.
    shift_terminal : float, optional
        To what the last level but clean data is stretched.
    base_shift, max_shift, base_image_seq_len, max_image_seq_len : float
        From what pipelines compute `mu`.
    sigma_min, sigma_max, sigma_data : float
        The levels of EDM, and the standard deviation of its data.

    Raises
    ------
    ValueError
        If an argument is out of its domain.
    TypeError
        If an argument has the wrong type.

    See Also
    --------
    sortes.diffusion.sample : The same, as a function.

    Notes
    -----
    One call of `step` is one evaluation: solvers of several evaluations have more entries in
    `timesteps`, as the Heun scheduler of diffusers has them, and `order` says how many a step has.
    The state is held in float32 between steps, if the pipeline hands back what it was given.
    Nothing waits for the device but the first step of a run whose pipeline does not call
    `set_begin_index`, which looks its time up.

    Noise comes from `generator`, as in diffusers. With a list, one for each image, an image of a
    batch is the one made alone.

    Examples
    --------
    >>> import torch
    >>> from sortes.integrations.diffusers import SortesScheduler
    >>> scheduler = SortesScheduler("dpmpp_2m", beta_schedule="scaled_linear")
    >>> scheduler.set_timesteps(4)
    >>> scheduler.timesteps
    tensor([999, 749, 499, 249])
    >>> x = torch.ones(1, 1, 2, 2)
    >>> for t in scheduler.timesteps:
    ...     x = scheduler.step(0.5 * x, t, x).prev_sample
    >>> x.shape
    torch.Size([1, 1, 2, 2])
    """

    _compatibles: Final[list[str]] = []
    #: What is asked of the network, where steps begin, and what it is fed.
    _plan: Plan | None
    _starts: NDArray[np.int64]
    _times: list[float]
    # The run.
    _step_index: int | None
    _begin_index: int | None
    _steps: Generator[torch.Tensor, tuple[Any, Any], None] | None
    _noise: tuple[Any, Any]
    _state_like: torch.Tensor
    _returned: _Returned | None

    @_configuration.register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        solver: str = "unipc",
        solver_options: Mapping[str, Any] | None = None,
        schedule: str | None = None,
        *,
        num_train_timesteps: Steps = 1000,
        beta_start: Share = 0.0001,
        beta_end: Share = 0.02,
        beta_schedule: str = "linear",
        trained_betas: ArrayLike | None = None,
        rescale_betas_zero_snr: bool = False,
        prediction_type: str = "epsilon",
        variance_type: str | None = None,
        timestep_spacing: str = "trailing",
        spacing_convention: str = "euler",
        steps_offset: Offset = 0,
        final_sigmas_type: str = "zero",
        clip_sample: bool = False,
        clip_sample_range: Positive = 1.0,
        thresholding: bool = False,
        dynamic_thresholding_ratio: Ratio = 0.995,
        sample_max_value: Limit = 1.0,
        shift: Positive = 1.0,
        use_dynamic_shifting: bool = False,
        time_shift_type: str = "exponential",
        shift_terminal: Share | None = None,
        base_shift: Finite = 0.5,
        max_shift: Finite = 1.15,
        base_image_seq_len: Steps = 256,
        max_image_seq_len: Steps = 4096,
        sigma_min: Positive = 0.002,
        sigma_max: Positive = 80.0,
        sigma_data: Positive = 0.5,
    ) -> None:
        self._training: Training = training_of(self.config)
        self._options = _options(solver, solver_options)
        self.num_inference_steps: int | None = None
        table = self._training.alphas_cumprod
        if table is not None:
            self.alphas_cumprod = torch.from_numpy(table).float()
        self._plan = None
        self._forget()
        times = np.arange(num_train_timesteps)[::-1]
        self.timesteps = torch.from_numpy(times.copy())
        self.sigmas = torch.empty(0)

    @classmethod
    def from_config(
        cls, config: Any, return_unused_kwargs: bool = False, **kwargs: Any
    ) -> SortesScheduler | tuple[SortesScheduler, dict[str, Any]]:
        """Make one from the configuration of any scheduler of diffusers.

        Parameters
        ----------
        config : mapping or scheduler
            The configuration: ``pipe.scheduler.config``, or ``pipe.scheduler`` itself, whose class
            leaves no doubt where a configuration holds keys of others that it was made of.
        return_unused_kwargs : bool, default False
            Whether to return what was not used as well.
        **kwargs
            What is set in its place: ``solver=``, ``schedule=`` and so on.

        Returns
        -------
        SortesScheduler, or tuple of it and a dict
            The scheduler.

        Raises
        ------
        ValueError
            If the configuration asks for what there is no counterpart to.
        TypeError
            If it is no mapping.

        Notes
        -----
        Defaults of the other class are kept too, which diffusers replaces by those of the new one.

        Examples
        --------
        >>> from diffusers import DDIMScheduler
        >>> from sortes.integrations.diffusers import SortesScheduler
        >>> theirs = DDIMScheduler(timestep_spacing="leading")
        >>> ours = SortesScheduler.from_config(theirs.config, solver="dpmpp_2m")
        >>> ours.config.timestep_spacing
        'leading'
        """
        flag(return_unused_kwargs, "return_unused_kwargs")
        unknown = sorted(kwargs.keys() - cls._get_init_keys(cls))
        if unknown and not return_unused_kwargs:
            raise TypeError(f"{unknown[0]}: is no argument of SortesScheduler")
        found: SortesScheduler | tuple[SortesScheduler, dict[str, Any]] = super().from_config(
            translated(config, kwargs), return_unused_kwargs, **kwargs
        )
        return found

    @property
    def order(self) -> int:
        """How many entries of `timesteps` make a step."""
        if self._plan is None or self._plan.n_steps != self.num_inference_steps:
            return 1
        lengths = np.diff(self._starts)
        if not len(lengths):
            return len(self._times)
        return int(np.bincount(lengths).argmax())

    @property
    def init_noise_sigma(self) -> float:
        """What a pipeline multiplies its first noise by."""
        if self._training.kind != "ve":
            return 1.0
        first = self.config.sigma_max if self._plan is None else self._plan.path.sigma[0]
        return float(np.hypot(first, 1.0))

    @property
    def step_index(self) -> int | None:
        """How many entries of `timesteps` are done, if a run has begun."""
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """At which entry the pipeline begins, if it said so."""
        return self._begin_index

    def set_begin_index(self, begin_index: Entry = 0) -> None:
        """Say at which entry of `timesteps` the run begins, as image-to-image pipelines do.

        Parameters
        ----------
        begin_index : int, default 0
            The entry, with which a step begins.

        Raises
        ------
        ValueError
            If no step begins there.
        TypeError
            If it is no integer.

        Examples
        --------
        >>> from sortes.integrations.diffusers import SortesScheduler
        >>> scheduler = SortesScheduler("heun")
        >>> scheduler.set_timesteps(4)
        >>> scheduler.set_begin_index(2)  # the second step
        >>> scheduler.timesteps[2:]
        tensor([749, 499, 499, 249, 249])
        """
        index = ENTRY.check(begin_index, "begin_index")
        if self._plan is not None and index not in self._starts:
            raise ValueError(f"begin_index: must begin a step, got {index}")
        self._begin_index = index

    def set_timesteps(
        self,
        num_inference_steps: Steps | None = None,
        device: str | torch.device | None = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: Finite | None = None,
    ) -> None:
        r"""Choose the levels of the next run.

        Parameters
        ----------
        num_inference_steps : int, optional
            The number of steps. Either it or `timesteps` or `sigmas` must be given.
        device : str or torch.device, optional
            Where `timesteps` will be.
        timesteps : sequence of float, optional
            The times at which the network is asked, decreasing.
        sigmas : sequence of float, optional
            The levels, decreasing: ratios of noise to signal; for flows the share of the noise,
            before it is shifted. After a last one above 0 the run goes to clean data.
        mu : float, optional
            The shift that the pipeline computes. Used with ``use_dynamic_shifting`` alone, since
            pipelines always give it.

        Raises
        ------
        ValueError
            If not exactly one of the three is given, there are more steps than times of the
            training, or levels do not decrease.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> from sortes.integrations.diffusers import SortesScheduler
        >>> scheduler = SortesScheduler("dpmpp_2m", prediction_type="flow_prediction")
        >>> scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.25])
        >>> scheduler.timesteps, scheduler.sigmas
        (tensor([1000.,  750.,  250.]), tensor([1.0000, 0.7500, 0.2500, 0.0000]))
        """
        if device is not None and not isinstance(device, str | torch.device):
            raise TypeError(f"device: must be a device of torch or its name, got {shown(device)}")
        given = {
            "num_inference_steps": num_inference_steps,
            "timesteps": timesteps,
            "sigmas": sigmas,
        }
        names = [name for name, value in given.items() if value is not None]
        if len(names) != 1:
            got = " and ".join(names) or "none"
            raise ValueError(
                f"{names[-1] if names else 'num_inference_steps'}: exactly one of "
                f"num_inference_steps, timesteps and sigmas must be given, got {got}"
            )
        path, wanted = self._training.path(num_inference_steps, timesteps, sigmas, mu)
        made = plan(self.config.solver, path, **self._options)
        if made.guided:
            raise ValueError(
                "solver: must not be CFG++, whose second prediction a pipeline does not hand on, "
                f"got {self.config.solver!r}"
            )
        first = made.row(0)
        if first.c != 1 or first.draws:
            raise ValueError(
                "solver_options: s_churn must leave the first step alone (s_tmax), since the "
                f"network is asked before it could act, got {self._options['s_churn']}"
            )
        self._plan = made
        self.num_inference_steps = wanted
        self._starts = np.flatnonzero(made._arrays["step"] >= 0)
        self._times = [self._training.time(level) for level in made.levels]
        whole = self._training.kind == "vp" and all(t.is_integer() for t in self._times)
        times = torch.tensor(self._times, dtype=torch.int64 if whole else torch.float32)
        self.timesteps = times if device is None else times.to(device)
        levels = path.sigma if path.kind == "flow" else path.ratio
        self.sigmas = torch.tensor(levels, dtype=torch.float32)
        self._forget()

    def scale_model_input(
        self, sample: torch.Tensor, timestep: Time | torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return what the network is given: for EDM scaled to a variance of one, else the sample.

        Parameters
        ----------
        sample : Tensor
            The states.
        timestep : float or Tensor, optional
            The entry of `timesteps`.

        Returns
        -------
        Tensor
            The states, scaled.

        Raises
        ------
        ValueError
            If the time is not the next entry.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import torch
        >>> from sortes.integrations.diffusers import SortesScheduler
        >>> scheduler = SortesScheduler(prediction_type="edm", sigma_data=0.6)
        >>> scheduler.set_timesteps(sigmas=[0.8, 0.1])
        >>> scheduler.scale_model_input(torch.ones(1, 2), scheduler.timesteps[0])
        tensor([[1., 1.]])
        """
        check_state(sample, torch, "sample")
        if timestep is not None:
            _check_time(timestep)
        if self._training.kind != "ve":
            return sample
        gain = self._training.asked(self._level(self._index(timestep))).gain
        scaled: torch.Tensor = sample * gain
        return scaled

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Time | torch.Tensor,
        sample: torch.Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        variance_noise: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> SortesSchedulerOutput | tuple[torch.Tensor, torch.Tensor]:
        """Take an output of the network, and return the next argument.

        Parameters
        ----------
        model_output : Tensor, shape (B, ...)
            What the network returned.
        timestep : float or Tensor
            The entry of `timesteps`.
        sample : Tensor, shape (B, ...)
            The states that it was given, before `scale_model_input`.
        generator : Generator or list of Generator, optional
            Where noise comes from: one, or one for each image.
        variance_noise : Tensor, shape (B, ...), optional
            The noise itself. Steps that draw none do not use it.
        return_dict : bool, default True
            Whether to return an output with names, or a tuple.

        Returns
        -------
        SortesSchedulerOutput or tuple of two Tensor
            The next argument or, after the last entry, the result; and the prediction of the data.

        Raises
        ------
        ValueError
            If the time is not the next entry, or shapes differ.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import torch
        >>> from sortes.integrations.diffusers import SortesScheduler
        >>> scheduler = SortesScheduler("ddim", prediction_type="flow_prediction")
        >>> scheduler.set_timesteps(sigmas=[1.0, 0.5])
        >>> x = torch.tensor([[2.0]])
        >>> scheduler.step(0.5 * x, 1000.0, x).prev_sample
        tensor([[1.5000]])
        """
        if self._plan is None:
            raise ValueError(_NOT_SET)
        check_state(sample, torch, "sample")
        check_state(model_output, torch, "model_output")
        _check_time(timestep)
        output = self._mean(model_output, sample)
        _check_noise(generator, variance_noise, sample)
        flag(return_dict, "return_dict")
        with torch.no_grad():
            y = self._held(sample)
            index = self._index(timestep)
            if self._steps is None:
                self._begin(index, y)
            assert self._steps is not None
            self._noise = (generator, variance_noise)
            at = self._training.asked(self._level(index))
            d = at.take * output.to(y.dtype)
            d = self._training.clipped(d if at.keep == 0 else d + at.keep * y)
            following = self._steps.send((d, y))
            self._step_index = index + 1
            if self._step_index == len(self._times):
                self._steps = None
            found = following.to(sample.dtype)
            self._returned = _Returned.of(found, following)
        if not return_dict:
            return found, d.to(sample.dtype)
        return SortesSchedulerOutput(found, d.to(sample.dtype))

    def add_noise(
        self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        r"""Return noisy states: alpha times the data, and sigma times the noise.

        Parameters
        ----------
        original_samples : Tensor, shape (B, ...)
            The data.
        noise : Tensor, shape (B, ...)
            Standard normal noise.
        timesteps : Tensor, shape (B,) or (1,)
            The times of the training, one for each or for all. Once `set_begin_index` was called,
            the level is that at which the run is, whatever the times.

        Returns
        -------
        Tensor, shape (B, ...)
            The states.

        Raises
        ------
        ValueError
            If shapes differ.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import torch
        >>> from sortes.integrations.diffusers import SortesScheduler
        >>> scheduler = SortesScheduler(prediction_type="flow_prediction")
        >>> x, noise = torch.zeros(1, 2), torch.ones(1, 2)
        >>> scheduler.add_noise(x, noise, torch.tensor([250]))
        tensor([[0.2500, 0.2500]])
        """
        return self._noisy(original_samples, noise, timesteps, ("original_samples", "timesteps"))

    def scale_noise(
        self, sample: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Return noisy states, in the order of arguments of flow-matching schedulers.

        Parameters
        ----------
        sample : Tensor, shape (B, ...)
            The data.
        timestep : Tensor, shape (B,) or (1,)
            The times.
        noise : Tensor, shape (B, ...)
            Standard normal noise.

        Returns
        -------
        Tensor, shape (B, ...)
            The states.

        Raises
        ------
        ValueError, TypeError
            As `add_noise`.

        Examples
        --------
        >>> import torch
        >>> from sortes.integrations.diffusers import SortesScheduler
        >>> scheduler = SortesScheduler(prediction_type="flow_prediction")
        >>> x, noise = torch.zeros(1, 2), torch.ones(1, 2)
        >>> scheduler.scale_noise(x, torch.tensor([250]), noise)
        tensor([[0.2500, 0.2500]])
        """
        return self._noisy(sample, noise, timestep, ("sample", "timestep"))

    def __len__(self) -> int:
        """Return the number of times of the training."""
        return int(self.config.num_train_timesteps)

    def _forget(self) -> None:
        """Forget the run."""
        self._step_index = self._begin_index = None
        self._steps = self._returned = None
        self._noise = (None, None)

    def _noisy(self, x: Any, noise: Any, times: Any, names: tuple[str, str]) -> torch.Tensor:
        """Return noisy states at times, or at the level at which the run is."""
        check_state(x, torch, names[0])
        check_state(noise, torch, "noise")
        if noise.shape[1:] != x.shape[1:]:
            raise ValueError(f"noise: must have shape {tuple(x.shape)}, got {tuple(noise.shape)}")
        if not isinstance(times, torch.Tensor):
            raise TypeError(f"{names[1]}: must be a tensor, got {shown(times)}")
        check_real(times, names[1])
        if times.ndim > 1 or (times.ndim and len(times) not in (1, len(x), len(noise))):
            raise ValueError(
                f"{names[1]}: must have shape (1,) or ({len(x)},), got {tuple(times.shape)}"
            )
        if self._begin_index is not None and self._plan is not None:
            at = self._begin_index if self._step_index is None else self._step_index
            level = self._level(at)
            found: torch.Tensor = level.alpha * x + level.sigma * noise
            return found
        alpha, sigma = self._training.at_times(times.reshape(-1, *(1,) * (x.ndim - 1)).to(x.device))
        made: torch.Tensor = alpha.to(x.dtype) * x + sigma.to(x.dtype) * noise
        return made

    def _level(self, index: int) -> Level:
        if self._plan is None:
            raise ValueError(_NOT_SET)
        levels = self._plan.levels
        return levels[index] if index < len(levels) else self._plan.path[-1]

    def _index(self, timestep: Any) -> int:
        """Return the entry that comes next, which the time must be where the host knows it."""
        if self._plan is None:
            raise ValueError(_NOT_SET)
        running = self._steps is not None and self._step_index is not None
        asked = _on_host(timestep, wait=not running and self._begin_index is None)
        if running:
            index = self._step_index
            assert index is not None
        elif self._begin_index is not None or asked is None:
            index = self._begin_index or 0
        else:
            index = self._found(asked)
        if asked is not None and not _equal(asked, self._times[index]):
            raise ValueError(
                f"timestep: must be {self._times[index]}, entry {index} of timesteps, got {asked}"
            )
        return index

    def _found(self, asked: float) -> int:
        """Return the entry of a time with which a step begins."""
        starts: list[int] = self._starts.tolist()
        nearest = min(starts, key=lambda start: abs(asked - self._times[start]))
        if not _equal(asked, self._times[nearest]):
            raise ValueError(
                f"timestep: must be one of timesteps with which a step begins, got {asked}"
            )
        return nearest

    def _begin(self, index: int, y: torch.Tensor) -> None:
        """Begin a run at an entry, with the plan of what is left."""
        whole = self._plan
        assert whole is not None
        rest = whole
        if index:
            step = int(np.searchsorted(self._starts, index))
            if whole.n_steps != self.num_inference_steps:
                raise ValueError(
                    f"begin_index: must be 0 for {whole.solver}, which chooses its own levels, "
                    f"got {index}"
                )
            options = dict(self._options)
            if "disable_corrector" in options:
                left = np.asarray(options["disable_corrector"]) - step
                options["disable_corrector"] = left[left >= 0].tolist()
            rest = plan(self.config.solver, _rest(whole.path, step), **options)
            if rest.levels != whole.levels[index:]:
                raise ValueError(
                    "begin_index: must be 0 for a solver whose first steps are made otherwise, "
                    f"got {index}"
                )
        run = _Run(None, rest, y, self._draw, torch, callback=None, keeps=False)
        self._steps = run.evaluations()
        next(self._steps)

    def _draw(self, number: int) -> torch.Tensor:
        """Return the noise of the step that is being made."""
        generator, given = self._noise
        state = self._state_like
        drawn: torch.Tensor = (
            given.to(state)
            if given is not None
            else _randn_tensor(
                state.shape, generator=generator, device=state.device, dtype=state.dtype
            )
        )
        return drawn

    def _held(self, sample: torch.Tensor) -> torch.Tensor:
        """Return the state in the precision in which it is held."""
        half = sample.dtype.itemsize < 4
        y = sample.float() if half else sample
        if self._steps is not None:
            before = self._state_like
            if (y.shape, y.dtype, y.device) != (before.shape, before.dtype, before.device):
                raise ValueError(
                    f"sample: must be as in the step before, {tuple(before.shape)} of "
                    f"{before.dtype} on {before.device}, got {tuple(y.shape)} of {y.dtype} "
                    f"on {y.device}"
                )
        if half and self._returned is not None and self._returned.is_still(sample):
            y = self._returned.state
        self._state_like = y
        return y

    def _mean(self, output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Return the prediction of the mean in what a network returned."""
        learned = str(self.config.variance_type).startswith("learned")
        if learned and output.ndim > 1 and output.shape[1] == 2 * sample.shape[1]:
            output = output[:, : sample.shape[1]]
        if output.shape != sample.shape:
            raise ValueError(
                f"model_output: must have shape {tuple(sample.shape)}, got {tuple(output.shape)}"
            )
        if output.device != sample.device:
            raise ValueError(f"model_output: must be on {sample.device}, got {output.device}")
        return output


@dataclass
class _Returned:
    """What the last step returned, and the state of which it is the rounding."""

    sample: torch.Tensor
    state: torch.Tensor
    version: int

    @classmethod
    def of(cls, sample: torch.Tensor, state: torch.Tensor) -> _Returned | None:
        if sample.is_inference():  # whose changes cannot be seen
            return None
        return cls(sample, state, sample._version)

    def is_still(self, sample: torch.Tensor) -> bool:
        """Whether it is that tensor, unchanged."""
        return sample is self.sample and sample._version == self.version


def _options(solver: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"solver_options: must be a mapping, got {shown(given)}")
    options = dict(given or {})
    if isinstance(options.get("statistics"), Mapping):
        tables = options["statistics"]
        options["statistics"] = ModelStatistics(*(tables[name] for name in ModelStatistics._fields))
    return options


def _check_noise(generator: Any, given: Any, sample: torch.Tensor) -> None:
    """Refuse what no noise can come from."""
    if given is not None:
        check_state(given, torch, "variance_noise")
        if given.shape != sample.shape:
            raise ValueError(
                f"variance_noise: must have shape {tuple(sample.shape)}, got {tuple(given.shape)}"
            )
    each = generator if isinstance(generator, list) else [generator]
    for one in each:
        if one is not None and not isinstance(one, torch.Generator):
            raise TypeError(f"generator: must be a Generator or a list of them, got {shown(one)}")
    if isinstance(generator, list) and len(generator) not in (1, len(sample)):
        raise ValueError(
            f"generator: must hold one for each of {len(sample)} images, got {len(generator)}"
        )


def _check_time(timestep: Any) -> None:
    """Refuse what is no time."""
    if isinstance(timestep, torch.Tensor):
        check_real(timestep, "timestep")
        if timestep.ndim > 1 or not timestep.numel():
            raise ValueError(f"timestep: must have shape (), got {tuple(timestep.shape)}")
    else:
        FINITE.check(timestep, "timestep")


def _on_host(timestep: Any, *, wait: bool) -> float | None:
    """Return a time that the host knows, or may wait for."""
    if timestep is None or (
        isinstance(timestep, torch.Tensor) and not timestep.is_cpu and not wait
    ):
        return None
    return float(timestep.reshape(-1)[0] if isinstance(timestep, torch.Tensor) else timestep)


def _equal(asked: float, time: float) -> bool:
    """Whether a time is that of an entry, up to the rounding of float32."""
    return abs(asked - time) <= 1e-5 * max(abs(time), 1.0)


def _rest(path: Path, step: int) -> Path:
    """Return what is left of a path."""
    rest = Path(path.alpha[step:], path.sigma[step:], path.t[step:], kind=path.kind)
    rest._clock = path._clock
    return rest
