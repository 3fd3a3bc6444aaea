"""The loop of speculative decoding: texts go on by what was drafted, as far as they draw it."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from transformers import LogitsProcessor, StopStringCriteria
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from sortes.integrations.transformers._call_times import CallTimes
from sortes.integrations.transformers._draft_sizes import (
    Acceptance,
    best_part,
    best_width,
    tree_of,
)
from sortes.integrations.transformers._drafts import Draft, Drafts
from sortes.integrations.transformers._regex import RegexLogitsProcessor
from sortes.integrations.transformers._trees import (
    Taken,
    TreeModel,
    cache_name,
    columns_of,
    why_no_trees,
)
from sortes.integrations.transformers._warpers import Truncation
from sortes.sequences import verify_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from sortes._progress import Callback
    from sortes.integrations.transformers._generate import Decoding

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
#: Verifications that read the law of the draft: how much is drafted is part of the text there.
OF_SAMPLES: Final = ("token", "block")


class Speculation:
    """The loop: texts that go on by what was drafted, as far as it is what they draw.

    Parameters
    ----------
    decoding : Decoding
        What is decoded.
    most : int
        How many tokens of a draft are looked at, at most.
    verification : str
        How drafts are verified.
    kind : str
        What drafts are called, of which it is remembered how often they came true.
    """

    _drafts: Drafts
    _target: TreeModel

    def __init__(self, decoding: Decoding, most: int, verification: str, kind: str) -> None:
        self.decoding, self._most, self._verification = decoding, most, verification
        self._kind = kind
        #: Whether as much is looked at as there may be, whatever that costs.
        self.is_fixed = verification in OF_SAMPLES
        prompt = decoding.prompt
        self._batch, self._begin = len(prompt), prompt.shape[1]
        #: The texts, of shape (T,) each.
        self._texts = list(prompt)
        self._unfinished = [True] * self._batch
        self._shown = self._begin
        self._is_joint = self._batch > 1 and _sees_the_batch(decoding)
        self._drafted, self._accepted = [0] * self._batch, [0] * self._batch
        self._has_trees = False
        #: The last drafts, before what does not pay was cut off.
        self._whole: list[Draft] = []
        #: How wide the last call was, and when it began.
        self._called: tuple[int, float] | None = None

    def run(self, make: Callable[[torch.Tensor], Drafts], progress: Callback | None) -> Any:
        """Decode to the end, with drafts that are made of what is real of the prompts."""
        decoding = self.decoding
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
        if self._is_joint and self.is_fixed:
            raise ValueError(
                f"verification: {self._verification!r} needs processors and criteria that look at "
                "each text alone; give one prompt at a time"
            )
        if reason is not None:
            warnings.warn(
                f"speculative_sample: {reason}; texts are drawn token by token",
                UserWarning,
                stacklevel=3,
            )
            return decoding.run(progress, outputs)
        self._real = real.bool()
        taken, self._has_trees = Taken.of(model, cache, self._real), True
        self._target, self._times = taken.model, CallTimes.of(model, self._batch)
        self._drafts = make(self._real)
        kind = Acceptance.of(model, self._kind)
        self._acceptance = [kind.of_text() for _ in prompt]
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
        self._whole = drafts
        try:
            self._go_on(logits, drafts, progress)
            while any(self._unfinished):
                drafts, logits = self._call()
                paths = self._go_on(logits, drafts, progress)
                self._target.cache.keep(paths)
        finally:
            self.decoding.record.keep(self._sequences(), self.decoding.kwargs)

    def _go_on(
        self, logits: torch.Tensor, drafts: list[Draft], progress: Callback | None
    ) -> list[list[int]]:
        """Draw what there are logits for, learn from it, and return the nodes of the texts."""
        lengths = [len(text) for text in self._texts]
        paths = self._walk(logits, drafts, progress)
        for row, (text, length) in enumerate(zip(self._texts, lengths, strict=True)):
            drawn = text[length:].tolist()
            self._acceptance[row].add(self._whole[row], drawn)
            self._drafts.extend(row, drawn)
            paths[row] = paths[row][: len(text) - length]
        return paths

    def _call(self) -> tuple[list[Draft], torch.Tensor]:
        """Draft, and ask the model about as much of it as pays."""
        config = self.decoding.config
        room = getattr(self.decoding.model.config, "max_position_embeddings", None)
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
        self._whole = drafts
        of_texts = zip(self._acceptance, drafts, strict=True)
        probs = [acceptance.probs(draft) for acceptance, draft in of_texts]
        on = [row for row, is_on in zip(probs, self._unfinished, strict=True) if is_on]
        width = max(map(len, on)) if self.is_fixed else best_width(on, self._times)
        drafts = [best_part(draft, row, width) for draft, row in zip(drafts, probs, strict=True)]
        for row, draft in enumerate(drafts):
            self._drafted[row] += len(draft.tokens) - 1
        self._called = width, time.perf_counter()
        return drafts, self._target([tree_of(draft) for draft in drafts], width)

    def _walk(
        self, logits: torch.Tensor, drafts: list[Draft], progress: Callback | None
    ) -> list[list[int]]:
        """Draw tokens while there are logits; return the nodes that they were drawn behind."""
        if self.is_fixed:
            return self._verified(logits, drafts, progress)
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
                    goes_on[row] = False
                    if child is not None and self._unfinished[row]:
                        goes_on[row] = True
                        paths[row].append(child)
                        self._accepted[row] += 1
            self._show(progress)
            if self._is_joint and goes_on != self._unfinished:
                break
        return paths

    def say(self, row: int, behind: list[int], logits: torch.Tensor) -> tuple[int, torch.Tensor]:
        """Draw a token of a draft of a text, as the text would from these logits."""
        text = self._texts[row]
        ids = torch.cat([text, text.new_tensor(behind)])[None]
        logits = self.decoding.processed(ids, logits.to(ids.device), [row])
        drawing = self.decoding.drawing_of([row])
        return int(drawing.tokens(logits, ids.shape[1] - self._begin, None)), logits

    def _verified(
        self, logits: torch.Tensor, drafts: list[Draft], progress: Callback | None
    ) -> list[list[int]]:
        """Verify drafts that were sampled; return the nodes that stand."""
        paths = [[0] for _ in drafts]
        for row, draft in enumerate(drafts):
            if not self._unfinished[row]:
                continue
            tokens, text = draft.tokens[1:], self._texts[row]
            ids = [
                torch.cat([text, text.new_tensor(tokens[:n])])[None]
                for n in range(len(draft.tokens))
            ]
            rows = [
                self.decoding.processed(one, logits[row, n : n + 1].to(text.device), [row])
                for n, one in enumerate(ids)
            ]
            said = getattr(self._drafts, "logits", {}).get(row, [])[: len(tokens)]
            drawing = self.decoding.drawing_of([row])
            found: Any = verify_tokens(  # type: ignore[call-overload]
                np.array([tokens], np.int64).reshape(1, -1),
                torch.cat(rows).float()[None],
                torch.stack([*said]).float()[None] if said else torch.cat(rows)[None, :0].float(),
                drawing.rules,
                method=self._verification,
                **drawing.coins(len(text) - self._begin),
            )
            count = int(found.num_accepted)
            for n, token in enumerate(found.tokens[0, : count + 1].tolist()):
                self._texts[row] = torch.cat([self._texts[row], text.new_tensor([token])])
                if self.decoding.criteria(self._texts[row][None], None).any():
                    self._unfinished[row] = False
                if n < count:
                    self._accepted[row] += 1
                    paths[row].append(n + 1)
                if not self._unfinished[row]:
                    break
        self._learn_time()
        self._show(progress)
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
        ids, ended = self.decoding.draw(ids, logits, unfinished, some)
        for row, text, is_end in zip(rows, ids, ended.tolist(), strict=True):
            self._texts[row] = text
            self._unfinished[row] &= not is_end
        tokens: list[int] = ids[:, -1].tolist()
        self._learn_time()
        return tokens

    def _learn_time(self) -> None:
        """Learn what a call took: by now the logits are there, on any device."""
        if self._called is not None:
            width, began = self._called
            self._times.add(width, time.perf_counter() - began)
            self._called = None

    def _show(self, progress: Callback | None) -> None:
        """Show the tokens that all texts have come to."""
        lengths = [len(text) for text in self._texts]
        on = [length for length, is_on in zip(lengths, self._unfinished, strict=True) if is_on]
        least = min(on) if on else max(lengths)
        streamer, config = self.decoding.streamer, self.decoding.config
        if streamer is not None:
            for column in self._sequences()[:, self._shown : least].T:
                streamer.put(column.cpu())
        self._shown = least
        if progress is not None:
            progress(least - self._begin, max(config.max_length - self._begin, 0))

    def _sequences(self) -> torch.Tensor:
        """Return the texts, the shorter ones padded."""
        pad = self.decoding.config._pad_token_tensor
        value = 0 if pad is None else int(pad)
        return torch.nn.utils.rnn.pad_sequence(self._texts, batch_first=True, padding_value=value)

    def _counts(self) -> dict[str, Any]:
        """Return what the output says of calls."""
        if not self._has_trees:  # token by token
            calls = len(self.decoding.record)
            positions = self.decoding.prompt.numel() + self._batch * max(calls - 1, 0)
        else:
            calls = 1 + self._target.calls
            positions = self.decoding.prompt.numel() + self._target.positions
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
