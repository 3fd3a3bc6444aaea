"""Truncation rules: what they are called, in which order they act, and their compiled form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    TypeAlias,
    TypedDict,
    Unpack,
    final,
    get_args,
)

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, numbers_of
from sortes._check import (
    COUNT,
    FINITE,
    NON_NEGATIVE,
    PROBABILITY,
    UNIT,
    Domain,
    flag,
    one_of,
    real,
    several,
    shown,
)
from sortes._device import check_real, is_on_device
from sortes.decode._table import PARAMETERS, READERS, TABLE

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

#: Parameters that are off below their neutral value as well, and that value.
_OFF_BELOW: Final = {p.name: p.neutral for p in PARAMETERS.values() if p.is_off_below}
#: The domain of parameters that may be given as booleans.
_TRUTH: Final = Domain("[0, 1]", integer=True)

Ties: TypeAlias = Literal["high", "low", "all"]
Boundary: TypeAlias = Literal["smallest", "lenient", "ties_all", "exclude"]
#: Delta degrees of freedom.
DDOF: Final = Domain("[0, 1]", integer=True)
Ddof: TypeAlias = Annotated[Literal[0, 1], DDOF]

#: What arguments are that stay as they are.
_FROZEN: Final = frozenset((float, int, bool, str, type(None)))

#: Each numeric parameter with its neutral value.
DEFAULTS: Final[Mapping[str, float]] = MappingProxyType(
    {parameter.name: parameter.neutral for parameter in PARAMETERS.values()}
)


def _named_order(*names: str, last: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return these rules, and before `last` all that are not named, in the order of the table."""
    first = ("smoothing", "top_n_sigma", *names)
    named = {*first, *last}
    for name in names:  # a joint rule stands for those whose parameters it reads
        named.update(owner for of in TABLE[name].shared for owner in READERS[of])
    rest = (name for name, rule in TABLE.items() if rule.parameters and name not in named)
    return (*first, *rest, *last)


#: The named orders of the rules.
ORDERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "hf": _named_order("temperature", "top_h", "top_k", "top_p", "min_p"),
        "vllm": _named_order("temperature", "min_p", "top_k", "top_p", "top_h"),
        "llama.cpp": _named_order("top_k", "typical", "top_p", "min_p", last=("temperature",)),
        "joint": _named_order("temperature", "top_k_top_p", "min_p", "top_h"),
    }
)


class RuleArgs(TypedDict, total=False):
    """The arguments that `Rules` describes, for functions that take them as keywords."""

    temperature: Annotated[ArrayLike, NON_NEGATIVE] | None
    top_k: Annotated[ArrayLike, Domain("(-inf, inf)", integer=True)] | None
    top_p: Annotated[ArrayLike, PROBABILITY] | None
    min_p: Annotated[ArrayLike, PROBABILITY] | None
    typical_p: Annotated[ArrayLike, Domain("(0, 1]")] | None
    epsilon_cutoff: Annotated[ArrayLike, UNIT] | None
    eta_cutoff: Annotated[ArrayLike, UNIT] | None
    top_a: Annotated[ArrayLike, NON_NEGATIVE] | None
    top_n_sigma: Annotated[ArrayLike, FINITE] | None
    top_h: Annotated[ArrayLike, Domain("(0, 1]")] | None
    tfs: Annotated[ArrayLike, PROBABILITY] | None
    p_less: Annotated[ArrayLike, Domain("[0, 1]", integer=True)] | None
    xtc_probability: Annotated[ArrayLike, PROBABILITY] | None
    xtc_threshold: Annotated[ArrayLike, PROBABILITY] | None
    mirostat_mu: Annotated[ArrayLike, Domain("[-inf, inf]")] | None
    dynatemp_range: Annotated[ArrayLike, NON_NEGATIVE] | None
    dynatemp_exponent: Annotated[ArrayLike, NON_NEGATIVE] | None
    smoothing_factor: Annotated[ArrayLike, NON_NEGATIVE] | None
    smoothing_curve: Annotated[ArrayLike, Domain("[1, 3]")] | None
    min_tokens_to_keep: Annotated[ArrayLike, Domain("[1, inf)", integer=True)] | None
    order: Literal["hf", "vllm", "llama.cpp", "joint"] | Sequence[str]
    ties: Ties
    top_p_boundary: Boundary
    sigma_ddof: Ddof
    p_less_normalized: bool
    protected_ids: Annotated[ArrayLike, COUNT] | None


@final
class Rules:
    r"""Validated truncation rules, compiled once and used for any number of calls.

    Every function that takes rule arguments takes a `Rules` in their place, which spares checking
    them at each call.

    Parameters
    ----------
    temperature : float or array_like, shape (B,)
        Divides the logits. 0 (below 1e-7) is greedy: the largest logit, the lowest id among equals.
    top_k : int or array_like, shape (B,)
        Keep the `top_k` largest logits and all equal to the last of them. 0 or less is off.
    top_p : float or array_like, shape (B,)
        Keep the smallest set of the most likely tokens whose mass reaches `top_p`, in [0, 1].
    min_p : float or array_like, shape (B,)
        Keep ``p >= min_p * max(p)``, in [0, 1].
    typical_p : float or array_like, shape (B,)
        Keep the smallest set of the tokens with ``-ln p`` nearest to the entropy whose mass
        reaches `typical_p`, in (0, 1].
    epsilon_cutoff : float or array_like, shape (B,)
        Keep ``p >= epsilon_cutoff``, in [0, 1).
    eta_cutoff : float or array_like, shape (B,)
        Keep ``p >= min(eta_cutoff, sqrt(eta_cutoff) * exp(-H))`` with the entropy ``H`` in nats,
        in [0, 1).
    top_a : float or array_like, shape (B,)
        Keep ``p >= top_a * max(p)**2``, at least 0.
    top_n_sigma : float or array_like, shape (B,)
        Keep ``l >= max(l) - top_n_sigma * std(l)``, where logits more than 745 below the largest
        count as removed. 0 or less is off.
    top_h : float or array_like, shape (B,), optional
        Among the 100 most likely tokens, keep those whose terms of the entropy, summed from the
        top, stay within `top_h` times the whole, in (0, 1].
    tfs : float or array_like, shape (B,)
        Tail-free sampling: keep this share of the curvature of the sorted probabilities, in [0, 1].
    p_less : bool or array_like, shape (B,)
        Keep ``p >= sum(p**2)``.
    xtc_probability, xtc_threshold : float or array_like, shape (B,)
        With this probability, exclude all tokens with ``p >= xtc_threshold`` but the least likely
        of them. Both in [0, 1].
    mirostat_mu : float or array_like, shape (B,), optional
        Keep ``-log2(p) <= mirostat_mu``, and always the most likely token.
    dynatemp_range, dynatemp_exponent : float or array_like, shape (B,)
        Let the temperature go from ``temperature - dynatemp_range`` (at least 0) to
        ``temperature + dynatemp_range`` with the power `dynatemp_exponent` of the entropy, relative
        to the largest possible one.
    smoothing_factor, smoothing_curve : float or array_like, shape (B,)
        Replace the logits by ``max - k*f*d**2 + s*f*d**3`` with ``d = l - max``,
        ``k = (3 - curve) / 2`` and ``s = (curve - 1) / 2``. The curve lies in [1, 3]: any other
        would change the order of the tokens.
    min_tokens_to_keep : int or array_like, shape (B,)
        Each rule keeps at least this many tokens; top-h and XTC have their own minimum.
    order : {"hf", "vllm", "llama.cpp", "joint"} or sequence of str
        The order in which the rules act, each on what the last one left, renormalised. A sequence
        holds the names temperature, smoothing, top_n_sigma, top_h, top_k, top_p, top_k_top_p
        (both, on the same law), min_p, typical, epsilon, eta, tfs, top_a, p_less, mirostat, xtc.
        Smoothing acts first wherever it stands.
    ties : {"high", "low", "all"}
        Which of several equal logits stay where top-p, top-h or tail-free sampling cuts between
        them: those with the highest ids, the lowest, or all.
    top_p_boundary : {"smallest", "lenient", "ties_all", "exclude"}
        Top-p keeps a token if the mass before it is ``< top_p``; ``<= top_p``; if the mass of
        strictly likelier tokens is ``< top_p``; or if the mass up to and with it is ``<= top_p``.
    sigma_ddof : {0, 1}
        Delta degrees of freedom of the standard deviation of `top_n_sigma`.
    p_less_normalized : bool
        Whether p-less uses the laxer threshold ``(n * sum(p**2) - 1) / (n - 1)`` over n tokens.
    protected_ids : array_like of int, shape (m,), optional
        XTC does nothing in a row where it would exclude one of these.

    Attributes
    ----------
    params : mapping of str to float, or to an ndarray or tensor of float64, shape (B,)
        The numeric parameters that are not neutral.
    order : tuple of str
        The names of the rules in the order in which they act.

    Raises
    ------
    ValueError
        If a value is outside its domain, a name is unknown, or a parameter is given whose rule
        `order` does not contain.
    TypeError
        If an argument has the wrong type or is unknown.

    Notes
    -----
    ``None`` for a parameter is its neutral value, at which its rule is off; an array turns a rule
    on and off row by row. Torch tensors on another device than the CPU stay there, for logits on
    the same device: checking their values would mean waiting for them, so they are not checked.

    Sources: top-k, Fan et al. 2018; top-p, Holtzman et al. 2020; min-p, Nguyen et al. 2025;
    typical, Meister et al. 2023; epsilon and eta, Hewitt et al. 2022; top-n-sigma, Tang et al.
    2025; top-h, Potraghloo et al. 2025; tail-free, Bricken 2019; p-less, Tan et al. 2026; mirostat,
    Basu et al. 2021.

    References
    ----------
    Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation", ACL 2018, arXiv:1805.04833.

    Holtzman, Buys, Du, Forbes and Choi, "The Curious Case of Neural Text Degeneration", ICLR 2020,
    arXiv:1904.09751.

    Nguyen, Baker, Neo, Roush, Kirsch and Shwartz-Ziv, "Turning Up the Heat: Min-p Sampling for
    Creative and Coherent LLM Outputs", ICLR 2025, arXiv:2407.01082.

    Meister, Pimentel, Wiher and Cotterell, "Locally Typical Sampling", TACL 2023, arXiv:2202.00666.

    Hewitt, Manning and Liang, "Truncation Sampling as Language Model Desmoothing", Findings of
    EMNLP 2022, arXiv:2210.15191.

    Tang, Liu, Xu and Huang, "Top-nσ: Eliminating Noise in Logit Space for Robust Token Sampling of
    LLM", ACL 2025, arXiv:2411.07641.

    Potraghloo, Azizi, Kundu and Pedram, "Top-H Decoding: Adapting the Creativity and Coherence with
    Bounded Entropy in Text Generation", NeurIPS 2025, arXiv:2509.02510.

    Bricken, "Tail Free Sampling", blog post 2019.

    Tan, Wu and Howard, "p-less Sampling: A Robust Hyperparameter-Free Approach for LLM Decoding",
    ICLR 2026, arXiv:2509.23234.

    Basu, Ramachandran, Keskar and Varshney, "Mirostat: A Neural Text Decoding Algorithm that
    Directly Controls Perplexity", ICLR 2021, arXiv:2007.14966.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import Rules, keep_mask
    >>> rules = Rules(temperature=0.7, top_p=[0.5, 1.0])
    >>> keep_mask(np.array([[3.0, 2.0, 0.0], [3.0, 2.0, 0.0]]), rules)
    array([[ True, False, False],
           [ True,  True,  True]])
    >>> rules
    Rules(temperature=0.7, top_p=array([0.5, 1. ]))
    """

    __slots__ = ("_elsewhere", "_given", "_native", "_options", "_order", "_params")

    _elsewhere: str | None
    _given: dict[str, Any]
    _native: _core.decode.sampling.Rules
    _options: dict[str, Any]
    _order: tuple[str, ...]
    _params: Mapping[str, Any]

    def __init__(self, **args: Unpack[RuleArgs]) -> None:
        params: dict[str, Any] = {}
        options: dict[str, Any] = {}
        for name, given in args.items():
            if name in DEFAULTS:
                value = _parameter(name, given)
                if value is not None:
                    params[name] = value
            elif name in _OPTIONS:
                options[name] = _OPTIONS[name](name, given)
            else:
                raise TypeError(_unknown(name))
        order = options.pop("order", ORDERS["hf"])
        on_host = {name: value for name, value in params.items() if not is_on_device(value)}
        # Their domains are checked here, and nowhere else.
        self._native = _core.decode.sampling.Rules(on_host, order, **options)
        for name in _OFF_BELOW.keys() & params.keys():
            if isinstance(params[name], float) and params[name] < _OFF_BELOW[name]:
                del params[name]
        if order is not ORDERS["hf"]:
            _check_order(order, params)
        self._given = {**args, **options, **params}
        self._elsewhere = next((name for name in params if name not in on_host), None)
        self._options = options
        self._order = order
        self._params = MappingProxyType(params)

    @property
    def params(self) -> Mapping[str, Any]:
        """The numeric parameters that are not neutral."""
        return self._params

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the rules in the order in which they act."""
        return self._order

    @property
    def options(self) -> Mapping[str, Any]:
        """What holds for all rows: `ties`, `top_p_boundary` and the like, where given."""
        return self._options

    @property
    def is_random(self) -> bool:
        """Whether chance decides what is kept: XTC acts on a row or not."""
        random = (TABLE[rule] for rule in self._order if "random" in TABLE[rule].flags)
        return any(name in self._params for rule in random for name in rule.switches)

    def _for_host(self) -> _core.decode.sampling.Rules:
        """Return the form that the kernels take."""
        if self._elsewhere:
            raise TypeError(f"{self._elsewhere}: is on another device than the logits")
        return self._native

    def __reduce__(self) -> tuple[Callable[[], Rules], tuple[()]]:
        return partial(Rules, **self._given), ()

    def __repr__(self) -> str:
        return f"Rules({', '.join(f'{name}={value!r}' for name, value in self._given.items())})"


@lru_cache(256, typed=True)
def _compiled(**args: Unpack[RuleArgs]) -> Rules:
    """Return the rules of arguments that later calls are likely to bring again."""
    return Rules(**args)


def as_rules(rules: Rules | None, args: RuleArgs) -> Rules:
    """Return the rules of a call, which come compiled or as arguments."""
    if rules is None:
        if not args:
            return _NO_RULES
        # Values that cannot change under their names are compiled once: others by each call.
        for value in args.values():
            if type(value) not in _FROZEN:
                return Rules(**args)
        return _compiled(**args)  # type: ignore[arg-type]
    if not isinstance(rules, Rules):
        raise TypeError(f"rules: must be a sortes.Rules, got {type(rules).__name__}")
    if args:
        raise TypeError(f"rules: already hold everything, but {next(iter(args))} is given as well")
    return rules


def _check_order(order: tuple[str, ...], params: Mapping[str, Any]) -> None:
    """Check that each parameter has a rule in the order."""
    for name in params:
        if READERS[name] and not set(READERS[name]).intersection(order):
            wanted = " or ".join(map(repr, READERS[name]))
            raise ValueError(f"order: must contain {wanted}, for {name} is given")


def _parameter(name: str, given: Any) -> float | NDArray[np.float64] | torch.Tensor | None:
    """Return a parameter as the kernels take it, ``None`` if it is neutral in all rows."""
    if given is None:
        return None
    if is_on_device(given):
        check_real(given, name, booleans=PARAMETERS[name].domain == _TRUTH)
        if given.ndim == 1:
            return given.double()
        raise ValueError(f"{name}: must be a number or have shape (B,), got {tuple(given.shape)}")
    if type(given) is float:
        value = given
    elif type(given) is int:
        value = real(given, name)
    else:
        array = numbers_of(given, name, booleans=PARAMETERS[name].domain == _TRUTH)
        if array.ndim:
            array.flags.writeable = False
            return array
        value = float(array)
    return None if value == DEFAULTS[name] else value


def _order(name: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        if given in ORDERS:
            return ORDERS[given]
        known = ", ".join(map(repr, ORDERS))
        raise ValueError(f"{name}: must be {known} or a sequence of rule names, got {given!r}")
    rules = several(given, name, "rule names") if isinstance(given, Sequence) else [given]
    # Half a surrogate pair is text that native code cannot read.
    if not all(isinstance(rule, str) and rule.isprintable() for rule in rules):
        raise TypeError(f"{name}: must be a name or a sequence of rule names, got {shown(given)}")
    return tuple(rules)


def _ids(name: str, given: Any) -> NDArray[np.int64] | None:
    return None if given is None else integers_of(given, name, COUNT)


_OPTIONS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "order": _order,
    "ties": lambda name, given: one_of(given, name, get_args(Ties)),
    "top_p_boundary": lambda name, given: one_of(given, name, get_args(Boundary)),
    "sigma_ddof": lambda name, given: DDOF.check(given, name),
    "p_less_normalized": lambda name, given: flag(given, name),
    "protected_ids": _ids,
}


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [*PARAMETERS, *_OPTIONS], 1)
    return f"{name}: is not a rule argument" + (f"; did you mean {near[0]}?" if near else "")


_NO_RULES = Rules()
