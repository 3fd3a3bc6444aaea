"""Speculative decoding in ``generate``: the texts of `sample`, in fewer calls of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import torch

from sortes._check import AT_LEAST_1, AtLeastOne, one_of, shown
from sortes._interrupt import OnInterrupt
from sortes._progress import Progress, reporter
from sortes.integrations.transformers._draft_models import ModelDrafts
from sortes.integrations.transformers._drafts import (
    CalledDrafts,
    Drafts,
    SeveralDrafts,
    TextDrafts,
)
from sortes.integrations.transformers._generate import (
    Decoding,
    Independent,
    with_rule_arguments,
    with_stop_strings,
)
from sortes.integrations.transformers._speculation import OF_SAMPLES, Speculation
from sortes.sequences import SuffixAutomaton, race_sample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from transformers.generation.utils import GenerateDecoderOnlyOutput

    from sortes._rng import Rng

#: Where a draft comes from.
DraftName: TypeAlias = Literal["suffix", "greedy", "tree", "sample"]
#: How a draft is verified.
Verification: TypeAlias = Literal["draw", "race", "token", "block"]
#: How many nodes of a level of a tree are gone on from.
_TOP_K: Final = 4


def speculative_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    draft: DraftName | Callable[..., Any] | Sequence[Any] | None = None,
    corpus: SuffixAutomaton | None = None,
    draft_model: Any = None,
    num_draft_tokens: AtLeastOne | None = None,
    verification: Verification = "draw",
    stop_strings: str | list[str] | None = None,
    tokenizer: Any = None,
    rows: ArrayLike | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    progress: Progress = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """Generate the text of `sample` in fewer calls: ``custom_generate=speculative_sample``.

    A draft says how each text may go on, and one call of the model gives the logits behind all of
    its tokens. The next token is drawn as `sample` draws it; while it is one of the draft's, the
    logits behind it are there, and no call is needed.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, streamer
        As in `sample`.
    draft : {"suffix", "greedy", "tree", "sample"}, callable, or a sequence of these, optional
        Where drafts come from. ``"suffix"``: from what has followed the end of the text before, in
        the text or in `corpus` (`sortes.sequences.SuffixDrafts`); the default without a
        `draft_model`. ``"greedy"``: the likeliest continuation of the draft model. ``"tree"``: a
        tree of its likeliest ones, grown where it is sure (EAGLE-2,
        `sortes.sequences.DraftTreeBuilder`); the default with one. ``"sample"``: what the draft
        model says, drawn by the same rules; the default with one for other verifications. A
        function is called with the tokens of a text, an int64 array, and with how many it may draft
        at most; it returns some, or a tree of some, an object with ``tokens`` and ``parents`` whose
        node 0 is the last token of the text. Deterministic drafts of several kinds are put
        together.
    corpus : SuffixAutomaton, optional
        Texts that are likely to be said again, for ``"suffix"``.
    draft_model : PreTrainedModel, optional
        A smaller model with the tokens of the large one, for ``"greedy"``, ``"tree"`` and
        ``"sample"``. ``generate`` does not pass its own `assistant_model` on.
    num_draft_tokens : int, optional
        How many tokens of a draft of a text are looked at in a call, at most; by default 64. There
        are fewer where more would not pay, by what calls were measured to take and by how often
        drafts came true. With the verifications ``"token"`` and ``"block"`` there are always so
        many, by default 5, since the text depends on that.
    verification : {"draw", "race", "token", "block"}, default "draw"
        How a draft is verified, as in `sortes.sequences.verify_tokens`. ``"draw"`` gives the text
        of `sample`. ``"race"`` gives one that does not depend on the draft either, but is another
        draw of the same law: tokens are those of `sortes.sequences.race_sample`, and a draft that
        is sampled by the same races is mostly what the text comes to. ``"token"`` and ``"block"``
        are for sampled drafts alone: the text has the law of the model, and depends on the draft.
    stop_strings, tokenizer, rows, on_interrupt
        As in `sample`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        As in `sample`: the same seed gives the same text, with it and without drafts.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts tokens of the text that is
        the least far.
    **kwargs
        As in `sample`.

    Returns
    -------
    LongTensor, shape (B, T), or ModelOutput
        What `sample` returns. If ``return_dict_in_generate``, the output has ``model_calls`` and
        ``model_positions`` as well, how often the model was called and for how many tokens in all,
        with the prompt and with padding; ``drafted`` and ``accepted``, how many tokens of drafts
        each text had looked at, and how many of them came (LongTensor, shape (B,)).

    Raises
    ------
    ValueError
        As `sample`; for ``output_attentions`` and ``output_hidden_states``; for tokens of a draft
        or a corpus that the model does not have, or a draft model with other tokens; for a draft
        that does not fit the verification.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stopped it.

    Warns
    -----
    UserWarning
        If the model cannot be asked about a tree of tokens: texts are drawn token by token. That is
        so for caches that hold more or less than the keys and values of all tokens (sliding
        windows, recurrent states, static and quantised caches), and for an attention without masks
        of any shape (``eager`` and ``sdpa`` have them). A model is asked once whether it minds.

    Notes
    -----
    Which draft it is, and how much of it, decides nothing but how many calls there are: a token is
    the draw of its position, by the rules, processors and coins of `sample`, and is accepted with
    the probability that the law of the model gives the tokens of the draft behind that beginning.
    For a draft that is fixed no verification accepts more. A model that rounds differently in calls
    of other shapes moves the logits as much: in float32 a draw may then differ.

    Texts of a batch go on by as many tokens as each of them was granted. Where a processor or a
    criterion of the user's sees the batch as a whole, it sees what `sample` shows it, and all texts
    go on by as many as the one that was granted the fewest.

    Drafts are never worth more than they cost: a draft is looked at as far as it makes a token
    cheaper. That is learned from call to call, and what is known of a model is kept with it.

    References
    ----------
    Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding", ICML
    2023, arXiv:2211.17192.

    Miao et al., "SpecInfer: Accelerating Large Language Model Serving with Tree-based Speculative
    Inference and Verification", ASPLOS 2024, arXiv:2305.09781.

    Examples
    --------
    >>> from sortes.integrations.transformers import sample
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> config = LlamaConfig(
    ...     vocab_size=64,
    ...     hidden_size=32,
    ...     intermediate_size=64,
    ...     num_hidden_layers=1,
    ...     num_attention_heads=2,
    ... )
    >>> model = LlamaForCausalLM(config).eval()
    >>> prompt = torch.tensor([[1, 5, 7, 1, 5]])
    >>> asked = {"do_sample": True, "max_new_tokens": 8, "rng": 0}
    >>> text = model.generate(prompt, custom_generate=speculative_sample, **asked)
    >>> torch.equal(text, model.generate(prompt, custom_generate=sample, **asked))
    True
    """
    one_of(verification, "verification", get_args(Verification))
    most = 5 if verification in OF_SAMPLES else 64
    if num_draft_tokens is not None:
        most = AT_LEAST_1.check(num_draft_tokens, "num_draft_tokens")
    names = _names(draft, corpus, draft_model, verification)
    _refuse(generation_config)
    stops = with_stop_strings(stopping_criteria, stop_strings, tokenizer)
    decoding = Decoding(
        *(model, input_ids, logits_processor, stops, generation_config),
        *(synced_gpus, streamer, rng, kwargs),
        lambda rules, stream: _DRAWINGS[verification](rules, stream, rows),
        on_interrupt,
    )
    if draft_model is not None:
        _check_tokens(model, draft_model)
    with reporter(progress, "tokens") as report:
        kind = " ".join([verification, *map(str, names)])
        loop = Speculation(decoding, most, verification, kind)
        parts = [_drafts(name, corpus, draft_model, loop) for name in names]
        one = parts[0] if len(parts) == 1 else lambda real: SeveralDrafts([p(real) for p in parts])
        text: torch.Tensor | GenerateDecoderOnlyOutput = loop.run(one, report)
        return text


speculative_sample.__signature__ = with_rule_arguments(speculative_sample)  # type: ignore[attr-defined]


class _Races(Independent):
    """Each text draws by races, which a draft can share."""

    def tokens(
        self, logits: torch.Tensor, step: int, unfinished: torch.Tensor | None
    ) -> torch.Tensor:
        drawn: torch.Tensor = race_sample(logits, self.rules, **self.coins(step))
        return drawn


_DRAWINGS: Final = {"draw": Independent, "race": _Races, "token": Independent, "block": Independent}


def _names(draft: Any, corpus: Any, draft_model: Any, verification: str) -> list[Any]:
    """Check where drafts come from."""
    if draft is None:
        with_model = "tree" if verification == "draw" else "sample"
        draft = "suffix" if draft_model is None else with_model
    several = list(draft) if isinstance(draft, list | tuple) else [draft]
    if not several:
        raise ValueError("draft: must not be empty")
    for name in several:
        if not callable(name):
            one_of(name, "draft", get_args(DraftName))
    if verification in OF_SAMPLES and several != ["sample"]:
        raise ValueError(
            f"draft: must be 'sample' for verification={verification!r}, got {shown(draft)}"
        )
    if verification == "draw" and "sample" in several:
        reason = "a draw is another one than the draft's; a greedy draft or a tree is accepted more"
        raise ValueError(f"draft: must not be 'sample' for verification='draw' ({reason})")
    needed = [name for name in several if name in ("greedy", "tree", "sample")]
    if needed and draft_model is None:
        raise ValueError(f"draft_model: must be given for draft={needed[0]!r}")
    if draft_model is not None and len(needed) != 1:
        raise ValueError(
            f"draft_model: needs one draft that comes from it, got draft={shown(draft)}"
        )
    if corpus is not None:
        if not isinstance(corpus, SuffixAutomaton):
            raise TypeError(f"corpus: must be a SuffixAutomaton, got {shown(corpus)}")
        if "suffix" not in several:
            raise ValueError("corpus: needs draft='suffix'")
    return several


def _check_tokens(model: Any, draft_model: Any) -> None:
    """Raise if a draft model has other tokens."""
    if not hasattr(draft_model, "get_input_embeddings"):
        raise TypeError(f"draft_model: must be a PreTrainedModel, got {shown(draft_model)}")
    wanted, got = (m.config.get_text_config().vocab_size for m in (model, draft_model))
    if wanted != got:
        raise ValueError(f"draft_model: must have the model's {wanted} tokens, got {got}")


def _drafts(
    name: Any, corpus: SuffixAutomaton | None, draft_model: Any, loop: Speculation
) -> Callable[[torch.Tensor], Drafts]:
    """Return what makes drafts, when it is known which tokens of the prompts are real."""
    model, prompt = loop.decoding.model, loop.decoding.prompt
    vocabulary = model.config.get_text_config().vocab_size
    if callable(name):
        return lambda real: CalledDrafts(name, len(prompt), vocabulary)
    if name == "suffix":
        if corpus is not None and len(corpus):
            largest = int(corpus._native.parts()[0].max())
            if largest >= vocabulary:
                raise ValueError(
                    f"corpus: tokens must be in [0, {vocabulary}), as the model has them, got "
                    f"{largest}"
                )
        return lambda real: TextDrafts(corpus, len(prompt))
    top_k = _TOP_K if name == "tree" else 1
    draws = loop.say if name == "sample" else None
    return lambda real: ModelDrafts(
        draft_model, prompt, real, model, top_k, draws, is_fixed=loop.is_fixed
    )


def _refuse(config: Any) -> None:
    for name in ("output_attentions", "output_hidden_states"):
        if getattr(config, name) and config.return_dict_in_generate:
            raise ValueError(f"{name}: is not supported by speculative_sample, got True")
