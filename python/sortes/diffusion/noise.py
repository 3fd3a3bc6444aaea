"""Noise of which each image has its own: the same alone and in any batch, on any device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, final

import numpy as np

from sortes import _core, _philox
from sortes._arrays import integers_of
from sortes._check import WORD, Domain, Step, shown
from sortes._device import is_on_device, memory_errors, to_device, to_host
from sortes._rng import Rng, as_streams
from sortes.diffusion._states import State, batch_of, is_tensor, like, round_keys, state_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

#: The clock of Wiener processes: the decimal logarithm of sigma, from here down to minus this.
_CLOCK: Final = 13
_RATIO: Final = Domain("[1e-13, 1e13]")
#: A level of noise over signal that the clock knows.
Ratio: TypeAlias = Annotated[float, _RATIO]
_DEPTH: Final = 24
_END: Final = 1 << _DEPTH

_MEMORY: Final = memory_errors("x: there is no memory for its noise")


def noise_like(x: State, *, rows: ArrayLike | None = None, rng: Rng = None, step: int = 0) -> State:
    """Draw the standard normal noise from which images start.

    Parameters
    ----------
    x : array_like or tensor, shape (B, ...)
        A batch of images, of which shape, dtype and device are taken.
    rows : int or array_like of int, shape (B,), optional
        The ids of the images, in [0, 2**32): 0 to B - 1 unless given. The noise of an image depends
        on its id, not on its place.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see
        `sortes.Rng`). A list of streams holds one for each image.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.

    Returns
    -------
    ndarray or tensor
        The noise: like `x`.

    Raises
    ------
    ValueError
        If `x` has no axis, ids are out of range, or there is not one stream for each image.
    TypeError
        If `x` holds no floating point numbers, or something has a wrong type.

    Notes
    -----
    Each number is a float64 normal, by inversion, of the same bits on every device. float32 is that
    number rounded, half precision the float32 rounded: what an image starts from is the same in
    every precision, up to rounding. The noise that samplers add is drawn apart.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import noise_like
    >>> batch = noise_like(np.empty((8, 3, 4, 4)), rng=7)
    >>> alone = noise_like(np.empty((1, 3, 4, 4)), rows=[5], rng=7)
    >>> bool((batch[5] == alone[0]).all())
    True
    """
    found: State = ImageNoise(x, rows=rows, rng=rng, step=step)._drawn("start", 0)
    return found


class _Images:
    """The images of a batch: what their noise is like, and its keys."""

    def __init__(self, x: Any, rows: ArrayLike | None, rng: Rng, step: Step) -> None:
        self.like = state_of(x)
        self.batch, self.width = batch_of(self.like)
        if rows is None:
            ids = np.arange(self.batch)
        else:
            ids = integers_of(to_host(rows), "rows", WORD, n=self.batch)
        self.ids = ids.astype(np.uint64)
        self.keys = round_keys(as_streams(rng, self.batch, step), self.batch)
        self.on_device = is_on_device(self.like)

    def shaped(self, values: Any) -> Any:
        """Return drawn numbers in the shape and the dtype of the images."""
        x = self.like
        if is_tensor(values):
            values = values.to(x.dtype) if x.dtype.itemsize >= 4 else values.float().to(x.dtype)
            return values.reshape(x.shape)
        return _rounded(values.reshape(tuple(x.shape)), x)


def _rounded(values: NDArray[Any], x: Any) -> Any:
    """Return numbers of the host in the dtype of a state, by way of float32 if it is half."""
    if x.dtype.itemsize < 8:
        values = values.astype(np.float32, copy=False)
    return like(values, x)


@final
class ImageNoise:
    """The standard normal noise that is added to images, step by step.

    Parameters
    ----------
    x : array_like or tensor, shape (B, ...)
        A batch of images, of which shape, dtype and device are taken.
    rows : int or array_like of int, shape (B,), optional
        The ids of the images, in [0, 2**32): 0 to B - 1 unless given.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see
        `sortes.Rng`). A list of streams holds one for each image.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.

    Raises
    ------
    ValueError, TypeError
        As `noise_like`.

    Notes
    -----
    `noise_like` says what the numbers are. It can be given to k-diffusion as ``noise_sampler``: it
    counts its calls.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import ImageNoise
    >>> noise = ImageNoise(np.empty((2, 3)), rng=7)
    >>> first, second = noise.draw(0), noise.draw(1)
    >>> bool((noise.draw(0) == first).all()), bool((first == second).any())
    (True, False)
    """

    __slots__ = ("_calls", "_images", "_words")

    def __init__(
        self,
        x: ArrayLike | torch.Tensor,
        *,
        rows: ArrayLike | None = None,
        rng: Rng = None,
        step: int = 0,
    ) -> None:
        self._images = _Images(x, rows, rng, step)
        self._words = _words(self._images) if self._images.on_device else None
        self._calls = 0

    def draw(self, number: Step) -> NDArray[Any] | torch.Tensor:
        """Return the noise of one addition; the others need not have been drawn.

        Parameters
        ----------
        number : int
            Which addition it is, in [0, 2**32).

        Returns
        -------
        ndarray or tensor
            The noise: like the images.

        Raises
        ------
        ValueError, TypeError
            If the number is out of range, or no integer.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.diffusion import ImageNoise
        >>> ImageNoise(np.empty((1, 2)), rng=7).draw(3).shape
        (1, 2)
        """
        found: NDArray[Any] | torch.Tensor = self._drawn("step", WORD.check(number, "number"))
        return found

    def __call__(self, sigma: object, sigma_next: object) -> NDArray[Any] | torch.Tensor:
        """Return the noise of the next addition: the form of k-diffusion.

        Parameters
        ----------
        sigma, sigma_next : object
            The levels, which do not matter.

        Returns
        -------
        ndarray or tensor
            The noise: like the images.

        Raises
        ------
        ValueError
            After 2**32 calls.
        """
        found: NDArray[Any] | torch.Tensor = self._drawn("step", WORD.check(self._calls, "calls"))
        self._calls += 1
        return found

    @_MEMORY
    def _drawn(self, of: Literal["start", "step"], number: int) -> Any:
        images = self._images
        if self._words is not None:
            key, ids = self._words
            purpose = _core.PURPOSES["latent" if of == "start" else "noise"]
            return images.shaped(_philox.normals(key, ids, number, purpose, images.width))
        single = images.like.dtype.itemsize < 8
        draw = _core.diffusion.noise.normals_f32 if single else _core.diffusion.noise.normals
        return images.shaped(draw(of, images.keys, images.ids, number, images.width, None))


def _words(images: _Images, keys: NDArray[np.uint64] | None = None) -> tuple[Any, Any]:
    """Return keys and ids on the device of the images, in the form of `_philox`."""
    device = images.like.device
    keys = images.keys if keys is None else keys
    low = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    high = (keys >> np.uint64(32)).astype(np.int64)
    key = (to_device(low, device), to_device(high, device))
    return key, to_device(images.ids.astype(np.int64), device)


@final
class BrownianNoise:
    r"""Noise that agrees when steps are split: increments of one Wiener process for each number.

    The same image is composed alike with 20 steps and with 40, whatever the batch and the device.

    Parameters
    ----------
    x : array_like or tensor, shape (B, ...)
        A batch of images, of which shape, dtype and device are taken.
    rows : int or array_like of int, shape (B,), optional
        The ids of the images, in [0, 2**32): 0 to B - 1 unless given.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see
        `sortes.Rng`). A list of streams holds one for each image.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.

    Raises
    ------
    ValueError, TypeError
        As `noise_like`.

    Notes
    -----
    The clock of the process is $\tau = (13 - \log_{10} \sigma) / 26$, for $\sigma$ as k-diffusion
    counts it, noise over signal, from $10^{-13}$ to $10^{13}$. A call returns
    $(W(\tau') - W(\tau)) / \sqrt{\tau' - \tau}$: standard normal, independent between intervals
    that do not overlap, exactly. Times are rounded to $2^{-24}$ of the clock. Each value is found
    by 24 halvings, with a normal each, named by the interval; nothing is stored but the last value.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.diffusion import BrownianNoise
    >>> noise = BrownianNoise(np.empty((1, 2)), rng=7)
    >>> whole = noise(10.0, 1.0)
    >>> parts = (noise(10.0, 10**0.5) + noise(10**0.5, 1.0)) / 2**0.5
    >>> np.allclose(whole, parts, atol=1e-5)
    True
    """

    __slots__ = ("_images", "_keys", "_last", "_words")

    def __init__(
        self,
        x: ArrayLike | torch.Tensor,
        *,
        rows: ArrayLike | None = None,
        rng: Rng = None,
        step: int = 0,
    ) -> None:
        self._images = _Images(x, rows, rng, step)
        images = self._images
        self._keys = _core.diffusion.noise.brownian_keys(images.keys, images.ids, None)
        self._words = _words(images, self._keys) if images.on_device else None
        self._last: tuple[int, Any] | None = None

    @_MEMORY
    def __call__(self, sigma: Ratio, sigma_next: Ratio) -> NDArray[Any] | torch.Tensor:
        """Return the normalised increment between two levels, the noisier first.

        Parameters
        ----------
        sigma, sigma_next : float
            The ratios of noise to signal, of which the first is the larger; a tensor of one number
            is waited for.

        Returns
        -------
        ndarray or tensor
            The noise: like the images.

        Raises
        ------
        ValueError
            If a level is outside the clock, or the two are less than a tick apart.
        TypeError
            If one is no number.
        """
        start, end = _tick(sigma, "sigma"), _tick(sigma_next, "sigma_next")
        if start >= end:
            least = f"{10 ** (2 * _CLOCK / _END):.7f}"
            raise ValueError(
                f"sigma_next: must be below sigma by a factor of {least} or more, "
                f"got {shown(sigma)} and {shown(sigma_next)}"
            )
        held = self._last
        before = held[1] if held is not None and held[0] == start else self._values(start)
        after = self._values(end)
        self._last = (end, after)
        found: NDArray[Any] | torch.Tensor = self._images.shaped(
            (after - before) / math.sqrt((end - start) / _END)
        )
        return found

    def _values(self, time: int) -> Any:
        """Return the processes at a time."""
        images = self._images
        if self._words is None:
            return _core.diffusion.noise.brownian_values(
                images.keys, images.ids, time, images.width, None
            )
        return _device_values(self._words[0], time, images.width)


def _tick(sigma: Any, name: str) -> int:
    value = _RATIO.check(sigma, name)
    return round((_CLOCK - math.log10(value)) / (2 * _CLOCK) * _END)


def _device_values(key: tuple[Any, Any], time: int, width: int) -> Any:
    """Follow the halves of the clock as the native module does, operation by operation."""
    import torch

    nodes, low, high = [0], 0, _END
    turns: list[bool] = []
    for level in range(_DEPTH):
        if time in (low, high):
            break
        nodes.append((1 << level) + (low >> (_DEPTH - level)))
        middle = low + (high - low) // 2
        turns.append(time < middle)
        low, high = (low, middle) if time < middle else (middle, high)
    device, batch = key[0].device, len(key[0])
    names = to_device(np.tile(np.array(nodes, np.int64), batch), device)
    halves = tuple(half.repeat_interleave(len(nodes)) for half in key)
    purpose = _core.PURPOSES["brownian"]
    z = _philox.normals(halves, names, 0, purpose, width).reshape(batch, len(nodes), width)
    left = torch.zeros((batch, width), dtype=torch.float64, device=device)
    right = z[:, 0] if time else left
    for level, is_left in enumerate(turns):
        value = (left + right) * 0.5 + math.sqrt(0.25 / (1 << level)) * z[:, level + 1]
        left, right = (left, value) if is_left else (value, right)
    return right if time == high else left
