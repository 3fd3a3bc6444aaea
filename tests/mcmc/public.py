"""Valid calls of what the family offers."""

import numpy as np

#: How many times the draws of each chain are repeated, or with ``TALL`` how many times the chains
#: are; `public.resize` sets them.
SCALE: int = globals().get("SCALE", 1)
TALL: bool = globals().get("TALL", False)
TIMES = (SCALE, 1) if TALL else (1, SCALE)
DRAWS = np.tile([[0.1, 0.9, 0.5, 0.4, 0.2], [1.0, 0.2, 3.0, 0.4, 2.0]], TIMES)

CALLS = {"ess": {"draws": DRAWS}, "rhat": {"draws": DRAWS}}
