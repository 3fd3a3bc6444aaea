"""Every public signature and docstring keeps the contract of ``docs/contributing/api.md``."""

import inspect
import pickle
import re
import typing
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, Unpack

import public as tables
import pytest
import signatures
import sortes
from signatures import Public, members

SHEET = Path(__file__).parent.parent / "docs" / "contributing" / "api.md"


class Word(NamedTuple):
    """A shared argument: its default, its type in a docstring, and how its description begins."""

    default: Any
    type: str
    sentence: str


#: The shared arguments, in their order.
WORDS = {
    "rng": Word(
        None,
        "Rng, optional",
        "The randomness: None for fresh entropy, or a seed, generator or stream (see "
        "`sortes.Rng`).",
    ),
    "step": Word(
        0,
        "int, default 0",
        "The position in a run, in [0, 2**32): different steps give independent draws.",
    ),
    "out": Word(
        None,
        "array or tensor, optional",
        "Where to write the result; it must not overlap an input.",
    ),
    "num_threads": Word(
        None,
        "int, optional",
        "How many threads to use at most; results never depend on it.",
    ),
    "progress": Word(
        None,
        "bool or callable, optional",
        "Show a progress bar, or call ``progress(done, total)``.",
    ),
}
#: What peers call `rng`; beside it, what none of our own functions calls it.
PEER_WORDS = ("random_state", "generator")
WRONG_WORDS = (*PEER_WORDS, "seed", "random_seed")

#: Rules that a callable need not keep, and why: mostly those that have the shape of a peer's.
EXCUSED: dict[tuple[str, str], str] = {
    ("Interrupted", "docstrings"): "an exception, which holds anything",
    ("Stream*", "words"): "the step is what a stream is made of",
    ("Stream*", "sentences"): "the step is what a stream is made of",
    ("set_num_threads", "words"): "the number is what it sets",
    ("set_num_threads", "sentences"): "the number is what it sets",
    ("select.kmeans_plusplus*", "names"): "scikit-learn says `random_state`",
    ("decode.Rules", "docstrings"): "a test of its own holds its keywords, described one by one",
    ("mcmc.*.to_arviz", "results"): "ArviZ's own type, which its version decides",
    ("integrations.pymc.*", "results"): "ArviZ's own type, which its version decides",
    ("integrations.vllm.*", "options"): "vLLM passes everything by position",
    ("integrations.vllm.*", "domains"): "vLLM calls it, with the numbers of its slots",
    ("integrations.vllm.*.*", "docstrings"): "vLLM calls it, and documents what it passes",
    ("integrations.diffusers.*.*", "names"): "schedulers of diffusers have a `generator`",
    ("integrations.diffusers.*.*", "words"): "schedulers of diffusers have a `generator`",
    ("integrations.diffusers.*.*", "sentences"): "schedulers of diffusers have a `generator`",
    ("integrations.diffusers.*.*", "options"): "pipelines pass some by position",
    ("integrations.diffusers.*.*", "keywords"): "they are the arguments of the class",
    ("integrations.torch_geometric.*", "options"): "it has the signature of PyTorch Geometric",
    ("integrations.transformers.*sample", "options"): "`generate` passes `synced_gpus` by position",
    ("integrations.transformers.*sample", "keywords"): "they are the model's own arguments",
    ("integrations.transformers.*sample", "words"): "`generate` looks for rules in the signature",
    ("integrations.transformers.*sample", "docstrings"): "the rules are described as **kwargs",
}

Rule = Callable[[Public], Iterator[str]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """List a rule under its name."""
    RULES[function.__name__] = function
    return function


@rule
def names(public: Public) -> Iterator[str]:
    """The randomness has one name."""
    for parameter in public.parameters:
        if parameter.name in WRONG_WORDS:
            yield f"{parameter.name}: must be called rng"


@rule
def words(public: Public) -> Iterator[str]:
    """Shared arguments come last, by keyword alone, in one order, with one default."""
    given = {p.name: p for p in public.parameters if p.kind is not p.VAR_KEYWORD}
    order = [_word(name) for name in given]
    shared = [word for word in order if word in WORDS]
    if shared != sorted(shared, key=list(WORDS).index):
        yield f"shared arguments must come in the order {', '.join(WORDS)}, got {shared}"
    if shared and order[-len(shared) :] != shared:
        after = [name for name in order[order.index(shared[0]) :] if name not in WORDS]
        yield f"{', '.join(after)}: must come before the shared arguments"
    for name, parameter in given.items():
        word = WORDS.get(_word(name))
        if word is None:
            continue
        if parameter.kind is not parameter.KEYWORD_ONLY:
            yield f"{name}: must be keyword-only"
        default = parameter.default
        if type(default) is not type(word.default) or default != word.default:
            shown = "none" if default is parameter.empty else repr(default)
            yield f"{name}: must have the default {word.default}, got {shown}"


@rule
def sentences(public: Public) -> Iterator[str]:
    """The description of a shared argument has one type and begins with one sentence."""
    described = public.doc.parameters()
    for parameter in public.parameters:
        word = WORDS.get(_word(parameter.name))
        if word is None:
            continue
        entry = described.get(parameter.name)
        if entry is None or len(entry.names) > 1:
            yield f"{parameter.name}: must have an entry of its own in the docstring"
            continue
        if entry.type != word.type:
            yield f"{parameter.name}: must have the type '{word.type}', got '{entry.type}'"
        if not entry.text.startswith(word.sentence):
            yield f"{parameter.name}: must begin with '{word.sentence}', got '{entry.text[:60]}'"


@rule
def options(public: Public) -> Iterator[str]:
    """Booleans and options are given by keyword."""
    for parameter in public.parameters:
        kinds = {_kind(member.type) for member in members(public.hint(parameter.name))}
        is_option = kinds & {bool, Literal} or isinstance(parameter.default, bool)
        if is_option and parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
        ):
            yield f"{parameter.name}: must be keyword-only: it is a boolean or an option"


@rule
def keywords(public: Public) -> Iterator[str]:
    """Further keywords have their types."""
    for parameter in public.parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield f"*{parameter.name}: must be named arguments"
        if parameter.kind is parameter.VAR_KEYWORD:
            hint = public.hint(parameter.name)
            if typing.get_origin(hint) is not Unpack:
                shown = getattr(hint, "__name__", hint)
                yield f"**{parameter.name}: must be Unpack[...] of a TypedDict, got {shown}"


@rule
def results(public: Public) -> Iterator[str]:
    """A result has a type, and users can import it."""
    if public.kind in ("constructor", "record"):
        return
    hints = [hints.get("return", Any) for hints in public.overloads] or [public.returns]
    for hint in hints:
        if hint is inspect.Signature.empty:
            yield "returns: has no annotation"
        elif hint is Any or Any in [member.type for member in members(hint)]:
            yield "returns: must have a type, got Any"
        for cls in _classes(hint):
            if cls.__module__.startswith("sortes") and cls not in _exported(public.module):
                yield f"returns: {cls.__qualname__} is in no `__all__`"


@rule
def domains(public: Public) -> Iterator[str]:
    """A scalar declares where it must lie, as ``Annotated[int, Domain(...)]``."""
    for parameter in public.parameters:
        if _word(parameter.name) in WORDS:
            continue
        for member in members(public.hint(parameter.name)):
            if member.type in (int, float) and member.domain is None:
                yield f"{parameter.name}: declares no domain for {member.type.__name__}"


@rule
def docstrings(public: Public) -> Iterator[str]:
    """A docstring has one line, and each section that applies."""
    doc = public.doc
    yield from doc.faults
    if public.kind == "property":
        return
    if public.kind == "record":
        if not typing.is_typeddict(public.object):
            fields = [n for n in signatures.record_fields(public.object) if not n.startswith("_")]
            yield from _described("Attributes", fields, public)
        return
    taken = [_written(parameter) for parameter in public.parameters]
    yield from _described("Parameters", taken, public)
    is_constructor = public.kind == "constructor"
    if not is_constructor and public.returns not in (None, type(None)):
        if not {"Returns", "Yields"} & doc.sections.keys():
            yield "has no section Returns"
    if taken and "Raises" not in doc.sections:
        yield "has no section Raises"
    if ">>> " not in doc.sections.get("Examples", "") and not public.name.endswith(".__call__"):
        yield "has no example"


@rule
def sources(public: Public) -> Iterator[str]:
    """Sources stand in the section References, in one form."""
    doc = public.doc
    references = doc.sections.get("References", "")
    for paragraph in filter(None, references.split("\n\n")):
        one_line = " ".join(paragraph.split())
        if not re.fullmatch(r'[^"\[]+, "[^"]+", .*(\b(19|20)\d\d\b|arXiv:).*\.', one_line):
            form = 'Authors, "Title", venue year, arXiv number.'
            yield f"References: must be {form}, got {one_line[:50]}"
    whole = inspect.cleandoc(public.object.__doc__ or "")
    for wrong in re.findall(r"arXiv(?!:\d{4}\.\d{4,5}\b).{0,12}", whole):
        yield f"References: must write arXiv:1234.56789, got {wrong!r}"
    elsewhere = " ".join(whole.replace(references, "").split())
    cited = re.findall(r'arXiv:[\d.]+\d|, "[A-Z][^"]{15,}",? [^"]*?\b(?:19|20)\d\d\b', elsewhere)
    for source in cited:
        yield f"References: must hold this source, too: {source.strip(', ')[:50]}"


@rule
def state(public: Public) -> Iterator[str]:
    """What changes returns itself, can be copied, and can be saved as bytes."""
    if public.name.rpartition(".")[2] in ("update", "merge") and public.kind == "method":
        if public.returns is not Self:
            yield "must change and return self: its result must be annotated as Self"
    if public.kind == "constructor" and {"update", "merge"} & set(dir(public.object)):
        missing = {"copy", "to_bytes", "from_bytes"} - set(dir(public.object))
        if missing:
            yield f"has state, but no {', '.join(sorted(missing))}"


@rule
def records(public: Public) -> Iterator[str]:
    """Several values are a NamedTuple; what has methods is a frozen dataclass without equality."""
    cls = public.object
    if public.kind != "record" or not hasattr(cls, "__dataclass_fields__"):
        return
    if not cls.__dataclass_params__.frozen or cls.__dataclass_params__.eq:
        yield "must be a dataclass with frozen=True and eq=False"
    if not any(inspect.isroutine(v) for n, v in inspect.getmembers(cls) if not n.startswith("_")):
        yield "has no methods and must be a NamedTuple"


def violations(public: Public) -> Iterator[tuple[str, str]]:
    """What a callable breaks: the rule, and what is wrong."""
    for name, check in RULES.items():
        excused = any(fnmatch(str(public), who) and name == of for who, of in EXCUSED)
        for what in () if excused else check(public):
            yield name, what


def _word(name: str) -> str:
    return "rng" if name in PEER_WORDS else name


def _written(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    return stars.get(parameter.kind, "") + parameter.name


def _kind(hint: Any) -> Any:
    return Literal if typing.get_origin(hint) is Literal else hint


def _classes(hint: Any) -> Iterator[type]:
    """The classes that an annotation names, however deep."""
    for member in members(hint):
        if isinstance(member.type, type) and typing.get_origin(member.type) is None:
            yield member.type
        for inner in typing.get_args(member.type):
            if inner is not Ellipsis:
                yield from _classes(inner)


def _exported(module: str) -> list[Any]:
    """The public classes of a module, the families and the top level."""
    modules = {"", *sortes.FAMILIES, module}
    return [public.object for name in modules for public in signatures.of_module(name)]


def _described(section: str, expected: list[str], public: Public) -> Iterator[str]:
    found = [name for entry in public.doc.entries(section) for name in entry.names]
    if expected and section not in public.doc.sections:
        yield f"has no section {section}"
    elif missing := [name for name in expected if name not in found]:
        yield f"section {section}: lacks {', '.join(missing)}"
    elif section == "Parameters" and found != expected:
        extra = [name for name in found if name not in expected]
        what = f"knows no {', '.join(extra)}" if extra else "has another order than the signature"
        yield f"section {section}: {what}"


IDEAS = sorted({public.defined_in for public in signatures.families()})


@pytest.mark.parametrize("idea", IDEAS)
@pytest.mark.parametrize("rule", RULES)
def test_family(idea, rule):
    checked = [public for public in signatures.families() if public.defined_in == idea]
    broken = [f"{p.name}: {what}" for p in checked for of, what in violations(p) if of == rule]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("module", signatures.integration_modules())
def test_integration(module):
    try:
        checked = signatures.of_module(module)
    except ImportError as error:
        if (error.name or "").startswith("sortes"):
            raise
        pytest.skip(str(error))
    broken = [f"{p.name}: {of}: {what}" for p in checked for of, what in violations(p)]
    assert checked
    assert not broken, "\n".join(broken)


def test_the_sheet_has_the_sentences():
    sheet = " ".join(SHEET.read_text(encoding="utf-8").split())
    for name, word in WORDS.items():
        assert f"{name} : {word.type} {word.sentence}" in sheet
    assert ", ".join(f"{name}={word.default}" for name, word in WORDS.items()) in sheet


STATE = [p for p in signatures.families() if p.name.rpartition(".")[2] == "to_bytes"]
CHANGES = [p for p in signatures.families() if p.name.endswith((".update", ".merge"))]


@pytest.mark.parametrize("public", CHANGES, ids=str)
def test_what_changes_returns_itself(public):
    change = tables.function(public)
    assert change(**tables.valid_calls(public)[0]) is change.__self__


@pytest.mark.parametrize("public", STATE, ids=str)
def test_a_pickle_is_the_bytes(public):
    held = tables.an_object(public)
    data = held.to_bytes()
    assert data in pickle.dumps(held)
    assert type(held).from_bytes(data).to_bytes() == data == held.copy().to_bytes()
    for broken in (data[:-1], data + b"x", bytes([data[0] ^ 1]) + data[1:], b""):
        with pytest.raises(ValueError, match=r"^data: "):
            type(held).from_bytes(broken)


# What keeps every rule, and what breaks one of them: each rule must notice.
KEPT = '''
from typing import Annotated, Any, Literal, Self, TypedDict, Unpack


class AtLeast1:
    def bad_values():
        return [0]


class Options(TypedDict, total=False):
    top: float


class Counter:
    """Count.

    Examples
    --------
    >>> Counter()
    """

    def update(
        self,
        k: Annotated[int, AtLeast1],
        *,
        method: Literal["a", "b"] = "a",
        rng: object = None,
        step: int = 0,
        num_threads: int | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Count on.

        Parameters
        ----------
        k : int
            How many.
        method : {"a", "b"}
            How.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`). More.
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        **options
            Others.

        Returns
        -------
        Counter
            This one.

        Raises
        ------
        ValueError
            If `k` is not positive.

        References
        ----------
        Smith and Jones, "On counting", JRSS 97, 1934, arXiv:1903.00227.

        Examples
        --------
        >>> Counter().update(1)
        """

    def copy(self) -> Self: ...
    def to_bytes(self) -> bytes: ...
    def from_bytes(self) -> Self: ...
'''
BROKEN = [
    ("names", ("rng: object", "seed: object"), ("rng : Rng", "seed : Rng")),
    ("words", ("rng: object = None,\n        step: int = 0", "step: int = 0, rng: object = None")),
    ("words", ("        *,\n        method", "        method"), ("ct = None,", "ct = None, *,")),
    ("words", ("step: int = 0", "step: int = 1")),
    ("words", ("rng: object = None", "rng: object = 0")),
    ("words", ("step: int = 0", "step: int = False")),
    ("words", ("rng: object = None", "rng: object")),
    ("words", ("        num_threads: int | None = None,", "        num_threads: int | None,")),
    ("sentences", ("fresh entropy", "new entropy")),
    ("sentences", ("Rng, optional", "Rng")),
    ("sentences", ("int, default 0", "int")),
    ("options", ("        *,\n        method", "        method"), ('"] = "a",', '"] = "a", *,')),
    ("options", ("k: Annotated[int, AtLeast1]", "k: bool")),
    ("keywords", ("Unpack[Options]", "Any")),
    ("results", ('-> Self:\n        """Count on', '-> Any:\n        """Count on')),
    ("results", (') -> Self:\n        """Count on', '):\n        """Count on')),
    ("results", ('-> Self:\n        """Count on', '-> Options:\n        """Count on')),
    ("domains", ("Annotated[int, AtLeast1]", "int")),
    ("domains", ("Annotated[int, AtLeast1]", "int | None")),
    ("docstrings", ("Count on.", "Count on")),
    ("docstrings", ("k : int\n            How many.", "k : int")),
    ("docstrings", ("k : int", "l : int")),
    ("docstrings", ("Returns\n        -------", "Gives\n        -----")),
    ("docstrings", ("Raises\n        ------", "Raises\n        -------")),
    ("docstrings", (">>> Counter().update(1)", "Counter().update(1)")),
    ("docstrings", (">>> Counter()\n", "Counter()\n")),
    ("sources", ("arXiv:1903.00227", "arXiv 1903.00227")),
    ("sources", ("Smith and Jones,", ".. [1] Smith and Jones,")),
    ("sources", ('"On counting"', "On counting")),
    ("sources", ("More.", "From arXiv:1903.00228.")),
    ("state", ('-> Self:\n        """Count on', '-> None:\n        """Count on')),
    ("state", ("def copy", "def clone")),
]


def made(source):
    """What a class that is written down here offers."""
    scope = {"__name__": "sortes.counter"}
    exec(source, scope)
    cls = scope["Counter"]
    return [
        Public("", "Counter", "constructor", cls, "counter"),
        Public("", "Counter.update", "method", cls.update, "counter", cls),
    ]


def test_what_keeps_the_contract():
    assert [v for public in made(KEPT) for v in violations(public)] == []


@pytest.mark.parametrize(("rule", "changes"), [(rule, changes) for rule, *changes in BROKEN])
def test_what_breaks_it(rule, changes):
    source = KEPT
    for old, new in changes:
        assert source.count(old) == 1
        source = source.replace(old, new)
    assert rule in {of for public in made(source) for of, _ in violations(public)}


@pytest.mark.parametrize(
    ("broken", "written"),
    [
        (1, "@dataclass\nclass R:\n    x: int\n    def f(self): ..."),
        (1, "@dataclass(frozen=True)\nclass R:\n    x: int\n    def f(self): ..."),
        (1, "@dataclass(frozen=True, eq=False)\nclass R:\n    x: int"),
        (0, "@dataclass(frozen=True, eq=False)\nclass R:\n    x: int\n    def f(self): ..."),
    ],
)
def test_records(broken, written):
    scope = {}
    exec(f"from dataclasses import dataclass\n{written}", scope)
    assert len(list(records(Public("", "R", "record", scope["R"], "")))) == broken
