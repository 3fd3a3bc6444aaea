"""Trees of drafted tokens: what a model verifies in one call."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import host, integers_of, numbers_of, rows_of
from sortes._check import AT_LEAST_1, COUNT, AtLeastOne, Count, Domain
from sortes._device import check_dense, to_host
from sortes._progress import job_of
from sortes.decode._call import Given
from sortes.decode.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

#: The last token of a text: -1 where there is none.
ROOT: Final = Domain("[-1, 2**63)", integer=True)
#: Logarithms of probabilities, and of their products.
LOG: Final = Domain("[-inf, 0]")
#: What lists of proposals mostly are; other objects for the same are looked at more closely.
_FLOAT, _INTEGER = np.dtype(np.float64), np.dtype(np.int64)
#: What stands where there is nothing.
PAD: Final = -1
#: The law of a draft as it is.
_PLAIN: Final = Rules()


@dataclass(frozen=True, eq=False)
class DraftTree:
    """A tree of drafted tokens, for one call of a model and one verification.

    Parameters
    ----------
    tokens : array_like of int, shape (n,)
        The token of each node. Node 0 is the root: the last token of the text, or -1 where there is
        none.
    parents : array_like of int, shape (n,)
        The parent of each node, which stands before it; -1 for the root.
    logprobs : array_like, shape (n,), optional
        The log-probability of each node's path in the draft: its score.
    counts : array_like of int, shape (n,), optional
        How often each node was seen by what drafted it.

    Attributes
    ----------
    tokens, parents : ndarray of int64, shape (n,)
        As given.
    depths : ndarray of int64, shape (n,)
        How many tokens of the draft each node's path has: the offset of its position from that of
        the root.
    mask : ndarray of bool, shape (n, n)
        Whether node `j` is node `i` or stands above it: what `i` may attend to.
    paths : ndarray of int64, shape (leaves, width)
        The nodes from the root to each leaf, in the order of the leaves, padded by -1.
    logprobs : ndarray of float64, shape (n,), or None
        As given.
    counts : ndarray of int64, shape (n,), or None
        As given.

    Raises
    ------
    ValueError
        If there is no root, a parent does not stand before its child, or two children of a node
        have the same token; if a token is negative or the lengths differ.
    TypeError
        If an item is no integer.

    Notes
    -----
    Two equal tokens under one parent are refused, for they are one continuation: `from_paths`
    merges them. The mask takes `n` squared bytes, and is made when it is first read.

    Examples
    --------
    >>> from sortes.sequences import DraftTree
    >>> tree = DraftTree([5, 1, 2, 7], [-1, 0, 0, 1])
    >>> tree.depths, tree.paths
    (array([0, 1, 1, 2]), array([[ 0,  2, -1],
           [ 0,  1,  3]]))
    >>> tree.mask[3]  # node 3 attends to the root, node 1 and itself
    array([ True,  True, False,  True])
    """

    tokens: NDArray[np.int64]
    parents: NDArray[np.int64]
    depths: NDArray[np.int64] = field(init=False)
    logprobs: NDArray[np.float64] | None = field(default=None, kw_only=True)
    counts: NDArray[np.int64] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        tokens, parents = integers_of(self.tokens, "tokens"), integers_of(self.parents, "parents")
        depths = _core.sequences.draft_trees.depths(tokens, parents)
        logprobs, counts = self.logprobs, self.counts
        if logprobs is not None:
            logprobs = _one_each(numbers_of(logprobs, "logprobs", LOG), "logprobs", len(tokens))
        if counts is not None:
            counts = _one_each(integers_of(counts, "counts", COUNT), "counts", len(tokens))
        _fill(self, tokens, parents, depths, logprobs, counts)

    @classmethod
    def from_paths(
        cls, paths: ArrayLike | Sequence[ArrayLike], *, root_token: Annotated[int, ROOT] = PAD
    ) -> Self:
        """Merge several continuations of a text, which share their beginnings.

        Parameters
        ----------
        paths : array_like of int, shape (k, g), or sequence of array_like of int
            The tokens of each, up to its first -1.
        root_token : int, default -1
            The last token of the text.

        Returns
        -------
        DraftTree
            The tree; `counts` says how many continuations pass through each node.

        Raises
        ------
        ValueError
            If a token is negative, or stands behind the end of its row.
        TypeError
            If an item is no integer.

        Examples
        --------
        >>> from sortes.sequences import DraftTree
        >>> tree = DraftTree.from_paths([[3, 4], [3, 5], [6]], root_token=2)
        >>> tree.tokens, tree.parents, tree.counts
        (array([2, 3, 4, 5, 6]), array([-1,  0,  1,  1,  0]), array([3, 2, 1, 1, 1]))
        """
        root = ROOT.check(root_token, "root_token")
        tree = cls.__new__(cls)
        tokens, parents, counts = _core.sequences.draft_trees.merge(root, _matrix(paths))
        depths = _core.sequences.draft_trees.depths(tokens, parents)
        _fill(tree, tokens, parents, depths, None, counts)
        return tree

    @classmethod
    def _grown(cls, columns: tuple[NDArray[Any], ...]) -> Self:
        """Make a tree of what a builder has found to be one."""
        tree = cls.__new__(cls)
        _fill(tree, *columns, None)
        return tree

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Whether each node is another one or stands above it."""
        if "_mask" not in self.__dict__:
            n = len(self.tokens)
            mask = _core.sequences.draft_trees.mask(self.parents).reshape(n, n)
            object.__setattr__(self, "_mask", mask)
        return self.__dict__["_mask"]  # type: ignore[no-any-return]

    @property
    def paths(self) -> NDArray[np.int64]:
        """The nodes from the root to each leaf."""
        if "_paths" not in self.__dict__:
            nodes, width = _core.sequences.draft_trees.paths(self.parents, self.depths)
            object.__setattr__(self, "_paths", nodes.reshape(-1, width))
        return self.__dict__["_paths"]  # type: ignore[no-any-return]

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.tokens)


class Frontier(NamedTuple):
    """The nodes of a growing tree that are to be extended, the best first.

    Attributes
    ----------
    tokens : ndarray of int64, shape (f,) or (B, f)
        Their tokens, -1 where a text has fewer.
    parents : ndarray of int64, shape (f,) or (B, f)
        The places of their parents in the frontier before this one, by which the keys and values of
        a draft model are gathered; -1 for children of the root.
    logprobs : ndarray of float64, shape (f,) or (B, f)
        The log-probabilities of their paths, minus infinity where a text has fewer.
    """

    tokens: NDArray[np.int64]
    parents: NDArray[np.int64]
    logprobs: NDArray[np.float64]


class DraftTreeBuilder:
    r"""Trees that grow where the draft is sure.

    Parameters
    ----------
    top_k : int, default 10
        How many children a node has, and how many nodes of a level are extended.
    depth : int, default 7
        How many levels follow the first.
    num_draft_tokens : int, default 59
        How many nodes are kept beside the root.
    score_threshold : float, optional
        The least log-probability of a path that is kept, at most 0.
    batch_size : int, optional
        How many texts have a tree each; all arrays then have an axis of that length in front.

    Raises
    ------
    ValueError
        If an argument is outside its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The score of a node is the logarithm of the product of the draft's probabilities on its path,
    which is close to the probability that it is accepted (Li et al. 2024). `start` gives the root
    its children; then, `depth` times, every node of the `frontier` proposes children, and the
    `top_k` best of all these are the next frontier. Of all that were ever proposed `finish` keeps
    the `num_draft_tokens` best, ties to the earlier one. A parent has no lower score than its child
    and stands before it, so that it is kept as well.

    The shape of such a tree depends on the draft's probabilities alone: it is verified without a
    change of the law by `verify_tree`, which draws the token of the model and follows the child
    that carries it.

    References
    ----------
    Li, Wei, Zhang and Zhang, "EAGLE-2: Faster Inference of Language Models with Dynamic Draft
    Trees", EMNLP 2024, arXiv:2406.16858.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import DraftTreeBuilder
    >>> builder = DraftTreeBuilder(top_k=2, depth=1, num_draft_tokens=3)
    >>> law = np.log([0.6, 0.3, 0.1])
    >>> builder.start(law, root_token=7).frontier().tokens
    array([0, 1])
    >>> builder.expand(np.tile(law, (2, 1))).finish().tokens
    array([7, 0, 1, 0])
    """

    def __init__(
        self,
        top_k: AtLeastOne = 10,
        depth: Count = 7,
        num_draft_tokens: Count = 59,
        *,
        score_threshold: Annotated[float, LOG] | None = None,
        batch_size: AtLeastOne | None = None,
    ) -> None:
        least = (
            -np.inf if score_threshold is None else LOG.check(score_threshold, "score_threshold")
        )
        texts = 1 if batch_size is None else AT_LEAST_1.check(batch_size, "batch_size")
        self._batch_size = None if batch_size is None else texts
        self._top_k = AT_LEAST_1.check(top_k, "top_k")
        self._native = _core.sequences.draft_trees.DraftTreeBuilder(
            texts,
            self._top_k,
            COUNT.check(depth, "depth"),
            COUNT.check(num_draft_tokens, "num_draft_tokens"),
            least,
        )

    def start(
        self,
        logprobs: ArrayLike,
        tokens: ArrayLike | None = None,
        *,
        root_token: ArrayLike,
        num_threads: int | None = None,
    ) -> Self:
        """Begin anew with the children of the roots.

        Parameters
        ----------
        logprobs : array_like or tensor, shape (k,) or (V,), or (B, k) or (B, V)
            With `tokens`, their log-probabilities. Without, whole rows of logits or of
            log-probabilities, of which the `top_k` likeliest tokens are taken.
        tokens : array_like of int, shape (k,) or (B, k), optional
            The tokens. Where a log-probability is minus infinity there is none.
        root_token : int or array_like of int, shape (B,)
            The last token of each text; -1 where there is none.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.

        Returns
        -------
        DraftTreeBuilder
            The builder itself.

        Raises
        ------
        ValueError
            If a log-probability is NaN or above zero, a token negative or twice in a row, or the
            shapes do not fit. Nothing has changed then.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import DraftTreeBuilder
        >>> builder = DraftTreeBuilder(top_k=2)
        >>> builder.start(np.log([0.5, 0.2]), [30, 10], root_token=7).frontier().tokens
        array([30, 10])
        """
        if self._batch_size is None:
            root = np.array([ROOT.check(root_token, "root_token")])
        else:
            root = integers_of(root_token, "root_token", ROOT, n=self._batch_size)
        self._grow("start", (root,), logprobs, tokens, num_threads)
        return self

    def frontier(self) -> Frontier:
        """Return the nodes that are to be extended.

        Returns
        -------
        Frontier
            Their tokens, the places of their parents in the frontier before, and their
            log-probabilities.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import DraftTreeBuilder
        >>> builder = DraftTreeBuilder(top_k=2)
        >>> builder.start(np.log([0.75, 0.25]), [3, 4], root_token=7).frontier().parents
        array([-1, -1])
        """
        found = self._native.frontier()
        if self._batch_size is None:
            return Frontier(*found[0])
        width = max(len(tokens) for tokens, *_ in found)
        shape = (len(found), width)
        out = Frontier(np.full(shape, PAD), np.full(shape, PAD), np.full(shape, -np.inf))
        for text, parts in enumerate(found):
            for whole, part in zip(out, parts, strict=True):
                whole[text, : len(part)] = part
        return out

    def expand(
        self,
        logprobs: ArrayLike,
        tokens: ArrayLike | None = None,
        *,
        num_threads: int | None = None,
    ) -> Self:
        """Extend the nodes of the frontier.

        Parameters
        ----------
        logprobs : array_like or tensor, shape (f, k) or (f, V), or (B, f, k) or (B, f, V)
            What the draft proposes after each node of the frontier, as in `start`. Rows where a
            text has no node are ignored.
        tokens : array_like of int, shape (f, k) or (B, f, k), optional
            As in `start`.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.

        Returns
        -------
        DraftTreeBuilder
            The builder itself.

        Raises
        ------
        ValueError, TypeError
            As `start`; also before it, and if all levels are there.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.sequences import DraftTreeBuilder
        >>> builder = DraftTreeBuilder(top_k=1).start([-0.1], [3], root_token=7)
        >>> builder.expand([[-0.2]], [[4]]).finish().tokens
        array([7, 3, 4])
        """
        self._grow("expand", (), logprobs, tokens, num_threads)
        return self

    def finish(self) -> DraftTree | list[DraftTree]:
        """Return the tree, as far as it has grown.

        Returns
        -------
        DraftTree, or list of DraftTree
            The best nodes, with the log-probabilities of their paths; with `batch_size`, one tree
            for each text. The builder can go on, or start anew.

        Raises
        ------
        ValueError
            Before `start`.

        Examples
        --------
        >>> from sortes.sequences import DraftTreeBuilder
        >>> builder = DraftTreeBuilder(top_k=2)
        >>> builder = builder.start([-0.1, -3.0], [3, 4], root_token=7)
        >>> builder.finish().logprobs
        array([ 0. , -0.1, -3. ])
        """
        trees = [DraftTree._grown(columns) for columns in self._native.finish()]
        return trees[0] if self._batch_size is None else trees

    def _grow(
        self,
        how: str,
        roots: tuple[NDArray[np.int64], ...],
        logprobs: Any,
        tokens: Any,
        num_threads: int | None,
    ) -> None:
        """Give the kernel a level: of lists or of whole rows."""
        axes = (how == "expand") + (self._batch_size is not None)
        listed: Any = getattr(self._native, f"{how}_listed")
        if _is_ready(logprobs, tokens, axes):
            if axes != 1:
                shape = (math.prod(logprobs.shape[:-1]), logprobs.shape[-1])
                logprobs, tokens = logprobs.reshape(shape), tokens.reshape(shape)
            listed(*roots, logprobs, tokens, (num_threads, None))
            return
        with job_of(num_threads, None) as job:
            if tokens is None:
                view = rows_of(_rows(logprobs, axes), "logprobs")
                given = Given(view.array, view.bf16, _PLAIN._for_host(), None, None, None)
                getattr(self._native, f"{how}_rows")(*roots, given, job)
                return
            values = _rows(host(to_host(logprobs), "logprobs", "iuf"), axes)
            ids = host(to_host(tokens), "tokens", None)
            if ids.size != values.size or ids.shape[-1:] != values.shape[-1:]:
                shape = np.shape(logprobs)
                raise ValueError(f"tokens: must have shape {shape}, got {ids.shape}")
            ids = integers_of(ids.reshape(-1), "tokens").reshape(values.shape)
            values = np.require(values, np.float64, ("C", "A"))
            listed(*roots, values, ids, job)


def _is_ready(logprobs: Any, tokens: Any, axes: int) -> bool:
    """Whether lists need nothing but a reshape, which is what a fast loop brings."""
    return (
        type(logprobs) is type(tokens) is np.ndarray
        and logprobs.dtype is _FLOAT
        and tokens.dtype is _INTEGER
        and logprobs.ndim == axes + 1
        and logprobs.shape == tokens.shape
        and logprobs.size > 0
        and logprobs.flags.carray
        and tokens.flags.carray
    )


def _rows(x: Any, axes: int) -> Any:
    """Return an array or a tensor as a matrix: `axes` axes stand before the last one."""
    x = to_host(x)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        check_dense(x, "logprobs")
    else:
        x = host(x, "logprobs", None)
    if x.ndim != axes + 1 or x.shape[-1] == 0:
        shape = ("(k,) or (V,)", "(f, k) or (f, V), or (B, k) or (B, V)", "(B, f, k) or (B, f, V)")
        raise ValueError(f"logprobs: must have shape {shape[axes]}, got {tuple(x.shape)}")
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _matrix(paths: Any) -> NDArray[np.int64]:
    """Return paths as rows that are padded by -1."""
    given = to_host(paths)
    if hasattr(given, "ndim") or not isinstance(given, list | tuple):
        array = host(given, "paths", None)
        if array.ndim != 2:
            raise ValueError(f"paths: must have shape (k, g), got {array.shape}")
        return integers_of(array.reshape(-1), "paths").reshape(array.shape)
    rows = [integers_of(row, "paths") for row in given]
    out = np.full((len(rows), max(map(len, rows), default=0)), PAD)
    for row, tokens in zip(out, rows, strict=True):
        row[: len(tokens)] = tokens
    return out


def _fill(tree: DraftTree, *columns: Any) -> None:
    """Set the fields of a frozen tree."""
    names = ("tokens", "parents", "depths", "logprobs", "counts")
    for name, column in zip(names, columns, strict=True):
        object.__setattr__(tree, name, column)


def _one_each(x: NDArray[Any], name: str, n: int) -> NDArray[Any]:
    if x.shape != (n,):
        raise ValueError(f"{name}: must have shape ({n},), got {x.shape}")
    return x
