"""Denoisers of networks in the forms of diffusers and of k-diffusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._check import Finite, shown
from sortes.diffusion.denoisers import Denoiser, Output, Ratio
from sortes.diffusion.path import Kind, Path
from sortes.diffusion.timesteps import betas, zero_terminal_snr

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def from_diffusers(
    model: Callable[..., Any],
    config: Any,
    path: Path | None = None,
    *,
    args: Mapping[str, Any] | None = None,
    uncond: Mapping[str, Any] | None = None,
    guidance_scale: Finite | None = None,
    guidance_interval: tuple[Ratio, Ratio] | None = None,
    batched: bool = False,
    dtype: torch.dtype | None = None,
) -> Denoiser:
    r"""Make a denoiser of a network in the form of diffusers, by what its scheduler says.

    Parameters
    ----------
    model : callable
        A ``UNet2DModel``, ``UNet2DConditionModel``, a transformer or anything that is called alike.
    config : mapping, or object with the attribute ``config``
        A scheduler, or its configuration: which training, and what is predicted.
    path : Path, optional
        The levels that ``denoiser(x, i)`` counts: all times of the training unless given.
    args, uncond : mapping, optional
        Further arguments of the network, such as ``encoder_hidden_states``, with and without the
        condition.
    guidance_scale : float, optional
        As in `Denoiser`.
    guidance_interval : tuple of two float, optional
        As in `Denoiser`.
    batched : bool, default False
        As in `Denoiser`.
    dtype : torch.dtype, optional
        As in `Denoiser`.

    Returns
    -------
    Denoiser
        The denoiser. Flow models are fed ``num_train_timesteps`` times sigma, others a time that is
        linear in $\ln(\sigma / \alpha)$ between those of the training. States of any kind of path
        are scaled to those of the training. A ``variance_type`` that is learned says that there are
        twice as many channels.

    Raises
    ------
    ValueError
        If the configuration lacks something or is of another kind, or as `Denoiser`.
    TypeError
        As `Denoiser`.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import Path, from_diffusers
    >>> config = {
    ...     "beta_start": 0.00085, "beta_end": 0.012,
    ...     "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
    ...     "prediction_type": "epsilon",
    ... }
    >>> denoiser = from_diffusers(lambda x, t: (0 * x,), config)
    >>> denoiser.path.n_steps, denoiser.path.t[0]
    (1000, np.float64(999.0))
    """
    kind, prediction, trained, total = _training_of(config)
    if path is not None and not isinstance(path, Path):
        raise TypeError(f"path: must be a Path, got {shown(path)}")
    if trained is None:
        levels = Path.flow(np.append(np.arange(total, 0, -1) / total, 0.0), t_scale=total)
    else:
        levels = Path.at_timesteps(trained, np.arange(total)[::-1])
    return Denoiser(
        model,
        levels if path is None else path,
        prediction=prediction,
        kind=kind,
        # The network's own clock, whatever the path says.
        alphas_cumprod=trained,
        t_from="sigma" if trained is None else None,
        t_scale=float(total) if trained is None else 1.0,
        learned_variance=_has_variance(config),
        args=args,
        uncond=uncond,
        guidance_scale=guidance_scale,
        guidance_interval=guidance_interval,
        batched=batched,
        dtype=dtype,
    )


def from_k_diffusion(
    model: Callable[..., Any], *, args: Mapping[str, Any] | None = None
) -> Denoiser:
    r"""Make a denoiser of a model in the form of k-diffusion, whose guidance is its own.

    Parameters
    ----------
    model : callable
        ``model(x, sigma, **args)``, which returns the data, for states $x_0 + \sigma \varepsilon$
        and a sigma for each of them: ``CompVisDenoiser``, the models of ComfyUI.
    args : mapping, optional
        Further arguments of the model: ``extra_args`` of k-diffusion.

    Returns
    -------
    Denoiser
        The denoiser, for paths of any kind without pure noise.

    Raises
    ------
    TypeError
        If the model cannot be called, or the arguments are no mapping.
    ValueError
        Never, but when it is called, as `Denoiser`.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import Level, from_k_diffusion
    >>> def model(x, sigma):  # of standard normal data
    ...     return x / (1 + sigma[:, None] ** 2)
    >>> denoiser = from_k_diffusion(model)
    >>> denoiser(np.array([[5.0]]), Level(0.6, 0.8, 0.0)).round(9)
    array([[3.]])
    """
    return Denoiser(model, prediction="sample", kind="ve", t_from="sigma", args=args)


def _has_variance(config: Any) -> bool:
    """Whether a network has learned variances."""
    kind = getattr(config, "config", config).get("variance_type")
    return kind in ("learned", "learned_range")


def _training_of(config: Any) -> tuple[Kind, Output, NDArray[np.float64] | None, int]:
    """Return the kind, the prediction, the squares of alpha and how many times there are."""
    given = getattr(config, "config", config)
    if not isinstance(given, Mapping):
        raise TypeError(f"config: must be a scheduler or its configuration, got {shown(config)}")
    total = given.get("num_train_timesteps", 1000)
    if not isinstance(total, int) or total < 1:
        raise ValueError(f"config: num_train_timesteps must be at least 1, got {shown(total)}")
    prediction = given.get("prediction_type", "epsilon")
    name = str(given.get("_class_name", type(config).__name__))
    if "FlowMatch" in name or prediction == "flow_prediction" or given.get("use_flow_sigmas"):
        return "flow", "flow_prediction", None, total
    if name.startswith("EDM"):
        raise ValueError(
            'config: networks of EDM are made by Denoiser(..., prediction="edm", sigma_data=...), '
            f"got {name}"
        )
    if prediction not in ("epsilon", "sample", "v_prediction"):
        raise ValueError(
            "config: prediction_type must be 'epsilon', 'sample', 'v_prediction' or "
            f"'flow_prediction', got {shown(prediction)}"
        )
    variances = given.get("trained_betas")
    if variances is None:
        kind = given.get("beta_schedule", "linear")
        kind = "cosine" if kind == "squaredcos_cap_v2" else kind
        if kind not in ("linear", "scaled_linear", "cosine"):
            raise ValueError(f"config: beta_schedule is unknown, got {shown(kind)}")
        ends = (
            {}
            if kind == "cosine"
            else {
                key: given.get(key, default)
                for key, default in {"beta_start": 1e-4, "beta_end": 0.02}.items()
            }
        )
        variances = betas(total, kind=kind, **ends)  # type: ignore[arg-type]
    variances = np.asarray(variances, np.float64)
    if given.get("rescale_betas_zero_snr"):
        variances = zero_terminal_snr(variances)
    return "vp", prediction, np.cumprod(1 - variances), len(variances)
