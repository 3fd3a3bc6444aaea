"""The pages and the docstrings are true: their examples run, their links lead somewhere."""

import ast
import doctest
import importlib
import importlib.util
import pkgutil
import re
import runpy
from pathlib import Path

import codeblocks
import pytest
import sortes

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, *sorted(ROOT.glob("*.md"))]
PICTURES = sorted(DOCS.rglob("*.svg"))
# Those that an example makes, of pixels.
PHOTOGRAPHS = sorted(DOCS.rglob("*.png"))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Pages that show how to call a model take one for granted.
NEEDS_MODEL = {
    "arithmetic.md",
    "constrained.md",
    "integrations.md",
    "priority.md",
    "without-replacement.md",
    "power.md",
    "speculative.md",
}
# The columns of a block of code on a page of the default width.
SOURCES = sorted([*(ROOT / "python").rglob("*.py"), *(ROOT / "python").rglob("*.pyi")])
COLUMNS = 80


def named(path):
    """What a test calls a page."""
    return path.relative_to(ROOT).as_posix()


def modules():
    """Every public and private module of the package."""
    return ["sortes"] + [m.name for m in pkgutil.walk_packages(sortes.__path__, "sortes.")]


@pytest.mark.parametrize("page", PAGES, ids=named)
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


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        linked = (page.parent / target) if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{page.name} links to {target}{anchor}"


def test_the_front_page_shows_the_families_of_the_readme():
    hook = runpy.run_path(str(DOCS / "families.py"))
    front = hook["on_page_markdown"]((DOCS / "index.md").read_text(encoding="utf-8"))
    for family in sortes.FAMILIES:
        assert f"| [{family}]({family}/index.md) | " in front
    for target, _ in LINK.findall(hook["table"]()):
        assert (DOCS / target).exists(), target


def test_the_menu_has_every_page():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"[ :-] ([\w/-]+\.md)$", menu, re.MULTILINE)
    assert sorted(page.relative_to(DOCS).as_posix() for page in PAGES) == sorted(listed)


def test_every_rule_is_described():
    described = (DOCS / "decode" / "index.md").read_text(encoding="utf-8")
    for name in sortes.decode.RuleArgs.__annotations__:
        assert re.search(rf"\b{name}\b", described), name


@pytest.mark.parametrize("family", sortes.FAMILIES)
def test_everything_public_has_a_docstring(family):
    module = getattr(sortes, family)
    for name in module.__all__:
        thing = getattr(module, name)
        if callable(thing) or isinstance(thing, type):
            assert (thing.__doc__ or "").strip(), name


@pytest.mark.parametrize("family", sortes.FAMILIES)
def test_the_reference_of_a_family_lists_everything_public(family):
    page = (DOCS / family / "reference.md").read_text(encoding="utf-8")
    assert re.findall(r"^::: (\S+)$", page, re.MULTILINE) == [f"sortes.{family}"]
    # The tool that reads the sources sees no folder that is not a package, and a module of the
    # same name would hide a function from it.
    module = getattr(sortes, family)
    folders = {path.parent for path in Path(module.__file__).parent.rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)
    files = {found.name for found in pkgutil.iter_modules(module.__path__)}
    assert files.isdisjoint(module.__all__)


def test_the_reference_lists_the_rest():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^::: sortes\.(\S+)$", page, re.MULTILINE))
    elsewhere = {"__version__", *sortes.FAMILIES}
    elsewhere.update(*(getattr(sortes, family).__all__ for family in sortes.FAMILIES))
    assert set(sortes.__all__) - elsewhere <= listed
    for name in listed:
        assert importlib.util.find_spec(f"sortes.{name}") or hasattr(sortes, name)


def assert_public(text):
    """Check that what a text names in `sortes` is public, and has the one path that it should."""
    for name, attribute in re.findall(r"\bsortes\.([a-z]\w*)(?:\.(\w+))?", text):
        assert name in sortes.__all__ or name in {"integrations", "FAMILIES"}, name
        if name in sortes.FAMILIES and attribute:
            assert attribute in getattr(sortes, name).__all__, f"sortes.{name}.{attribute}"


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_pages_name_what_is_public(page):
    if page.name != "CHANGELOG.md":  # which knows old names
        assert_public(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_no_code_on_a_page_scrolls(page):
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        assert not [line for line in block.splitlines() if len(line) > COLUMNS]


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_examples_in_docstrings_are_narrow_and_name_what_is_public(path):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = ast.get_docstring(node) if isinstance(node, documented) else None
        for example in doctest.DocTestParser().get_examples(text or ""):
            # The site shows no options of doctest.
            code = re.sub(r" +# doctest:.*", "", example.source)
            lines = [">>> " + line for line in code.splitlines()] + example.want.splitlines()
            assert not [line for line in lines if len(line) > COLUMNS]
            assert_public(code)


def test_pages_show_every_picture_with_a_text():
    shown = {}
    for page in PAGES:
        for text, target in re.findall(
            r"!\[([^]]*)\]\(([^)]*)\)", page.read_text(encoding="utf-8")
        ):
            shown[(page.parent / target).resolve()] = text
    assert sorted(shown) == sorted(path.resolve() for path in [*PICTURES, *PHOTOGRAPHS])
    assert all(len(text) > 40 for text in shown.values())


def test_pictures_are_light():
    for path in [*PICTURES, *PHOTOGRAPHS]:
        assert path.stat().st_size <= 60_000, path


def test_pictures_can_be_drawn(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.syspath_prepend(DOCS)
    drawn = importlib.import_module("pictures").found()
    assert sorted(drawn) == [path.relative_to(DOCS).with_suffix("").as_posix() for path in PICTURES]
    for draw in drawn.values():
        matplotlib.pyplot.close(draw())


@pytest.mark.parametrize("name", ["hf", "llama.cpp"])
def test_the_orders_are_as_described(name):
    from sortes.decode.rules import ORDERS

    text = (DOCS / "decode" / "index.md").read_text(encoding="utf-8")
    described = re.search(rf'^\| `"{re.escape(name)}"`[^|]*\| (.*) \|$', text, re.MULTILINE)[1]
    assert tuple(described.split(", ")) == tuple(ORDERS[name])
