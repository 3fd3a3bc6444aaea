"""Kernels of graphs by their definitions, as dense matrices."""

import math

import numpy as np
from graph.graphs import dense


def adjacency(graph, c):
    """The matrix that kernels are series of."""
    weights = dense(graph)
    roots = np.sqrt(weights.sum(1))
    below = np.outer(roots, roots)
    return c * np.divide(weights, below, out=np.zeros_like(weights), where=below > 0)


def series(matrix, terms):
    """The sum of powers of a matrix, each times its term."""
    out, power = np.zeros_like(matrix), np.eye(len(matrix))
    for term in terms:
        out += term * power
        power = power @ matrix
    return out


def kernel(graph, name, c, order=2, terms=80):
    """A kernel that has a name; `order` is its `d` or its `p`."""
    matrix, one = adjacency(graph, c), np.eye(graph.num_nodes)
    if name == "d_regularised_laplacian":
        return np.linalg.matrix_power(np.linalg.inv(one - matrix), order)
    if name == "p_step":
        return np.linalg.matrix_power(one + matrix, order)
    signs = {"diffusion": [1, 1, 1, 1], "cosine": [1, 1, -1, -1]}[name]
    return series(matrix, [signs[k % 4] / math.factorial(k) for k in range(terms)])


def error(estimate, wanted):
    """The squared norm of the error, over that of the kernel."""
    return ((estimate - wanted) ** 2).sum() / (wanted**2).sum()
