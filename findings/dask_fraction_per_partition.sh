#!/usr/bin/env bash
# Dask 2026.8.0: `DataFrame.sample(frac=...)` rounds the number of rows in each partition.
#
# The same 1000 rows give samples of other sizes in other partitions, down to none at all, whatever
# the seed. (`frac` is documented as approximate; that the error does not shrink with more
# partitions, and is the same for every seed, is not.)
#
# Seen:
#   frac=0.1    1 partition 100 rows   100 partitions 100 rows   250 partitions   0 rows
#   frac=0.15   1 partition 150 rows   100 partitions 200 rows   250 partitions 250 rows
#   frac=0.004  1 partition   4 rows    10 partitions   0 rows
#
# Why it matters: totals that are scaled up by one over `frac` are wrong by a third in the second
# line, and a sample of many small partitions is empty.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "dask[dataframe]==2026.8.0" numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1

cat >"$folder/run.py" <<'PYTHON'
import dask.dataframe as dd
import pandas as pd

frame = pd.DataFrame({"x": range(1000)})
stated = {
    (0.1, 1): 100,
    (0.1, 100): 100,
    (0.1, 250): 0,
    (0.15, 1): 150,
    (0.15, 100): 200,
    (0.15, 250): 250,
    (0.004, 1): 4,
    (0.004, 10): 0,
}
for (fraction, parts), expected in stated.items():
    whole = dd.from_pandas(frame, npartitions=parts)
    sizes = {len(whole.sample(frac=fraction, random_state=seed).compute()) for seed in range(3)}
    print(f"frac={fraction} of 1000 rows in {parts} partitions: {sizes} rows")
    assert sizes == {expected}
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
