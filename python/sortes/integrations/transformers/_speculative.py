"""Speculative decoding in ``generate``: the texts of `sample`, in fewer calls of the model."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import torch
from transformers import LogitsProcessor, StopStringCriteria
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from sortes._check import AT_LEAST_1, AtLeastOne, one_of, shown
from sortes._interrupt import OnInterrupt
from sortes._progress import Progress, reporter
from sortes.integrations.transformers._draft_sizes import (
    Acceptance,
    CallTimes,
    best_part,
    best_width,
    tree_of,
)
from sortes.integrations.transformers._drafts import (
    CalledDrafts,
    Draft,
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
from sortes.integrations.transformers._regex import RegexLogitsProcessor
from sortes.integrations.transformers._trees import TreeModel, Taken, cache_name, columns_of, why_no_trees
from sortes.integrations.transformers._warpers import Truncation
from sortes.sequences import SuffixAutomaton

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from transformers.generation.utils import GenerateDecoderOnlyOutput

    from sortes._progress import Callback
    from sortes._rng import Rng

#: Where a draft comes from.
DraftName: TypeAlias = Literal["suffix"]
#: What may end a text of a batch without a look at the others.
_CRITERIA: Final = (MaxLengthCriteria, EosTokenCriteria, StopStringCriteria)
#: Processors of Transformers that look at nothing but the text of a row.
_OF_ROWS: Final = {
    "ExponentialDecayLengthPenalty",
    "ForcedBOSTokenLogitsProcessor",
    "ForcedEOSTokenLogitsProcessor",
    "InfNanRemoveLogitsProcessor",
    "LogitNormalization",
    "MinLengthLogitsProcessor",
    "MinNewTokensLengthLogitsProcessor",
    "NoBadWordsLogitsProcessor",
    "NoRepeatNGramLogitsProcessor",
    "RepetitionPenaltyLogitsProcessor",
    "SequenceBiasLogitsProcessor",
    "SuppressTokensAtBeginLogitsProcessor",
    "SuppressTokensLogitsProcessor",
}


def speculative_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    draft: DraftName | Callable[..., Any] | Sequence[Any] = "suffix",
    corpus: SuffixAutomaton | None = None,
    num_draft_tokens: AtLeastOne = 32,
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
    draft : {"suffix"}, callable, or a sequence of these, default "suffix"
        Where drafts come from. ``"suffix"``: from what has followed the end of the text before, in
        the text or in `corpus` (`sortes.sequences.SuffixDrafts`). A function is called with the
        tokens of a text, an int64 array, and with how many it may draft at most; it returns some,
        or a tree of some, an object with ``tokens`` and ``parents`` whose node 0 is the last token
        of the text. Drafts of several kinds are put together.
    corpus : SuffixAutomaton, optional
        Texts that are likely to be said again, for ``"suffix"``.
    num_draft_tokens : int, default 32
        How many tokens of a draft of a text are looked at in a call, at most. There are fewer where
        more would not pay, by what calls were measured to take and by how often drafts came true.
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
        or a corpus that the model does not have.
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
    of other shapes moves the logits as much: in float32 a draw in some ten thousand may differ.

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
    most = AT_LEAST_1.check(num_draft_tokens, "num_draft_tokens")
    names = _names(draft, corpus)
    _refuse(generation_config)
    stops = with_stop_strings(stopping_criteria, stop_strings, tokenizer)
    decoding = Decoding(
        *(model, input_ids, logits_processor, stops, generation_config),
        *(synced_gpus, streamer, rng, kwargs),
        lambda rules, stream: Independent(rules, stream, rows),
        on_interrupt,
    )
    with reporter(progress, "tokens") as report:
        vocabulary = model.config.get_text_config().vocab_size
        parts = [_drafts(name, corpus, len(input_ids), vocabulary) for name in names]
        drafts = parts[0] if len(parts) == 1 else SeveralDrafts(parts)
        return Speculation(decoding, drafts, most).run(report)


speculative_sample.__signature__ = with_rule_arguments(speculative_sample)  # type: ignore[attr-defined]


def _names(draft: Any, corpus: Any) -> list[Any]:
    """Check where drafts come from."""
    several = draft if isinstance(draft, list | tuple) else [draft]
    if not several:
        raise ValueError("draft: must not be empty")
    for name in several:
        if not callable(name):
            one_of(name, "draft", get_args(DraftName))
    if corpus is not None:
        if not isinstance(corpus, SuffixAutomaton):
            raise TypeError(f"corpus: must be a SuffixAutomaton, got {shown(corpus)}")
        if "suffix" not in several:
            raise ValueError("corpus: needs draft='suffix'")
    return list(several)


def _drafts(name: Any, corpus: SuffixAutomaton | None, rows: int, vocabulary: int) -> Drafts:
    if callable(name):
        return CalledDrafts(name, rows, vocabulary)
    if corpus is not None and len(corpus):
        largest = int(corpus._native.parts()[0].max())
        if largest >= vocabulary:
            raise ValueError(
                f"corpus: tokens must be in [0, {vocabulary}), as the model has them, got {largest}"
            )
    return TextDrafts(corpus, rows)


def _refuse(config: Any) -> None:
    for name in ("output_attentions", "output_hidden_states"):
        if getattr(config, name) and config.return_dict_in_generate:
            raise ValueError(f"{name}: is not supported by speculative_sample, got True")


class Speculation:
    """The loop: texts that go on by what was drafted, as far as it is what they draw.

    Parameters
    ----------
    decoding : Decoding
        What is decoded.
    drafts : Drafts
        Where drafts come from.
    most : int
        How many tokens of a draft are looked at, at most.
    """

    def __init__(self, decoding: Decoding, drafts: Drafts, most: int) -> None:
        self._decoding, self._drafts, self._most = decoding, drafts, most
        prompt = decoding.prompt
        self._batch, self._begin = len(prompt), prompt.shape[1]
        #: The texts, of shape (T,) each.
        self._texts = list(prompt)
        self._unfinished = [True] * self._batch
        self._shown = self._begin
        self._is_joint = self._batch > 1 and _sees_the_batch(decoding)
        self._drafted, self._accepted = [0] * self._batch, [0] * self._batch
        self._acceptance = Acceptance()
        self._target: TreeModel | None = None
        #: How wide the last call was, and when it began.
        self._called: tuple[int, float] | None = None

    def run(self, progress: Callback | None) -> Any:
        """Decode to the end."""
        decoding = self._decoding
        model, prompt = decoding.model, decoding.prompt
        decoding.counts = self._counts
        mask = decoding.kwargs.get("attention_mask")
        real = torch.ones_like(prompt) if mask is None else mask
        # Whether the model can be asked about trees is known when the prompt has a cache.
        outputs = model._prefill(prompt, decoding.config, decoding.kwargs)
        cache = outputs.get(cache_name(model))
        reason = why_no_trees(model, {**decoding.kwargs, cache_name(model): cache})
        if reason is None and not real.shape == prompt.shape == (self._batch, columns_of(cache)):
            reason = "its cache was begun elsewhere"
        if reason is not None:
            warnings.warn(
                f"speculative_sample: {reason}; texts are drawn token by token",
                UserWarning,
                stacklevel=3,
            )
            return decoding.run(progress, outputs)
        self._real = real.bool()
        taken = Taken.of(model, cache, self._real)
        self._target, self._times = taken.model, CallTimes.of(model, self._batch)
        for row, text in enumerate(prompt):
            self._drafts.extend(row, text[self._real[row]].tolist())
        try:
            with decoding.interrupts(), model._optimize_model_for_decode():
                self._decode(outputs.logits[:, -1:], progress)
        finally:
            taken.give_back(self._sequences().shape[1] - 1)
        if decoding.streamer is not None:
            decoding.streamer.end()
        return decoding.output()

    def _decode(self, logits: torch.Tensor, progress: Callback | None) -> None:
        drafts = [Draft([-1], [-1], [1.0])] * self._batch  # behind the prompt nothing is drafted
        try:
            self._go_on(logits, drafts, progress)
            while any(self._unfinished):
                drafts, logits = self._call()
                paths = self._go_on(logits, drafts, progress)
                self._target.cache.keep(paths)
        finally:
            self._decoding.record.keep(self._sequences(), self._decoding.kwargs)

    def _go_on(
        self, logits: torch.Tensor, drafts: list[Draft], progress: Callback | None
    ) -> list[list[int]]:
        """Draw what there are logits for, learn from it, and return the nodes of the texts."""
        lengths = [len(text) for text in self._texts]
        paths = self._walk(logits, drafts, progress)
        for row, (text, length) in enumerate(zip(self._texts, lengths, strict=True)):
            self._acceptance.add(drafts[row], paths[row])
            self._drafts.extend(row, text[length:].tolist())
            paths[row] = paths[row][: len(text) - length]
        return paths

    def _call(self) -> tuple[list[Draft], torch.Tensor]:
        """Draft, and ask the model about as much of it as pays."""
        config = self._decoding.config
        room = getattr(self._decoding.model.config, "max_position_embeddings", None)
        sizes = {}
        for row, length in enumerate(self._target.cache.lengths):
            # The last token needs no logits behind it, and a draft ends where the context does.
            depth = config.max_length - len(self._texts[row]) - 1
            if room is not None:
                depth = min(depth, room - length - 1)
            if self._unfinished[row] and depth > 0:
                sizes[row] = self._most, depth
        found = self._drafts.drafts(sizes)
        drafts = [
            found.get(row) or Draft([int(text[-1])], [-1], [1.0])
            for row, text in enumerate(self._texts)
        ]
        probs = [self._acceptance.probs(draft) for draft in drafts]
        width = best_width([row for row, is_on in zip(probs, self._unfinished) if is_on], self._times)
        drafts = [best_part(draft, row, width) for draft, row in zip(drafts, probs, strict=True)]
        for row, draft in enumerate(drafts):
            self._drafted[row] += len(draft.tokens) - 1
        self._called = width, time.perf_counter()
        return drafts, self._target([tree_of(draft) for draft in drafts], width)

    def _walk(
        self, logits: torch.Tensor, drafts: list[Draft], progress: Callback | None
    ) -> list[list[int]]:
        """Draw tokens while there are logits; return the nodes that they were drawn behind."""
        children = [
            {(parent, token): i for i, (token, parent) in enumerate(zip(*draft[:2], strict=True))}
            for draft in drafts
        ]
        paths = [[0] for _ in drafts]
        goes_on = list(self._unfinished)
        while any(goes_on):
            for rows in self._groups(goes_on):
                nodes = torch.tensor([paths[row][-1] for row in rows])
                which = logits[:, int(nodes)] if self._batch == 1 else logits[rows, nodes]
                for row, token in zip(rows, self._draw(rows, which), strict=True):
                    child = children[row].get((paths[row][-1], token))
                    goes_on[row] = self._unfinished[row] and child is not None
                    if goes_on[row]:
                        paths[row].append(child)
                        self._accepted[row] += 1
            self._show(progress)
            if self._is_joint and goes_on != self._unfinished:
                break
        return paths

    def _groups(self, goes_on: list[bool]) -> list[list[int]]:
        """Return texts that are drawn together: of one length, or all."""
        if self._is_joint:
            return [list(range(self._batch))]
        groups: dict[int, list[int]] = {}
        for row, is_on in enumerate(goes_on):
            if is_on:
                groups.setdefault(len(self._texts[row]), []).append(row)
        return list(groups.values())

    def _draw(self, rows: list[int], logits: torch.Tensor) -> list[int]:
        """Draw a token of each of these texts."""
        ids = torch.stack([self._texts[row] for row in rows])
        unfinished = torch.tensor([self._unfinished[row] for row in rows], device=ids.device)
        some = None if len(rows) == self._batch else rows
        ids, ended = self._decoding.draw(ids, logits, unfinished, some)
        for row, text, is_end in zip(rows, ids, ended.tolist(), strict=True):
            self._texts[row] = text
            self._unfinished[row] &= not is_end
        tokens: list[int] = ids[:, -1].tolist()
        if self._called is not None:  # by now the logits are there, on any device
            width, began = self._called
            self._times.add(width, time.perf_counter() - began)
            self._called = None
        return tokens

    def _show(self, progress: Callback | None) -> None:
        """Show the tokens that all texts have come to."""
        lengths = [len(text) for text in self._texts]
        on = [length for length, is_on in zip(lengths, self._unfinished, strict=True) if is_on]
        least = min(on) if on else max(lengths)
        streamer, config = self._decoding.streamer, self._decoding.config
        if streamer is not None:
            for column in self._sequences()[:, self._shown : least].T:
                streamer.put(column.cpu())
        self._shown = least
        if progress is not None:
            progress(least - self._begin, max(config.max_length - self._begin, 0))

    def _sequences(self) -> torch.Tensor:
        """Return the texts, the shorter ones padded."""
        pad = self._decoding.config._pad_token_tensor
        value = 0 if pad is None else int(pad)
        return torch.nn.utils.rnn.pad_sequence(
            self._texts, batch_first=True, padding_value=value
        )

    def _counts(self) -> dict[str, Any]:
        """Return what the output says of calls."""
        if self._target is None:  # token by token
            calls = len(self._decoding.record)
            positions = self._decoding.prompt.numel() + self._batch * max(calls - 1, 0)
        else:
            calls = 1 + self._target.calls
            positions = self._decoding.prompt.numel() + self._target.positions
        return {
            "model_calls": calls,
            "model_positions": positions,
            "drafted": torch.tensor(self._drafted),
            "accepted": torch.tensor(self._accepted),
        }


def _sees_the_batch(decoding: Decoding) -> bool:
    """Whether something of what happens at a place looks at more than the text of a row."""
    if decoding.drawing.of([0]) is None or not all(
        isinstance(criterion, _CRITERIA) for criterion in decoding.criteria
    ):
        return True
    if decoding.pad is None and len(decoding.criteria) > 1:
        return True  # a text that ends goes on as long as the others
    return not all(_is_of_rows(processor) for processor in decoding.processors)


def _is_of_rows(processor: Any) -> bool:
    """Whether a processor is known to treat each row by its own text."""
    if isinstance(processor, RegexLogitsProcessor | Truncation):
        return True
    kind = type(processor)
    return kind.__module__ == LogitsProcessor.__module__ and kind.__name__ in _OF_ROWS
