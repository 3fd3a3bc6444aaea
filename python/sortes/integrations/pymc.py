"""PyMC models: chains of any kernel on their densities, and results as ArviZ has them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from sortes import mcmc
from sortes._check import AtLeastOne, Count, Positive, shown
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._optional import require
from sortes._progress import Progress
from sortes._rng import Rng
from sortes.integrations._pymc_conditionals import conditionals_of, simplified, walks
from sortes.mcmc.control import ChainProgress
from sortes.mcmc.kernels import AnyKernel
from sortes.mcmc.sampling import OnLimit
from sortes.mcmc.trace import arviz_of, groups_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["CompiledModel", "compile_model", "sample"]

pm: Any = require("pymc", extra="pymc")
numba: Any = require("numba", extra="pymc")
pytensor: Any = require("pytensor", extra="pymc")

#: Draws that become variables at once.
_BLOCK: Final = 1024


@dataclass(frozen=True, eq=False, repr=False)
class CompiledModel:
    """A PyMC model whose density is compiled, from `compile_model`.

    Attributes
    ----------
    logp : CLogp
        The log density of unconstrained points, with the Jacobian of the transforms, as
        ``model.logp()`` has it. `sortes.mcmc.sample` takes it as well.
    initial_point : ndarray of float64, shape (d,)
        The model's own initial point, unconstrained.
    names : dict
        The name and the shape of each variable of such a point, in the order of the coordinates.

    Examples
    --------
    >>> import pymc as pm
    >>> from sortes.integrations.pymc import compile_model
    >>> from sortes.mcmc import Slice, sample
    >>> with pm.Model() as model:
    ...     scale = pm.HalfNormal("scale")
    >>> compiled = compile_model(model)
    >>> compiled.names
    {'scale_log__': ()}
    >>> trace = sample(compiled.logp, Slice(), compiled.initial_point, rng=0)
    >>> compiled.to_arviz(trace).posterior["scale"].shape
    (4, 1000)
    """

    logp: mcmc.CLogp
    initial_point: NDArray[np.float64]
    names: Mapping[str, tuple[int, ...]]
    _model: Any
    _variables: Callable[[NDArray[np.float64]], dict[str, NDArray[Any]]]

    def __repr__(self) -> str:
        return f"CompiledModel({', '.join(self.names)})"

    def to_arviz(self, trace: mcmc.Trace) -> Any:
        """Return draws of the density as variables of the model.

        Parameters
        ----------
        trace : Trace
            What `sortes.mcmc.sample` returned for `logp`.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            As `sample` returns it.

        Raises
        ------
        TypeError
            If `trace` is none.
        ValueError
            If its draws have not as many coordinates as the model.

        Examples
        --------
        >>> import pymc as pm
        >>> from sortes.integrations.pymc import compile_model
        >>> from sortes.mcmc import Slice, sample
        >>> with pm.Model(coords={"place": ["a", "b"]}) as model:
        ...     x = pm.Normal("x", dims="place")
        >>> compiled = compile_model(model)
        >>> trace = sample(compiled.logp, Slice(), compiled.initial_point, rng=0)
        >>> compiled.to_arviz(trace).posterior["x"].dims
        ('chain', 'draw', 'place')
        """
        if not isinstance(trace, mcmc.Trace):
            raise TypeError(f"trace: must be a Trace, got {shown(trace)}")
        if trace.draws.shape[2] != len(self.initial_point):
            raise ValueError(
                f"trace: must have {len(self.initial_point)} coordinates, got "
                f"{trace.draws.shape[2]}"
            )
        data = pm.backends.arviz
        groups: dict[str, Any] = dict(groups_of(trace, lambda part: self._variables(part.draws)))
        for name, found in (
            ("observed_data", data.find_observations(self._model)),
            ("constant_data", data.find_constants(self._model)),
        ):
            if found:
                groups[name] = found
        coords, dims = data.coords_and_dims_for_inferencedata(self._model)
        attrs = {
            "inference_library": "sortes",
            "inference_library_version": trace.attrs["inference_library_version"],
            "sampling_time": trace.attrs["sampling_time"],
            "tuning_steps": trace.attrs["warmup"],
            "kernel": trace.attrs["kernel"],
        }
        return arviz_of(groups, trace.warmup is not None, attrs, coords=coords, dims=dims)


def compile_model(model: Any = None) -> CompiledModel:
    """Compile the density of a PyMC model, without its gradient.

    Parameters
    ----------
    model : pymc.Model, optional
        The model: that of the context if None. Its data are compiled in: later changes are not
        seen.

    Returns
    -------
    CompiledModel
        The density as a C function, by PyTensor's Numba mode.

    Raises
    ------
    ValueError
        If a free variable is discrete, or there is none.
    TypeError
        If `model` is no model.

    Examples
    --------
    >>> import pymc as pm
    >>> from sortes.integrations.pymc import compile_model
    >>> with pm.Model() as model:
    ...     x = pm.Normal("x", shape=3)
    >>> compile_model(model).names
    {'x': (3,)}
    """
    model = _model_of(model)
    _check_free(model)
    with warnings.catch_warnings():
        # About caching, and about parts that Numba leaves to Python.
        warnings.simplefilter("ignore")
        return _compiled(model)


def sample(
    model: Any = None,
    kernel: Literal["slice"] | AnyKernel = "slice",
    *,
    draws: AtLeastOne = 1000,
    warmup: Count = 1000,
    chains: AtLeastOne | None = None,
    thin: AtLeastOne = 1,
    init: Mapping[str, Any] | ArrayLike | Callable[..., ArrayLike] | None = None,
    max_evals_per_transition: AtLeastOne = 10_000,
    on_limit: OnLimit = "stay",
    on_interrupt: OnInterrupt = "return",
    keep_warmup: bool = False,
    max_time: Positive | None = None,
    callback: Callable[[list[ChainProgress]], object] | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Any:
    """Draw from the posterior of a PyMC model, by a kernel that needs no gradient.

    Parameters
    ----------
    model : pymc.Model or CompiledModel, optional
        The model: that of the context if None. What `compile_model` returned is not compiled again.
    kernel : "slice" or a kernel of sortes.mcmc, default "slice"
        The transitions, of unconstrained points. ``"slice"`` is ``Slice()``.
    draws : int, default 1000
        Draws of each chain.
    warmup : int, default 1000
        Transitions of each chain before the first draw. Widths are tuned in these, not later.
    chains : int, optional
        How many chains: as many as `init` has, or 4.
    thin : int, default 1
        Transitions for each draw; the state after the last of them is kept.
    init : mapping, array_like, shape (d,) or (chains, d), or callable, optional
        Where chains begin. Values of some free variables, by name; unconstrained points; or a
        function that makes them, as `sortes.mcmc.sample` has it. What is not given is the model's
        initial point, and a uniform number from -1 to 1 is added to each coordinate of that, as
        ``pymc.sample`` does.
    max_evals_per_transition : int, default 10000
        The most evaluations of an update, as in `sortes.mcmc.sample`.
    on_limit : {"stay", "raise"}
        Whether a chain that reaches it stays where it is, as the draw's ``stuck`` says, or all end.
    on_interrupt : {"return", "raise"}
        What Ctrl-C does: return what there is, or raise `sortes.Interrupted`, which holds it.
    keep_warmup : bool, default False
        Whether the result has the groups ``warmup_posterior`` and ``warmup_sample_stats``.
    max_time : float, optional
        Seconds after which the chains stop, as in `sortes.mcmc.sample`. Compiling does not count.
    callback : callable, optional
        Called with a list of `ChainProgress`, as in `sortes.mcmc.sample`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts transitions.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        Free variables on the scale of the model and deterministic ones, with its dimensions and
        coordinates; statistics; observed and constant data. ``InferenceData`` with ArviZ before
        1.0, as PyMC 5 has it.

    Raises
    ------
    ValueError
        If the model has discrete free variables, or none; and as `sortes.mcmc.sample`.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    Notes
    -----
    The density is compiled by PyTensor's Numba mode, and called without the interpreter, a chain
    in a thread. Parts that Numba does not know are left to Python: right, but slow. An error
    inside the density counts as NaN.

    Examples
    --------
    >>> import pymc as pm
    >>> from sortes.integrations.pymc import sample
    >>> with pm.Model() as model:
    ...     scale = pm.HalfNormal("scale")
    ...     x = pm.Normal("x", 0.0, scale, observed=[1.0, -2.0, 0.5])
    >>> data = sample(model, rng=0)
    >>> bool(0.8 < data.posterior["scale"].mean() < 1.8)
    True
    """
    if isinstance(kernel, str):
        if kernel != "slice":
            raise ValueError(f"kernel: must be 'slice' or a kernel, got {shown(kernel)}")
        kernel = mcmc.Slice()
    compiled = model if isinstance(model, CompiledModel) else compile_model(model)
    if init is None or isinstance(init, Mapping):
        init = _scattered(compiled, init or {})
    try:
        trace = mcmc.sample(
            compiled.logp,
            kernel,
            init,
            draws=draws,
            warmup=warmup,
            chains=chains,
            thin=thin,
            var_names=compiled.names,
            max_evals_per_transition=max_evals_per_transition,
            on_limit=on_limit,
            on_interrupt=on_interrupt,
            keep_warmup=keep_warmup,
            max_time=max_time,
            callback=callback,
            rng=rng,
            step=step,
            num_threads=num_threads,
            progress=progress,
        )
    except Interrupted as stop:
        raise Interrupted(compiled.to_arviz(stop.partial)) from stop
    return compiled.to_arviz(trace)


def _model_of(model: Any) -> Any:
    if model is None:
        return pm.modelcontext(None)
    if not isinstance(model, pm.Model):
        raise TypeError(f"model: must be a PyMC model, got {shown(model)}")
    return model


def _check_free(model: Any) -> None:
    """Refuse what no kernel of `sample` moves."""
    kinds = {rv.name: np.dtype(rv.type.dtype) for rv in model.free_RVs}
    discrete = [f"{name!r} ({dtype})" for name, dtype in kinds.items() if dtype.kind != "f"]
    if discrete:
        raise ValueError(
            f"model: must have no discrete free variables, got {', '.join(discrete)}; "
            "`sortes.mcmc.Gibbs` takes them, by their conditionals, or sum them out"
        )
    if not kinds:
        raise ValueError("model: must have free variables, got none")


def _compiled(model: Any) -> CompiledModel:
    tensor, replace = pytensor.tensor, pytensor.graph.replace
    values = [model.rvs_to_values[rv] for rv in model.free_RVs]
    start = model.initial_point(random_seed=0)
    names = {value.name: np.shape(start[value.name]) for value in values}
    at = np.concatenate([np.ravel(start[name]).astype(np.float64) for name in names])
    # One vector takes the place of all variables.
    point = tensor.TensorType("float64", shape=at.shape)("point")
    parts, begin = {}, 0
    for value, shape in zip(values, names.values(), strict=True):
        end = begin + int(np.prod(shape))
        parts[value] = point[begin:end].reshape(shape).astype(value.dtype)
        begin = end
    (logp,) = replace.graph_replace([model.logp()], parts, strict=False)
    terms = replace.graph_replace(model.logp(sum=False), parts, strict=False)
    free = [*model.free_RVs, *model.deterministics]
    variables = replace.graph_replace(model.replace_rvs_by_values(free), parts, strict=False)
    return CompiledModel(
        _c_functions(model, logp, terms, point, at),
        at,
        names,
        model,
        _expander(model, [variable.name for variable in free], variables, point),
    )


def _shared(graph: Any) -> list[Any]:
    """Return what may change in a graph: the data of the model."""
    shared = pytensor.compile.sharedvalue.SharedVariable
    return [node for node in walks().ancestors([graph]) if isinstance(node, shared)]


def _c_functions(
    model: Any, logp: Any, terms: Sequence[Any], point: Any, at: NDArray[np.float64]
) -> mcmc.CLogp:
    """Return the density, and what of it changes with a coordinate, where that is worth it."""
    graphs = [logp, *terms]
    shared = {node for graph in graphs for node in _shared(graph)}
    fixed = {node: pytensor.tensor.constant(node.get_value()) for node in shared}
    logp, *terms = pytensor.graph.replace.graph_replace(graphs, fixed, strict=False)
    with model:
        function = pm.pytensorf.compile([point], logp.astype("float64"), mode="NUMBA")
    inner = getattr(function.vm, "jit_fn", None)
    if inner is None or function.get_shared():
        raise RuntimeError(
            f"the Numba mode of PyTensor {pytensor.__version__} is not what sortes knows"
        )
    size = len(at)
    numbers = numba.types.CPointer(numba.types.float64)
    status = numba.types.intc(numba.types.intc, numbers, numbers, numba.types.voidptr)

    def density(n, x, out, user):  # type: ignore[no-untyped-def]
        try:
            out[0] = inner(numba.carray(x, (size,)))[0].item()
        except Exception:
            out[0] = np.nan
        return 0

    whole = numba.cfunc(status)(density)
    alone = mcmc.CLogp(whole, size)
    conditional = conditionals_of(
        simplified(terms), point, inner, lambda points: alone._target.logp(points, None), at
    )
    return alone if conditional is None else mcmc.CLogp(whole, size, conditional=conditional)


def _expander(
    model: Any, names: Sequence[str], variables: Sequence[Any], point: Any
) -> Callable[[NDArray[np.float64]], dict[str, NDArray[Any]]]:
    """Return a function from draws of points to draws of variables."""
    points = pytensor.tensor.matrix("points", dtype="float64")
    many = pytensor.graph.replace.vectorize_graph(list(variables), {point: points})
    with model:
        # Called a few times with many points: to compile would take longer.
        function = pm.pytensorf.compile([points], many, mode="FAST_COMPILE")

    def expand(draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        rows = draws.reshape(-1, draws.shape[2])
        blocks = [function(rows[i : i + _BLOCK]) for i in range(0, max(len(rows), 1), _BLOCK)]
        joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        return {
            name: values.reshape(*draws.shape[:2], *values.shape[1:])
            for name, values in zip(names, joined, strict=True)
        }

    return expand


def _scattered(
    compiled: CompiledModel, given: Mapping[str, Any]
) -> Callable[[np.random.Generator, int], NDArray[np.float64]]:
    """Return a function that makes points where chains begin."""
    model, start = compiled._model, compiled.initial_point
    width = np.ones(len(start))
    if given:
        free = {rv.name: model.rvs_to_values[rv].name for rv in model.free_RVs}
        for name in given:
            if name not in free:
                raise ValueError(
                    f"init: must name free variables, {', '.join(free)}, got {shown(name)}"
                )
        point = pm.initial_point.make_initial_point_fn(model=model, overrides=dict(given))(0)
        start = np.concatenate([np.ravel(point[name]) for name in compiled.names])
        fixed = {free[name] for name in given}
        sizes = (int(np.prod(shape)) for shape in compiled.names.values())
        kept = [np.full(n, name in fixed) for name, n in zip(compiled.names, sizes, strict=True)]
        width[np.concatenate(kept)] = 0.0

    def init(generator: np.random.Generator, chain: int) -> NDArray[np.float64]:
        return start + width * generator.uniform(-1.0, 1.0, len(start))

    return init
