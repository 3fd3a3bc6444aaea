"""Estimates of kernels of graphs as linear operators of GPyTorch."""

from __future__ import annotations

from typing import Any

import torch

from sortes._check import shown
from sortes._optional import require
from sortes.graph.features import as_tensor
from sortes.graph.kernels import KernelEstimate

__all__ = ["kernel_operator"]

LinearOperator: Any = require("linear_operator", extra="gpytorch").LinearOperator


class _KernelOperator(LinearOperator):  # type: ignore[misc]
    """The product of sparse matrices, or its mean with its transpose; from `kernel_operator`."""

    def __init__(self, *tensors: torch.Tensor, is_mean: bool) -> None:
        """Take the factors, then those of the transpose."""
        super().__init__(*tensors, is_mean=is_mean)
        self._there = tensors[: len(tensors) // 2]
        self._back = tensors[len(tensors) // 2 :]
        self._is_mean = is_mean

    def _matmul(self, rhs: torch.Tensor) -> torch.Tensor:
        out = _product(self._there, rhs)
        return 0.5 * (out + _product(self._back, rhs)) if self._is_mean else out

    def _size(self) -> torch.Size:
        return self._there[0].shape

    def _transpose_nonbatch(self) -> _KernelOperator:
        return _KernelOperator(*self._back, *self._there, is_mean=self._is_mean)


def kernel_operator(estimate: KernelEstimate) -> LinearOperator:
    """Return an estimate of a kernel as a linear operator of GPyTorch.

    Parameters
    ----------
    estimate : KernelEstimate
        The estimate.

    Returns
    -------
    LinearOperator
        The operator. It holds the features as sparse tensors of their dtype, and their transposes,
        for products from both sides.

    Raises
    ------
    TypeError
        If `estimate` is none.

    Examples
    --------
    >>> import torch
    >>> from sortes.graph import Graph, kernel_estimate
    >>> from sortes.integrations.gpytorch import kernel_operator
    >>> path = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> operator = kernel_operator(kernel_estimate(path, rng=0))
    >>> (operator @ torch.ones(3, dtype=torch.float64)).shape
    torch.Size([3])
    """
    if not isinstance(estimate, KernelEstimate):
        raise TypeError(f"estimate: must be a KernelEstimate, got {shown(estimate)}")

    def tensors(factors: Any) -> list[torch.Tensor]:
        rows = [factor.tocsr() for factor in factors]
        return [as_tensor(one.indptr, one.indices, one.data, one.shape[0]) for one in rows]

    there = tensors(estimate.factors)
    back = tensors(factor.T for factor in reversed(estimate.factors))
    return _KernelOperator(*there, *back, is_mean=estimate.is_mean)


def _product(tensors: tuple[torch.Tensor, ...], rhs: torch.Tensor) -> torch.Tensor:
    for one in reversed(tensors):
        rhs = one @ rhs
    return rhs
