"""Predictions of the data that stay in the range of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, final

from sortes._check import Domain, shown
from sortes._device import memory_errors
from sortes.diffusion.loop import check_state
from sortes.diffusion.path import Denoise, Level, level_of

if TYPE_CHECKING:
    import torch

_RATIO: Final = Domain("(0, 1]")
_LIMIT: Final = Domain("[1, inf]")
#: A quantile, and what it may be at most.
Ratio: TypeAlias = Annotated[float, _RATIO]
Limit: TypeAlias = Annotated[float, _LIMIT]


@final
class DynamicThreshold:
    r"""A denoiser whose predictions are clipped image by image: dynamic thresholding.

    A prediction is clipped at $\pm q$ and divided by $q$, where $q$ is a quantile of the sizes of
    the numbers of its image, at least 1 and at most `max_value`. It is for pixels in [-1, 1], not
    for latents.

    Parameters
    ----------
    denoiser : callable
        The denoiser, as `sample` calls it; guidance comes before thresholding.
    ratio : float, default 0.995
        Which quantile, in (0, 1].
    max_value : float, default 1.0
        What the threshold is at most, at least 1. With 1, predictions are clipped at 1.

    Raises
    ------
    ValueError
        If a number is out of its domain.
    TypeError
        If an argument has the wrong type.

    References
    ----------
    Saharia et al., "Photorealistic text-to-image diffusion models with deep language
    understanding", NeurIPS 2022, arXiv:2205.11487.

    Examples
    --------
    >>> import torch
    >>> from sortes.diffusion import DynamicThreshold, Path
    >>> clipped = DynamicThreshold(lambda x, level: x, max_value=2.0)
    >>> clipped(torch.tensor([[-4.0, 0.5, 1.0]]), Path.ve([1.0, 0.0])[0])
    tensor([[-1.0000,  0.2500,  0.5000]])
    """

    def __init__(self, denoiser: Denoise, *, ratio: Ratio = 0.995, max_value: Limit = 1.0) -> None:
        if not callable(denoiser):
            raise TypeError(f"denoiser: must be callable, got {shown(denoiser)}")
        self._denoiser = denoiser
        self._ratio = _RATIO.check(ratio, "ratio")
        self._most = _LIMIT.check(max_value, "max_value")

    def __call__(self, x: Any, level: Level, /) -> torch.Tensor:
        """Return the clipped prediction.

        Parameters
        ----------
        x : Tensor, shape (B, ...)
            The states.
        level : Level
            Their level.

        Returns
        -------
        Tensor, shape (B, ...)
            The prediction.

        Raises
        ------
        ValueError
            If the states have no axis, or the level is none.
        TypeError
            If the states or the prediction are no tensor of floats, or the level has another type.
        """
        import torch

        check_state(x, torch)
        level = level_of(level)
        with memory_errors("x: there is no memory for its prediction"):
            return self._clipped(x, level)

    def _clipped(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        import torch

        d = self._denoiser(x, level)
        if not isinstance(d, torch.Tensor):
            raise TypeError(f"denoiser: must return a tensor, got {shown(d)}")
        if not d.numel():
            return d
        sizes = d.flatten(1).abs() if d.ndim > 1 else d[:, None].abs()
        q = _quantile(sizes.to(torch.promote_types(d.dtype, torch.float32)), self._ratio)
        q = q.clamp(1.0, self._most).to(d.dtype).view(-1, *[1] * (d.ndim - 1))
        clipped: torch.Tensor = torch.minimum(torch.maximum(d, -q), q) / q
        return clipped


def _quantile(sizes: torch.Tensor, ratio: float) -> torch.Tensor:
    """Return the quantile of each row, linear between two numbers.

    Torch's own takes at most 2**24 of them.
    """
    position = ratio * (sizes.shape[1] - 1)
    below = int(position)
    top = sizes.topk(sizes.shape[1] - below, dim=1).values
    low = top[:, -1]
    if position == below:
        return low
    return low.lerp(top[:, -2], position - below)
