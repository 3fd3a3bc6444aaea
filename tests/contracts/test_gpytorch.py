"""Estimates of kernels in the hands of GPyTorch."""

import numpy as np
import pytest
from sortes.graph import Graph, kernel_estimate

torch = pytest.importorskip("torch")
pytest.importorskip("linear_operator")

from sortes.integrations.gpytorch import kernel_operator  # noqa: E402

EDGES = np.array([[0, 1, 1, 2, 2, 3, 4, 0], [1, 0, 2, 1, 3, 2, 0, 4]])
GRAPH = Graph.from_edge_index(EDGES, weights=np.repeat([1.0, 2.0, 0.5, 3.0], 2))
DIRECTED = Graph.from_edge_index(EDGES[:, :5], 5)
KINDS = [{}, {"independent": True}, {"stitching": 2}, {"stitching": 3, "independent": True}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("graph", [GRAPH, DIRECTED])
def test_products(graph, kind):
    estimate = kernel_estimate(graph, num_walks=6, rng=4, **kind)
    operator, wanted = kernel_operator(estimate), torch.from_numpy(estimate.toarray())
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(operator @ x, wanted @ x)
    assert torch.allclose(operator.T @ x, wanted.T @ x)
    assert torch.allclose(operator.to_dense(), wanted)


def test_a_system_with_noise_is_solved():
    estimate = kernel_estimate(GRAPH, num_walks=6, rng=4)
    right = torch.arange(5.0, dtype=torch.float64)[:, None]
    noisy = torch.from_numpy(estimate.toarray()) + 0.5 * torch.eye(5, dtype=torch.float64)
    found = kernel_operator(estimate).add_jitter(0.5).solve(right)
    assert torch.allclose(found, torch.linalg.solve(noisy, right), atol=1e-6)


def test_what_is_no_estimate():
    with pytest.raises(TypeError, match="estimate: must be a KernelEstimate, got 3"):
        kernel_operator(3)
