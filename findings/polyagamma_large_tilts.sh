#!/usr/bin/env bash
# polyagamma 2.0.2: draws are too large by a factor of 50 and more where |z| is above 177.
#
# The default method, and "devroye", weigh two parts of a proposal by exponentials in single precision,
# which overflow: the part that should never be chosen is always chosen.
#
# Seen for h = 1: the sample mean is that of the law, tanh(z / 2) / (2 z), up to z = 176; it is 57 times
# as large at 178, 64 at 200 and 128 at 400.
#
# Why it matters: in logistic regression z is a linear predictor. One that is far out, as in separable or
# unscaled data, gets far too much weight, and the chain settles elsewhere, without a warning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q polyagamma==2.0.2 numpy==2.4.6

cat >"$folder/run.py" <<'PYTHON'
import numpy as np
from polyagamma import random_polyagamma

for z in (10.0, 100.0, 176.0, 178.0, 200.0, 400.0):
    x = random_polyagamma(1, z, size=10_000, random_state=0)
    ratio = x.mean() / (np.tanh(z / 2) / (2 * z))
    print(f"z = {z:g}: mean over that of the law {ratio:.3f}")
    assert (0.98 < ratio < 1.02) if z < 177 else ratio > 50, "the means are no longer as stated"
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
