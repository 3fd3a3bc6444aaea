"""Truncation rules as logits processors, under the names and with the arguments of Transformers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Unpack

import numpy as np
import torch
from transformers import LogitsProcessor

from sortes import decode
from sortes._check import (
    AT_LEAST_1,
    COUNT,
    NON_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    AtLeastOne,
    Count,
    Domain,
    NonNegative,
    Positive,
    Probability,
    flag,
    shown,
)
from sortes.decode.rules import as_rules
from sortes.decode.truncation import FILL
from sortes.integrations.transformers._config import (
    enclosing_generate,
    rules_of_sampling,
    warn_of_second_cut,
)
from sortes.integrations.transformers._rng import coins, ids_of_rows, settled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes._rng import Rng

_OPEN = Domain("(0, 1)")
_BASE = Domain("[1, inf)")
_WINDOW = Domain("[-1, 2**63)", integer=True)
_TOKEN = Domain("[-2**63, 2**63)", integer=True)


class Truncation(LogitsProcessor):
    """A processor that applies rules to the scores and returns them in a new tensor.

    Scores that are kept are divided by the temperature of the rules, as by `truncate` with
    ``scaled=True``.
    """

    #: Rows stand for themselves, so they may as well be tokens of different requests.
    supports_continuous_batching: bool | None = True

    def __init__(
        self,
        rules: decode.Rules,
        filter_value: Annotated[float, FILL] = -math.inf,
        *,
        rows: ArrayLike | None = None,
        rng: Rng = None,
    ) -> None:
        self.rules = rules
        self.filter_value = FILL.check(filter_value, "filter_value")
        self.rows = ids_of_rows(rows)
        self.rng = settled(rng)
        self._looked_around = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Truncate the rows.

        Parameters
        ----------
        input_ids : LongTensor, shape (B, T)
            The text so far.
        scores : tensor, shape (B, V)
            The logits, on any device.

        Returns
        -------
        tensor, shape (B, V)
            A new tensor with the filter value in the place of the tokens that are removed.

        Raises
        ------
        ValueError
            If a score is NaN or plus infinity, or the scores do not fit the rules.
        TypeError
            If the scores are no floats.
        """
        if not self._looked_around:
            self._look_around()
        rules = self._rules_for(input_ids)
        coin = coins(self.rng, input_ids) if rules.is_random else {}
        fill, rows = self.filter_value, self.rows
        kept: torch.Tensor = decode.truncate(
            scores, rules, filter_value=fill, scaled=True, rows=rows, **coin
        )
        return kept

    def _rules_for(self, input_ids: torch.Tensor) -> decode.Rules:
        return self.rules

    def _look_around(self) -> None:
        """Warn, once, if warpers of ``generate`` follow; our own loop warns by itself."""
        self._looked_around = True
        outer = enclosing_generate()
        config = outer.get("generation_config")
        if config is not None and config.do_sample and not callable(outer.get("custom_generate")):
            warn_of_second_cut(self, rules_of_sampling(config))


class OneRule(Truncation):
    """A single rule, of which requests of a continuous batch may have values of their own.

    Attributes
    ----------
    rule
        The argument of `sortes.decode.Rules` that it sets.
    """

    rule: ClassVar[str]


class _Named(OneRule):
    """A rule under the argument that users know it by.

    A subclass says in its header what differs; its constructor takes ``(argument, filter_value,
    min_tokens_to_keep, ..., *, temperature)``.
    """

    _domain: ClassVar[Domain]
    __signature__: ClassVar[Signature]

    def __init_subclass__(
        cls,
        *,
        rule: str | None = None,
        argument: str | None = None,
        default: Any = Parameter.empty,
        domain: Domain | None = None,
        others: tuple[tuple[str, Any], ...] = (("min_tokens_to_keep", 1),),
    ) -> None:
        super().__init_subclass__()
        if rule is None or domain is None:
            return  # derived from a rule by a user
        cls.rule, cls._domain = rule, domain
        named = [(argument or rule, default), ("filter_value", -math.inf), *others]
        cls.__signature__ = Signature(
            [Parameter(n, Parameter.POSITIONAL_OR_KEYWORD, default=d) for n, d in named]
            + [Parameter("temperature", Parameter.KEYWORD_ONLY, default=1.0)]
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        argument, value = next(iter(given.items()))
        least = given.get("min_tokens_to_keep", 1)
        try:
            self._domain.check(value, argument)
            AT_LEAST_1.check(least, "min_tokens_to_keep")
            NON_NEGATIVE.check(given["temperature"], "temperature")
        except TypeError as error:  # Transformers raises nothing but ValueError
            raise ValueError(str(error)) from None
        rules = {self.rule: value, "min_tokens_to_keep": least}
        rules["temperature"] = given["temperature"]
        super().__init__(decode.Rules(**rules), given["filter_value"])
        setattr(self, argument, value)
        self.min_tokens_to_keep = least


class TemperatureLogitsWarper(OneRule):
    """Divide the scores by a temperature.

    Parameters
    ----------
    temperature : float
        The divisor, positive; an int is refused, as by Transformers.

    Raises
    ------
    ValueError
        If `temperature` is not a positive float.

    Examples
    --------
    >>> scores = torch.tensor([[2.0, 1.0]])
    >>> TemperatureLogitsWarper(2.0)(torch.zeros(1, 1), scores)
    tensor([[1.0000, 0.5000]])
    """

    rule = "temperature"

    def __init__(self, temperature: Positive) -> None:
        if not isinstance(temperature, float) or temperature not in POSITIVE:
            raise ValueError(
                f"temperature: must be a positive float, got {shown(temperature)}; "
                "for the most likely token at each step set do_sample=False"
            )
        super().__init__(decode.Rules(temperature=temperature))
        self.temperature = temperature


class TopKLogitsWarper(
    _Named,
    rule="top_k",
    domain=AT_LEAST_1,
):
    """Keep the scores that are at least as large as the k-th largest.

    Parameters
    ----------
    top_k : int
        How many, at least 1; ties of the last are kept.
    filter_value : float, default -inf
        What removed scores are set to.
    min_tokens_to_keep : int, default 1
        At least this many stay.
    temperature : float, default 1.0
        Divides the scores first; see the notes.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    ``generate`` runs processors that users pass *before* its own temperature. If the rule should
    act at a temperature, give it to the rule and not to ``generate``.

    References
    ----------
    Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation", ACL 2018, arXiv:1805.04833.

    Examples
    --------
    >>> scores = torch.tensor([[3.0, 2.0, 1.0]])
    >>> TopKLogitsWarper(2)(torch.zeros(1, 1), scores)
    tensor([[3., 2., -inf]])
    """


class TopPLogitsWarper(_Named, rule="top_p", domain=PROBABILITY):
    """Keep the smallest set of most likely tokens with a mass of at least `top_p`.

    Parameters
    ----------
    top_p : float
        In [0, 1].
    filter_value, min_tokens_to_keep, temperature
        As in `TopKLogitsWarper`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    References
    ----------
    Holtzman, Buys, Du, Forbes and Choi, "The Curious Case of Neural Text Degeneration", ICLR 2020,
    arXiv:1904.09751.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> TopPLogitsWarper(0.6)(torch.zeros(1, 1), scores).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """


class MinPLogitsWarper(_Named, rule="min_p", domain=PROBABILITY):
    """Keep tokens that are at least `min_p` times as likely as the most likely one.

    Parameters
    ----------
    min_p : float
        In [0, 1].
    filter_value, min_tokens_to_keep, temperature
        As in `TopKLogitsWarper`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    References
    ----------
    Nguyen, Baker, Neo, Roush, Kirsch and Shwartz-Ziv, "Turning Up the Heat: Min-p Sampling for
    Creative and Coherent LLM Outputs", ICLR 2025, arXiv:2407.01082.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> MinPLogitsWarper(0.5)(torch.zeros(1, 1), scores).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """


class TypicalLogitsWarper(_Named, rule="typical_p", argument="mass", default=0.9, domain=_OPEN):
    """Keep the tokens whose surprise is nearest to the entropy.

    Parameters
    ----------
    mass : float
        The mass of those, in (0, 1).
    filter_value, min_tokens_to_keep, temperature
        As in `TopKLogitsWarper`; the tokens that stay at least are the most typical ones.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    The most likely token may be removed.

    References
    ----------
    Meister, Pimentel, Wiher and Cotterell, "Locally Typical Sampling", TACL 2023, arXiv:2202.00666.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> TypicalLogitsWarper(0.2)(torch.zeros(1, 1), scores).exp()
    tensor([[0.0000, 0.3000, 0.0000]])
    """


class EpsilonLogitsWarper(_Named, rule="epsilon_cutoff", argument="epsilon", domain=_OPEN):
    """Keep tokens with a probability of at least `epsilon`.

    Parameters
    ----------
    epsilon : float
        In (0, 1); 3e-4 to 9e-4 are usual.
    filter_value, min_tokens_to_keep, temperature
        As in `TopKLogitsWarper`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    References
    ----------
    Hewitt, Manning and Liang, "Truncation Sampling as Language Model Desmoothing", Findings of
    EMNLP 2022, arXiv:2210.15191.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> EpsilonLogitsWarper(0.25)(torch.zeros(1, 1), scores).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """


class EtaLogitsWarper(
    _Named,
    rule="eta_cutoff",
    argument="epsilon",
    domain=_OPEN,
    others=(("min_tokens_to_keep", 1), ("device", None)),
):
    """Keep tokens with a probability of at least ``min(epsilon, sqrt(epsilon) * exp(-H))``.

    Parameters
    ----------
    epsilon : float
        In (0, 1); 3e-4 to 2e-3 are usual.
    filter_value, min_tokens_to_keep
        As in `TopKLogitsWarper`.
    device
        Accepted as by Transformers, and not needed: the scores stay where they are.
    temperature
        As in `TopKLogitsWarper`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    ``H`` is the entropy of the row in nats.

    References
    ----------
    Hewitt, Manning and Liang, "Truncation Sampling as Language Model Desmoothing", Findings of
    EMNLP 2022, arXiv:2210.15191.

    Examples
    --------
    >>> scores = torch.tensor([[0.9, 0.09, 0.01]]).log()
    >>> EtaLogitsWarper(0.05)(torch.zeros(1, 1), scores).exp()
    tensor([[0.9000, 0.0900, 0.0000]])
    """


class TopHLogitsWarper(_Named, rule="top_h", domain=Domain("(0, 1]"), others=()):
    """Keep the most likely tokens that carry a share of the entropy.

    Parameters
    ----------
    top_h : float
        The share, in (0, 1].
    filter_value, temperature
        As in `TopKLogitsWarper`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    Looks at the 100 most likely tokens.

    References
    ----------
    Potraghloo, Azizi, Kundu and Pedram, "Top-H Decoding: Adapting the Creativity and Coherence with
    Bounded Entropy in Text Generation", NeurIPS 2025, arXiv:2509.02510.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> TopHLogitsWarper(0.5)(torch.zeros(1, 1), scores).exp()
    tensor([[0.5000, 0.0000, 0.0000]])
    """


class TopNSigmaLogitsWarper(_Named, rule="top_n_sigma", default=1.0, domain=POSITIVE):
    """Keep scores that are at most this many standard deviations below the largest.

    Parameters
    ----------
    top_n_sigma : float
        How many, positive; 1 is usual.
    filter_value, min_tokens_to_keep, temperature
        As in `TopKLogitsWarper`; the set that is kept does not depend on the temperature.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    The standard deviation is that of the finite scores.

    References
    ----------
    Tang, Liu, Xu and Huang, "Top-nσ: Eliminating Noise in Logit Space for Robust Token Sampling of
    LLM", ACL 2025, arXiv:2411.07641.

    Examples
    --------
    >>> scores = torch.tensor([[4.0, 3.0, 0.0, 0.0]])
    >>> TopNSigmaLogitsWarper(1.0)(torch.zeros(1, 1), scores)
    tensor([[4., 3., -inf, -inf]])
    """


class TopALogitsWarper(_Named, rule="top_a", domain=POSITIVE):
    """Keep tokens with a probability of at least `top_a` times the square of the largest.

    Parameters
    ----------
    top_a : float
        Positive; 0.2 is usual.
    filter_value, min_tokens_to_keep, temperature
        As in `TopKLogitsWarper`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> TopALogitsWarper(1.0)(torch.zeros(1, 1), scores).exp()
    tensor([[0.5000, 0.3000, 0.0000]])
    """


class PLessLogitsWarper(Truncation):
    """Keep tokens that are at least as likely as two draws are to agree: the rule p-less.

    Parameters
    ----------
    filter_value : float, default -inf
        What removed scores are set to.
    normalized : bool, default False
        Use the laxer threshold that is corrected for the size of the vocabulary.
    temperature
        As in `TopKLogitsWarper`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.
    TypeError
        If an argument has the wrong type.

    References
    ----------
    Tan, Wu and Howard, "p-less Sampling: A Robust Hyperparameter-Free Approach for LLM Decoding",
    ICLR 2026, arXiv:2509.23234.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.4, 0.1]]).log()
    >>> PLessLogitsWarper()(torch.zeros(1, 1), scores).exp()
    tensor([[0.5000, 0.0000, 0.0000]])
    """

    def __init__(
        self,
        filter_value: Annotated[float, FILL] = -math.inf,
        *,
        normalized: bool = False,
        temperature: NonNegative = 1.0,
    ) -> None:
        rules = decode.Rules(
            p_less=True,
            p_less_normalized=flag(normalized, "normalized"),
            temperature=NON_NEGATIVE.check(temperature, "temperature"),
        )
        super().__init__(rules, filter_value)


class SortesLogitsWarper(Truncation):
    """Apply any combination of rules in one pass over the scores.

    Parameters
    ----------
    rules : Rules, optional
        The rules, instead of `rule_args`.
    rows : array_like of int, shape (B,), optional
        As in `SortesDrawProcessor`, for the coin of XTC.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        It is for the coin of XTC, as in `SortesDrawProcessor`.
    **rule_args
        Rule arguments of `sortes.decode.sample`.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Notes
    -----
    Kept scores are divided by the temperature, also by one that depends on the entropy of the row
    (`dynatemp_range`).

    Examples
    --------
    >>> scores = torch.tensor([[3.0, 2.0, 1.0]])
    >>> SortesLogitsWarper(temperature=0.5, top_k=2)(torch.zeros(1, 1), scores)
    tensor([[6., 4., -inf]])
    """

    def __init__(
        self,
        rules: decode.Rules | None = None,
        *,
        rows: ArrayLike | None = None,
        rng: Rng = None,
        **rule_args: Unpack[decode.RuleArgs],
    ) -> None:
        rules = as_rules(rules, rule_args)
        super().__init__(rules, rows=rows, rng=rng)
        # A value of its own, or XTC's coin, belongs to a row of the batch, which continuous
        # batching does not keep.
        by_row = any(not isinstance(value, float) for value in rules.params.values())
        self.supports_continuous_batching = not (by_row or rules.is_random)


class XTCLogitsWarper(SortesLogitsWarper):
    """Now and then remove all likely tokens but the least likely of them.

    Parameters
    ----------
    xtc_probability : float
        How often, in [0, 1].
    xtc_threshold : float, default 0.1
        Tokens with at least this probability are likely, in [0, 1].
    protected_ids : iterable of int, optional
        A step that would remove one of these is skipped: newline, end of sequence.
    rows : array_like of int, shape (B,), optional
        As in `SortesDrawProcessor`.
    temperature
        As in `TopKLogitsWarper`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        As in `SortesDrawProcessor`.

    Raises
    ------
    ValueError
        If an argument is outside its domain.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> XTCLogitsWarper(1.0, 0.25)(torch.zeros(1, 1), scores).exp()
    tensor([[0.0000, 0.3000, 0.2000]])
    """

    def __init__(
        self,
        xtc_probability: Probability,
        xtc_threshold: Probability = 0.1,
        protected_ids: Iterable[int] | None = None,
        *,
        rows: ArrayLike | None = None,
        temperature: NonNegative = 1.0,
        rng: Rng = None,
    ) -> None:
        ids = None if protected_ids is None else _listed(protected_ids, "protected_ids")
        super().__init__(
            rows=rows,
            rng=rng,
            xtc_probability=PROBABILITY.check(xtc_probability, "xtc_probability"),
            xtc_threshold=PROBABILITY.check(xtc_threshold, "xtc_threshold"),
            protected_ids=ids,
            temperature=NON_NEGATIVE.check(temperature, "temperature"),
        )


class FIRELogitsWarper(Truncation):
    """Heat the first generated token, and apply ordinary rules to the others.

    Parameters
    ----------
    prompt_length : int
        The length of ``input_ids`` at the start, padding included. 0 if ``generate`` is given
        ``inputs_embeds`` alone: it then hands processors nothing but the new tokens.
    fire_temperature, fire_top_k, positions
        As in `sortes.decode.FIRE`.
    rows : array_like of int, shape (B,), optional
        As in `SortesDrawProcessor`, for the coin of XTC.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        It is for the coin of XTC, as in `SortesDrawProcessor`.
    **rule_args
        Rule arguments of `sortes.decode.sample` for the tokens that are not heated.

    Raises
    ------
    ValueError
        If an argument is outside its domain.
    TypeError
        If an argument has the wrong type, or is unknown.

    References
    ----------
    Chen et al., "Flaming-hot Initiation with Regular Execution Sampling for Large Language
    Models", 2024, arXiv:2410.21236.

    Examples
    --------
    >>> scores = torch.tensor([[3.0, 0.0, -3.0]])
    >>> warper = FIRELogitsWarper(4, fire_top_k=2, top_k=1)
    >>> warper(torch.zeros(1, 4), scores)
    tensor([[0.1000, 0.0000, -inf]])
    >>> warper(torch.zeros(1, 5), scores)
    tensor([[3., -inf, -inf]])
    """

    supports_continuous_batching = False

    def __init__(
        self,
        prompt_length: Count,
        fire_temperature: Positive = 30.0,
        fire_top_k: AtLeastOne = 16,
        positions: Iterable[int] = (0,),
        *,
        rows: ArrayLike | None = None,
        rng: Rng = None,
        **rule_args: Unpack[decode.RuleArgs],
    ) -> None:
        super().__init__(decode.Rules(**rule_args), rows=rows, rng=rng)
        self.prompt_length = COUNT.check(prompt_length, "prompt_length")
        self.fire = decode.FIRE(fire_temperature, fire_top_k, positions=positions)
        self._heated = decode.Rules(
            **self.fire.rules(min(self.fire.positions, default=0), **rule_args)
        )

    def _rules_for(self, input_ids: torch.Tensor) -> decode.Rules:
        position = input_ids.shape[-1] - self.prompt_length
        if position < 0:
            raise ValueError(
                f"prompt_length: must be at most the length of the text, {input_ids.shape[-1]}, "
                f"got {self.prompt_length}; beside inputs_embeds the text begins after the prompt, "
                "at length 0"
            )
        return self._heated if position in self.fire.positions else self.rules


class DRYLogitsWarper(LogitsProcessor):
    """Charge tokens that would repeat a passage, the more the longer the passage.

    Parameters
    ----------
    dry_multiplier : float, default 0.8
        What a repetition of `dry_allowed_length` tokens costs; 0.8 is usual.
    dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers
        As in `sortes.decode.penalize`.
    pad_token_id : int, optional
        Leading tokens of this id are padding, not text.

    Raises
    ------
    ValueError
        If an argument is outside its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    A penalty acts on logits, before any temperature, which is where ``generate`` runs it. Each
    step reads the whole text on the CPU.

    Examples
    --------
    >>> text = torch.tensor([[5, 1, 2, 0, 1, 2]])  # after 1, 2 came 0
    >>> DRYLogitsWarper(0.8)(text, torch.zeros(1, 3))
    tensor([[-0.8000,  0.0000,  0.0000]])
    """

    supports_continuous_batching = False

    def __init__(
        self,
        dry_multiplier: NonNegative = 0.8,
        dry_base: Annotated[float, _BASE] = 1.75,
        dry_allowed_length: AtLeastOne = 2,
        dry_penalty_last_n: Annotated[int, _WINDOW] = 0,
        dry_sequence_breakers: Iterable[int | Sequence[int]] = (),
        pad_token_id: Annotated[int, _TOKEN] | None = None,
    ) -> None:
        breakers = _listed(dry_sequence_breakers, "dry_sequence_breakers")
        pad = None if pad_token_id is None else _TOKEN.check(pad_token_id, "pad_token_id")
        self.arguments: dict[str, Any] = {
            "dry_multiplier": NON_NEGATIVE.check(dry_multiplier, "dry_multiplier"),
            "dry_base": _BASE.check(dry_base, "dry_base"),
            "dry_allowed_length": AT_LEAST_1.check(dry_allowed_length, "dry_allowed_length"),
            "dry_penalty_last_n": _WINDOW.check(dry_penalty_last_n, "dry_penalty_last_n"),
            "dry_sequence_breakers": breakers,
            "pad_token_id": pad,
        }
        decode.penalize(torch.zeros(1), [], **self.arguments)  # bad arguments are reported here

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Charge the tokens.

        Parameters
        ----------
        input_ids : LongTensor, shape (B, T)
            The text so far.
        scores : tensor, shape (B, V)
            The logits.

        Returns
        -------
        tensor, shape (B, V)
            A new tensor.

        Raises
        ------
        ValueError
            If shapes do not match.
        TypeError
            If the scores are no floats, or the text holds no integers.
        """
        charged: torch.Tensor = decode.penalize(scores, input_ids, **self.arguments)
        return charged


def _listed(given: Iterable[Any], name: str) -> list[Any]:
    """Return the items of an iterable, which can perhaps be read only once."""
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | np.ma.MaskedArray):
        raise TypeError(f"{name}: must hold integers, got {shown(given)}")
    return list(given)
