"""The table of solvers in the documentation is what is measured."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "diffusion"


def test_the_table_is_what_is_measured():
    written = runpy.run_path(str(DOCS / "solver_table.py"))["written"]
    page = (DOCS / "solvers.md").read_text(encoding="utf-8")
    assert written(page) == page, "run python docs/diffusion/solver_table.py"
