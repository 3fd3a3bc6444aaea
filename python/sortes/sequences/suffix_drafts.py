"""Drafts from text: what has followed the end of a text where it stood before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, final

import numpy as np

from sortes import _core
from sortes._check import COUNT, PROBABILITY, Count, Domain, shown
from sortes.sequences.draft_trees import DraftTree
from sortes.sequences.vocabulary import ids_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

#: How many tokens may follow one another in a draft.
DEPTH: Final = Domain("[1, 2**31)", integer=True)


@final
class SuffixAutomaton:
    """All substrings of some texts of tokens, and how often each of them occurs.

    Parameters
    ----------
    texts : sequence of array_like of int
        The tokens of each text, in [0, 2**32).

    Raises
    ------
    ValueError
        If a token is out of range, or there are more than 2**30.
    TypeError
        If the texts are no sequence of arrays of integers.
    MemoryError
        If there is no memory for it.

    Notes
    -----
    It is made in time linear in the number of tokens, takes about 100 bytes for each (160 at most),
    never changes, and is shared by any number of `SuffixDrafts` and threads. It is pickled as its
    texts.

    References
    ----------
    Blumer, Blumer, Haussler, Ehrenfeucht, Chen and Seiferas, "The smallest automaton recognizing
    the subwords of a text", Theoretical Computer Science 40, 1985.

    Examples
    --------
    >>> from sortes.sequences import SuffixAutomaton
    >>> corpus = SuffixAutomaton([[1, 2, 3, 1, 2], [1, 2]])
    >>> corpus.count([1, 2]), len(corpus)
    (3, 7)
    """

    def __init__(self, texts: Sequence[ArrayLike]) -> None:
        if isinstance(texts, (str, bytes)) or not isinstance(texts, (Sequence, np.ndarray)):
            raise TypeError(f"texts: must be a sequence of arrays of integers, got {shown(texts)}")
        parts = [_tokens(text, f"texts: item {i}") for i, text in enumerate(texts)]
        lengths = np.array([len(part) for part in parts], np.uint32)
        whole = np.concatenate(parts) if parts else np.empty(0, np.uint32)
        self._native = _core.sequences.suffix.SuffixAutomaton(whole, lengths)

    def count(self, tokens: ArrayLike) -> int:
        """Return how often some tokens stand one behind the other.

        Parameters
        ----------
        tokens : array_like of int, shape (n,)
            The tokens.

        Returns
        -------
        int
            In all texts together; for no tokens, one more than all texts have.

        Raises
        ------
        ValueError, TypeError
            If they are no tokens.

        Examples
        --------
        >>> from sortes.sequences import SuffixAutomaton
        >>> SuffixAutomaton([[7, 7, 7]]).count([7, 7])
        2
        """
        return self._native.count(_tokens(tokens, "tokens"))

    def __len__(self) -> int:
        """Return how many tokens the texts have in all."""
        return len(self._native)

    def __repr__(self) -> str:
        """Show the sizes."""
        return f"<SuffixAutomaton of {len(self)} tokens>"

    def __copy__(self) -> SuffixAutomaton:
        """Return itself: it never changes."""
        return self

    def __deepcopy__(self, memo: object) -> SuffixAutomaton:
        """Return itself: it never changes."""
        return self

    def __reduce__(self) -> tuple[Callable[..., SuffixAutomaton], tuple[list[Any]]]:
        tokens, lengths = self._native.parts()
        return SuffixAutomaton, (np.split(tokens, np.cumsum(lengths.astype(np.int64))[:-1]),)


@final
class SuffixDrafts:
    r"""What may follow the end of a text, by what has followed it in the text and in a corpus.

    Parameters
    ----------
    tokens : array_like of int, shape (n,), optional
        The text so far, in [0, 2**32): mostly a prompt.
    corpus : SuffixAutomaton, optional
        More text to look into, shared by any number of texts.

    Attributes
    ----------
    match_length : int
        How many tokens the longest suffix has that stands elsewhere in the text or in the corpus.

    Raises
    ------
    ValueError
        If a token is out of range, or there are more than 2**30.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for it.

    Notes
    -----
    The longest suffix of the text that came before is the first context. A token $t$ that followed
    it $c(t)$ times of $C$, one of $u$ different ones, has the probability

    $$
    \frac{c(t)}{C + e}, \qquad e = \frac{8 u}{l^{3/2}},
    $$

    with the length $l$ of the context; with the rest, $e / (C + e)$, none of them follows, and the
    next shorter context is asked for other tokens: prediction by partial matching, with an escape
    that long contexts need less; its size was measured on English and on code. Contexts of the text
    and of the corpus take turns by their length, those of the text first. Of a context with more
    than 64 different tokens, the 64 that were new last are looked at. The likeliest beginnings
    become a tree, best first; among equally likely ones the one found first, and what was new last
    behind a context is found first.

    A token takes constant time, amortised, and about 100 bytes (160 at most); a node of a draft
    some microseconds. An occurrence is counted for its 64 longest contexts.

    References
    ----------
    Oliaro, Jia, Campos and Qiao, "SuffixDecoding: Extreme Speculative Decoding for Emerging AI
    Applications", NeurIPS 2025, arXiv:2411.04975.

    Hu, Wang, Zhang, Zhang, Li, Chen and Zhang, "SAM Decoding: Speculative Decoding via Suffix
    Automaton", ACL 2025, arXiv:2411.10666.

    Cleary and Witten, "Data compression using adaptive coding and partial string matching", IEEE
    Transactions on Communications 32, 1984.

    Examples
    --------
    >>> from sortes.sequences import SuffixDrafts
    >>> text = SuffixDrafts([1, 2, 3, 4, 5, 1, 2])
    >>> text.match_length
    2
    >>> draft = text.draft(3)
    >>> draft.tokens, draft.parents
    (array([2, 3, 4, 5]), array([-1,  0,  1,  2]))
    """

    def __init__(self, tokens: ArrayLike = (), *, corpus: SuffixAutomaton | None = None) -> None:
        if corpus is not None and not isinstance(corpus, SuffixAutomaton):
            raise TypeError(f"corpus: must be a SuffixAutomaton, got {shown(corpus)}")
        self._corpus = corpus
        native = None if corpus is None else corpus._native
        self._native = _core.sequences.suffix.SuffixDrafts(native)
        self.extend(tokens)

    @property
    def match_length(self) -> int:
        """How many tokens the longest suffix has that stands elsewhere."""
        return self._native.matched

    def extend(self, tokens: ArrayLike) -> SuffixDrafts:
        """Let the text go on.

        Parameters
        ----------
        tokens : array_like of int, shape (n,)
            The tokens that follow.

        Returns
        -------
        SuffixDrafts
            The object itself.

        Raises
        ------
        ValueError, TypeError
            If they are no tokens.
        MemoryError
            If there is no memory for them. The text is as it was.

        Examples
        --------
        >>> from sortes.sequences import SuffixDrafts
        >>> SuffixDrafts([1, 2]).extend([3, 1]).match_length
        1
        """
        self._native.extend(_tokens(tokens, "tokens"))
        return self

    def draft(
        self,
        num_tokens: Count = 16,
        *,
        max_depth: Annotated[int, DEPTH] | None = None,
        min_prob: Annotated[float, PROBABILITY] = 0.0,
    ) -> DraftTree:
        """Return the likeliest continuations, as a tree.

        Parameters
        ----------
        num_tokens : int, default 16
            How many nodes it has at most, beside the root.
        max_depth : int, optional
            How many tokens may follow one another, if fewer.
        min_prob : float, default 0
            The least probability of a node.

        Returns
        -------
        DraftTree
            The tree, its root the last token of the text (-1 without any). ``logprobs`` are those
            of the estimated law, descending; ``counts`` say how often each token came behind the
            longest context that knows it, 0 at the root. A smaller draft is the beginning of a
            larger one.

        Raises
        ------
        ValueError, TypeError
            If an argument is outside its domain.
        MemoryError
            If there is no memory for it.

        Examples
        --------
        >>> from sortes.sequences import SuffixDrafts
        >>> draft = SuffixDrafts([1, 2, 1, 3, 1]).draft(max_depth=1)
        >>> draft.tokens[1:], draft.parents[1:], draft.counts[1:]
        (array([3, 2]), array([0, 0]), array([1, 1]))
        """
        most = COUNT.check(num_tokens, "num_tokens")
        depth = most if max_depth is None else DEPTH.check(max_depth, "max_depth")
        least = PROBABILITY.check(min_prob, "min_prob")
        tokens, parents, counts, probs = self._native.draft(most, depth, least)
        return DraftTree(tokens, parents, logprobs=np.log(probs), counts=counts)

    def copy(self) -> SuffixDrafts:
        """Return an object of the same text and corpus, which goes on on its own.

        Returns
        -------
        SuffixDrafts
            The copy.

        Examples
        --------
        >>> from sortes.sequences import SuffixDrafts
        >>> text = SuffixDrafts([1, 2])
        >>> len(text.copy().extend([3])), len(text)
        (3, 2)
        """
        return SuffixDrafts(self._native.tokens(), corpus=self._corpus)

    def __len__(self) -> int:
        """Return how many tokens the text has."""
        return len(self._native)

    def __repr__(self) -> str:
        """Show the sizes."""
        corpus = "" if self._corpus is None else f", corpus of {len(self._corpus)} tokens"
        return f"<SuffixDrafts of {len(self)} tokens{corpus}>"

    def __copy__(self) -> SuffixDrafts:
        return self.copy()

    def __deepcopy__(self, memo: object) -> SuffixDrafts:
        return self.copy()

    def __reduce__(self) -> tuple[Callable[..., SuffixDrafts], tuple[Any, Any]]:
        return _made, (self._native.tokens(), self._corpus)


def _made(tokens: Any, corpus: SuffixAutomaton | None) -> SuffixDrafts:
    return SuffixDrafts(tokens, corpus=corpus)


def _tokens(tokens: Any, name: str) -> NDArray[np.uint32]:
    """Return the tokens of a text."""
    if isinstance(tokens, (list, tuple)) and not tokens:
        return np.empty(0, np.uint32)
    ids = ids_of(tokens, name)
    if ids.ndim != 1:
        raise ValueError(f"{name}: must have shape (n,), got {ids.shape}")
    return np.ascontiguousarray(ids, np.uint32)
