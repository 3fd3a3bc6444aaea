#!/usr/bin/env bash
# Packages: particles 0.4, numpy 1.26.4; Python 3.11.
#
# Behaviour: residual resampling keeps `floor(M * W)` copies of each particle, and draws the others by
# chance. Of 49 particles with equal weights about 32 are kept: the product 49 * (1 / 49) is
# 0.9999999999999999, its floor is 0, and so all 49 are drawn by multinomial resampling. The same
# happens with 98, 103, 107 and 212 others of the numbers below 2,000; with 48 or 100 particles all are
# kept, as they should be. `systematic` and `ssp` keep all at any of these sizes.
#
# Output seen (the second and the third number by chance):
#     particles kept by residual resampling: 48 of 48  31 of 49  65 of 98  100 of 100
#     sizes below 2000 at which equal weights become multinomial: 216
#
# Why it matters: residual resampling is chosen because it never adds more variance than multinomial
# resampling and none at all where weights are equal. Whether it does depends on the last digit of 1 / M.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check particles==0.4 numpy==1.26.4

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from particles import resampling


def kept(scheme, n):
    return len(np.unique(resampling.resampling(scheme, np.full(n, 1 / n))))


found = {n: kept("residual", n) for n in (48, 49, 98, 100)}
text = "  ".join(f"{count} of {n}" for n, count in found.items())
print(f"particles kept by residual resampling: {text}")
lost = [n for n in range(1, 2000) if kept("residual", n) < n]
print(f"sizes below 2000 at which equal weights become multinomial: {len(lost)}")
others = all(kept(scheme, n) == n for scheme in ("systematic", "ssp") for n in found)
as_stated = found[48] == 48 and found[100] == 100 and found[49] < 40 and found[98] < 80
sys.exit(not (as_stated and others and lost[:4] == [49, 98, 103, 107]))
PYTHON
