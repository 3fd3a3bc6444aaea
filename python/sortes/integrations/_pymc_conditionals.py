"""What of a model's log density changes with one coordinate, as a compiled function.

The density is a sum of terms, one for each variable, and most terms are sums over elements: of a
county, a school, a year. An update of one coordinate changes few of them. Here each term becomes a
loop over its elements, with an index from coordinates to the elements that read them; what PyTensor
knows of a term, its simplified graph, is written down as one expression of the element's number.
"""

from __future__ import annotations

import ctypes
import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sortes._optional import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

numba: Any = require("numba", extra="pymc")
pytensor: Any = require("pytensor", extra="pymc")

#: Beyond so many terms, or numbers in them, the code would take longer to compile than it saves.
_MOST_TERMS: Final = 200
_MOST_NUMBERS: Final = 2**20
#: Sums in any order: a loop over elements is then one of vectors.
_MATH: Final = {"reassoc", "nsz", "arcp", "contract"}

#: Operations of numbers, as expressions of what they are applied to.
_UNARY: Final = {
    "Abs": "abs({})",
    "ArcTan": "math.atan({})",
    "Ceil": "math.ceil({})",
    "Cos": "math.cos({})",
    "Cosh": "math.cosh({})",
    "Erf": "math.erf({})",
    "Erfc": "math.erfc({})",
    "Exp": "math.exp({})",
    "Expm1": "math.expm1({})",
    "Floor": "math.floor({})",
    "GammaLn": "math.lgamma({})",
    "Identity": "{}",
    "IsInf": "math.isinf({})",
    "IsNan": "math.isnan({})",
    "Log": "math.log({})",
    "Log1mexp": "log1mexp({})",
    "Log1p": "math.log1p({})",
    "Neg": "-{}",
    "Reciprocal": "1.0 / {}",
    "Sigmoid": "1.0 / (1.0 + math.exp(-{}))",
    "Sin": "math.sin({})",
    "Sinh": "math.sinh({})",
    "Softplus": "softplus({})",
    "Sqr": "square({})",
    "Sqrt": "math.sqrt({})",
    "Tanh": "math.tanh({})",
}
_BINARY: Final = {
    "AND": "{} & {}",
    "EQ": "{} == {}",
    "GE": "{} >= {}",
    "GT": "{} > {}",
    "LE": "{} <= {}",
    "LT": "{} < {}",
    "NEQ": "{} != {}",
    "OR": "{} | {}",
    "Pow": "{} ** {}",
    "Second": "{1}",
    "Sub": "{} - {}",
    "TrueDiv": "{} / {}",
}
_SUMS: Final = {"Add": " + ", "Mul": " * "}
#: Operations that take elements of their first argument and put them elsewhere.
_MOVES: Final = {
    "AdvancedSubtensor",
    "AdvancedSubtensor1",
    "Alloc",
    "DimShuffle",
    "Reshape",
    "ScalarFromTensor",
    "SpecifyShape",
    "Subtensor",
    "TensorFromScalar",
}


class _UnknownError(Exception):
    """What cannot be written as an expression of an element's number."""


def conditionals_of(
    terms: Sequence[Any],
    point: Any,
    inner: Callable[..., Any],
    check: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    at: NDArray[np.float64],
) -> Any | None:
    """Return a C function ``int f(int i, int n, const double *x, double *logp, void *user)``.

    Parameters
    ----------
    terms : sequence of tensor variables
        Terms whose elements sum to the log density, of constants and `point` alone.
    point : tensor variable, shape (d,)
        The point.
    inner : compiled function
        The whole density of a vector, for coordinates of terms that are no loops.
    check : callable
        The whole density of many points: what is compiled must differ from it by the same number at
        points that differ in one coordinate.
    at : ndarray, shape (d,)
        A point where the density is finite.

    Returns
    -------
    cfunc or None
        None where it would not be cheaper, or is not right.
    """
    dim = len(at)
    pieces = list(_pieces(terms))
    if len(pieces) > _MOST_TERMS:
        return None
    loops: list[_Loop] = []
    whole = np.zeros(dim, bool)
    for sign, term in pieces:
        try:
            loops.append(_Loop(f"k{len(loops)}", sign, term, point))
        except _UnknownError:
            whole[_reads(term, point, dim)] = True
    numbers = sum(array.size for loop in loops for array in loop.arrays())
    if whole.sum() > dim // 2 or numbers > _MOST_NUMBERS:
        return None
    function = _compiled(loops, whole, inner, dim)
    return function if _is_right(function, check, at) else None


def simplified(graphs: Sequence[Any]) -> list[Any]:
    """Return graphs as they are before PyTensor fuses them."""
    rewriting = importlib.import_module("pytensor.graph.rewriting.utils")
    stages = ("canonicalize", "stabilize", "specialize")
    found = rewriting.rewrite_graph(list(graphs), include=stages)
    # Shapes that were those of data are known only now, and what was reckoned with them.
    known: dict[Any, Any] = {}
    for node in walks().toposort(found):
        inputs = [known.get(variable, variable) for variable in node.inputs]
        shape = getattr(inputs[0].type, "shape", (None,)) if inputs else (None,)
        if _name(node.op) == "Shape" and None not in shape:
            known[node.outputs[0]] = pytensor.tensor.constant(np.array(shape, np.int64))
        else:
            known |= zip(node.outputs, node.op.make_node(*inputs).outputs, strict=True)
    again = [known.get(graph, graph) for graph in found]
    simple: list[Any] = rewriting.rewrite_graph(again, include=stages)
    return simple


def walks() -> Any:
    """Return what PyTensor has for walks through graphs."""
    try:
        return importlib.import_module("pytensor.graph.traversal")
    except ImportError:  # PyTensor before 3
        return pytensor.graph.basic


def _name(op: Any) -> str:
    return type(op).__name__


def _pieces(terms: Sequence[Any], sign: float = 1.0) -> Iterator[tuple[float, Any]]:
    """Split numbers that are sums into what they are sums of."""
    for term in terms:
        node = term.owner
        name = "" if node is None else _name(getattr(node.op, "scalar_op", node.op))
        if term.ndim == 0 and name == "Add" and hasattr(node.op, "scalar_op"):
            if _name(node.op) == "Elemwise":
                yield from _pieces(node.inputs, sign)
                continue
            if node.op.axis is None or len(node.op.axis) == node.inputs[0].ndim:
                yield from _pieces(node.inputs, sign)
                continue
        if term.ndim == 0 and name == "Sub":
            yield from _pieces(node.inputs[:1], sign)
            yield from _pieces(node.inputs[1:], -sign)
            continue
        yield sign, term


def _conditions(variables: Sequence[Any]) -> Iterator[Any]:
    """Split conditions that all must hold."""
    for variable in variables:
        name = "" if variable.owner is None else _name(variable.owner.op)
        if name in ("All", "MakeVector", "ScalarFromTensor", "TensorFromScalar"):
            yield from _conditions(variable.owner.inputs)
        else:
            yield variable


def _shape(variable: Any) -> tuple[int, ...]:
    shape = getattr(variable.type, "shape", ())
    if None in shape:
        raise _UnknownError("a shape that only the graph knows")
    return tuple(shape)


def _fits(shape: tuple[int, ...], out: tuple[int, ...]) -> bool:
    """Return whether an array of one shape can be broadcast to another."""
    pairs = zip(reversed(shape), reversed(out), strict=False)
    return len(shape) <= len(out) and all(size in (1, wanted) for size, wanted in pairs)


def _reads(term: Any, point: Any, dim: int) -> NDArray[np.int64]:
    """Return the coordinates that a graph may depend on."""
    found = [np.zeros(0, np.int64)]
    for variable in walks().ancestors([term]):
        if variable.owner is None or point not in variable.owner.inputs:
            continue
        try:
            found.append(_moved(variable.owner, dim))
        except _UnknownError:
            return np.arange(dim)
    if term is point:
        return np.arange(dim)
    return np.unique(np.concatenate(found))


def _moved(node: Any, size: int) -> NDArray[np.int64]:
    """Return where the elements of an output come from in the first input."""
    if _name(node.op) not in _MOVES:
        raise _UnknownError(_name(node.op))
    rest = node.inputs[1:]
    if not all(hasattr(variable, "data") for variable in rest):
        raise _UnknownError("an index that depends on the point")
    ids: Any = np.arange(size).reshape(_shape(node.inputs[0]))
    if _name(node.op) in ("ScalarFromTensor", "TensorFromScalar", "SpecifyShape"):
        return np.asarray(ids.ravel(), np.int64)
    if _name(node.op) == "Alloc":
        shape = tuple(int(size.data) for size in rest)
        return np.asarray(np.broadcast_to(ids, shape).ravel(), np.int64)
    out: list[Any] = [None]
    node.op.perform(node, [ids, *(variable.data for variable in rest)], [out])
    found: NDArray[np.int64] = np.ravel(out[0])
    return found


class _Loop:
    """A term as a loop over its elements.

    Where each element reads one coordinate beside those that all read, elements are in the order of
    that.
    """

    def __init__(self, name: str, sign: float, term: Any, point: Any) -> None:
        self.name, self.sign, self.term, self.point = name, sign, term, point
        self.size = math.prod(_shape(term))
        self.order = np.arange(self.size)
        self.constants: dict[str, NDArray[Any]] = {}
        self.named: dict[bytes, str] = {}
        #: Coordinates that all elements read, and others: which each element reads.
        self.fixed: set[int] = set()
        self.maps: dict[bytes, NDArray[np.int64]] = {}
        self.body(moves=False)
        self.is_sorted = len(self.maps) == 1
        if self.is_sorted:
            (read,) = self.maps.values()
            self.order = np.argsort(read, kind="stable")
            self.constants.clear()
            self.named.clear()
            self.maps.clear()
        self.whole = self.body(moves=False)
        self.part = self.body(moves=True) if self.is_sorted else self.whole

    def body(self, *, moves: bool) -> tuple[list[str], list[str], str]:
        """Return lines that are the same for all elements, those of an element, and its value.

        The number of the element is `t`. With `moves`, its own coordinate is `i`.
        """
        self.moves = moves
        self.once: list[str] = []
        self.each: list[str] = []
        self.known: dict[Any, tuple[str, bool]] = {}
        value, _ = self.emit(self.term, self.order)
        return self.once, self.each, value if self.sign > 0 else f"-({value})"

    def arrays(self) -> list[NDArray[Any]]:
        return [*self.constants.values(), *self.maps.values()]

    def line(self, expression: str, is_each: bool) -> tuple[str, bool]:
        """Give an expression a name."""
        lines = self.each if is_each else self.once
        name = f"{self.name}v{len(self.once) + len(self.each)}"
        lines.append(f"{name} = {expression}")
        return name, is_each

    def array(self, values: NDArray[Any]) -> str:
        key = values.dtype.str.encode() + values.tobytes()
        if key not in self.named:
            self.named[key] = f"{self.name}c{len(self.constants)}"
            self.constants[self.named[key]] = np.ascontiguousarray(values)
        return self.named[key]

    def emit(self, variable: Any, index: NDArray[np.int64]) -> tuple[str, bool]:
        """Return a name of a variable's element at `index[t]`, and whether `t` changes it."""
        if index.size and (index == index[0]).all():
            index = index[:1]
        key = variable, index.tobytes()
        if key not in self.known:
            self.known[key] = self.write(variable, index)
        return self.known[key]

    def write(self, variable: Any, index: NDArray[np.int64]) -> tuple[str, bool]:
        if hasattr(variable, "data"):
            values = np.ravel(variable.data)[index]
            if values.dtype.kind not in "biuf":
                raise _UnknownError(str(values.dtype))
            if (values == values[0]).all() or len(values) == 1:
                return _literal(values[0]), False
            return self.line(f"{self.array(values)}[t]", True)
        if variable is self.point:
            return self.read(index)
        node = variable.owner
        if node is None:
            raise _UnknownError("an input")
        if _name(node.op) == "Elemwise":
            return self.apply(node, index)
        if _name(node.op) == "CheckParameterValue":
            return self.checked(node, index)
        if _name(node.op) in ("MakeVector", "Join"):
            return self.joined(node, index)
        origin = node.inputs[0]
        return self.emit(origin, _moved(node, math.prod(_shape(origin)))[index])

    def read(self, index: NDArray[np.int64]) -> tuple[str, bool]:
        if len(index) == 1:
            self.fixed.add(int(index[0]))
            return self.line(f"x[{index[0]}]", False)
        self.maps[index.tobytes()] = index
        if self.moves:
            return self.line("x[i]", False)
        first = int(index[0])
        if (index == first + np.arange(len(index))).all():
            return self.line(f"x[t + {first}]", True)
        return self.line(f"x[{self.array(index)}[t]]", True)

    def joined(self, node: Any, index: NDArray[np.int64]) -> tuple[str, bool]:
        parts = node.inputs if _name(node.op) == "MakeVector" else node.inputs[1:]
        if _name(node.op) == "Join" and any(part.ndim != 1 for part in parts):
            raise _UnknownError("rows that are joined")
        begin = 0
        for part in parts:
            end = begin + math.prod(_shape(part))
            if (index >= begin).all() and (index < end).all():
                return self.emit(part, index - begin)
            begin = end
        raise _UnknownError("elements of several vectors")

    def checked(self, node: Any, index: NDArray[np.int64]) -> tuple[str, bool]:
        """Make a parameter out of its domain a NaN, of the elements that are asked about."""
        value, is_each = self.emit(node.inputs[0], index)
        out = _shape(node.outputs[0])
        for condition in _conditions(node.inputs[1:]):
            shape = _shape(condition)
            if math.prod(shape) == 1:
                at = np.zeros(1, np.int64)
            elif _fits(shape, out):
                at = self.spread(condition, out, index)
            else:
                raise _UnknownError("a condition of another shape")
            fine, varies = self.emit(condition, at)
            value, is_each = self.line(f"{value} if {fine} else nan", is_each or varies)
        return value, is_each

    def apply(self, node: Any, index: NDArray[np.int64]) -> tuple[str, bool]:
        """Write an operation on elements."""
        out = _shape(node.outputs[0])
        op = node.op.scalar_op
        name = _name(op)
        places = [self.spread(variable, out, index) for variable in node.inputs]
        if name in _UNARY or name == "Cast":
            # A function of one of two numbers: of each of them once, not of all elements.
            inside = node.inputs[0].owner
            if inside is not None and _name(getattr(inside.op, "scalar_op", None)) == "Switch":
                shape = _shape(node.inputs[0])
                arms = [
                    self.emit(arm, self.spread(arm, shape, places[0])) for arm in inside.inputs[1:]
                ]
                if not any(is_each for _, is_each in arms):
                    chosen = self.spread(inside.inputs[0], shape, places[0])
                    condition, is_each = self.emit(inside.inputs[0], chosen)
                    first, second = (self.line(_expression(op, [arm]), False)[0] for arm, _ in arms)
                    return self.line(f"{first} if {condition} else {second}", is_each)
        parts = [
            self.emit(variable, place) for variable, place in zip(node.inputs, places, strict=True)
        ]
        is_each = any(varies for _, varies in parts)
        return self.line(_expression(op, [text for text, _ in parts]), is_each)

    def spread(
        self, variable: Any, out: tuple[int, ...], index: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return where elements of a result come from in an argument that is broadcast."""
        shape = _shape(variable)
        if shape == out:
            return index
        size = math.prod(shape)
        if size == 1:
            return np.zeros(1, np.int64)
        return np.broadcast_to(np.arange(size).reshape(shape), out).ravel()[index]

    def index(self, dim: int) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
        """Return which coordinates all elements read; and the elements that read the others."""
        everything = np.zeros(dim, bool)
        everything[list(self.fixed)] = True
        numbers = np.arange(self.size)
        pairs = [np.stack([read, numbers], axis=1) for read in self.maps.values()]
        rows = np.unique(np.concatenate([*pairs, np.zeros((0, 2), np.int64)]), axis=0)
        if not self.is_sorted:
            rows = rows[~everything[rows[:, 0]]]
        begins = np.searchsorted(rows[:, 0], np.arange(dim + 1))
        return everything, begins, np.ascontiguousarray(rows[:, 1])

    def code(self, dim: int) -> tuple[list[str], dict[str, Any]]:
        """Return lines that add to `total` what changes with coordinate `i`, and what they name."""
        everything, begins, elements = self.index(dim)
        names = {f"{self.name}all": everything, f"{self.name}begins": begins}
        lines, indent = [], ""
        if everything.any():
            once, each, value = self.whole
            lines += [f" if {self.name}all[i]:", *(f"  {line}" for line in once)]
            lines += ["  part = 0.0", f"  for t in range(unsigned({self.size})):"]
            lines += [*(f"   {line}" for line in each), f"   part += {value}", "  total += part"]
            lines, indent = [*lines, " else:"], " "
        if len(elements):
            once, each, value = self.part
            lines += [
                f"{indent} begin = unsigned({self.name}begins[i])",
                f"{indent} end = unsigned({self.name}begins[i + 1])",
            ]
            lines += [f"{indent} if begin < end:", *(f"{indent}  {line}" for line in once)]
            lines += [f"{indent}  part = 0.0"]
            if self.is_sorted:
                lines += [f"{indent}  for t in range(begin, end):"]
            else:
                names[f"{self.name}elements"] = elements
                lines += [f"{indent}  for j in range(begin, end):"]
                lines += [f"{indent}   t = {self.name}elements[j]"]
            lines += [f"{indent}   {line}" for line in each]
            lines += [f"{indent}   part += {value}", f"{indent}  total += part"]
        elif everything.any():
            lines.pop()  # that would be an else without anything
        return lines, names | self.constants


def _literal(value: Any) -> str:
    number = value.item()
    if isinstance(number, float) and not math.isfinite(number):
        return "nan" if math.isnan(number) else ("inf" if number > 0 else "(-inf)")
    return f"({number!r})"


def _expression(op: Any, args: Sequence[str]) -> str:
    """Return an operation of numbers as an expression."""
    name = _name(op)
    if name in _SUMS:
        return _SUMS[name].join(args)
    if name in _UNARY:
        return _UNARY[name].format(args[0])
    if name in _BINARY:
        return _BINARY[name].format(*args)
    if name in ("ScalarMaximum", "Maximum", "ScalarMinimum", "Minimum"):
        sign = ">" if "Max" in name else "<"
        return f"{args[0]} if {args[0]} {sign} {args[1]} or {args[0]} != {args[0]} else {args[1]}"
    if name == "Switch":
        return f"{args[1]} if {args[0]} else {args[2]}"
    if name == "Cast" and op.o_type.dtype in ("float64", "int64", "bool"):
        kind = {"float64": "float", "int64": "int", "bool": "bool"}[op.o_type.dtype]
        return f"{kind}({args[0]})"
    raise _UnknownError(name)


def _softplus(x: float) -> float:
    if x < -37.0:
        return math.exp(x)
    if x < 18.0:
        return math.log1p(math.exp(x))
    return x + math.exp(-x)


def _log1mexp(x: float) -> float:
    return math.log1p(-math.exp(x)) if x < -0.6931471805599453 else math.log(-math.expm1(x))


def _square(x: float) -> float:
    return x * x


def _compiled(loops: Sequence[_Loop], whole: NDArray[np.bool_], inner: Any, dim: int) -> Any:
    """Return the C function of all loops."""
    quick = numba.njit(error_model="numpy", inline="always")
    names: dict[str, Any] = {
        "math": math,
        "inf": np.inf,
        "nan": np.nan,
        "softplus": numba.njit(error_model="numpy")(_softplus),
        "log1mexp": numba.njit(error_model="numpy")(_log1mexp),
        "square": quick(_square),
        "carray": numba.carray,
        "unsigned": np.uintp,
        "inner": inner,
        "whole": whole,
    }
    lines = ["def density(i, n, x, out, user):"]
    if whole.any():
        lines += [
            " if whole[i]:",
            "  try:",
            f"   out[0] = inner(carray(x, ({dim},)))[0].item()",
            "  except Exception:",
            "   out[0] = nan",
            "  return 0",
        ]
    lines.append(" total = 0.0")
    for loop in loops:
        code, named = loop.code(dim)
        lines += code
        names |= named
    lines += [" out[0] = total", " return 0"]
    exec("\n".join(lines), names)
    numbers = numba.types.CPointer(numba.types.float64)
    number = numba.types.intc
    kind = number(number, number, numbers, numbers, numba.types.voidptr)
    return numba.cfunc(kind, error_model="numpy", fastmath=_MATH)(names["density"])


def _is_right(
    function: Any,
    check: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    at: NDArray[np.float64],
) -> bool:
    """Compare differences with those of the whole density, at some points near one."""
    generator = np.random.default_rng(0)
    dim, call, out = len(at), function.ctypes, np.empty(1)
    for _ in range(3):
        x = at + generator.uniform(-1, 1, dim)
        some = np.arange(dim) if dim <= 256 else generator.choice(dim, 256, replace=False)
        points = np.repeat(x[np.newaxis], len(some) + 1, axis=0)
        points[np.arange(len(some)), some] += generator.uniform(-1, 1, len(some))
        values = check(points)
        for point, i, value in zip(points, some, values, strict=False):
            parts = []
            for where in (point, x):
                out[0] = np.nan
                call(int(i), dim, _pointer(where), _pointer(out), None)
                parts.append(out[0])
            difference, wanted = parts[0] - parts[1], value - values[-1]
            size = abs(value) + abs(values[-1]) + abs(parts[0]) + abs(parts[1])
            if np.isfinite(wanted) != np.isfinite(difference):
                return False
            if np.isfinite(wanted) and abs(difference - wanted) > 1e-9 * (1 + size):
                return False
    return True


def _pointer(array: NDArray[np.float64]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
