"""Results of fits: a plan, how well it does, and files of both."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, final, get_args

import numpy as np

from sortes._check import Domain, one_of, shown
from sortes.diffusion.path import Kind, Path, _restored
from sortes.diffusion.plans import Plan
from sortes.diffusion.solvers import solver_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ERROR: Final = Domain("[0, inf]")
_FORMAT: Final = "sortes.diffusion.Fitted"
_VERSION: Final = 1
#: The solvers of plans that `plan` does not make.
_OWN: Final = ("fitted", "steps")
#: The arrays of a plan: how many rows for how many evaluations, and how many columns.
_SHAPES: Final = {
    "c": (1, None),
    "w": (1, "history"),
    "n": (1, "noises"),
    "offset": (1, None),
    "fresh": (1, None),
    "index": (0, None),
    "lam": (0, None),
    "mix": (0, 2),
    "step": (0, None),
    "state_c": (0, None),
    "state_w": (0, "history"),
    "state_n": (0, "noises"),
}
_SAVED: Final = ("history", "noises", *_SHAPES, "intervals")
_TYPES: Final = {"fresh": np.bool_, "index": np.int64, "step": np.int64}


@final
@dataclass(frozen=True, eq=False)
class Fitted:
    """A plan that was fitted to a denoiser, which `fit_plan` and its relatives return.

    Attributes
    ----------
    plan : Plan
        The plan, for `sample`.
    rmse : float
        The root mean square of how far it ends from where it should, on the states that it was
        fitted to. On others it is larger: measure it there.

    Raises
    ------
    ValueError
        If `rmse` is negative or NaN, or the plan is one of CFG++.
    TypeError
        If something has a wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sortes.diffusion import Fitted, GaussianMixture, Path, fit_plan
    >>> law = GaussianMixture([0.3, 0.7], [-1.2, 0.9], 0.4)
    >>> path = Path.ve(np.append(np.geomspace(10, 0.03, 50), 0.0))
    >>> x = 10 * torch.randn(200, dtype=torch.float64)
    >>> found = fit_plan(law.denoise, x, path, 4, max_iterations=3)
    >>> found.plan
    Plan('fitted', n_steps=4, n_evaluations=4, n_draws=0)
    >>> import os, tempfile
    >>> file = os.path.join(tempfile.mkdtemp(), "four.json")
    >>> found.save(file)
    >>> Fitted.load(file, kind="ve").rmse == found.rmse
    True
    """

    plan: Plan
    rmse: Annotated[float, _ERROR]

    def __post_init__(self) -> None:
        if not isinstance(self.plan, Plan):
            raise TypeError(f"plan: must be a Plan, got {shown(self.plan)}")
        if self.plan.guided:
            raise ValueError(f"plan: must not be one of CFG++, got {shown(self.plan)}")
        object.__setattr__(self, "rmse", _ERROR.check(self.rmse, "rmse"))

    @property
    def path(self) -> Path:
        """The noise levels of the plan."""
        return self.plan.path

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the result to a file, as JSON with its format and version.

        Parameters
        ----------
        file : str or path
            Where to. A file that is there is replaced once all is written.

        Raises
        ------
        TypeError
            If it is no name of a file.
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> from sortes.diffusion import Fitted, Path, plan
        >>> found = Fitted(plan("ddim", Path.ve([9.0, 1.0, 0.0])), 0.5)
        >>> found.save(os.path.join(tempfile.mkdtemp(), "two.json"))
        """
        name = _name(file)
        text = json.dumps(_described(self), indent=1)
        part = f"{name}.part"
        with open(part, "w", encoding="utf-8") as out:
            out.write(text + "\n")
        os.replace(part, name)

    @classmethod
    def load(cls, file: str | os.PathLike[str], *, kind: Kind, solver: str | None = None) -> Fitted:
        """Read the result that `save` has written.

        Parameters
        ----------
        file : str or path
            The file. It may come from anywhere: everything in it is checked.
        kind : {"vp", "ve", "flow"}
            How the states of the denoiser are scaled, see `Path`. A result of another kind is
            refused.
        solver : str, optional
            The solver that it should be of: ``"fitted"`` for `fit_plan`, ``"steps"`` for
            `fit_steps`, that of `fit_schedule`. A result of another is refused.

        Returns
        -------
        Fitted
            The same plan, bit for bit.

        Raises
        ------
        ValueError
            If the file holds something else, is of another version, kind or solver, or is damaged.
        TypeError
            If an argument has a wrong type.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import os, tempfile
        >>> from sortes.diffusion import Fitted, Path, plan
        >>> file = os.path.join(tempfile.mkdtemp(), "two.json")
        >>> Fitted(plan("ddim", Path.ve([9.0, 1.0, 0.0])), 0.5).save(file)
        >>> Fitted.load(file, kind="vp")
        Traceback (most recent call last):
        ValueError: kind: must be "ve", that of the fitted result, got "vp"
        """
        one_of(kind, "kind", get_args(Kind))
        if solver is not None:
            one_of(solver, "solver", [*_OWN, *solver_names()])
        with open(_name(file), encoding="utf-8") as source:
            try:
                found = json.load(source)
            except (ValueError, RecursionError) as error:
                _refuse(f"holds no JSON: {error}")
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            _refuse("holds no fitted result")
        if found.get("version") != _VERSION or isinstance(found["version"], bool):
            _refuse(f"must be of version {_VERSION}, got {shown(found.get('version'))}")
        if found.get("kind") != kind and found.get("kind") in get_args(Kind):
            raise ValueError(
                f'kind: must be "{found["kind"]}", that of the fitted result, got "{kind}"'
            )
        if solver is not None and found.get("solver") != solver:
            raise ValueError(
                f"solver: must be {shown(found.get('solver'))}, that of the fitted result, "
                f"got {solver!r}"
            )
        return _read(found)


def _name(file: Any) -> str:
    try:
        name = os.fspath(file)
    except TypeError:
        name = None
    if not isinstance(name, str):
        raise TypeError(f"file: must be the name of a file, got {shown(file)}")
    if "\0" in name or not name:
        raise ValueError(f"file: must be the name of a file, got {shown(file)}")
    return name


def _refuse(reason: str) -> NoReturn:
    raise ValueError(f"file: {reason}")


def _plain(x: Any) -> Any:
    """Return numbers as JSON has them; others than finite ones are strings."""
    if isinstance(x, np.ndarray):
        return [_plain(item) for item in x.tolist()] if x.ndim else _plain(x.item())
    if isinstance(x, list):
        return [_plain(item) for item in x]
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return x


def _described(found: Fitted) -> dict[str, Any]:
    path = found.path
    clock = path._clock
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "kind": path.kind,
        "solver": found.plan.solver,
        "rmse": _plain(float(found.rmse)),
        "path": {
            "alpha": _plain(path.alpha),
            "sigma": _plain(path.sigma),
            "t": _plain(path.t),
            "clock": clock if isinstance(clock, float) else [_plain(part) for part in clock],
        },
        "plan": {name: _plain(found.plan._arrays[name]) for name in _SAVED},
    }


def _read(found: dict[str, Any]) -> Fitted:
    """Return the result of checked format, version and kind."""
    solver = found.get("solver")
    if not isinstance(solver, str) or solver not in (*_OWN, *solver_names()):
        _refuse(f"is of an unknown solver, {shown(solver)}")
    parts, arrays = found.get("path"), found.get("plan")
    if not isinstance(parts, dict) or not isinstance(arrays, dict):
        _refuse("is damaged: it has no path or no plan")
    rmse = float(_numbers(found.get("rmse"), "rmse", 0))
    if rmse not in _ERROR:
        _refuse(f"is damaged: rmse is {rmse}")
    alpha, sigma, t = (_numbers(parts.get(name), name, 1) for name in ("alpha", "sigma", "t"))
    clock = parts.get("clock")
    nodes: Any = None
    if isinstance(clock, list):
        if len(clock) != 2:
            _refuse("is damaged: clock")
        nodes = _numbers(clock[0], "clock", 1), _numbers(clock[1], "clock", 1)
    scale = clock if isinstance(clock, float) else 0.0
    if nodes is None and not 0 < scale < math.inf:
        _refuse("is damaged: clock")
    kind = found.get("kind")
    try:
        path = Path(alpha, sigma, t, kind=kind, clock=nodes)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        _refuse(f"is damaged: {error}")
    if nodes is None:
        path = _restored(path.alpha, path.sigma, path.t, path.kind, scale)
    return Fitted(Plan._of(solver, path, _arrays(arrays, path)), rmse)


def _numbers(x: Any, name: str, dims: int) -> NDArray[np.float64]:
    """Return numbers of a file, which may be strings where they are not finite."""
    special = {"nan", "inf", "-inf"}

    def number(item: Any, depth: int) -> Any:
        if depth:
            if not isinstance(item, list):
                _refuse(f"is damaged: {name}")
            return [number(part, depth - 1) for part in item]
        if isinstance(item, str) and item in special:
            return float(item)
        if not isinstance(item, int | float) or abs(item) > 1e300:
            _refuse(f"is damaged: {name}")
        return float(item)

    try:
        return np.array(number(x, dims), np.float64)
    except ValueError:
        _refuse(f"is damaged: {name}")


def _arrays(given: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the arrays of a plan, of shapes and values that belong together."""
    sizes = {}
    for name, least in (("history", 1), ("noises", 0)):
        size = given.get(name)
        if type(size) is not int or not least <= size <= 1 << 16:
            _refuse(f"is damaged: {name}")
        sizes[name] = size
    evaluations = len(_numbers(given.get("lam"), "lam", 1))
    arrays: dict[str, Any] = dict(sizes)
    for name, (more, columns) in _SHAPES.items():
        width = sizes[columns] if isinstance(columns, str) else columns
        values = _numbers(given.get(name), name, 1 if width is None else 2)
        shape = (evaluations + more,) if width is None else (evaluations + more, width)
        if values.shape != shape:
            _refuse(f"is damaged: {name} must have shape {shape}, got {values.shape}")
        if name != "lam" and not np.isfinite(values).all():
            _refuse(f"is damaged: {name} is not finite")
        arrays[name] = values.astype(_TYPES.get(name, np.float64))
        if name != "lam" and (arrays[name] != values).any():
            _refuse(f"is damaged: {name} must hold integers")
    arrays["intervals"] = _numbers(given.get("intervals"), "intervals", 1)
    draws = int(arrays["fresh"].sum())
    if len(arrays["intervals"]) != 2 * draws or (draws and not sizes["noises"]):
        _refuse("is damaged: intervals")
    if not evaluations or np.isnan(arrays["lam"]).any():
        _refuse("is damaged: lam")
    index, step, n = arrays["index"], arrays["step"], path.n_steps
    if index.min() < -1 or index.max() > n or step.min() < -1 or step.max() >= n:
        _refuse("is damaged: index or step")
    if path.kind == "ve" and (arrays["lam"] == -np.inf).any():
        _refuse("is damaged: lam")
    # A row combines what there is: predictions before it, and noises that have been drawn.
    drawn = np.cumsum(arrays["fresh"])
    for name, there in (
        ("w", np.arange(evaluations + 1)),
        ("state_w", np.arange(1, evaluations + 1)),
        ("n", drawn),
        ("state_n", drawn[:-1]),
    ):
        if arrays[name][np.arange(arrays[name].shape[1]) >= there[:, None]].any():
            _refuse(f"is damaged: {name} combines what is not there")
    p, r = arrays["mix"].T
    if not ((r == 1) | (p == 1)).all():
        _refuse("is damaged: mix")
    return arrays
