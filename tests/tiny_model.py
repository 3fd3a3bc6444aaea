"""A language model of random weights that is made in a moment: SmolLM2's architecture, smaller."""

from __future__ import annotations

from typing import Any

PAD, BOS, EOS = 0, 1, 2


def build(vocab_size: int = 128, *, seed: int = 0, spread: float = 0.3) -> Any:
    """Return a Llama with tied embeddings and grouped heads, like SmolLM2.

    Parameters
    ----------
    vocab_size
        Number of tokens; the first three are padding, start and end.
    seed
        Of the weights.
    spread
        Their standard deviation: the larger, the surer the model is of its next token.

    Returns
    -------
    LlamaForCausalLM
        In evaluation mode, float32, on the CPU.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        initializer_range=spread,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def prompts(lengths: list[int], vocab_size: int = 128, *, seed: int = 0) -> dict[str, Any]:
    """Return prompts of random tokens, padded on the left, as arguments of ``generate``.

    Parameters
    ----------
    lengths
        The length of each prompt.
    vocab_size
        As in `build`.
    seed
        Of the tokens.

    Returns
    -------
    dict
        ``input_ids`` and ``attention_mask``, LongTensor of shape (B, max(lengths)).
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((len(lengths), max(lengths)), PAD)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, -length:] = torch.randint(EOS + 1, vocab_size, (length,), generator=generator)
        mask[row, -length:] = 1
    return {"input_ids": ids, "attention_mask": mask}


def tokenizer() -> Any:
    """Return a tokenizer for 128 tokens, whose texts are characters of ASCII."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE({chr(i): i for i in range(128)}, []))
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=chr(PAD), bos_token=chr(BOS), eos_token=chr(EOS)
    )
