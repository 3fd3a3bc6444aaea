"""Every public callable of the package, with its signature, its annotations and its docstring."""

import ast
import importlib
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Literal

import sortes
from docstrings import Docstring, parse
from numpy.typing import ArrayLike

Kind = Literal["function", "method", "classmethod", "constructor", "property", "record"]
STUB = Path(sortes.__file__).parent / "_core" / "__init__.pyi"
INTEGRATIONS = Path(sortes.__file__).parent / "integrations"


@dataclass(frozen=True)
class Public:
    """Something that users call, read or are given.

    Attributes
    ----------
    module
        Where it is imported from, without ``sortes.``: a family, ``""`` for the top level, or
        ``integrations.arrow``.
    name
        What it is called there: ``AliasTable.sample``.
    kind
        A record is a class whose objects users are given and do not make.
    object
        The function, class or property.
    defined_in
        The module that holds the code, without ``sortes.``.
    owner
        The class of a method.
    """

    module: str
    name: str
    kind: Kind
    object: Any
    defined_in: str
    owner: type | None = None

    def __str__(self) -> str:
        return f"{self.module}.{self.name}".lstrip(".")

    @cached_property
    def doc(self) -> Docstring:
        return parse(self.object.__doc__)

    @cached_property
    def parameters(self) -> list[inspect.Parameter]:
        """What a call takes, without the object itself."""
        if self.kind in ("property", "record"):
            return []
        given = list(inspect.signature(self.object).parameters.values())
        return given[1:] if self.kind == "method" else given

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """What can be given and its annotation: for typed keywords, each of them."""
        found = {}
        for parameter in self.parameters:
            hint = self.hint(parameter.name)
            if parameter.kind is not parameter.VAR_KEYWORD:
                found[parameter.name] = hint
            elif typing.get_origin(hint) is typing.Unpack:
                found |= record_fields(typing.get_args(hint)[0])
        return found

    @cached_property
    def returns(self) -> Any:
        """The annotation of the result; ``inspect.Signature.empty`` if there is none."""
        return self._hints.get("return", inspect.Signature.empty)

    def hint(self, parameter: str) -> Any:
        """The annotation of a parameter, `empty` if there is none."""
        return self._hints.get(parameter, inspect.Parameter.empty)

    @cached_property
    def overloads(self) -> list[dict[str, Any]]:
        """The annotations of each overload."""
        found = typing.get_overloads(self._function) if _is_python(self._function) else []
        return [_evaluated(each.__annotations__, each.__module__) for each in found]

    @property
    def _function(self) -> Any:
        if self.kind == "constructor":
            return vars(self.object).get("__init__") or self.object.__init__
        if self.kind == "property":
            return getattr(self.object, "fget", None)
        return getattr(self.object, "__func__", self.object)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        function = inspect.unwrap(self._function) if self._function else None
        if _is_python(function):
            return _evaluated(function.__annotations__, function.__module__)
        return _stub_hints(self.name) if not self.module else {}


def families() -> list[Public]:
    """What the top level and the families offer."""
    return [each for module in ("", *sortes.FAMILIES) for each in of_module(module)]


def integration_modules() -> list[str]:
    """The public modules of the integrations, whether or not their projects are here."""
    found = pkgutil.iter_modules([str(INTEGRATIONS)])
    return [f"integrations.{m.name}" for m in found if not m.name.startswith("_")]


@cache
def of_module(name: str) -> list[Public]:
    """What one module offers: each function and class, and the members of classes."""
    module = importlib.import_module(f"sortes.{name}".rstrip("."))
    values = {public: getattr(module, public) for public in _names(module)}
    if not name:  # what belongs to a family is found there
        families = set(sortes.FAMILIES)
        values = {n: v for n, v in values.items() if _defined_in(v).split(".")[0] not in families}
    classes = {v for v in values.values() if isinstance(v, type)}
    found: dict[int, Public] = {}  # a method of a private base is listed with one class
    for public, value in values.items():
        if isinstance(value, type):
            for each in _of_class(name, public, value, classes):
                found.setdefault(id(each.object), each)
        elif inspect.isroutine(value):
            found[id(value)] = Public(name, public, "function", value, _defined_in(value))
    return list(found.values())


def _names(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _of_class(module: str, name: str, cls: type, public: set[type]) -> Iterator[Public]:
    where = _defined_in(cls)
    record = (
        is_dataclass(cls)
        or issubclass(cls, tuple | Exception)
        or typing.is_typeddict(cls)
        or inspect.isabstract(cls)
    )
    yield Public(module, name, "record" if record else "constructor", cls, where)
    if typing.is_typeddict(cls):
        return
    seen: set[str] = set()
    for base in cls.__mro__:
        ours = base.__module__.partition(".")[0] == "sortes"
        for member, value in sorted(vars(base).items()) if ours else ():
            shown = not member.startswith("_") or member == "__call__"
            if not shown or member in seen:
                continue
            seen.add(member)
            if base is not cls and base in public:
                continue  # it is listed with that class
            kind: Kind
            if isinstance(value, classmethod | staticmethod):
                kind, value = "classmethod", getattr(cls, member)
            elif isinstance(value, property) or inspect.isgetsetdescriptor(value):
                kind = "property"
            elif inspect.isroutine(value):
                kind = "method"
            else:
                continue
            yield Public(module, f"{name}.{member}", kind, value, _defined_in(base), cls)


def _defined_in(value: Any) -> str:
    """The module of a value without ``sortes.``; native ones say `sortes`, and are in `_core`."""
    module = getattr(value, "__module__", None) or "sortes"
    if module in ("sortes", "sortes._core"):
        return "_core"
    return module.removeprefix("sortes.")


def _is_python(function: Any) -> bool:
    return isinstance(function, FunctionType)


def _evaluated(annotations: dict[str, Any], module: str) -> dict[str, Any]:
    found = {}
    for name, hint in annotations.items():
        where = getattr(hint, "__forward_module__", None) or module  # of a TypedDict or its base
        hint = getattr(hint, "__forward_arg__", hint)
        found[name] = eval(hint, _namespace(where)) if isinstance(hint, str) else hint
    return found


@cache
def _namespace(module: str) -> dict[str, Any]:
    """The names that annotations of a module use: those for type checkers alone as well."""
    loaded = sys.modules[module]
    names = dict(vars(loaded))
    for node in ast.parse(inspect.getsource(loaded)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                _execute(statement, names)
    return names


def _execute(statement: ast.stmt, names: dict[str, Any]) -> None:
    code = compile(ast.Module([statement], []), "<type checking>", "exec")
    try:
        exec(code, names)
    except ImportError:  # a project that is not here: its types are as good as any
        assert isinstance(statement, ast.Import | ast.ImportFrom)
        names.update({alias.asname or alias.name: _Absent for alias in statement.names})


class _Anything(type):
    """Lets any attribute or item stand for a type."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, item: object) -> Any:
        return cls


class _Absent(metaclass=_Anything):
    """A type of a project that is not installed."""


def record_fields(cls: type) -> dict[str, Any]:
    """The annotations of a record or of a dictionary of arguments."""
    return _evaluated(inspect.get_annotations(cls), cls.__module__)


@cache
def _stub() -> dict[str, ast.FunctionDef]:
    found: dict[str, ast.FunctionDef] = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + m.name: m for m in members if isinstance(m, ast.FunctionDef)}
    return found


def _stub_hints(name: str) -> dict[str, Any]:
    """The annotations of something native, from the stub."""
    node = _stub().get(name) or _stub().get(f"{name}.__new__")
    if node is None:
        return {}
    names: dict[str, Any] = dict(vars(sortes))
    for statement in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom) and statement.level == 0:
            _execute(statement, names)
        elif isinstance(statement, ast.Import):
            _execute(statement, names)
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    hints = {a.arg: a.annotation for a in arguments if a.annotation}
    if node.returns:
        hints["return"] = node.returns
    return {arg: eval(ast.unparse(hint), names) for arg, hint in hints.items()}


#: Into what an annotation of `ArrayLike` falls apart.
_ARRAY_LIKE = frozenset(typing.get_args(ArrayLike))


class Member(typing.NamedTuple):
    """One member of a union: its type, `ArrayLike` for arrays, and the domain it declares."""

    type: Any
    domain: Any = None


def members(hint: Any) -> list[Member]:
    """What an annotation accepts, member by member."""
    flat = list(_members(hint))
    if {member.type for member in flat} >= _ARRAY_LIKE:
        domain = next((m.domain for m in flat if m.domain is not None), None)
        flat = [m for m in flat if m.type not in _ARRAY_LIKE]
        flat.append(Member(ArrayLike, domain))
    return flat


def _members(hint: Any, domain: Any = None) -> Iterator[Member]:
    if isinstance(hint, typing.TypeVar):
        hint = hint.__bound__
    hint = getattr(hint, "__value__", hint)  # of a type alias
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        base, *notes = typing.get_args(hint)
        domain = next((note for note in notes if hasattr(note, "bad_values")), domain)
        yield from _members(base, domain)
    elif origin in (typing.Union, types.UnionType):
        for each in typing.get_args(hint):
            yield from _members(each, domain)
    else:
        yield Member(type(None) if hint is None else hint, domain)
