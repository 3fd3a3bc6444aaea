"""The pages and the docstrings are true: their examples run, their links lead somewhere."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import codeblocks
import pytest
import sortes

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")
FAMILIES = (sortes.decode, sortes.select)
# Pages that show how to call a model take one for granted.
NEEDS_MODEL = {"integrations.md"}


def modules():
    """Every public and private module of the package."""
    return ["sortes"] + [m.name for m in pkgutil.walk_packages(sortes.__path__, "sortes.")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_run(page, request):
    names = {}
    if page.name in NEEDS_MODEL:
        names["model"], names["inputs"] = request.getfixturevalue("tiny_model")
    codeblocks.run_page(page, names)


@pytest.mark.parametrize("name", modules())
def test_docstrings_run(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").startswith("sortes"):
            raise
        pytest.skip(str(error))  # a package that only an integration needs
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, optionflags=options).failed == 0


def anchors(page):
    """The anchors that headings of a page get."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "#" + re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())
        for heading in headings
    }


@pytest.mark.parametrize("page", [*PAGES, *sorted(ROOT.glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        linked = (page.parent / target) if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{page.name} links to {target}{anchor}"


def test_the_menu_has_every_page():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert {page.name for page in PAGES} == set(re.findall(r": ([\w-]+\.md)$", menu, re.MULTILINE))


def test_every_rule_is_described():
    described = (ROOT / "docs" / "decode.md").read_text(encoding="utf-8")
    for name in sortes.RuleArgs.__annotations__:
        assert re.search(rf"\b{name}\b", described), name


@pytest.mark.parametrize("family", FAMILIES)
def test_everything_public_has_a_docstring(family):
    for name in family.__all__:
        thing = getattr(family, name)
        if callable(thing) or isinstance(thing, type):
            assert (thing.__doc__ or "").strip(), name


def test_the_reference_lists_everything_public():
    listed = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    names = {path.rpartition(".")[2] for path in listed}
    for family in FAMILIES:
        assert set(family.__all__) - {"RuleArgs"} <= names
    for path in listed:
        module, _, name = path.rpartition(".")
        if not path.startswith("sortes.integrations"):
            assert hasattr(importlib.import_module(module), name), path


@pytest.mark.parametrize("name", ["hf", "llama.cpp"])
def test_the_orders_are_as_described(name):
    from sortes.decode.rules import ORDERS

    text = (ROOT / "docs" / "decode.md").read_text(encoding="utf-8")
    described = re.search(rf'^\| `"{re.escape(name)}"`[^|]*\| (.*) \|$', text, re.MULTILINE)[1]
    assert tuple(described.split(", ")) == tuple(ORDERS[name])
