"""Regular expressions for whole texts: which tokens may follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, final

import numpy as np

from sortes import _core
from sortes._check import AT_LEAST_1, WORD, AtLeastOne, Domain, shown
from sortes._progress import job_of
from sortes.sequences.vocabulary import Vocabulary, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

#: How many tokens a text may have.
LENGTH: Final = Domain("[1, 2**31)", integer=True)
#: A state of an automaton.
State: TypeAlias = Annotated[int, WORD]


@final
class TokenAutomaton:
    r"""Which tokens may follow, so that a text matches a regular expression in the end.

    Parameters
    ----------
    pattern : str
        The regular expression, in the syntax of Rust's crate ``regex``: the whole text must match.
        There is no look-around, and there are no back-references.
    vocabulary : Vocabulary
        The tokens of the model.

    Attributes
    ----------
    pattern : str
        The regular expression.
    vocabulary : Vocabulary
        The tokens of the model.
    start : int
        The state in which a text begins.
    end : int
        The state behind a token that ends a text; only such tokens may follow.

    Raises
    ------
    ValueError
        If `pattern` is no regular expression, if its automaton is too large, or if no sequence of
        tokens matches it.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The expression becomes a deterministic automaton over the bytes of UTF-8, so that tokens may
    hold parts of characters, and a state is a number. A token may follow a state if some sequence
    of tokens finishes the text behind it; one that ends a text, where the text so far matches.
    What may follow a state is found by one walk over the vocabulary when it is first asked for,
    and kept.
    An object can be shared by threads, and is pickled as its expression and its vocabulary.

    Examples
    --------
    >>> from sortes.sequences import TokenAutomaton, Vocabulary
    >>> tokens = Vocabulary([b"a", b"b", b"ab", None], eos_token_id=3)
    >>> automaton = TokenAutomaton("(ab)+", tokens)
    >>> automaton.allowed(automaton.start)
    array([0, 2])
    >>> state = automaton.advance(automaton.start, [0, 1])
    >>> automaton.allowed(state), automaton.is_accepting(state)
    (array([0, 2, 3]), True)
    """

    def __init__(self, pattern: str, vocabulary: Vocabulary) -> None:
        if not isinstance(pattern, str):
            raise TypeError(f"pattern: must be a string, got {shown(pattern)}")
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(f"vocabulary: must be a Vocabulary, got {shown(vocabulary)}")
        try:
            pattern.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"pattern: must have no lone surrogate, got {shown(pattern)}"
            ) from None
        self._pattern, self._vocabulary = str(pattern), vocabulary
        self._native = _core.sequences.automaton.TokenAutomaton(pattern, vocabulary._native)
        self._words = -(-len(vocabulary) // 32)

    @property
    def pattern(self) -> str:
        """The regular expression."""
        return self._pattern

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the model."""
        return self._vocabulary

    @property
    def start(self) -> int:
        """The state in which a text begins."""
        return self._native.start

    @property
    def end(self) -> int:
        """The state behind a token that ends a text; only such tokens may follow."""
        return self._native.end

    def allowed(self, state: State) -> NDArray[np.int64]:
        """Return the tokens that may follow.

        Parameters
        ----------
        state : int
            A state.

        Returns
        -------
        ndarray of int64, shape (n,)
            The tokens, ascending.

        Raises
        ------
        ValueError, TypeError
            If it is no state.

        Examples
        --------
        >>> from sortes.sequences import TokenAutomaton, Vocabulary
        >>> tokens = Vocabulary([b"a", b"aa", None], eos_token_id=2)
        >>> TokenAutomaton("a?", tokens).allowed(1)
        array([0, 2])
        """
        return self._native.allowed(self._state(state))

    def advance(self, state: State, tokens: ArrayLike) -> int:
        """Return the state behind some tokens.

        Parameters
        ----------
        state : int
            A state.
        tokens : int or array_like of int, shape (n,)
            Tokens that follow it, one after the other.

        Returns
        -------
        int
            The state behind the last of them.

        Raises
        ------
        ValueError
            If it is no state, or a token may not follow.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> from sortes.sequences import TokenAutomaton, Vocabulary
        >>> tokens = Vocabulary([b"a", b"aa", None], eos_token_id=2)
        >>> automaton = TokenAutomaton("a{3}", tokens)
        >>> automaton.advance(1, [1, 0]) == automaton.advance(1, [0, 0, 0])
        True
        >>> automaton.advance(automaton.start, [1, 1])
        Traceback (most recent call last):
        ValueError: tokens: item 1 may not follow, got 1
        """
        if type(tokens) is int and type(state) is int and 0 < state < 2**32 and 0 <= tokens < 2**32:
            behind = self._native.step(state, tokens)  # what a decoding loop asks for, at once
            if behind is not None:
                return behind
        state = self._state(state)
        path = ids_of(tokens, "tokens").reshape(-1)
        reached, count = self._native.advance(state, path)
        if count < len(path):
            raise ValueError(f"tokens: item {count} may not follow, got {path[count]}")
        return reached

    def mask(
        self,
        states: ArrayLike,
        *,
        max_tokens: Annotated[int, LENGTH] | None = None,
        width: AtLeastOne | None = None,
        num_threads: int | None = None,
    ) -> NDArray[np.uint32]:
        """Return the tokens that may follow as packed bits: ``mask`` of `sortes.decode.sample`.

        Parameters
        ----------
        states : int or array_like of int, shape (B,)
            States.
        max_tokens : int, optional
            Only tokens may follow after which the text can be finished with so many tokens in all,
            themselves and the one that ends it among them.
        width : int, optional
            How many logits there are, if more than tokens: the others may not follow.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.

        Returns
        -------
        ndarray of uint32, shape (W,) or (B, W)
            A bit for each token, the lowest first, in ``W = ceil(width / 32)`` words.

        Raises
        ------
        ValueError
            If one is no state, or `width` is less than the vocabulary.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import sortes
        >>> from sortes.sequences import TokenAutomaton, Vocabulary
        >>> tokens = Vocabulary([b"a", b"b", None], eos_token_id=2)
        >>> automaton = TokenAutomaton("ab", tokens)
        >>> automaton.mask([1, 2])
        array([[1],
               [2]], dtype=uint32)
        >>> logits = np.zeros((1, 3), np.float32)
        >>> sortes.sample(logits, mask=automaton.mask(automaton.start), rng=0)
        array([0])
        """
        plain = max_tokens is None and width is None and num_threads is None
        if plain and type(states) is int and 0 < states < 2**32:
            mask = self._native.mask_of(states)  # what a decoding loop asks for, at once
            if mask is not None:
                return mask
        words = self._words if width is None else self._words_of(width)
        left = 2**32 - 1 if max_tokens is None else LENGTH.check(max_tokens, "max_tokens")
        known = self._states(states)
        out = np.empty((known.size, words), np.uint32)
        with job_of(num_threads, None) as job:
            self._native.mask(known.reshape(-1), left, out, job)
        return out if known.ndim else out[0]

    def is_accepting(self, state: State) -> bool:
        """Return whether a text may end here.

        Parameters
        ----------
        state : int
            A state.

        Returns
        -------
        bool
            Whether the text so far matches.

        Raises
        ------
        ValueError, TypeError
            If it is no state.

        Examples
        --------
        >>> from sortes.sequences import TokenAutomaton, Vocabulary
        >>> tokens = Vocabulary([b"a", None], eos_token_id=1)
        >>> TokenAutomaton("a+", tokens).is_accepting(1)
        False
        """
        return self._native.is_accepting(self._state(state))

    def shortest(self, state: State) -> int:
        """Return how many tokens it takes at least to finish a text.

        Parameters
        ----------
        state : int
            A state.

        Returns
        -------
        int
            The number, with the token that ends the text; 0 behind that.

        Raises
        ------
        ValueError, TypeError
            If it is no state.

        Notes
        -----
        The first call may look at the vocabulary once for each state, and can take as long.

        Examples
        --------
        >>> from sortes.sequences import TokenAutomaton, Vocabulary
        >>> tokens = Vocabulary([b"a", b"aa", None], eos_token_id=2)
        >>> TokenAutomaton("a{5}", tokens).shortest(1)
        4
        """
        return self._native.shortest(self._state(state))

    def __repr__(self) -> str:
        """Show the expression and the sizes."""
        tokens = len(self._vocabulary)
        return f"<TokenAutomaton {shown(self._pattern)}, {self.end - 1} states, {tokens} tokens>"

    def __copy__(self) -> TokenAutomaton:
        """Return itself: it never changes."""
        return self

    def __deepcopy__(self, memo: object) -> TokenAutomaton:
        """Return itself: it never changes."""
        return self

    def __reduce__(self) -> tuple[Callable[..., TokenAutomaton], tuple[str, Vocabulary]]:
        return TokenAutomaton, (self._pattern, self._vocabulary)

    def _state(self, state: Any) -> int:
        number: int = WORD.check(state, "state")
        if not self._native.is_state(number):
            raise ValueError(f"state: must be in [1, {self.end}], got {number}")
        return number

    def _states(self, states: Any) -> NDArray[np.uint32]:
        known = ids_of(states, "states")
        fine = (known >= self.start) & (known <= self.end)
        if not fine.all():
            item = f"item {np.argmin(fine)} " if known.ndim else ""
            got = known.reshape(-1)[np.argmin(fine)]
            raise ValueError(f"states: {item}must be in [1, {self.end}], got {got}")
        return known.astype(np.uint32)

    def _words_of(self, width: Any) -> int:
        wanted: int = AT_LEAST_1.check(width, "width")
        if wanted < len(self._vocabulary):
            raise ValueError(
                f"width: must be at least the {len(self._vocabulary)} tokens, got {wanted}"
            )
        return -(-wanted // 32)
