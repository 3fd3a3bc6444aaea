"""Node2Vec of PyTorch Geometric on walks of ours: its own loader, loss and training."""

import pickle

import numpy as np
import pytest

pytest.importorskip("torch_geometric")
import torch
from sortes.integrations.torch_geometric import Node2Vec
from torch_geometric.nn import Node2Vec as Theirs

#: Two cliques of six nodes, which one edge joins.
PAIRS = [(i, j) for side in (0, 6) for i in range(side, side + 6) for j in range(side, i)] + [
    (0, 6)
]
EDGES = torch.tensor([*PAIRS, *((j, i) for i, j in PAIRS)]).T


def trained(seed):
    torch.manual_seed(seed)
    model = Node2Vec(EDGES, 4, 8, 4, walks_per_node=5, p=0.5, q=2.0, sparse=True)
    optimizer = torch.optim.SparseAdam(list(model.parameters()), lr=0.05)
    for _ in range(40):
        for positive, negative in model.loader(batch_size=6, shuffle=True):
            optimizer.zero_grad()
            model.loss(positive, negative).backward()
            optimizer.step()
    return model


def test_a_training():
    model = trained(0)
    assert isinstance(model, Theirs)
    x = torch.nn.functional.normalize(model().detach())
    alike = x @ x.T
    assert alike[:6, :6].mean() > alike[:6, 6:].mean() + 0.5
    assert torch.equal(model(), trained(0)())
    assert not torch.equal(model(), trained(1)())


@pytest.mark.parametrize("workers", [0, 2])
def test_walks_are_new_in_every_batch(workers):
    """Equal batches of one epoch, from one process and from two, have walks of their own."""
    torch.manual_seed(0)
    model = Node2Vec(EDGES, 4, 8, 8, walks_per_node=50)
    batches = [[0, 1], [0, 1], [0, 1], [0, 1]]
    loader = torch.utils.data.DataLoader(
        range(8), batch_sampler=batches, collate_fn=model.sample, num_workers=workers
    )
    walks = [positive for positive, _ in loader]
    assert all(torch.equal(each[:, 0], walks[0][:, 0]) for each in walks)
    assert len({each.numpy().tobytes() for each in walks}) == 4


def test_weights_are_those_of_the_walks():
    ring = torch.tensor([[0, 1, 2, 0, 1, 2], [1, 2, 0, 2, 0, 1]])
    model = Node2Vec(ring, 2, 10, 10, edge_weight=torch.tensor([1.0, 1, 1, 0, 0, 0]))
    positive, _ = model.sample(torch.arange(3))
    assert torch.equal(positive.diff(dim=1) % 3, torch.ones(3, 9, dtype=torch.int64))
    again = pickle.loads(pickle.dumps(model))
    torch.manual_seed(5)
    first = model.sample(torch.arange(3))
    torch.manual_seed(5)
    assert all(map(torch.equal, first, again.sample(torch.arange(3))))


def test_their_attributes():
    """What their methods read, as theirs would have it."""
    model = Node2Vec(EDGES, 4, 8, 4)
    counts = np.bincount(EDGES[0].numpy(), minlength=12)
    assert model.rowptr.tolist() == [0, *counts.cumsum()]
    assert model.walk_length == 7
    assert repr(model) == "Node2Vec(12, 4)"


def test_bad_values():
    with pytest.raises(ValueError, match=r"^edge_weight: arc 1 \(1 -> 0\): .* got -1"):
        Node2Vec([[0, 1], [1, 0]], 2, 3, 2, edge_weight=[1.0, -1.0])
    with pytest.raises(ValueError, match=r"^walk_length: must be .* got 3"):
        Node2Vec([[0, 1], [1, 0]], 2, 3, 4)
