"""A scheduler for the pipelines of diffusers: every solver of `sortes.diffusion`, on any levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from sortes._check import Finite, Positive, flag, shown
from sortes._device import check_real, memory_errors
from sortes._optional import require
from sortes.diffusion.loop import check_state
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
from sortes.integrations._diffusers_run import Runner, check_noise, check_time

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["SortesScheduler", "SortesSchedulerOutput"]

_schedulers: Any = require("diffusers.schedulers.scheduling_utils", extra="diffusers")
_configuration: Any = require("diffusers.configuration_utils", extra="diffusers")
_BaseOutput: Any = require("diffusers.utils", extra="diffusers").BaseOutput
# Under its own name: by it, pipelines that were saved know how to load what is defined here.
SchedulerMixin: Any = _schedulers.SchedulerMixin
_ConfigMixin: Any = _configuration.ConfigMixin


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


class SortesScheduler(SchedulerMixin, _ConfigMixin):  # type: ignore[misc]
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
    _run: Runner | None

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
        _options(solver_options)
        self._asked: tuple[Any, ...] | None = None
        self._levels = (torch.empty(0), torch.empty(0))
        self.num_inference_steps: int | None = None
        table = self._training.alphas_cumprod
        if table is not None:
            self.alphas_cumprod = torch.from_numpy(table).float()
        self._run = None
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
        return 1 if self._run is None else self._run.order

    @property
    def init_noise_sigma(self) -> float:
        """What a pipeline multiplies its first noise by."""
        if self._training.kind != "ve":
            return 1.0
        first = self.config.sigma_max if self._run is None else self._run.path.sigma[0]
        return float(np.hypot(first, 1.0))

    @property
    def step_index(self) -> int | None:
        """How many entries of `timesteps` are done, if a run has begun."""
        return None if self._run is None else self._run.step_index

    @property
    def begin_index(self) -> int | None:
        """At which entry the pipeline begins, if it said so."""
        return None if self._run is None else self._run.begin_index

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
        run = self._running()
        if index not in run.starts:
            raise ValueError(f"begin_index: must begin a step, got {index}")
        run.begin_index = index

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
        # Pipelines ask for the same levels time and again, and some change the configuration.
        if self.config is not self._training.config:
            self._training, self._asked = training_of(self.config), None
        own = num_inference_steps is not None
        asked = (num_inference_steps, mu, str(device)) if own else None
        if own and asked == self._asked and self._run is not None:
            self._run.restart()
            self.timesteps, self.sigmas = self._levels
            return
        path = self._training.path(num_inference_steps, timesteps, sigmas, mu)
        options = _options(self.config.solver_options)
        self._run = run = Runner(self._training, path, self.config.solver, options)
        self.num_inference_steps = path.n_steps
        whole = self._training.kind == "vp" and all(t.is_integer() for t in run.times)
        times = torch.tensor(run.times, dtype=torch.int64 if whole else torch.float32)
        self.timesteps = times if device is None else times.to(device)
        levels = path.sigma if path.kind == "flow" else path.ratio
        self.sigmas = torch.tensor(levels, dtype=torch.float32)
        self._asked, self._levels = asked, (self.timesteps, self.sigmas)

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
            check_time(timestep)
        if self._training.kind != "ve":
            return sample
        run = self._running()
        scaled: torch.Tensor = sample * run.asked[run.index(timestep)].gain
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
        run = self._running()
        check_state(sample, torch, "sample")
        check_state(model_output, torch, "model_output")
        check_time(timestep)
        if generator is not None or variance_noise is not None:
            check_noise(generator, variance_noise, sample)
        flag(return_dict, "return_dict")
        output = self._mean(model_output, sample)
        with torch.no_grad(), memory_errors("sample: there is no memory for the next one"):
            found, d = run.step(output, timestep, sample, (generator, variance_noise))
        return SortesSchedulerOutput(found, d) if return_dict else (found, d)

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

    def _running(self) -> Runner:
        """Return the run, which must have levels."""
        if self._run is None:
            raise ValueError("num_inference_steps: is not known, call set_timesteps before")
        return self._run

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
        run = self._run
        if run is not None and run.begin_index is not None:
            level = run.level(run.begin_index if run.step_index is None else run.step_index)
            found: torch.Tensor = level.alpha * x + level.sigma * noise
            return found
        alpha, sigma = self._training.at_times(times.reshape(-1, *(1,) * (x.ndim - 1)).to(x.device))
        made: torch.Tensor = alpha.to(x.dtype) * x + sigma.to(x.dtype) * noise
        return made

    def _mean(self, output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Return the prediction of the mean in what a network returned."""
        if self._training.is_learned and output.ndim > 1 and output.shape[1] == 2 * sample.shape[1]:
            output = output[:, : sample.shape[1]]
        if output.shape != sample.shape:
            raise ValueError(
                f"model_output: must have shape {tuple(sample.shape)}, got {tuple(output.shape)}"
            )
        if output.device != sample.device:
            raise ValueError(f"model_output: must be on {sample.device}, got {output.device}")
        return output


def _options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"solver_options: must be a mapping, got {shown(given)}")
    options = dict(given or {})
    if isinstance(options.get("statistics"), Mapping):
        tables = options["statistics"]
        options["statistics"] = ModelStatistics(*(tables[name] for name in ModelStatistics._fields))
    return options
