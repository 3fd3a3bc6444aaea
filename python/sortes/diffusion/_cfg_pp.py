"""CFG++: the steps of a solver without condition, and what guidance adds at the end of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sortes.diffusion.path import Path


def add_guidance(path: Path, arrays: dict[str, Any], rule: str, compat: str | None) -> None:
    r"""Add to rows how much of the difference of both predictions ends each step.

    With $D$ the prediction with guidance and $D_u$ that without condition, a step of DDIM is
    $\alpha' D + \sigma' (x - \alpha D_u) / \sigma$: that of $D_u$, and $\alpha' (D - D_u)$. All
    others are made alike: a solver makes its step with $D_u$, at every stage, and
    $\alpha' (D - D_u)$ of the beginning of the step is added at its end.
    """
    if compat is not None and path.kind == "flow":
        raise ValueError(f'compat: must be None on a path of kind "flow", got {compat!r}')
    starts = np.flatnonzero(arrays["step"] >= 0)
    evaluations = len(arrays["step"])
    ends = np.append(starts[1:], evaluations)
    share = path.alpha[1:].copy()
    # Where a step of second order has an earlier prediction, and does not go to clean data.
    late = np.arange(1, path.n_steps - int(path.lam[-1] == np.inf))
    if compat is not None and rule == "midpoint":
        # The difference to the earlier prediction is taken from the one with guidance.
        h = np.diff(path.lam)
        share[late] *= 1 - np.expm1(-h[late]) * h[late] / (2 * h[late - 1])
    elif compat is not None:
        # Guidance is added to the state before the step, which shrinks it.
        share[late] = path.alpha[late] * arrays["c"][ends[late]]
    arrays["apart"] = np.zeros(evaluations + 1)
    arrays["apart"][ends] = share
    arrays["apart_lag"] = np.zeros(evaluations + 1, np.int64)
    arrays["apart_lag"][ends] = ends - 1 - starts
