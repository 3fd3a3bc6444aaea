"""Vectors from independent references, and frozen draws."""

import json
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


@cache
def load(name: str):
    """Return what a JSON file of `tests/data` holds, for instance ``select/weighted.json``."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))
