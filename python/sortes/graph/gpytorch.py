"""Estimates of kernels as linear operators of GPyTorch."""

from __future__ import annotations

from functools import cache
from typing import Any

from sortes._optional import require
from sortes.graph.features import as_tensor


def operator_of(chain: list[Any], is_mean: bool) -> Any:
    """Return the product of sparse matrices, or its mean with its transpose, as an operator."""
    operator = _operator()

    def tensor(matrix: Any) -> Any:
        rows = matrix.tocsr()
        return as_tensor(rows.indptr, rows.indices, rows.data, rows.shape[0])

    there = [tensor(one) for one in chain]
    back = [tensor(one.T) for one in reversed(chain)]
    return operator(*there, *back, is_mean=is_mean)


@cache
def _operator() -> Any:
    """Return the class, which cannot be there before what it is derived from."""
    base = require("linear_operator", "gpytorch").LinearOperator

    class KernelOperator(base):  # type: ignore[misc, valid-type]
        """The product of the first half of some sparse tensors; the others make its transpose."""

        def __init__(self, *tensors: Any, is_mean: bool) -> None:
            super().__init__(*tensors, is_mean=is_mean)
            self._there = tensors[: len(tensors) // 2]
            self._back = tensors[len(tensors) // 2 :]
            self._is_mean = is_mean

        def _matmul(self, rhs: Any) -> Any:
            out = _product(self._there, rhs)
            return 0.5 * (out + _product(self._back, rhs)) if self._is_mean else out

        def _size(self) -> Any:
            return self._there[0].shape

        def _transpose_nonbatch(self) -> Any:
            return type(self)(*self._back, *self._there, is_mean=self._is_mean)

    return KernelOperator


def _product(tensors: tuple[Any, ...], rhs: Any) -> Any:
    for one in reversed(tensors):
        rhs = one @ rhs
    return rhs
