"""The parts of a numpy-style docstring."""

import inspect
import re
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import NamedTuple

#: The sections that there are, in the order in which they come.
SECTIONS = (
    *("Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns"),
    *("See Also", "Notes", "References", "Examples"),
)
#: Those that hold entries, each a head and an indented description.
ENTRIES = SECTIONS[: SECTIONS.index("See Also")]


class Entry(NamedTuple):
    """One entry: ``name, name : type`` or a type alone, and what is said of it in one line."""

    names: tuple[str, ...]
    type: str
    text: str


@dataclass
class Docstring:
    """The parts, and what is wrong with the form.

    Attributes
    ----------
    summary
        The first paragraph.
    sections
        The text of each section.
    faults
        What breaks the form.
    """

    summary: str = ""
    sections: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def entries(self, section: str) -> list[Entry]:
        """The entries of a section, none if it is missing."""
        heads = re.split(r"^(?=\S)", self.sections.get(section, ""), flags=re.MULTILINE)
        return [_entry(section, head) for head in heads if head.strip()]

    def parameters(self) -> dict[str, Entry]:
        """The entry of each parameter; one entry may describe several."""
        entries = self.entries("Parameters")
        return {name: entry for entry in entries for name in entry.names}


def parse(doc: str | None) -> Docstring:
    """Take a docstring apart."""
    lines = inspect.cleandoc(doc or "").splitlines()
    found = Docstring()
    # A section begins with its name, underlined; what precedes the first one is prose.
    starts = [i for i in range(len(lines) - 1) if re.fullmatch(r"-{3,}", lines[i + 1])]
    prose = lines[: starts[0]] if starts else lines
    found.summary = "\n".join(takewhile(str.strip, prose))
    if not found.summary:
        found.faults.append("has no docstring")
    elif "\n" in found.summary or not found.summary.endswith("."):
        found.faults.append("summary: must be one line that ends with a full stop")
    for start, stop in pairwise([*starts, len(lines)]):
        name = lines[start]
        if name not in SECTIONS:
            found.faults.append(f"section {name!r}: is unknown")
        if len(lines[start + 1]) != len(name):
            found.faults.append(f"section {name!r}: is not underlined at its length")
        if name in found.sections:
            found.faults.append(f"section {name!r}: comes twice")
        found.sections[name] = "\n".join(lines[start + 2 : stop]).strip("\n")
    known = [name for name in found.sections if name in SECTIONS]
    if known != sorted(known, key=SECTIONS.index):
        found.faults.append(f"sections: must be in the order {', '.join(SECTIONS)}")
    for section in ENTRIES:
        for entry in found.entries(section):
            if not entry.text:
                head = ", ".join(entry.names) or entry.type
                found.faults.append(f"section {section!r}: {head} has no description")
    return found


def _entry(section: str, text: str) -> Entry:
    head, _, body = text.partition("\n")
    names, colon, kind = head.partition(" : ")
    if not colon and section in ("Returns", "Yields", "Raises", "Warns"):
        names, kind = "", head
    said = " ".join(body.split())
    return Entry(tuple(name.strip() for name in names.split(",") if name), kind.strip(), said)
