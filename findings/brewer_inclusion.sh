#!/usr/bin/env bash
# Brewer's method in samplics 0.6.1 and in its successor svy 0.35.0: inclusion probabilities are not
# those stated, from samples of three on.
#
# Brewer's method draws n units one after the other so that unit i is in the sample with probability
# n m_i / M, where m_i is its size and M the sum of all sizes. At each step the sizes must be shares
# of what is left. Both packages take shares of the whole population at every step: right for n = 2,
# where the last step does not feel it, and wrong from n = 3 on.
#
# Seen for the sizes 1, 3, 3, 6, 6, 6 (4000 draws), the unit of size 3:
#   samplics 0.6.1  n = 2  stated 0.240, in 0.24 of the samples   n = 4  stated 0.480, in 0.53
#   svy 0.35.0      n = 2  stated 0.240, in 0.23 of the samples   n = 4  stated 0.480, in 0.54
#
# Enumerating the draws of the code gives 0.548 for the latter.
#
# Why it matters: estimates weight each unit by one over the stated probability. Here the weights of
# the units of size 3 are too large by a seventh, a bias that no number of draws averages out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/samplics"
python3 -m venv "$folder/svy"
"$folder/samplics/bin/pip" install -q samplics==0.6.1 numpy==2.4.6 pandas==3.1.1 polars==2.1.0
"$folder/svy/bin/pip" install -q svy==0.35.0 numpy==2.4.6 polars==2.1.0

cat >"$folder/check.py" <<'PYTHON'
def check(package, share_of_pairs, share_of_fours):
    """The shares of samples that hold the second unit, whose size is 3 of 25."""
    print(f"{package}: n = 2 stated 0.240, in {share_of_pairs:.3f} of the samples")
    print(f"{package}: n = 4 stated 0.480, in {share_of_fours:.3f} of the samples")
    # Five standard errors of 4000 draws are 0.034 and 0.039; the law of the code is 0.548.
    assert abs(share_of_pairs - 0.240) < 0.034, "pairs are no longer exact"
    assert abs(share_of_fours - 0.548) < 0.039, "samples of four are no longer biased as stated"
PYTHON

cat >"$folder/of_samplics.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import numpy as np
from check import check
from samplics.sampling import SampleSelection
from samplics.utils.types import SelectMethod

sizes, draws = np.array([1.0, 3, 3, 6, 6, 6]), 4000
np.random.seed(1)
shares = {}
for n in (2, 4):
    method = SampleSelection(method=SelectMethod.pps_brewer, strat=False, wr=False)
    held = 0
    for _ in range(draws):
        _, hits, stated = method.select(
            samp_unit=np.arange(6), samp_size=n, mos=sizes, shuffle=False, to_dataframe=False
        )
        held += int(hits[1])
    assert abs(stated[1] - n * 3 / 25) < 1e-12
    shares[n] = held / draws
check("samplics 0.6.1", shares[2], shares[4])
PYTHON

cat >"$folder/of_svy.py" <<'PYTHON'
import polars as pl
import svy
from check import check

frame = pl.DataFrame({"unit": range(6), "size": [1.0, 3, 3, 6, 6, 6]})
population = svy.Sample(data=frame, design=svy.Design(mos="size"))
shares = {}
for n in (2, 4):
    drawn = [s.data for s in population.sampling.pps_brewer(n=n, rstate=1, n_draws=4000)]
    mine = [s.filter(pl.col("unit") == 1)["svy_prob_selection"] for s in drawn]
    held = [float(m[0]) for m in mine if len(m)]
    assert all(abs(stated - n * 3 / 25) < 1e-6 for stated in held)
    shares[n] = len(held) / len(drawn)
check("svy 0.35.0", shares[2], shares[4])
PYTHON

"$folder/samplics/bin/python" "$folder/of_samplics.py"
"$folder/svy/bin/python" "$folder/of_svy.py"
