"""The README does what it says."""

from pathlib import Path

import codeblocks
import pytest

README = Path(__file__).parent.parent / "README.md"


def test_code_runs(tiny_model):
    model, inputs = tiny_model
    names = {"model": model, "inputs": inputs}
    codeblocks.run_page(README, names)


def test_it_fits_on_a_screen():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 100


def test_there_is_a_place_for_the_figures():
    text = README.read_text(encoding="utf-8")
    assert text.index("<!-- performance -->") < text.index("<!-- /performance -->")


def test_a_broken_block_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(AssertionError, match="Expected"):
        codeblocks.run_page(page)
    page.write_text("```python\nassert False\n```\n")
    with pytest.raises(AssertionError):
        codeblocks.run_page(page)
