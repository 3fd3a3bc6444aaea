"""The table of families stands in the README alone; the front page of the site shows the same."""

import re
from pathlib import Path

MARK = "<!-- families -->"
README = Path(__file__).parent.parent / "README.md"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by MkDocs with the Markdown of each page."""
    return markdown.replace(MARK, table()) if MARK in markdown else markdown


def table() -> str:
    """Return the table of the README, with links as the pages of the site write them."""
    text = README.read_text(encoding="utf-8").partition("## What it does\n")[2]
    rows = re.findall(r"^\|.*\|$", text.partition("\n## ")[0], re.MULTILINE)
    return "\n".join(rows).replace("](docs/", "](")
