"""Drafts that branch, verified without a change of the law."""

from __future__ import annotations

import math
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Unpack,
    get_args,
    overload,
)

import numpy as np

from sortes import _core
from sortes._check import one_of, shown
from sortes._device import is_on_device, to_device
from sortes._progress import Progress, at_once, job_of
from sortes.decode._call import CallArgs, LogitBias, Request, streams_of
from sortes.decode.rules import RuleArgs, Rules, as_rules
from sortes.sequences._drafts import (
    Stack,
    given_of,
    on_the_cpu,
    refuse_chance,
    stack_of,
    tokens_of,
)
from sortes.sequences.draft_trees import PAD, DraftTree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

#: How a tree is verified, and how several paths are.
TreeMethod: TypeAlias = Literal["draw", "rrs", "traversal"]
PathsMethod: TypeAlias = Literal["grouped", "greedy"]
#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")


class VerifiedPath(NamedTuple, Generic[Array]):
    """What is taken of a tree; arrays of the same kind as the logits.

    Attributes
    ----------
    nodes : int64, shape (a,) or (B, w)
        The nodes that are taken, from the child of the root on; -1 behind the last.
    tokens : int64, shape (a + 1,) or (B, w + 1)
        Their tokens and the one that follows: what the text grows by; -1 behind it.
    num_accepted : int64, shape () or (B,)
        How many nodes are taken.
    """

    nodes: Array
    tokens: Array
    num_accepted: Array


class VerifiedPaths(NamedTuple, Generic[Array]):
    """What is taken of several paths; arrays of the same kind as the logits.

    Attributes
    ----------
    path : int64, shape () or (B,)
        The path that was chosen.
    tokens : int64, shape (g + 1,) or (B, g + 1)
        The tokens of it that are taken and the one that follows; -1 behind it.
    num_accepted : int64, shape () or (B,)
        How many tokens of the path are taken.
    """

    path: Array
    tokens: Array
    num_accepted: Array


@overload
def verify_tree(
    tree: DraftTree | Sequence[DraftTree],
    target_logits: torch.Tensor,
    draft_logits: ArrayLike | None = None,
    rules: Rules | None = None,
    *,
    method: TreeMethod = "draw",
    **arguments: Unpack[CallArgs],
) -> VerifiedPath[torch.Tensor]: ...
@overload
def verify_tree(
    tree: DraftTree | Sequence[DraftTree],
    target_logits: ArrayLike,
    draft_logits: ArrayLike | None = None,
    rules: Rules | None = None,
    *,
    method: TreeMethod = "draw",
    **arguments: Unpack[CallArgs],
) -> VerifiedPath[NDArray[Any]]: ...
def verify_tree(
    tree: DraftTree | Sequence[DraftTree],
    target_logits: ArrayLike,
    draft_logits: ArrayLike | None = None,
    rules: Rules | None = None,
    *,
    method: TreeMethod = "draw",
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    r"""Take a path of a tree of drafted tokens, and the token that follows it.

    Parameters
    ----------
    tree : DraftTree or sequence of DraftTree
        The tree of a text, or one for each text of a batch.
    target_logits : array_like or tensor, shape (n, V) or (B, N, V)
        The logits of the model after each node; in a batch, rows behind the last node of a tree are
        ignored. CUDA tensors stay on their device, for the method ``"draw"``.
    draft_logits : array_like or tensor, optional
        Those of the draft, of the same shape, from which children were drawn; rows of leaves are
        ignored. Not for ``"draw"``, which does without.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). They act
        on both laws. Numbers that differ by row have one for each text.
    method : {"draw", "rrs", "traversal"}, default "draw"
        How: see the notes.
    logit_bias : mapping of int to float, or (ids, values), optional
        Added to the logits of all rows, before everything.
    mask : bool, shape (V,), (n, V) or (B, N, V), or packed uint32 bits, optional
        Allowed tokens.
    rows : array_like of int, shape (B,), optional
        Stream ids of the texts, by default 0, 1, ...
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`). A
        list has one stream for each text, each at its own step.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Give the
        number of the token that follows the root.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts texts.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    VerifiedPath
        The nodes that are taken, and the tokens by which the text grows.

    Raises
    ------
    ValueError
        If a row that is read holds NaN or ``+inf``, or no finite logit; if the draft cannot have
        drawn a token that is tried; if a token is outside the vocabulary, the vocabularies differ,
        or there is no row for a node; if logits of the draft are missing or not used.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The text grows by tokens of the model's law, whatever the tree: that is what verification means.

    ``"draw"`` is for trees of any origin. At the root the token of the model is drawn as
    ``sample(target_logits[0], step=step, ...)`` draws it, and the child that carries it is taken;
    from there on the same with the next step. The text is that of plain sampling, token for token.
    A node is reached with the probability of its tokens, the most that is possible for a tree that
    was not drawn; a child `c` is taken with the probability $p(c)$. One row is drawn for each token
    of the text.

    The others are for trees whose nodes were drawn, children of one node without replacement and in
    their order (as `gumbel_topk` does it). How many children a node has may depend on what stands
    above it, not on what was drawn below or behind it. They take more of such a tree, and compute
    the whole laws of the nodes that they visit.

    ``"rrs"`` tries the children of the root one after the other, with what is left of the law
    $r$, at first $p$, and of the draft's law $q$: `x` is taken with probability
    $\min(1, r(x) / q(x))$; otherwise $r$ becomes proportional to $\max(r - q, 0)$, and $q$ loses
    `x`. It goes on below the first that is taken; when none is, the token that follows has the law
    $r$ (Miao et al. 2024; Jeon et al. 2024).

    ``"traversal"`` goes from the leaves to the root. A node has the weight
    $w' = \min(1, w\, p(x) / q(x))$, with that of its parent, 1 at the root; a leaf is taken with
    its weight. If it is refused, the law at its parent becomes proportional to
    $\max(w p - q, 0)$ with the sum $s$, the weight $s / (s + 1 - w)$, and its siblings are next,
    then the parent itself (Weng et al. 2025). On a chain that is block verification.

    References
    ----------
    Miao et al., "SpecInfer: Accelerating Large Language Model Serving with Tree-based Speculative
    Inference and Verification", ASPLOS 2024, arXiv:2305.09781.

    Jeon, Gagrani, Goel, Park, Lee and Lott, "Recursive Speculative Decoding: Accelerating LLM
    Inference via Sampling Without Replacement", 2024, arXiv:2402.14160.

    Weng, Hu, Chen, Liu, Mei, Qiu, Tian and Shi, "Traversal Verification for Speculative Tree
    Decoding", NeurIPS 2025, arXiv:2505.12398.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import DraftTree, verify_tree
    >>> tree = DraftTree([7, 1, 2, 0], [-1, 0, 0, 1])
    >>> logits = np.log([[0.1, 0.8, 0.1]] * 4)
    >>> verify_tree(tree, logits, top_k=1)
    VerifiedPath(nodes=array([1]), tokens=array([1, 1]), num_accepted=array(1))
    """
    one_of(method, "method", get_args(TreeMethod))
    chosen = as_rules(rules, rule_args)
    trees, shape = _trees(tree)
    if method == "draw" and draft_logits is not None:
        raise ValueError("draft_logits: must not be given with method='draw'")
    if method != "draw" and draft_logits is None:
        raise ValueError(f"draft_logits: must be given with method={method!r}")
    if method != "draw":
        refuse_chance(chosen, f"method={method!r}")
    request = Request(chosen, logit_bias, mask, rows, rng, step)
    sizes = np.array([len(one) for one in trees])
    if is_on_device(target_logits):
        if method != "draw":
            raise TypeError(on_the_cpu("target_logits", f"method={method!r}"))
        from sortes.sequences import _torch_trees

        _check_rows(tuple(target_logits.shape[:-1]), shape, sizes)
        with at_once(progress, len(trees)):
            found = _torch_trees.by_drawing(trees, target_logits, request)
        wrap = partial(to_device, device=target_logits.device)
        return _path(trees, shape, *found, wrap)
    target = stack_of(target_logits, "target_logits", 1)
    _check_rows(target.shape, shape, sizes)
    draft = None
    if draft_logits is not None:
        draft = _beside(draft_logits, target, target.shape, method)
    given = given_of(target, len(trees), request)
    streams = streams_of(request, len(trees))
    columns = (*_columns(trees), [0, *np.cumsum(sizes).tolist()])
    with job_of(num_threads, progress, "texts") as job:
        found = _core.sequences.draft_trees.verify_tree(
            given, streams, list(shape), columns, target.shape[-1], draft, method, job
        )
    return _path(trees, shape, *found, target.rows.wrap)


@overload
def verify_paths(
    draft_tokens: ArrayLike,
    target_logits: torch.Tensor,
    draft_logits: ArrayLike,
    rules: Rules | None = None,
    *,
    method: PathsMethod = "grouped",
    **arguments: Unpack[CallArgs],
) -> VerifiedPaths[torch.Tensor]: ...
@overload
def verify_paths(
    draft_tokens: ArrayLike,
    target_logits: ArrayLike,
    draft_logits: ArrayLike,
    rules: Rules | None = None,
    *,
    method: PathsMethod = "grouped",
    **arguments: Unpack[CallArgs],
) -> VerifiedPaths[NDArray[Any]]: ...
def verify_paths(
    draft_tokens: ArrayLike,
    target_logits: ArrayLike,
    draft_logits: ArrayLike,
    rules: Rules | None = None,
    *,
    method: PathsMethod = "grouped",
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    r"""Take as much as possible of the best of several continuations, and the token that follows.

    Parameters
    ----------
    draft_tokens : array_like of int, shape (K, g) or (B, K, g)
        `K` continuations of a text by `g` tokens, each drawn from the draft on its own.
    target_logits : array_like or tensor, shape (K, g + 1, V) or (B, K, g + 1, V)
        The logits of the model after the text and after each of these tokens.
    draft_logits : array_like or tensor, shape (K, g, V) or (B, K, g, V)
        Those of the draft, from which the tokens were drawn.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments (see `sortes.decode.Rules`). They act
        on both laws. Numbers that differ by row have one for each text.
    method : {"grouped", "greedy"}, default "grouped"
        How: see the notes.
    logit_bias
        As in `verify_tree`.
    mask : bool, shape (V,), or packed uint32 bits, optional
        Allowed tokens.
    rows : array_like of int, shape (B,), optional
        Stream ids of the texts, by default 0, 1, ...
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`). A
        list has one stream for each text, each at its own step.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Give the
        number of the token that follows the text.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts texts.
    **rule_args
        The arguments of `sortes.decode.Rules`.

    Returns
    -------
    VerifiedPaths
        The path that was chosen, and the tokens by which the text grows.

    Raises
    ------
    ValueError
        If a row that is read holds NaN or ``+inf``, or no finite logit; if the draft cannot have
        drawn a token that is tried; if a token is outside the vocabulary, the vocabularies differ,
        or the shapes do not fit.
    TypeError
        If an argument has the wrong type, or is on another device.

    Notes
    -----
    ``"greedy"`` orders tokens after each beginning by the ratio $p / q$ of the laws (in levels, and
    by id within a level), takes the path that is last in the lexicographic order, and verifies it
    as a block (see ``"traversal"`` in `verify_tree`) with the law that the last of `K` independent
    paths has: with the probability $A$ that a path of the draft lies below a beginning and $x$ that
    it has it, and the distribution function $F$ of its next token in the order,

    $$q^*(t) = \frac{(A + x F(t))^K - (A + x F(t^-))^K}{(A + x)^K - A^K}$$

    (Thomas and Pal 2026). With one path that is block verification. It is good where the draft is
    poor; the best of many paths of a good draft is too good, and is refused more often than a path
    that was not chosen.

    ``"grouped"`` therefore takes the paths in groups. The best of the first is verified; if all of
    it is refused, the best of the next group is verified against what is left of the law at the
    root, and so on. The sizes are those, of all that fit, for which the first token is taken most
    often; they depend on the laws at the root alone, which keeps the law of the text.

    References
    ----------
    Thomas and Pal, "Greedy Multi-Path Block Verification for Faster Decoding in Speculative
    Sampling", 2026, arXiv:2602.16961.

    Sun, Mendlovic, Leviathan, Aharoni, Beirami, Ro and Suresh, "Block Verification Accelerates
    Speculative Decoding", ICLR 2025, arXiv:2403.10444.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import verify_paths
    >>> target = np.log([[[0.2, 0.8], [0.5, 0.5]]] * 2)
    >>> draft = np.log([[[0.5, 0.5]]] * 2)
    >>> verify_paths([[0], [1]], target, draft, rng=0)
    VerifiedPaths(path=array(1), tokens=array([1, 0]), num_accepted=array(1))
    """
    one_of(method, "method", get_args(PathsMethod))
    chosen = as_rules(rules, rule_args)
    refuse_chance(chosen, f"method={method!r}")
    request = Request(chosen, logit_bias, mask, rows, rng, step)
    if is_on_device(target_logits):
        raise TypeError(on_the_cpu("target_logits", f"method={method!r}"))
    tokens = tokens_of(draft_tokens, "draft_tokens")
    if tokens.ndim not in (2, 3) or 0 in tokens.shape:
        wanted = "(K, g) or (B, K, g), none of them zero"
        raise ValueError(f"draft_tokens: must have shape {wanted}, got {tokens.shape}")
    *shape, count, length = tokens.shape
    target = stack_of(target_logits, "target_logits", 2)
    if len(target.shape) == 3 and target.shape[:1] != tuple(shape):
        wanted = f"({target.shape[0]}, K, g)"
        raise ValueError(f"draft_tokens: must have shape {wanted}, got {tokens.shape}")
    if target.shape != (*shape, count, length + 1):
        known = (*shape, count, length + 1, "V")
        got = (*target.shape, target.rows.array.shape[1])
        raise ValueError(f"target_logits: must have shape {_tuple(known)}, got {got}")
    if draft_logits is None:
        raise TypeError("draft_logits: must hold numbers, got None")
    draft = _beside(draft_logits, target, tokens.shape, method)
    texts = math.prod(shape)
    given = given_of(target, texts, request)
    streams = streams_of(request, texts)
    flat = tokens.reshape(texts * count, length)
    with job_of(num_threads, progress, "texts") as job:
        path, accepted, last = _core.sequences.draft_trees.verify_paths(
            given, streams, shape, flat, count, draft, method, job
        )
    out = np.full((texts, length + 1), PAD)
    own = flat.reshape(texts, count, length)[np.arange(texts), path]
    np.copyto(out[:, :-1], own, where=np.arange(length) < accepted[:, None])
    np.put_along_axis(out, accepted[:, None], last[:, None], 1)
    parts = (path, out, accepted)
    return VerifiedPaths(*(_of_texts(part, tuple(shape), target.rows.wrap) for part in parts))


def _columns(
    trees: list[DraftTree],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return tokens, parents and depths of trees, one after the other."""
    if len(trees) == 1:
        return trees[0].tokens, trees[0].parents, trees[0].depths
    tokens, parents, depths = (
        np.concatenate([getattr(one, name) for one in trees])
        for name in ("tokens", "parents", "depths")
    )
    return tokens, parents, depths


def _trees(given: Any) -> tuple[list[DraftTree], tuple[int, ...]]:
    """Return trees, and the axes of the texts: none for one tree."""
    if isinstance(given, DraftTree):
        return [given], ()
    if not isinstance(given, list | tuple):
        raise TypeError(f"tree: must be a DraftTree, or a list of them, got {shown(given)}")
    for at, one in enumerate(given):
        if not isinstance(one, DraftTree):
            raise TypeError(f"tree: item {at} must be a DraftTree, got {shown(one)}")
    if not given:
        raise ValueError("tree: must have at least one tree, got none")
    return list(given), (len(given),)


def _tuple(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _check_rows(rows: tuple[int, ...], shape: tuple[int, ...], sizes: NDArray[np.int64]) -> None:
    """Check that there is a row for each node, and no more where there is one tree."""
    if rows[:-1] != shape:
        wanted = _tuple((*shape, "N" if shape else "n", "V"))
        raise ValueError(f"target_logits: must have shape {wanted}, got {_tuple((*rows, 'V'))}")
    most = int(sizes.max())
    if rows[-1] < most or (not shape and rows[-1] != most):
        of = f" of text {int(sizes.argmax())}" if shape else ""
        reason = f"must have a row for each of {most} nodes{of}"
        raise ValueError(f"target_logits: {reason}, got {rows[-1]}")


def _beside(
    logits: Any, target: Stack, shape: tuple[int, ...], method: str
) -> tuple[NDArray[Any], bool]:
    """Return the logits of the draft, which must have this shape."""
    if is_on_device(logits):
        raise TypeError(on_the_cpu("draft_logits", f"method={method!r}"))
    draft, size = stack_of(logits, "draft_logits", 1), target.rows.array.shape[1]
    if draft.shape != shape or draft.rows.array.shape[1] != size:
        got = (*draft.shape, draft.rows.array.shape[1])
        raise ValueError(f"draft_logits: must have shape {(*shape, size)}, got {got}")
    return draft.rows.array, draft.rows.bf16


def _path(
    trees: list[DraftTree],
    shape: tuple[int, ...],
    nodes: NDArray[np.int64],
    counts: NDArray[np.int64],
    last: NDArray[np.int64],
    wrap: Callable[[Any], Any],
) -> VerifiedPath[Any]:
    """Return nodes and tokens as rows that are padded by -1, in the caller's form."""
    width = int(counts.max())
    taken = np.full((len(trees), width), PAD)
    tokens = np.full((len(trees), width + 1), PAD)
    taken[np.arange(width) < counts[:, None]] = nodes
    for row, (tree, count) in enumerate(zip(trees, counts.tolist(), strict=True)):
        tokens[row, :count] = tree.tokens[taken[row, :count]]
        tokens[row, count] = last[row]
    return VerifiedPath(*(_of_texts(part, shape, wrap) for part in (taken, tokens, counts)))


def _of_texts(part: NDArray[Any], shape: tuple[int, ...], wrap: Callable[[Any], Any]) -> Any:
    """Return an array with an axis of texts in the caller's form."""
    return wrap(part.reshape((*shape, *part.shape[1:])))
