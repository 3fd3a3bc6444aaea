"""The code in Markdown, run as a reader would run it: from the top of the page down."""

import doctest
import importlib.util
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONAL = ("torch", "transformers", "matplotlib")


class Block(NamedTuple):
    """One fenced block."""

    language: str
    code: str
    line: int

    def lacks(self) -> list[str]:
        """Optional packages that it needs and that are not here."""
        needed = [n for n in OPTIONAL if re.search(rf"(\b(import|from) |\.){n}\b", self.code)]
        return [name for name in needed if importlib.util.find_spec(name) is None]

    def run(self, page: Path, names: dict[str, Any]) -> None:
        """Execute it, or compare what it prints with what the page says."""
        if self.language == "python":
            # Leading newlines, so that a traceback names the line of the page.
            exec(compile("\n" * self.line + self.code, str(page), "exec"), names)
            return
        test = doctest.DocTestParser().get_doctest(
            self.code, names, page.name, str(page), self.line
        )
        report: list[str] = []
        flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        doctest.DocTestRunner(optionflags=flags).run(test, out=report.append, clear_globs=False)
        names.update(test.globs)
        assert not report, "".join(report)


def blocks(page: Path) -> list[Block]:
    """All blocks of Python on a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start(2)))
        for found in BLOCK.finditer(text)
    ]


def run_page(page: Path, names: dict[str, Any] | None = None) -> None:
    """Run all blocks of a page in one namespace; skip, visibly, if some cannot run here.

    Parameters
    ----------
    page
        The Markdown file.
    names
        What the page takes for granted.
    """
    names = {"__name__": "__main__", **(names or {})}
    missing: set[str] = set()
    found = blocks(page)
    ran = 0
    for block in found:
        lacks = block.lacks()
        missing.update(lacks)
        if not lacks:
            block.run(page, names)
            ran += 1
    if missing:
        pytest.skip(f"ran {ran} of {len(found)} blocks, the others need {', '.join(missing)}")
