"""Regular expressions in ordinary ``generate``: a processor that masks what may not follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import LogitsProcessor

from sortes import decode
from sortes._check import COUNT, Count, flag, shown
from sortes._device import to_host
from sortes.integrations.transformers._config import generate_with
from sortes.sequences import TokenAutomaton, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from sortes.sequences.vocabulary import TokenId


class RegexLogitsProcessor(LogitsProcessor):
    """Let only those tokens follow after which the text can still match a regular expression.

    It works in greedy search, sampling, beams and assisted generation, for batches of prompts. The
    text is what comes behind the prompt; a token that ends it is taken where it matches.

    Parameters
    ----------
    pattern : str or TokenAutomaton
        The regular expression, or its automaton: what generations share that are made with one
        after the other.
    tokenizer
        What `sortes.sequences.Vocabulary.from_tokenizer` takes; not with an automaton.
    eos_token_id : int or sequence of int, optional
        Tokens that end a text; by default the one that the tokenizer names. Not with an automaton.
    ensure_completion : bool, default True
        Whether every text matches: only tokens are taken after which it can be finished within the
        length that ``generate`` allows. Otherwise that may cut it. Outside of ``generate`` nobody
        knows the length.
    prompt_length : int, optional
        Where texts begin; by default that is the length of the prompt of ``generate``, and outside
        of it the length of the first text that it sees.

    Attributes
    ----------
    automaton : TokenAutomaton
        Which tokens may follow.

    Raises
    ------
    ValueError
        If the expression is none, or no sequence of tokens matches it.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    A text that another processor, or a beam without any legal way on, has led astray is ended. The
    processors of ``generate`` come before its warpers: temperature and truncation act on what may
    follow.

    Examples
    --------
    >>> import torch
    >>> from sortes.sequences import TokenAutomaton, Vocabulary
    >>> tokens = Vocabulary([b"a", b"b", None], eos_token_id=2)
    >>> processor = RegexLogitsProcessor(TokenAutomaton("ab", tokens))
    >>> prompt = torch.tensor([[1]])
    >>> processor(prompt, torch.zeros(1, 3))
    tensor([[0., -inf, -inf]])
    >>> processor(torch.tensor([[1, 0]]), torch.zeros(1, 3))
    tensor([[-inf, 0., -inf]])
    """

    supports_continuous_batching = False

    def __init__(
        self,
        pattern: str | TokenAutomaton,
        tokenizer: Any = None,
        *,
        eos_token_id: TokenId | Sequence[int] | None = None,
        ensure_completion: bool = True,
        prompt_length: Count | None = None,
    ) -> None:
        self.ensure_completion = flag(ensure_completion, "ensure_completion")
        self.prompt_length = (
            None if prompt_length is None else COUNT.check(prompt_length, "prompt_length")
        )
        if isinstance(pattern, TokenAutomaton):
            for name, given in (("tokenizer", tokenizer), ("eos_token_id", eos_token_id)):
                if given is not None:
                    raise ValueError(
                        f"{name}: must not be given with an automaton, got {shown(given)}"
                    )
            self.automaton = pattern
        elif isinstance(pattern, str):
            vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_id=eos_token_id)
            self.automaton = TokenAutomaton(pattern, vocabulary)
        else:
            raise TypeError(f"pattern: must be a string or a TokenAutomaton, got {shown(pattern)}")
        self._first: int | None = None
        self._states: dict[bytes, int] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores, with minus infinity for what may not follow.

        Parameters
        ----------
        input_ids : LongTensor, shape (B, T)
            The texts so far.
        scores : tensor, shape (B, V)
            The logits.

        Returns
        -------
        tensor, shape (B, V)
            A new tensor.

        Raises
        ------
        ValueError
            If a score is NaN or plus infinity, there are fewer than the automaton has tokens, or no
            text is short enough for the length that is left.
        TypeError
            If the scores are no floats.
        """
        outer = generate_with(self)
        begin, left = self._begin(outer, input_ids.shape[1]), None
        texts: NDArray[np.int64] = to_host(input_ids[:, begin:]).numpy()
        states = self._behind(texts)
        config = outer.get("generation_config")
        if config is not None:
            self._check_ends(config)
            if self.ensure_completion:
                left = max(config.max_length - input_ids.shape[1], 1)
        width, tokens = scores.shape[-1], len(self.automaton.vocabulary)
        if width < tokens:
            raise ValueError(
                f"automaton: has a vocabulary of {tokens} tokens, but the rows have {width} logits"
            )
        mask = self.automaton.mask(states, max_tokens=left, width=width)
        if not (can_end := mask.any(1)).all():
            least = self.automaton.shortest(int(states[can_end.argmin()]))
            raise ValueError(
                f"max_new_tokens: must leave at least {least} tokens, as the shortest text of the "
                f"automaton takes, got {left}"
            )
        masked: torch.Tensor = decode.truncate(scores, mask=mask)
        return masked

    def _begin(self, outer: Any, length: int) -> int:
        """Return where the texts begin."""
        begin = self.prompt_length
        if begin is None:
            begin = outer.get("input_ids_length")
        if begin is None:
            if self._first is None or length < self._first:
                self._first = length
            begin = self._first
        if begin > length:
            raise ValueError(
                f"prompt_length: must be at most the length of the texts, {length}, got {begin}"
            )
        return int(begin)

    def _behind(self, texts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the state behind each text: mostly a token behind one that is known."""
        known, self._states = self._states, {}
        states = np.empty(len(texts), np.int64)
        for i, text in enumerate(texts):
            before = known.get(text[:-1].tobytes()) if len(text) else None
            state, rest = (self.automaton.start, text) if before is None else (before, text[-1:])
            states[i] = self._states[text.tobytes()] = self._after(state, rest)
        return states

    def _after(self, state: int, tokens: NDArray[np.int64]) -> int:
        """Return the state behind tokens; the end, where one of them may not follow."""
        reached, count = self.automaton._native.advance(state, np.ascontiguousarray(tokens))
        return reached if count == len(tokens) else self.automaton.end

    def _check_ends(self, config: Any) -> None:
        """Raise if ``generate`` goes on behind a token that ends a text."""
        ends = config._eos_token_tensor
        ends = [] if ends is None else ends.reshape(-1).tolist()
        own = list(self.automaton.vocabulary.eos_token_ids)
        if not set(own) <= set(ends):
            raise ValueError(
                f"eos_token_id: generate() must end texts by those of the automaton, {own}, got "
                f"{ends}"
            )
