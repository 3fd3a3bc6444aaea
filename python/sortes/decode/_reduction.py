"""The output matrix of a model, reduced to its leading directions."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sortes._arrays import host
from sortes._device import check_real, is_on_device, to_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sortes._progress import Callback

#: Directions with less than this share of the largest squared singular value are rounding errors.
_NOISE: Final = 1e-12
#: Products of one step of the reduction, which nothing interrupts.
_PRODUCTS: Final = 2**31


def reduced(
    W: Any,  # noqa: N803
    rank: int,
    report: Callback | None,
) -> NDArray[np.float32]:
    """Project the rows of `W` on its first right singular vectors, and append a one."""
    torch: Any = None
    if is_on_device(W):
        import torch

        check_real(W, "W")
    else:
        W = host(W, "W", "iuf")  # noqa: N806
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(f"W: must have shape (V, d), got {tuple(W.shape)}")
    if rank > min(W.shape):
        raise ValueError(f"rank: must be at most {min(W.shape)} for W of shape {tuple(W.shape)}")
    n, d = W.shape
    size = max(1, min(2**14, _PRODUCTS // d**2))
    starts = range(0, n, size)

    def wide(start: int) -> Any:
        block = W[start : start + size]
        return block.astype(np.float64) if torch is None else block.detach().double()

    def done(rows: int) -> None:
        if report is not None:
            report(rows, 2 * n)

    # The d x d moments in double precision give the leading vectors as well as a decomposition of
    # W would, for a fraction of its cost.
    moments: Any = 0.0
    for start in starts:
        block = wide(start)
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            moments = moments + block.T @ block
        done(min(start + size, n))
    if torch is not None:
        moments = moments.cpu().numpy()
    if not np.isfinite(moments).all():
        raise _not_finite(W, wide, starts)
    squares, vectors = _in_a_thread(np.linalg.eigh, moments)
    leading = squares[::-1][:rank] > _NOISE * squares[-1]
    basis: Any = np.ascontiguousarray(vectors[:, ::-1][:, :rank][:, leading])

    features = np.ones((n, basis.shape[1] + 1), np.float32)
    if torch is not None:
        basis = torch.from_numpy(basis).to(W.device)
    for start in starts:
        reduced = wide(start) @ basis
        features[start : start + size, :-1] = reduced if torch is None else reduced.cpu().numpy()
        done(n + min(start + size, n))
    return features


def _not_finite(W: Any, wide: Callable[[int], Any], starts: range) -> ValueError:  # noqa: N803
    """Return the error of a matrix whose squares do not add up to numbers."""
    for start in starts:
        block = np.asarray(to_host(wide(start)))
        if not (fine := np.isfinite(block).all(axis=1)).all():
            return ValueError(f"W: row {start + int(fine.argmin())} contains NaN or infinities")
    return ValueError("W: the sum of its squares exceeds the range of float64; divide it")


def _in_a_thread(function: Callable[[Any], Any], x: Any) -> Any:
    """Call what holds no lock but hears no signal, on a thread that a signal lets go of."""
    results: list[Any] = []

    def call() -> None:
        try:
            results.append(function(x))
        except Exception as error:  # raised again below
            results.append(error)

    thread = Thread(target=call, name="sortes-call", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError(f"cannot start a thread: {error}") from None
    while thread.is_alive():
        thread.join(0.05)
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result
