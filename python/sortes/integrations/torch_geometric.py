"""Node embeddings of PyTorch Geometric, trained on walks of ours."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import torch

from sortes._check import POSITIVE, AtLeastOne, Positive, count, flag
from sortes._optional import require
from sortes.graph import Graph, node2vec_walks
from sortes.graph.structure import NODES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

models = require("torch_geometric.nn", extra="torch-geometric")


class Node2Vec(models.Node2Vec):  # type: ignore[name-defined, misc]
    """PyTorch Geometric's ``Node2Vec`` without pyg-lib, and with weights.

    Everything but the walks is the class of PyTorch Geometric: ``loader``, ``loss``, ``test`` and
    the training that its documentation shows work as they are.

    Parameters
    ----------
    edge_index : array_like or tensor of int, shape (2, num_edges)
        Where arcs begin, and where they go.
    embedding_dim : int
        The size of an embedding.
    walk_length : int
        How many nodes a walk has, at least `context_size`.
    context_size : int
        How many nodes of a walk make one sample, at least 1.
    walks_per_node : int, default 1
        How many walks start from each node of a batch.
    p : float, default 1.0
        Makes the way back rare.
    q : float, default 1.0
        Makes the way out rare.
    num_negative_samples : int, default 1
        How many negative samples there are for each positive one.
    num_nodes : int, optional
        How many nodes there are, by default one more than the largest id.
    sparse : bool, default False
        Whether the gradient of the embedding is sparse.
    edge_weight : array_like or tensor, shape (num_edges,), optional
        The weights of arcs, in [0, inf); without them all are alike.

    Raises
    ------
    ValueError
        If an argument is out of its domain.
    TypeError
        If an argument has the wrong type.
    MemoryError
        If there is no memory for the graph or the embeddings.

    See Also
    --------
    sortes.graph.node2vec_walks : The walks, and their law.

    Notes
    -----
    ``torch.manual_seed`` decides on the walks, as on all else in a training; the workers of a
    loader have seeds of their own. At a node without arcs a walker stays.

    Examples
    --------
    >>> from sortes.integrations.torch_geometric import Node2Vec
    >>> edge_index = [[0, 1, 1, 2], [1, 0, 2, 1]]
    >>> model = Node2Vec(edge_index, 8, walk_length=4, context_size=2)
    >>> positive, negative = next(iter(model.loader(batch_size=3)))
    >>> positive.shape, negative.shape
    (torch.Size([9, 2]), torch.Size([9, 2]))
    """

    def __init__(
        self,
        edge_index: ArrayLike,
        embedding_dim: AtLeastOne,
        walk_length: AtLeastOne,
        context_size: AtLeastOne,
        walks_per_node: AtLeastOne = 1,
        p: Positive = 1.0,
        q: Positive = 1.0,
        num_negative_samples: AtLeastOne = 1,
        num_nodes: Annotated[int, NODES] | None = None,
        sparse: bool = False,
        *,
        edge_weight: ArrayLike | None = None,
    ) -> None:
        # Not theirs, which asks for pyg-lib; what follows is all that their methods read.
        torch.nn.Module.__init__(self)
        self.context_size = count(context_size, "context_size", 1)
        self.walk_length = count(walk_length, "walk_length", self.context_size) - 1
        self.walks_per_node = count(walks_per_node, "walks_per_node", 1)
        self.num_negative_samples = count(num_negative_samples, "num_negative_samples", 1)
        self.p, self.q = POSITIVE.check(p, "p"), POSITIVE.check(q, "q")
        self.embedding_dim, self.EPS = count(embedding_dim, "embedding_dim", 1), 1e-15
        sparse = flag(sparse, "sparse")
        self.graph = _graph(edge_index, num_nodes, edge_weight)
        self.random_walk_fn = functools.partial(_walk, self.graph)
        self.num_nodes = self.graph.num_nodes
        self.rowptr = torch.from_numpy(self.graph.indptr)
        self.col = torch.from_numpy(self.graph.indices)
        try:
            self.embedding = torch.nn.Embedding(self.num_nodes, self.embedding_dim, sparse=sparse)
        except RuntimeError as error:  # Torch has no other for memory
            what = f"no memory for {self.num_nodes} embeddings of size {self.embedding_dim}"
            raise MemoryError(f"embedding_dim: {what}") from error


def _walk(
    graph: Graph, rowptr: Any, col: Any, start: Any, walk_length: int, p: float, q: float
) -> torch.Tensor:
    """Draw the walks of a batch, as their native operator does."""
    stay: Any = {"dangling": "stay", "dtype": "int64", "rng": torch.default_generator}
    walks: torch.Tensor = node2vec_walks(graph, start, walk_length, 1, p, q, **stay)
    return walks


def _graph(edge_index: Any, num_nodes: int | None, edge_weight: Any) -> Graph:
    """Return the graph, or raise the error in the words of this class."""
    try:
        return Graph.from_edge_index(edge_index, num_nodes, weights=edge_weight)
    except (TypeError, ValueError) as error:
        name, colon, what = str(error).partition(":")
        if name != "weights":
            raise
        raise type(error)(f"edge_weight{colon}{what}") from None
