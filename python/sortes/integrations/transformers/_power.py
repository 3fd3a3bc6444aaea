"""Texts in ``generate`` from a power of the law, or given that they match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

import numpy as np
import torch
from transformers.generation.utils import GenerateDecoderOnlyOutput

from sortes._check import AT_LEAST_1, AtLeastOne, Count, Probability, one_of
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Progress
from sortes.integrations.transformers._generate import with_rule_arguments
from sortes.integrations.transformers._prepared import Prepared, behind_prompt, prepared
from sortes.integrations.transformers._rng import stream_of
from sortes.sequences import power as powers
from sortes.sequences.power import MANY, POWER, PowerMethod, PowerSequences, Resampling

if TYPE_CHECKING:
    from sortes import Stream
    from sortes._rng import Rng
    from sortes.sequences import TokenAutomaton


def power_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    num_samples: AtLeastOne = 1,
    alpha: Annotated[float, POWER] = 4.0,
    num_particles: Annotated[int, MANY] = 16,
    method: PowerMethod = "smc",
    proposal_temperature: Annotated[float, POWER] | None = None,
    ess_threshold: Probability | None = None,
    resampling: Resampling | None = None,
    num_steps: Annotated[int, MANY] | None = None,
    num_blocks: Annotated[int, MANY] | None = None,
    max_nodes: Count | None = None,
    node_batch_size: AtLeastOne | None = None,
    max_cached_tokens: Count | None = None,
    automaton: TokenAutomaton | None = None,
    ensure_completion: bool = True,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    progress: Progress = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Draw whole texts of one prompt by a power of their law: ``custom_generate=power_sample``.

    It is `sortes.sequences.power_sample` of the model, in the law that the configuration and the
    rules below leave, and texts picked from what that makes.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config
        Filled in by ``generate``: one prompt, ``do_sample=True``, and neither beams nor
        ``num_return_sequences``. Texts end by a token of the configuration or by its length.
    synced_gpus, streamer
        Not supported.
    num_samples : int, default 1
        How many texts are picked of the particles, by their weights: some may be the same.
    alpha, num_particles, method, proposal_temperature, ess_threshold, resampling
        As in `sortes.sequences.power_sample`.
    num_steps, num_blocks, max_nodes
        As in `sortes.sequences.power_sample`.
    node_batch_size : int, optional
        As in `sortes.sequences.power_sample`.
    max_cached_tokens : int, optional
        How many tokens behind the prompt keep their keys and values from one call of the model to
        the next, at most; by default those of all particles, or as many as take 1 GiB with
        ``method="exact"``. The texts do not depend on it.
    automaton : TokenAutomaton, optional
        What the texts must match; its vocabulary ends texts by the tokens that the configuration
        names.
    ensure_completion : bool, default True
        With an automaton, whether the law is over complete texts alone.
    on_interrupt : {"raise", "return"}, default "raise"
        What Ctrl-C does: raise `sortes.Interrupted`, whose ``partial`` is what would have been
        returned, as far as it came; or return that.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        None draws a key from Torch's global generator, so that ``torch.manual_seed`` and
        ``transformers.set_seed`` decide.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts the tokens of a text, or
        transitions, or beginnings that were looked at.
    **kwargs
        Every rule argument of `sortes.decode.sample` is taken from the arguments of ``generate``,
        in the place of the configuration's value. Of what a model may be told besides, only a cache
        that holds the beginning of the prompt is taken.

    Returns
    -------
    LongTensor, shape (num_samples, T), or ModelOutput
        Prompt and text. If ``return_dict_in_generate``, the output has ``logprobs`` and
        ``complete`` of these (shape (num_samples,)), all ``particles`` as a
        `sortes.sequences.PowerSequences`; and ``model_calls`` and ``model_positions``, how often
        the model was called, and for how many tokens in all, with those of the prompt and with
        padding.

    Raises
    ------
    ValueError
        For settings that contradict it; for a bad argument; for logits that hold NaN or ``+inf``;
        if all texts came to where the rules leave nothing that may follow.
    Interrupted
        If Ctrl-C stopped it.

    Notes
    -----
    Particles share the keys and values of the tokens that they share, and are drawn anew without a
    copy of them; equal ones are computed once. The configuration's ``top_k`` is 50 unless something
    else says otherwise, and is part of the law.

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
    >>> text = model.generate(
    ...     torch.tensor([[1, 5, 7]]),
    ...     custom_generate=power_sample,
    ...     do_sample=True,
    ...     alpha=4.0,
    ...     max_new_tokens=4,
    ...     rng=0,
    ... )
    >>> len(text)
    1
    """
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    samples = AT_LEAST_1.check(num_samples, "num_samples")
    n, length = MANY.check(num_particles, "num_particles"), generation_config.max_length
    if max_cached_tokens is None and method != "exact":
        texts = 2 * n if method == "mcmc" else n  # what a chain has, and what it may take
        max_cached_tokens = texts * max(length - input_ids.shape[1], 1)
    given = (logits_processor, stopping_criteria, generation_config, synced_gpus, streamer, kwargs)
    asked = prepared(model, input_ids, *given, max_cached_tokens, "give progress", draws=True)
    stream = stream_of(rng)

    def output(made: PowerSequences, *, is_partial: bool) -> Any:
        return _output(made, samples, stream, asked, input_ids, generation_config, is_partial)

    try:
        made = powers.power_sample(
            asked.beginnings,
            asked.length,
            asked.rules,
            alpha=alpha,
            num_particles=n,
            method=method,
            proposal_temperature=proposal_temperature,
            ess_threshold=ess_threshold,
            resampling=resampling,
            num_steps=num_steps,
            num_blocks=num_blocks,
            max_nodes=max_nodes,
            eos_token_id=asked.ends,
            automaton=automaton,
            ensure_completion=ensure_completion,
            node_batch_size=node_batch_size,
            rng=stream,
            progress=progress,
        )
    except Interrupted as stop:
        partial = output(stop.partial, is_partial=True)
        if on_interrupt == "return":
            return partial  # type: ignore[no-any-return]
        raise Interrupted(partial) from None
    return output(made, is_partial=False)  # type: ignore[no-any-return]


power_sample.__signature__ = with_rule_arguments(power_sample)  # type: ignore[attr-defined]


def _output(
    made: PowerSequences,
    samples: int,
    stream: Stream,
    asked: Prepared,
    prompt: torch.Tensor,
    config: Any,
    is_partial: bool,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Pick texts, and return them in the class that ``generate`` uses."""
    if (made.log_weights > -np.inf).any():
        picked = np.atleast_1d(made.pick(samples, rng=stream))
    elif is_partial:
        picked = np.empty(0, np.int64)
    else:
        reason = "came to where the rules leave nothing that may follow"
        raise ValueError(f"automaton: all {len(made)} texts {reason} (give weaker rules)")
    tokens = made.tokens[picked]
    sequences = behind_prompt(prompt, tokens[:, : made.lengths[picked].max(initial=0)], config)
    if not config.return_dict_in_generate:
        return sequences
    output: Any = GenerateDecoderOnlyOutput(sequences=sequences)  # type: ignore[arg-type]
    output["logprobs"] = torch.from_numpy(made.logprobs[picked])
    output["complete"] = torch.from_numpy(made.complete[picked])
    output["particles"] = made
    calls = asked.beginnings
    output["model_calls"], output["model_positions"] = calls.calls, calls.positions
    return output  # type: ignore[no-any-return]
