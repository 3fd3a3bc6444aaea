"""Whole texts from a power of a model's law, also given that they match a regular expression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sortes import _core
from sortes._arrays import host
from sortes._check import (
    AT_LEAST_1,
    COUNT,
    FINITE,
    PROBABILITY,
    AtLeastOne,
    Count,
    Domain,
    Probability,
    count,
    one_of,
    shown,
)
from sortes._device import to_host
from sortes._estimate import Estimate
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress, reporter
from sortes._rng import as_stream
from sortes.decode._call import LogitBias, Request, bias_of
from sortes.decode.rules import RuleArgs, Rules, as_rules
from sortes.sequences._power_loops import TOGETHER, Exact, Loop, Mcmc, Smc, padded, run
from sortes.sequences.automaton import LENGTH, TokenAutomaton
from sortes.sequences.search import Model, check_callable, constraint_of
from sortes.sequences.vocabulary import TokenId

if TYPE_CHECKING:
    from sortes._rng import Rng

#: How the texts are made.
PowerMethod: TypeAlias = Literal["smc", "mcmc", "exact"]
#: How particles are drawn anew.
Resampling: TypeAlias = Literal["multinomial", "stratified", "systematic", "residual", "ssp"]
#: Powers and temperatures.
POWER: Final = Domain("[0.001, 1000]")
#: How many texts and tails are numbered.
MANY: Final = Domain("[1, 2**31)", integer=True)
_BLOCKS: Final = 16


@dataclass(frozen=True, eq=False)
class PowerSequences:
    """Whole texts from a power of a model's law, with their weights.

    Attributes
    ----------
    tokens : ndarray of int64, shape (n, T)
        The texts; -1 behind their ends.
    lengths : ndarray of int64, shape (n,)
        How many tokens each has.
    logprobs : ndarray of float64, shape (n,)
        Their log-probabilities in nats, in the law that the rules left.
    log_weights : ndarray of float64, shape (n,)
        The logarithms of their weights, which sum to one. Minus infinity for a text that came to
        where nothing may follow; if all did, for all of them.
    complete : ndarray of bool, shape (n,)
        Whether a token of `eos_token_id` ended each, not the limit.
    log_z : Estimate
        The logarithm of the normaliser, the sum of ``p**alpha`` over all texts, with its standard
        error; with ``alpha=1`` and an automaton, the log-probability of a match. NaN with
        ``"mcmc"``.
    resampled_at : ndarray of int64, shape (r,)
        With ``"smc"``, how many tokens the texts had where particles were drawn anew.
    ancestors : ndarray of int64, shape (r, n)
        For each of these, the particle that each one went on from.
    acceptance : float
        With ``"mcmc"``, the share of transitions that took another text; else NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import power_sample
    >>> coin = lambda prefixes: np.log([[0.75, 0.25]] * len(prefixes))
    >>> made = power_sample(coin, 3, alpha=2.0, rng=0)
    >>> len(made), round(made.log_z.value, 4)  # three times ln(0.75**2 + 0.25**2)
    (16, -1.41)
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    log_weights: NDArray[np.float64]
    complete: NDArray[np.bool_]
    log_z: Estimate
    resampled_at: NDArray[np.int64]
    ancestors: NDArray[np.int64]
    acceptance: float

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.tokens)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights, which sum to one unless all are zero."""
        return np.exp(self.log_weights)

    @property
    def ess(self) -> float:
        """How many texts of equal weight they are worth, as far as the weights tell."""
        squares = float((self.weights**2).sum())
        return 1.0 / squares if squares else 0.0

    def pick(
        self, n: AtLeastOne | None = None, *, rng: Rng = None, step: int = 0
    ) -> np.int64 | NDArray[np.int64]:
        """Draw texts in proportion to their weights.

        Parameters
        ----------
        n : int, optional
            How many, independently; without it, one.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`). It may be that of `power_sample`: other numbers are read.
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.

        Returns
        -------
        int64, or ndarray of int64, shape (n,)
            Their indices.

        Raises
        ------
        ValueError
            If no text has a weight, or `n` is less than 1.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import power_sample
        >>> coin = lambda prefixes: np.log([[0.75, 0.25]] * len(prefixes))
        >>> made = power_sample(coin, 3, num_particles=4, rng=0)
        >>> made.tokens[made.pick(rng=0)]
        array([0, 0, 0])
        """
        times = 1 if n is None else AT_LEAST_1.check(n, "n")
        if not (self.log_weights > -np.inf).any():
            raise ValueError(f"weights: all {len(self)} are zero, so that no text can be picked")
        stream = as_stream(rng, step)
        picked = _core.sequences.power.pick(self.log_weights, times, stream)
        return picked[0] if n is None else picked

    def mean(self, values: ArrayLike) -> Estimate:
        r"""Estimate the mean of a function over the law.

        Parameters
        ----------
        values : array_like, shape (n,)
            Its value at each text.

        Returns
        -------
        Estimate
            The weighted mean, and its standard error from how the weight is spread over the first
            ancestors (Lee and Whiteley 2018); NaN for a single text.

        Raises
        ------
        ValueError
            If there is not a finite value for each text, or no text has a weight.
        TypeError
            If the values are no numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import power_sample
        >>> coin = lambda prefixes: np.log([[0.75, 0.25]] * len(prefixes))
        >>> made = power_sample(coin, 1, alpha=1.0, num_particles=1000, rng=0)
        >>> abs(made.mean(made.tokens[:, 0]).value - 0.25) < 0.05
        True
        """
        given = host(to_host(values), "values").astype(float)
        if given.shape != (len(self),):
            raise ValueError(f"values: must have shape ({len(self)},), got {given.shape}")
        FINITE.check_items(given, "values")
        if not (self.log_weights > -np.inf).any():
            raise ValueError(f"weights: all {len(self)} are zero, so that there is no mean")
        mean = float(self.weights @ given)
        parts = self._by_eve(self.weights * (given - mean))
        n = len(self)
        return Estimate(mean, math.sqrt(n / (n - 1) * (parts @ parts)) if n > 1 else math.nan)

    def _by_eve(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up what belongs to the particles that come from one."""
        eves = np.arange(len(self))
        for ancestors in self.ancestors:
            eves = eves[ancestors]
        sums = np.zeros(len(self))
        np.add.at(sums, eves, values)
        return sums


def power_sample(
    model: Model,
    max_new_tokens: Annotated[int, LENGTH],
    rules: Rules | None = None,
    *,
    alpha: Annotated[float, POWER] = 4.0,
    num_particles: Annotated[int, MANY] = 16,
    method: PowerMethod = "smc",
    proposal_temperature: Annotated[float, POWER] | None = None,
    ess_threshold: Probability | None = None,
    resampling: Resampling | None = None,
    num_steps: Annotated[int, MANY] | None = None,
    num_blocks: Annotated[int, MANY] | None = None,
    max_nodes: Count | None = None,
    eos_token_id: TokenId | Sequence[int] | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    node_batch_size: AtLeastOne | None = None,
    logit_bias: LogitBias | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> PowerSequences:
    r"""Draw whole texts in proportion to a power of their probability.

    Parameters
    ----------
    model : callable
        ``model(prefixes)`` returns the logits that follow each of a list of `B` beginnings (arrays
        of int64, no two alike; the empty one comes alone): an array or tensor of shape (B, V).
    max_new_tokens : int
        How many tokens a text may have.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). They
        make the law whose power is taken. None may act at random, or differ from row to row.
    alpha : float, default 4.0
        The power, in [0.001, 1000]; 1 leaves the law as it is.
    num_particles : int, default 16
        How many texts are made together: particles, chains, or draws.
    method : {"smc", "mcmc", "exact"}, default "smc"
        Sequential Monte Carlo; Metropolis-Hastings; or a list of all texts that matter.
    proposal_temperature : float, optional
        With ``"smc"`` and ``"mcmc"``, tokens are proposed in proportion to ``p**(1 / this)``; by
        default ``1 / alpha``, which makes the weight of a token the same for all.
    ess_threshold : float, default 0.5
        With ``"smc"``, particles are drawn anew when they are worth less than this share of them.
    resampling : {"multinomial", "stratified", "systematic", "residual", "ssp"}, optional
        With ``"smc"``, how: as in `sortes.mcmc.resample`; by default ``"systematic"``.
    num_steps : int, default 10
        With ``"mcmc"``, how many transitions each block has.
    num_blocks : int, default 16
        With ``"mcmc"``, how many blocks: texts grow to a length, make transitions there, and grow
        on. At most `max_new_tokens`.
    max_nodes : int, default 10_000
        With ``"exact"``, how many beginnings the model may be asked about.
    eos_token_id : int or sequence of int, optional
        Tokens that end a text; with an automaton, those of its vocabulary.
    automaton : TokenAutomaton, optional
        What the texts must match: the law is that of the model given that they do.
    ensure_completion : bool, default True
        With an automaton, whether the law is over complete texts alone. Otherwise it is also over
        those that the limit cuts where they could still match.
    node_batch_size : int, optional
        How many beginnings the model is given together, at most; by default all that are
        asked for, which with ``"exact"`` are 16. The texts do not depend on it.
    logit_bias
        As in `sortes.decode.sample`.
    on_interrupt : {"raise", "return"}, default "raise"
        What Ctrl-C does: raise `sortes.Interrupted`, whose ``partial`` is what would have been
        returned, as far as it came; or return that. Texts may lack their ends then; with
        ``"exact"`` there are none yet.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts the tokens of a text, or
        transitions, or beginnings that were looked at.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    PowerSequences
        The texts with their weights; `PowerSequences.pick` draws one.

    Raises
    ------
    ValueError
        If an argument is outside its domain, or the method does not use it; if no text of the
        automaton is short enough; if `max_nodes` beginnings do not list the texts; if a row of
        logits holds NaN or ``+inf``, or no finite logit, or fewer logits than the automaton has
        tokens, or there is not a row for each beginning.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stopped it.

    See Also
    --------
    sample_without_replacement : Distinct texts of the law itself.

    Notes
    -----
    A text $y$ ends by a token of `eos_token_id`, or is cut when it has `max_new_tokens` tokens. Its
    probability $p(y)$ is the product of those of its tokens, with the one that ends it: a text that
    is cut has the probability of all that could follow. With an indicator $m$ of what the automaton
    allows (1 without one), the law is

    $$\pi(y) = \frac{p(y)^\alpha \, m(y)}{Z}, \qquad Z = \sum_y p(y)^\alpha \, m(y).$$

    It is not that of tokens at the temperature $1 / \alpha$, which forget what a token makes of the
    tokens that follow. The rules act before the automaton, which is a condition: where they leave
    nothing legal, a text has no weight.

    ``"smc"``: at each step a particle is multiplied by the mass $\sum_v p_v^\beta$ of the legal
    tokens, with $\beta$ one over the proposal temperature; particles are drawn anew if need be;
    each takes a token in proportion to $p_v^\beta$, and is multiplied by $p_v^{\alpha - \beta}$.
    The estimate of $Z$, and sums over the weighted texts times it, are unbiased for any number of
    particles; a picked text has the law as their number grows. Particles that have ended keep their
    weight. Equal beginnings are asked about once. The standard error of ``log_z`` comes from how
    the weight is spread over the first ancestors, as in Lee and Whiteley (2018) but without their
    correction for resampling, which may leave less than nothing: it is somewhat above the true one,
    and at most 1, where all particles come from one.

    ``"mcmc"``: a text of $n$ tokens is cut before one of them, each with probability $1 / n$, and
    what follows is proposed anew to its end, which may come earlier or later. With the weight $w$,
    $p^\alpha$ over the probability of all tokens of the text in the proposal, the new text is taken
    with probability $\min(1, w' n / (w n'))$. Without the ratio of the lengths, or with tails of
    which only a part is compared, the law is another. Each chain of one block leaves $\pi$ as it
    is; the first text is a proposal, so that the law is approached with the transitions.

    ``"exact"``: the heaviest beginnings are looked at until all that is left weighs less than 1e-9
    of what was found; draws from that are independent. It is for short texts.

    Tokens of a particle depend on `rng`, its index and their place in the text, so that neither
    threads nor `node_batch_size` matter. Where a model rounds differently in batches of different
    sizes, values move by as much.

    References
    ----------
    Karan and Du, "Reasoning with Sampling: Your Base Model is Smarter Than You Think", 2025,
    arXiv:2510.14901.

    Azizi, Potraghloo, Ahmadi, Kundu and Pedram, "Power-SMC: Low-Latency Sequence-Level Power
    Sampling for Training-Free LLM Reasoning", 2026, arXiv:2602.10273.

    Lee and Whiteley, "Variance estimation in the particle filter", Biometrika 105, 2018,
    arXiv:1509.00394.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import TokenAutomaton, Vocabulary, power_sample
    >>> tokens = Vocabulary([b"a", b"b", None], eos_token_id=2)
    >>> def model(prefixes):
    ...     return np.log([[0.5, 0.3, 0.2]] * len(prefixes))
    >>> sharp = power_sample(model, 3, eos_token_id=2, method="exact", rng=0)
    >>> sharp.tokens[0], round(sharp.log_z.value, 3)
    (array([ 0,  2, -1]), -6.179)
    >>> match = TokenAutomaton("(ab)+", tokens)
    >>> given = {"alpha": 1.0, "automaton": match, "num_particles": 100}
    >>> made = power_sample(model, 5, rng=0, **given)
    >>> exact = np.log(0.15 * 0.2 + 0.15**2 * 0.2)
    >>> bool(abs(made.log_z.value - exact) < 5 * made.log_z.stderr)
    True
    """
    # 1. What the arguments say.
    check_callable(model)
    length = LENGTH.check(max_new_tokens, "max_new_tokens")
    power = POWER.check(alpha, "alpha")
    n = MANY.check(num_particles, "num_particles")
    one_of(method, "method", get_args(PowerMethod))
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    asked = {"proposal_temperature": proposal_temperature, "ess_threshold": ess_threshold,
             "resampling": resampling, "num_steps": num_steps, "num_blocks": num_blocks,
             "max_nodes": max_nodes}  # fmt: skip
    for name, value in asked.items():
        if value is not None and name not in _USED[method]:
            raise ValueError(f"{name}: is not used by the method {method!r}, got {shown(value)}")
    together = max(n, TOGETHER) if method == "exact" else n
    if node_batch_size is not None:
        together = AT_LEAST_1.check(node_batch_size, "node_batch_size")
    ends, constraint = constraint_of(automaton, ensure_completion, eos_token_id)
    chosen = _fixed(as_rules(rules, rule_args))
    if logit_bias is not None:
        bias_of(logit_bias)
    if num_threads is not None:
        count(num_threads, "num_threads", 1, 1024)
    proposals = power
    if proposal_temperature is not None:
        proposals = 1.0 / POWER.check(proposal_temperature, "proposal_temperature")
    given = _settings(asked, length)

    # 2. The loop.
    stream = as_stream(rng, step)
    law = (power, proposals, length, ends, constraint)
    loop: Loop
    if method == "smc":
        loop = Smc(law, n, given["resampling"], given["ess_threshold"], stream)
    elif method == "mcmc":
        loop = Mcmc(law, n, given["num_blocks"], given["num_steps"], stream)
    else:
        loop = Exact(law, n, given["max_nodes"], stream)
    request = Request(chosen, logit_bias)
    with reporter(progress, "tokens") as report:
        try:
            for done in run(loop, model, request, together, num_threads):
                if report is not None:
                    report(*done)
        except KeyboardInterrupt:
            if on_interrupt == "return":
                return _made(loop)
            raise Interrupted(_made(loop)) from None
    return _made(loop)


_USED: Final = {
    "smc": {"proposal_temperature", "ess_threshold", "resampling"},
    "mcmc": {"proposal_temperature", "num_steps", "num_blocks"},
    "exact": {"max_nodes"},
}


def _settings(asked: dict[str, Any], length: int) -> dict[str, Any]:
    """Check what only some methods use; fill in what was not given."""
    known: dict[str, Any] = {"ess_threshold": 0.5, "resampling": "systematic", "num_steps": 10,
                             "num_blocks": min(_BLOCKS, length), "max_nodes": 10_000}  # fmt: skip
    if asked["resampling"] is not None:
        known["resampling"] = one_of(asked["resampling"], "resampling", get_args(Resampling))
    domains = {
        "ess_threshold": PROBABILITY,
        "num_steps": MANY,
        "num_blocks": MANY,
        "max_nodes": COUNT,
    }
    for name, domain in domains.items():
        if asked[name] is not None:
            known[name] = domain.check(asked[name], name)
    if known["num_blocks"] > length:
        got = known["num_blocks"]
        raise ValueError(f"num_blocks: must be at most max_new_tokens, {length}, got {got}")
    return known


def _fixed(rules: Rules) -> Rules:
    """Refuse rules that do not make one law."""
    if rules.is_random:
        raise ValueError(f"rules: must not act at random, got {shown(rules)}")
    for name, value in rules.params.items():
        if not isinstance(value, float | int):
            raise ValueError(f"{name}: must be one number for all texts, got {shown(value)}")
    return rules


def _made(loop: Loop) -> PowerSequences:
    """Return what a loop has made."""
    texts, ln_w, log_z, is_exact, at, ancestors, acceptance = loop.made()
    tokens, lengths, logprobs, complete = padded(texts)
    if (ln_w > -np.inf).any():
        ln_w = ln_w - ln_w.max()
        ln_w = ln_w - np.log(np.exp(ln_w).sum())
    error = 0.0 if is_exact and not np.isnan(log_z) else np.nan
    estimate = Estimate(log_z, error)
    columns = (tokens, lengths, logprobs, ln_w, complete)
    made = PowerSequences(*columns, estimate, at, ancestors, acceptance)
    if is_exact or not log_z > -np.inf:
        return made
    # The chance that two draws by weight have the same first ancestor, beyond that of equal weights
    # that were never drawn anew. Where the resampling itself lets ancestors meet this is too much.
    alike, n = float((made._by_eve(made.weights) ** 2).sum()), len(made)
    variance = max(n * alike - 1.0, 0.0) / (n - 1) if n > 1 else math.nan
    estimate = Estimate(log_z, math.sqrt(variance))
    return PowerSequences(*columns, estimate, at, ancestors, acceptance)
