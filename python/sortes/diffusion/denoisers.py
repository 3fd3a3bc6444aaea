"""Networks as denoisers: what they predict, at which times, with guidance."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    final,
    get_args,
)

import numpy as np

from sortes._arrays import host
from sortes._check import FINITE, POSITIVE, Domain, Finite, Positive, count, flag, one_of, shown
from sortes._device import check_real, memory_errors
from sortes.diffusion._states import State, is_tensor, like, namespace, state_of
from sortes.diffusion.mixtures import Prediction
from sortes.diffusion.path import (
    Kind,
    Level,
    Path,
    TimeScale,
    _on_clock,
    _training_clock,
    _training_table,
    level_of,
)

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    Array: TypeAlias = NDArray[Any] | torch.Tensor

#: What networks predict: as mixtures do, or the raw network of EDM.
Output: TypeAlias = Literal["epsilon", "sample", "v_prediction", "flow_prediction", "score", "edm"]
#: Which time a network is fed.
TimeFrom: TypeAlias = Literal["level", "sigma", "edm"]
#: A level of noise over signal.
_RATIO: Final = Domain("[0, inf]")
#: Which level of a path.
Index: TypeAlias = Annotated[int, Domain("[0, 2**63)", integer=True)]
Ratio: TypeAlias = Annotated[float, _RATIO]


class Predicted(NamedTuple):
    """What an output of a network says.

    Attributes
    ----------
    data : ndarray or tensor
        The prediction of the data.
    noise : ndarray or tensor
        The prediction of the noise.
    """

    data: Any
    noise: Any


class Guided(NamedTuple):
    """What guidance says, and what it begins from.

    Attributes
    ----------
    data : ndarray or tensor
        The prediction of the data with guidance.
    unconditional : ndarray or tensor
        The one without condition: CFG++ adds the noise of this one again.
    """

    data: Any
    unconditional: Any


@memory_errors("output: there is no memory for the data and the noise")
def data_and_noise(
    output: ArrayLike | torch.Tensor,
    x: ArrayLike | torch.Tensor,
    level: Level,
    *,
    prediction: Prediction,
) -> Predicted:
    r"""Turn an output of a network into predictions of the data and of the noise.

    Parameters
    ----------
    output : array_like or tensor, shape (...)
        What the network returned.
    x : array_like or tensor, shape (...)
        The states that it was given.
    level : Level
        Their noise level.
    prediction : {"epsilon", "sample", "v_prediction", "flow_prediction", "score"}
        What the network predicts: the noise $\varepsilon$, the data $x_0$, of
        $\alpha \varepsilon - \sigma x_0$ with $\alpha^2 + \sigma^2 = 1$, of
        $\varepsilon - x_0$, or the gradient of the log density.

    Returns
    -------
    Predicted
        The predictions, of which ``alpha * data + sigma * noise`` is the state. At sigma = 0, the
        noise of a network that predicts data is not known: NaN or infinite.

    Raises
    ------
    ValueError
        If the shapes differ, or the prediction says nothing about the data at this level.
    TypeError
        If something has a wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import Level, data_and_noise
    >>> x, at = np.array([0.1]), Level(0.6, 0.8, 0.0)
    >>> found = data_and_noise([0.5], x, at, prediction="epsilon")
    >>> found.data.round(6), found.noise
    (array([-0.5]), array([0.5]))
    """
    one_of(prediction, "prediction", get_args(Prediction))
    states, outputs = state_of(x, lists=True), state_of(output, "output", lists=True)
    if is_tensor(states) != is_tensor(outputs):
        kind = "a tensor, as x is" if is_tensor(states) else "an array, as x is"
        raise TypeError(f"output: must be {kind}, got {type(output).__name__}")
    if tuple(outputs.shape) != tuple(states.shape):
        if states.ndim > outputs.ndim:
            raise ValueError(
                f"x: must have the shape of output, {tuple(outputs.shape)}, "
                f"got {tuple(states.shape)}"
            )
        raise ValueError(
            f"output: must have shape {tuple(states.shape)}, got {tuple(outputs.shape)}"
        )
    a, s, _ = level_of(level)
    _check_prediction(prediction, a, s)
    keep, take = _linear(prediction, a, s)
    data = _combined(states, keep, outputs, take)
    if prediction in ("epsilon", "score"):
        noise = outputs if prediction == "epsilon" else -s * outputs
    elif prediction == "v_prediction":
        noise = s * states + a * outputs
    elif prediction == "flow_prediction":
        noise = (states + a * outputs) / (a + s)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = (states - a * data) / (s if is_tensor(states) else np.float64(s))
    return Predicted(data, noise)


def _linear(prediction: str, a: Any, s: Any) -> tuple[Any, Any]:
    """Return the factors of the state and of the output, of which the data are the sum."""
    if prediction == "sample":
        return 0.0, 1.0
    if prediction == "epsilon":
        return 1 / a, -s / a
    if prediction == "score":
        return 1 / a, s * s / a
    if prediction == "v_prediction":
        return a, -s
    return 1 / (a + s), -s / (a + s)


def _combined(x: Any, keep: Any, output: Any, take: Any) -> Any:
    if isinstance(keep, float) and keep == 0:
        return output if isinstance(take, float) and take == 1 else take * output
    return keep * x + take * output


def _check_prediction(prediction: str, a: float, s: float) -> None:
    if a == 0 and prediction in ("epsilon", "score"):
        raise ValueError(
            f'prediction: "{prediction}" says nothing about the data where there is only noise '
            "(alpha = 0); use a network that predicts v, data or flow, or begin at a later level"
        )
    if prediction == "v_prediction" and abs(a * a + s * s - 1) > 1e-4:
        raise ValueError(
            'prediction: "v_prediction" needs a level with alpha**2 + sigma**2 = 1, got '
            f"alpha={a}, sigma={s}"
        )


@final
class Denoiser:
    r"""A network as what samplers call: a prediction of the data at a noise level.

    Parameters
    ----------
    model : callable
        The network: ``model(x, t, **args)`` with states and one time for each, which returns
        predictions in the shape of `x`, alone or first in a tuple or with the attribute ``sample``.
    path : Path, optional
        The levels that ``denoiser(x, i)`` counts. Samplers bring theirs.
    prediction : {"epsilon", "sample", "v_prediction", "flow_prediction", "score", "edm"}
        What the network predicts, see `data_and_noise`; ``"edm"`` is the raw network of EDM, which
        is scaled at both ends.
    kind : {"vp", "ve", "flow"}, optional
        How the states were scaled in training, where it is not the kind of the path: states are
        scaled to it.
    t_from : {"level", "sigma", "edm"}, optional
        Which time the network is fed: that of the level; its sigma, scaled as in training, times
        `t_scale`; or $\ln(\sigma / \alpha) / 4$, the default of ``"edm"``; the level's is the
        default of others.
    t_scale : float, default 1.0
        See `t_from`.
    alphas_cumprod : array_like, shape (T,), optional
        The squares of alpha at the times 0 to T - 1 of the training, for any level in between: the
        time is linear in $\ln(\sigma / \alpha)$. In the place of `t_from`.
    round_timesteps : bool, default False
        Whether times are rounded to integers, as int64: for networks that know no others.
    sigma_data : float, default 0.5
        The standard deviation of the data, for ``"edm"``.
    args, uncond : mapping, optional
        Further arguments of the network, with and without the condition.
    guidance_scale : float, optional
        $w$ of $D_u + w (D_c - D_u)$, where ``uncond`` gives $D_u$ and ``args`` gives $D_c$.
    guidance_interval : tuple of two float, optional
        The ratios $\sigma / \alpha$, both inside, between which there is guidance; elsewhere, the
        network is asked with the condition alone.
    batched : bool, default False
        Whether the two are asked at once, in a batch of twice the size: tensors among the arguments
        are joined, everything else must be equal.
    dtype : torch.dtype, optional
        The precision in which the network is asked; results have that of the states.

    Raises
    ------
    ValueError
        If an argument is out of its domain, missing, or not used; when it is called, if the
        prediction says nothing about the data, or the result has another shape.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    A call takes a `Level`; or an int, a level of the path; or a tensor of ratios
    $\sigma / \alpha$, one or one for each state, which are then scaled as in ``"ve"``: the form of
    k-diffusion. Nothing waits for a device, and NaN is passed on. Nothing is cast to integers and
    looked up again: two levels that round to one time stay two.

    References
    ----------
    Ho and Salimans, "Classifier-free diffusion guidance", 2022, arXiv:2207.12598.

    Kynkäänniemi, Aittala, Karras and others, "Applying guidance in a limited interval improves
    sample and distribution quality in diffusion models", NeurIPS 2024, arXiv:2404.07724.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import Denoiser, Path
    >>> path = Path.flow([1.0, 0.5, 0.0])
    >>> def network(x, t):  # of data that are all 3
    ...     return (x - 3.0) / t[:, None]
    >>> denoiser = Denoiser(network, path, prediction="flow_prediction")
    >>> denoiser(np.array([[4.0]]), path[1])
    array([[3.]])
    """

    def __init__(
        self,
        model: Callable[..., Any],
        path: Path | None = None,
        *,
        prediction: Output,
        kind: Kind | None = None,
        t_from: TimeFrom | None = None,
        t_scale: TimeScale = 1.0,
        alphas_cumprod: ArrayLike | None = None,
        round_timesteps: bool = False,
        sigma_data: Positive = 0.5,
        args: Mapping[str, Any] | None = None,
        uncond: Mapping[str, Any] | None = None,
        guidance_scale: Finite | None = None,
        guidance_interval: tuple[Ratio, Ratio] | None = None,
        batched: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not callable(model):
            raise TypeError(f"model: must be callable, got {shown(model)}")
        if path is not None and not isinstance(path, Path):
            raise TypeError(f"path: must be a Path, got {shown(path)}")
        self._model, self._path = model, path
        self._prediction: str = one_of(prediction, "prediction", get_args(Output))
        self._kind = None if kind is None else one_of(kind, "kind", get_args(Kind))
        self._round = flag(round_timesteps, "round_timesteps")
        self._sigma_data = POSITIVE.check(sigma_data, "sigma_data")
        if prediction == "edm":
            if kind is not None:
                raise ValueError('kind: must not be given with prediction="edm"')
        elif self._sigma_data != 0.5:
            raise ValueError(f'sigma_data: must not be given with prediction="{prediction}"')
        if t_from is not None:
            one_of(t_from, "t_from", get_args(TimeFrom))
        self._t_scale = POSITIVE.check(t_scale, "t_scale")
        if self._t_scale != 1 and t_from != "sigma":
            raise ValueError('t_scale: must not be given without t_from="sigma"')
        self._clock = None
        if alphas_cumprod is not None:
            _training_table(alphas_cumprod)
            if t_from is not None:
                raise ValueError("t_from: must not be given with alphas_cumprod")
            self._clock = _training_clock(alphas_cumprod)
        self._t_from = t_from or ("edm" if prediction == "edm" else "level")
        self._args = _mapping(args, "args")
        self._set_guidance(uncond, guidance_scale, guidance_interval, batched)
        self._dtype = _dtype(dtype)
        if path is not None:
            self._at(path[0])  # the last may be a target alone

    @property
    def path(self) -> Path | None:
        """The levels that are counted, if there are any."""
        return self._path

    def __call__(self, x: State, level: Any) -> State:
        """Predict the data.

        Parameters
        ----------
        x : ndarray or tensor, shape (B, ...)
            The states.
        level : Level, int or tensor
            Their noise level; or which one of the path; or ratios of noise to signal, with states
            as in k-diffusion.

        Returns
        -------
        ndarray or tensor
            The predictions, like `x`.

        Raises
        ------
        ValueError, TypeError
            If the level is none, or the network's result has another shape.
        """
        x = _batch(x)
        at = self._asked(x, level)
        found: State
        if self._scale is None or not self._guides(level):
            found = self._data(x, at, self._args)
        else:
            data, unconditional = self._both(x, at)
            found = _between(unconditional, data, self._weights(x, level))
        return found

    def guided(self, x: Array, level: Level | Index) -> Guided:
        r"""Predict the data with guidance, and without condition: what CFG++ needs.

        Parameters
        ----------
        x : ndarray or tensor, shape (B, ...)
            The states.
        level : Level or int
            Their noise level; or which one of the path.

        Returns
        -------
        Guided
            The two predictions. A step of CFG++ is
            $x' = \alpha' D + \sigma' (x - \alpha D_u) / \sigma$, with a scale in [0, 1].

        Raises
        ------
        ValueError
            If there is no guidance.
        TypeError
            If the level is none.

        References
        ----------
        Chung, Kim, Park, Nam and Ye, "CFG++: manifold-constrained classifier free guidance for
        diffusion models", ICLR 2025, arXiv:2406.08070.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import Denoiser, Path
        >>> def network(x, t, label):
        ...     return 0 * x + label
        >>> denoiser = Denoiser(
        ...     network, Path.ve([9.0, 1.0, 0.0]), prediction="sample",
        ...     args={"label": 1.0}, uncond={"label": 0.0}, guidance_scale=0.6,
        ... )
        >>> denoiser.guided(np.zeros((1, 1)), 0)
        Guided(data=array([[0.6]]), unconditional=array([[0.]]))
        """
        if self._scale is None:
            raise ValueError("guidance_scale: must be given for guidance")
        x = _batch(x)
        at = self._asked(x, level)
        data, unconditional = self._both(x, at)
        weight = self._scale if self._guides(level) else 1.0
        return Guided(_between(unconditional, data, weight), unconditional)

    def _set_guidance(
        self,
        uncond: Mapping[str, Any] | None,
        scale: float | None,
        interval: tuple[float, float] | None,
        batched: bool,
    ) -> None:
        self._scale = None if scale is None else FINITE.check(scale, "guidance_scale")
        self._interval: tuple[float, float] | None = None
        self._batched = flag(batched, "batched")
        without = None if uncond is None else _mapping(uncond, "uncond")
        if interval is not None:
            if not isinstance(interval, tuple | list) or len(interval) != 2:
                raise TypeError(
                    f"guidance_interval: must be a tuple of two levels, got {shown(interval)}"
                )
            low, high = (_RATIO.check(end, "guidance_interval") for end in interval)
            if low >= high:
                raise ValueError(f"guidance_interval: must hold an interval, got {low} and {high}")
            self._interval = low, high
        if scale is None:
            for name, value in {
                "uncond": uncond,
                "guidance_interval": interval,
                "batched": batched or None,
            }.items():
                if value is not None:
                    raise ValueError(f"{name}: must not be given without guidance_scale")
        elif without is None:
            raise ValueError("uncond: must be given with guidance_scale")
        self._uncond = without
        if self._batched and self._scale is not None:
            assert without is not None
            if self._args.keys() != without.keys():
                raise ValueError(
                    f"uncond: must hold the names of args to be batched, got {sorted(without)}"
                )

    def _guides(self, level: Any) -> bool:
        """Whether guidance changes anything at a level; always, where the host does not know it."""
        if self._scale == 1:
            return False
        if self._interval is None or is_tensor(level) or isinstance(level, np.ndarray):
            return True
        ratio = (level if isinstance(level, Level) else self._counted(level)).ratio
        return self._interval[0] <= ratio <= self._interval[1]

    def _weights(self, x: Any, level: Any) -> Any:
        """Return the weight of the condition, for each state where levels are on the device."""
        if self._interval is None or isinstance(level, Level | int):
            return self._scale
        xp, (low, high) = namespace(x), self._interval
        ratio = _column(level, x)
        inside = (ratio >= low) & (ratio <= high)
        return xp.where(inside, xp.full_like(ratio, self._scale), xp.ones_like(ratio))

    def _counted(self, i: Any) -> Level:
        if self._path is None:
            raise TypeError(f"level: must be a Level without a path, got {shown(i)}")
        return self._path[count(i, "level", 0, len(self._path) - 1)]

    def _asked(self, x: Any, level: Any) -> _Question:
        """Return how the network is asked at a level, in any of its forms."""
        if type(level) is Level:
            return self._at(level)
        if is_tensor(level) or isinstance(level, np.ndarray):
            return self._at_ratios(x, level)
        return self._at(level_of(level) if isinstance(level, tuple) else self._counted(level))

    def _at(self, level: Level) -> _Question:
        a, s, _ = level_of(level)
        if self._prediction == "edm":
            # c_in, c_skip and c_out of the paper, for states of any scale.
            c = self._sigma_data
            total = math.hypot(a * c, s)
            factors = 1 / total, a * c * c / total**2, s * c / total
        else:
            gain = 1.0
            if self._kind is not None:
                if self._kind == "ve" and a == 0:
                    raise ValueError('level: has no signal, of which kind="ve" cannot do without')
                ratio = s / a if a else math.inf
                to_a, to_s = _scaled_to(self._kind, ratio)
                gain = to_a / a if a else to_s / s
                a, s = to_a, to_s
            _check_prediction(self._prediction, a, s)
            keep, take = _linear(self._prediction, a, s)
            factors = gain, gain * keep, take
        if self._clock is not None:
            t = float(_on_clock(self._clock, np.float64(level.lam)))
        elif self._t_from == "level":
            t = float(level.t)
        elif self._t_from == "sigma":
            t = self._t_scale * float(s)
        else:
            if not 0 < level.ratio < math.inf:
                raise ValueError(f't_from: "edm" has no time for sigma / alpha = {level.ratio}')
            t = math.log(level.ratio) / 4
        return _Question(*factors, float(round(t)) if self._round else t)

    def _at_ratios(self, x: Any, sigma: Any) -> _Question:
        """Return the same for ratios of noise to signal on the device of the states."""
        xp, ratio = namespace(x), _column(sigma, x)
        s = ratio
        if self._prediction == "edm":
            c = self._sigma_data
            total = (c * c + ratio * ratio) ** 0.5
            factors = 1 / total, c * c / total**2, ratio * c / total
        else:
            kind = self._kind or ("ve" if self._path is None else self._path.kind)
            if self._prediction == "v_prediction" and kind != "vp":
                raise ValueError('kind: must be "vp" for "v_prediction"')
            a, s = _scaled_to(kind, ratio)
            keep, take = _linear(self._prediction, a, s)
            factors = a, a * keep, take
        flat = ratio.reshape(-1)
        clock: Any = self._clock
        if clock is None and self._t_from == "level" and self._path is not None:
            clock = self._path._clock
        if self._t_from == "edm":
            t = xp.log(flat) / 4
        elif isinstance(clock, tuple):
            t = _on_device_clock(clock, flat)
        else:
            t = s.reshape(-1) * (self._t_scale if clock is None else clock)
        return _Question(*factors, xp.round(t) if self._round else t)

    def _data(self, x: Any, at: _Question, args: Mapping[str, Any]) -> Any:
        """Ask the network, and return the data that it predicts."""
        given = x if isinstance(at.gain, float) and at.gain == 1 else x * at.gain
        if self._dtype is not None:
            given = given.to(self._dtype)
        output = _first(self._model(given, self._times(x, at.t), **args))
        if tuple(getattr(output, "shape", ())) != tuple(x.shape):
            got = tuple(output.shape) if hasattr(output, "shape") else shown(output)
            raise ValueError(f"model: must return shape {tuple(x.shape)}, got {got}")
        if output.dtype != x.dtype:
            output = output.to(x.dtype) if is_tensor(output) else output.astype(x.dtype)
        return _combined(x, at.keep, output, at.take)

    def _both(self, x: Any, at: _Question) -> tuple[Any, Any]:
        """Return the data with the condition and without it."""
        assert self._uncond is not None
        if not self._batched:
            return self._data(x, at, self._args), self._data(x, at, self._uncond)
        args = {
            name: _joined(value, self._uncond[name], name) for name, value in self._args.items()
        }
        twice = _Question(*(_doubled(part) for part in at))
        found = self._data(namespace(x).concatenate([x, x]), twice, args)
        return found[: len(x)], found[len(x) :]

    def _times(self, x: Any, t: Any) -> Any:
        """Return one time for each state, on its device."""
        n, xp = len(x), namespace(x)
        if not isinstance(t, float):
            t = xp.broadcast_to(t, (n,))
            if self._round:
                return t.astype(np.int64) if xp is np else t.to(xp.int64)
            return t
        value, dtype = (int(t), xp.int64) if self._round else (t, x.dtype)
        if xp is np:
            return np.full(n, value, dtype)
        return xp.full((n,), value, dtype=dtype, device=x.device)


class _Question(NamedTuple):
    """How a network is asked at a level: numbers of the host, or columns on the device.

    It is given ``gain * x`` and ``t``; the data are ``keep * x + take * output``.
    """

    gain: Any
    keep: Any
    take: Any
    t: Any


def _scaled_to(kind: str, ratio: Any) -> tuple[Any, Any]:
    """Return alpha and sigma of a kind for ratios of noise to signal."""
    if kind == "ve":
        return 1.0 + 0 * ratio, ratio
    if isinstance(ratio, float) and ratio == math.inf:
        return 0.0, 1.0
    a = 1 / (1 + ratio * ratio) ** 0.5 if kind == "vp" else 1 / (1 + ratio)
    return a, a * ratio


def _column(sigma: Any, x: Any) -> Any:
    """Return ratios, one or one for each state, in a shape that multiplies states."""
    if is_tensor(sigma) != is_tensor(x):
        kind = "a tensor, as x is" if is_tensor(x) else "an array, as x is"
        raise TypeError(f"level: must be {kind}, got {type(sigma).__name__}")
    if is_tensor(x):
        check_real(sigma, "level")
    else:
        sigma = host(sigma, "level", "iuf")
        _RATIO.check_items(sigma, "level")
    if sigma.ndim > 1 or (sigma.ndim and len(sigma) not in (1, len(x))):
        raise ValueError(
            f"level: must have shape () or ({len(x)},), got {shown(tuple(sigma.shape))}"
        )
    ratio = sigma.to(x.dtype) if is_tensor(x) else sigma.astype(x.dtype)
    return ratio.reshape(-1, *(1,) * (x.ndim - 1))


def _on_device_clock(clock: tuple[NDArray[np.float64], NDArray[np.float64]], ratio: Any) -> Any:
    """Return times at ratios of noise to signal, where these are: linear between finite nodes."""
    nodes, times = clock
    finite = np.isfinite(nodes)
    nodes, times = nodes[finite], times[finite]
    if not is_tensor(ratio):
        with np.errstate(divide="ignore"):
            return np.interp(-np.log(ratio), nodes, times).astype(ratio.dtype)
    torch = namespace(ratio)
    lam = -torch.log(ratio.double())
    at, t = like(nodes, lam), like(times, lam)
    if len(nodes) == 1:
        return t.expand(len(ratio)).to(ratio.dtype)
    k = torch.searchsorted(at, lam).clamp(1, len(nodes) - 1)
    share = ((lam - at[k - 1]) / (at[k] - at[k - 1])).clamp(0, 1)
    return (t[k - 1] + share * (t[k] - t[k - 1])).to(ratio.dtype)


def _batch(x: Any) -> Any:
    """Return states that are a batch."""
    state = state_of(x)
    if not state.ndim:
        raise ValueError("x: must have shape (B, ...), got ()")
    return state


def _between(unconditional: Any, conditional: Any, weight: Any) -> Any:
    return unconditional + weight * (conditional - unconditional)


def _doubled(part: Any) -> Any:
    if isinstance(part, float) or len(part) == 1:
        return part
    return namespace(part).concatenate([part, part])


def _joined(value: Any, other: Any, name: str) -> Any:
    """Return an argument for both halves of a batch."""
    if is_tensor(value) and is_tensor(other):
        return namespace(value).cat([value, other])
    if isinstance(value, np.ndarray) and isinstance(other, np.ndarray):
        return np.concatenate([value, other])
    if value is other or value == other:
        return value
    raise ValueError(f"uncond: {name} must be a tensor or equal to that of args to be batched")


def _first(output: Any) -> Any:
    """Return what a network predicts, out of what it returns."""
    if isinstance(output, tuple | list) and output:
        return output[0]
    return getattr(output, "sample", output) if not hasattr(output, "shape") else output


def _mapping(args: Any, name: str) -> dict[str, Any]:
    if args is None:
        return {}
    if not isinstance(args, Mapping) or not all(isinstance(key, str) for key in args):
        raise TypeError(f"{name}: must be a mapping of names, got {shown(args)}")
    return dict(args)


def _dtype(dtype: Any) -> Any:
    torch = sys.modules.get("torch")
    if dtype is None:
        return None
    if torch is None or not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype: must be a floating point type of torch, got {shown(dtype)}")
    return dtype
