#!/usr/bin/env bash
# pyarrow 26.0.1 and DuckDB 2.0.1: one column of decimals becomes three different columns of floats.
#
# - pyarrow's cast of decimal128 to float64 multiplies by a rounded power of ten, so 0.3 becomes
#   0.30000000000000004. Python's float(Decimal("0.3")), polars 2.1.0 and DuckDB's own CAST give 0.3.
# - DuckDB's conversion of the same column for pandas and NumPy (`df()`, `fetchnumpy()`) is not its
#   CAST: it agrees up to 2^53 units of the last place, and beyond that is off by one in the last bit
#   for about a quarter of the values.
# - DuckDB's SUM of integers is a HUGEINT: exact as Arrow's decimal128, but a float64 in `df()`. The
#   sum 9007199254740993 of a single row comes back as 9007199254740992.
#
# Seen for 20,000 amounts with two places: below 10^12 units pyarrow differs from the nearest float64
# in 2,700 or so; below 10^18 units, `fetchnumpy()` in 5,000 or so; CAST and polars in none.
#
# Why it matters: keys, checksums and reproducible draws that depend on all bits change with the way
# a column has taken, and a sum of one integer is not that integer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0 pandas==3.1.1 numpy==2.4.6

cat >"$folder/run.py" <<'PYTHON'
import random
from decimal import Decimal

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa


def differences(digits):
    """How many of 20,000 amounts of two places are not the nearest float64, by conversion."""
    random.seed(0)
    amounts = [Decimal(random.randrange(10**digits)).scaleb(-2) for _ in range(20_000)]
    nearest = np.array([float(amount) for amount in amounts])
    column = pa.array(amounts, pa.decimal128(38, 2))
    rows = pa.table({"amount": column})
    conversions = {
        "pyarrow cast": column.cast(pa.float64()).to_numpy(),
        "polars cast": pl.Series(amounts, dtype=pl.Decimal(38, 2)).cast(pl.Float64).to_numpy(),
        "DuckDB CAST": duckdb.sql("select amount::double as x from rows").fetchnumpy()["x"],
        "DuckDB fetchnumpy": duckdb.sql("select amount as x from rows").fetchnumpy()["x"],
    }
    found = {name: int((values != nearest).sum()) for name, values in conversions.items()}
    print(f"below 10^{digits} units:", found)
    return found


print("0.3 by pyarrow:", pa.array([Decimal("0.3")]).cast(pa.float64())[0].as_py())
assert pa.array([Decimal("0.3")]).cast(pa.float64())[0].as_py() == 0.30000000000000004
small, large = differences(12), differences(18)
assert small["pyarrow cast"] > 2000 and small["DuckDB fetchnumpy"] == 0
assert large["DuckDB fetchnumpy"] > 4000 and large["pyarrow cast"] > 0
assert all(found[name] == 0 for found in (small, large) for name in ("polars cast", "DuckDB CAST"))

query = duckdb.sql("select sum(i) as s from (values (9007199254740993)) t(i)")
exact, rounded = pa.table(query)["s"][0].as_py(), query.df()["s"][0]
print("a sum as Arrow:", exact, "and for pandas:", f"{rounded:.0f}", rounded.dtype)
assert exact == 9007199254740993 and rounded == 9007199254740992 and rounded.dtype == np.float64
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
