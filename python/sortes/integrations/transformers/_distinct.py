"""Distinct texts in ``generate``: drawn without replacement, or the surest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import torch
from transformers.generation.utils import GenerateDecoderOnlyOutput

from sortes._check import AT_LEAST_1, AtLeastOne, Count, one_of, shown
from sortes._interrupt import OnInterrupt
from sortes._progress import Progress
from sortes.integrations.transformers._beginnings import Beginnings
from sortes.integrations.transformers._generate import with_rule_arguments
from sortes.integrations.transformers._prepared import behind_prompt, prepared
from sortes.integrations.transformers._rng import stream_of
from sortes.sequences.distinct import DistinctSequences, drawn
from sortes.sequences.priority import GreedyPriority, taken
from sortes.sequences.search import SequenceSearch, to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from sortes._rng import Rng
    from sortes.sequences import FoundSequence, TokenAutomaton


def distinct_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    num_samples: AtLeastOne = 1,
    node_batch_size: AtLeastOne = 16,
    max_cached_tokens: Count | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    on_sequence: Callable[[FoundSequence], object] | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    progress: Progress = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Draw distinct texts of one prompt without replacement: ``custom_generate=distinct_sample``.

    It is `sortes.sequences.sample_without_replacement` of the model, in the law that the
    configuration and the rules below leave.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config
        Filled in by ``generate``: one prompt, ``do_sample=True``, and neither beams nor
        ``num_return_sequences``. Texts end by a token of the configuration or by its length.
    synced_gpus
        Not supported.
    streamer
        Not supported: see `on_sequence`.
    num_samples : int, default 1
        How many texts; fewer come if the model has fewer.
    node_batch_size : int, default 16
        How many beginnings the model is given together, at most. The texts do not depend on it.
    max_cached_tokens : int, optional
        How many tokens behind the prompt keep their keys and values from one call of the model to
        the next, at most; by default as many as take 1 GiB. What was used longest ago is dropped,
        and computed again if it is needed. The texts do not depend on it.
    automaton : TokenAutomaton, optional
        What the texts must match, as in `sortes.sequences.sample_without_replacement`; its
        vocabulary ends texts by the tokens that the configuration names.
    ensure_completion : bool, default True
        With an automaton, whether every text matches, and is not cut by the length.
    on_sequence : callable, optional
        Called with each `sortes.sequences.FoundSequence` as soon as it is found.
    on_interrupt : {"raise", "return"}, default "raise"
        What Ctrl-C does: raise `sortes.Interrupted`, whose ``partial`` is what would have been
        returned, as far as it came; or return that.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        None draws a key from Torch's global generator, so that ``torch.manual_seed`` and
        ``transformers.set_seed`` decide.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts texts.
    **kwargs
        Every rule argument of `sortes.decode.sample` is taken from the arguments of ``generate``,
        in the place of the configuration's value. Of what a model may be told besides, only a cache
        that holds the beginning of the prompt is taken.

    Returns
    -------
    LongTensor, shape (n, T), or ModelOutput
        Prompt and text, in the order in which the texts were drawn. If
        ``return_dict_in_generate``, the output has ``logprobs``, ``perturbed``, ``complete`` (shape
        (n,)), ``kappa`` and ``legal_logprobs`` as well, as `sortes.sequences.DistinctSequences`
        describes them; and ``model_calls`` and ``model_positions``, how often the model was called,
        and for how many tokens in all, with those of the prompt and with padding.

    Raises
    ------
    ValueError
        For settings that contradict it; for a bad argument; for logits that hold NaN or ``+inf``.
    Interrupted
        If Ctrl-C stopped it.

    Notes
    -----
    Each token of each beginning is computed once, as far as `max_cached_tokens` allows: its keys
    and values are kept, and shared by all texts that begin alike. Where the model's cache holds
    more or less than those (sliding windows, recurrent states), what is behind the prompt, or the
    prompt as well, is computed anew for each beginning, whatever `max_cached_tokens` is.

    A model that rounds differently in batches of other sizes moves the values as much.

    Examples
    --------
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> config = LlamaConfig(
    ...     vocab_size=64,
    ...     hidden_size=32,
    ...     intermediate_size=64,
    ...     num_hidden_layers=1,
    ...     num_attention_heads=2,
    ... )
    >>> model = LlamaForCausalLM(config)
    >>> texts = model.generate(
    ...     torch.tensor([[1, 5, 7]]),
    ...     custom_generate=distinct_sample,
    ...     do_sample=True,
    ...     num_samples=8,
    ...     max_new_tokens=4,
    ...     rng=0,
    ... )
    >>> len(set(map(tuple, texts.tolist())))
    8
    """
    search: dict[str, Any] = {"num_samples": num_samples, "node_batch_size": node_batch_size}
    search |= {"automaton": automaton, "ensure_completion": ensure_completion}
    return _searched(
        *(model, input_ids, logits_processor, stopping_criteria, generation_config),
        *(synced_gpus, streamer, kwargs, search, rng),
        max_cached_tokens=max_cached_tokens,
        on_sequence=on_sequence,
        on_interrupt=on_interrupt,
        progress=progress,
    )


distinct_sample.__signature__ = with_rule_arguments(distinct_sample)  # type: ignore[attr-defined]


def stochastic_beam_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    num_samples: AtLeastOne = 1,
    max_cached_tokens: Count | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    on_sequence: Callable[[FoundSequence], object] | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    progress: Progress = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Draw distinct texts by stochastic beams: ``custom_generate=stochastic_beam_sample``.

    It is `sortes.sequences.stochastic_beam_search` of the model: the texts of `distinct_sample` for
    the same `rng`, in as many calls of the model as a text has tokens.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config
        As in `distinct_sample`.
    synced_gpus, streamer
        Not supported.
    num_samples : int, default 1
        How many texts: the width of the beam.
    max_cached_tokens, automaton, ensure_completion, on_sequence, on_interrupt
        As in `distinct_sample`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        As in `distinct_sample`.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts texts.
    **kwargs
        As in `distinct_sample`.

    Returns
    -------
    LongTensor, shape (n, T), or ModelOutput
        As `distinct_sample`.

    Raises
    ------
    ValueError, Interrupted
        As `distinct_sample`.

    Examples
    --------
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> config = LlamaConfig(
    ...     vocab_size=64,
    ...     hidden_size=32,
    ...     intermediate_size=64,
    ...     num_hidden_layers=1,
    ...     num_attention_heads=2,
    ... )
    >>> model = LlamaForCausalLM(config)
    >>> texts = model.generate(
    ...     torch.tensor([[1, 5, 7]]),
    ...     custom_generate=stochastic_beam_sample,
    ...     do_sample=True,
    ...     num_samples=3,
    ...     max_new_tokens=4,
    ...     rng=0,
    ... )
    >>> texts.shape
    torch.Size([3, 7])
    """
    search: dict[str, Any] = {"num_samples": num_samples, "node_batch_size": num_samples}
    search |= {"automaton": automaton, "ensure_completion": ensure_completion}
    return _searched(
        *(model, input_ids, logits_processor, stopping_criteria, generation_config),
        *(synced_gpus, streamer, kwargs, search, rng),
        max_cached_tokens=max_cached_tokens,
        on_sequence=on_sequence,
        on_interrupt=on_interrupt,
        progress=progress,
    )


_signature = with_rule_arguments(stochastic_beam_sample)
stochastic_beam_sample.__signature__ = _signature  # type: ignore[attr-defined]


def priority_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    num_samples: AtLeastOne = 1,
    priority: GreedyPriority = "token",
    node_batch_size: AtLeastOne = 16,
    max_cached_tokens: Count | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    on_sequence: Callable[[FoundSequence], object] | None = None,
    on_interrupt: OnInterrupt = "raise",
    progress: Progress = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Take distinct texts, the surest ones first: ``custom_generate=priority_sample``.

    It is `sortes.sequences.priority_sample` of the model; nothing is drawn.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config
        As in `distinct_sample`; with ``do_sample=False`` no rule of the configuration acts.
    synced_gpus, streamer
        Not supported.
    num_samples : int, default 1
        How many texts; fewer come if the model has fewer. The first is that of greedy decoding.
    priority : {"token", "sequence"}, default "token"
        As in `sortes.sequences.priority_sample`.
    node_batch_size, max_cached_tokens, automaton, ensure_completion, on_sequence, on_interrupt
        As in `distinct_sample`.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts texts.
    **kwargs
        As in `distinct_sample`.

    Returns
    -------
    LongTensor, shape (n, T), or ModelOutput
        Prompt and text, in the order in which the texts came. If ``return_dict_in_generate``, the
        output has ``logprobs``, ``priorities``, ``complete`` (shape (n,)) and ``legal_logprobs`` as
        well, and ``model_calls`` and ``model_positions`` as that of `distinct_sample`.

    Raises
    ------
    ValueError, Interrupted
        As `distinct_sample`.

    Examples
    --------
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> config = LlamaConfig(
    ...     vocab_size=64,
    ...     hidden_size=32,
    ...     intermediate_size=64,
    ...     num_hidden_layers=1,
    ...     num_attention_heads=2,
    ... )
    >>> model = LlamaForCausalLM(config)
    >>> prompt = torch.tensor([[1, 5, 7]])
    >>> greedy = {"do_sample": False, "max_new_tokens": 4}
    >>> texts = model.generate(
    ...     prompt, custom_generate=priority_sample, num_samples=3, **greedy
    ... )
    >>> torch.equal(texts[:1], model.generate(prompt, **greedy))
    True
    """
    one_of(priority, "priority", get_args(GreedyPriority))
    search: dict[str, Any] = {"num_samples": num_samples, "node_batch_size": node_batch_size}
    search |= {"automaton": automaton, "ensure_completion": ensure_completion, "priority": priority}
    return _searched(
        *(model, input_ids, logits_processor, stopping_criteria, generation_config),
        *(synced_gpus, streamer, kwargs, search, None),
        max_cached_tokens=max_cached_tokens,
        on_sequence=on_sequence,
        on_interrupt=on_interrupt,
        progress=progress,
    )


priority_sample.__signature__ = with_rule_arguments(priority_sample)  # type: ignore[attr-defined]


def _searched(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    config: Any,
    synced_gpus: bool,
    streamer: Any,
    kwargs: dict[str, Any],
    search: dict[str, Any],
    rng: Rng,
    *,
    max_cached_tokens: int | None,
    on_sequence: Any,
    on_interrupt: str,
    progress: Progress,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Search the texts of a model."""
    draws = "priority" not in search
    given = (logits_processor, stopping_criteria, config, synced_gpus, streamer, kwargs)
    asked = prepared(model, input_ids, *given, max_cached_tokens, "give on_sequence", draws=draws)
    if on_sequence is not None and not callable(on_sequence):
        raise TypeError(f"on_sequence: must be callable, got {shown(on_sequence)}")
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    beginnings = asked.beginnings
    most = AT_LEAST_1.check(search.pop("num_samples"), "num_samples")
    found = SequenceSearch(
        beginnings,
        most,
        asked.length,
        asked.rules,
        eos_token_id=asked.ends,
        rng=stream_of(rng) if draws else None,
        **search,
    )
    return to_the_end(
        found,
        lambda search: _output(search, input_ids, config, draws, beginnings),
        on_interrupt,
        progress,
        on_sequence,
    )


def _output(
    search: SequenceSearch, prompt: torch.Tensor, config: Any, draws: bool, beginnings: Beginnings
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Return the texts, or the class that ``generate`` uses for them."""
    found = drawn(search) if draws else taken(search)
    sequences = behind_prompt(prompt, found.tokens, config)
    if not config.return_dict_in_generate:
        return sequences
    output: Any = GenerateDecoderOnlyOutput(sequences=sequences)  # type: ignore[arg-type]
    output["logprobs"] = torch.from_numpy(found.logprobs)
    output["complete"] = torch.from_numpy(found.complete)
    output["legal_logprobs"] = torch.from_numpy(found.legal_logprobs)
    if isinstance(found, DistinctSequences):
        output["perturbed"] = torch.from_numpy(found.perturbed)
        output["kappa"] = found.kappa
    else:
        output["priorities"] = torch.from_numpy(found.priorities)
    output["model_calls"], output["model_positions"] = beginnings.calls, beginnings.positions
    return output  # type: ignore[no-any-return]
