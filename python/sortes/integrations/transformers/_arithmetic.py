"""Arithmetic sampling in ``generate``: as a decoding loop, and as a logits processor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, Unpack, get_args

import torch
from transformers import LogitsProcessor
from transformers.generation.configuration_utils import GenerationMode

from sortes import decode
from sortes._check import UNIT, one_of
from sortes._progress import Progress, reporter
from sortes.decode.rules import as_rules
from sortes.integrations.transformers._config import configured, enclosing_generate
from sortes.integrations.transformers._generate import Asked, decoded, with_rule_arguments
from sortes.integrations.transformers._rng import settled, stream_of
from sortes.sequences import ArithmeticCodes
from sortes.sequences.arithmetic import SOME, Codebook, TokenOrder

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from transformers.generation.utils import (
        GenerateDecoderOnlyOutput,
        GenerateEncoderDecoderOutput,
    )

    from sortes._rng import Rng

OnInterrupt = Literal["raise", "return"]


def arithmetic_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    codebook: Codebook | None = None,
    codes: Annotated[ArrayLike, UNIT] | None = None,
    token_order: TokenOrder = "id",
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    progress: Progress = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput | GenerateEncoderDecoderOutput:
    """Generate several texts of each prompt, spread evenly: ``custom_generate=arithmetic_sample``.

    The texts are the ``num_return_sequences`` of each prompt, each of them an exact sample. All else
    is as with `sample` of this module.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config
        Filled in by ``generate``.
    synced_gpus
        Not supported.
    streamer
        Pass it to ``generate`` as ever.
    codebook, codes, token_order
        As in `sortes.sequences.ArithmeticCodes`.
    on_interrupt : {"raise", "return"}, default "raise"
        What Ctrl-C does: raise `sortes.Interrupted`, whose ``partial`` is what would have been
        returned, as far as it came; or return that.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        None draws a key from Torch's global generator, so that ``torch.manual_seed`` and
        ``transformers.set_seed`` decide.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts tokens of a text.
    **kwargs
        Every rule argument of `sortes.decode.sample` is taken from the arguments of ``generate``,
        in the place of the configuration's value. All else goes to the model.

    Returns
    -------
    LongTensor, shape (B, T), or ModelOutput
        What ``generate`` returns: prompt and text. If ``return_dict_in_generate``, the output has
        ``logprobs`` as well, float64 of shape (B, new tokens): the log-probabilities of the tokens
        in the law that the rules left, 0 after the end of a text.

    Raises
    ------
    ValueError
        For beams, an assistant or ``do_sample=False``; for a bad argument; for logits that hold NaN
        or ``+inf``.
    Interrupted
        If Ctrl-C stopped it.

    Notes
    -----
    Penalties and processors that make two texts with one beginning see different laws are as exact
    as ever, but those texts are no longer spread evenly.

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
    ...     custom_generate=arithmetic_sample,
    ...     do_sample=True,
    ...     num_return_sequences=8,
    ...     max_new_tokens=4,
    ...     rng=0,
    ... )
    >>> len(set(map(tuple, texts.tolist())))
    8
    """
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    if not generation_config.do_sample:
        raise ValueError("do_sample: must be True for arithmetic sampling, got False")
    asked = Asked(model, input_ids, logits_processor, stopping_criteria, generation_config)
    rules = asked.rules_of(kwargs, synced_gpus)
    n = generation_config.num_return_sequences
    spread = {"codebook": codebook, "codes": codes, "token_order": token_order}
    stepper = _Codes(ArithmeticCodes(len(input_ids) // n, n, rng=stream_of(rng), **spread), rules)
    raise NotImplementedError
