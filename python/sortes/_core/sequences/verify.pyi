"""Whether drafted tokens stand, and what replaces them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from ..decode.sampling import _Given, _Streams

__all__ = ["race_sample", "verify_multi", "verify_tokens"]

def verify_tokens(
    given: _Given,
    streams: _Streams,
    shape: list[int],
    tokens: NDArray[np.int64],
    lengths: NDArray[np.int64] | None,
    draft: tuple[NDArray[Any], bool] | None,
    method: str,
    out: NDArray[np.int64],
    job: Job,
) -> None: ...
def verify_multi(
    given: _Given,
    streams: _Streams,
    shape: list[int],
    drafts: NDArray[np.int64],
    draft: tuple[NDArray[Any], bool],
    scheme: str,
    replacement: bool,
    out: NDArray[np.int64],
    job: Job,
) -> None: ...
def race_sample(
    given: _Given, streams: _Streams, out: NDArray[np.int64], job: Job
) -> None: ...
