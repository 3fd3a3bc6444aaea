"""Every array of logits that users have, as rows: without copies where that can be."""

import numpy as np
import pytest
from sortes._arrays import rows_of
from sortes._core import _testing


def read(rows):
    """What the kernels see: (kind, rows, columns, row sums)."""
    return _testing.row_sums(rows.array, bf16=rows.bf16)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_numpy_is_viewed(dtype):
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    rows = rows_of(x)
    assert rows.array is x
    assert (rows.bf16, rows.one_dim, rows.kind) == (False, False, "numpy")
    assert read(rows) == (np.dtype(dtype).name, 2, 3, [3.0, 12.0])
    assert rows.wrap(x) is x


def test_one_row():
    x = np.arange(3, dtype=np.float32)
    rows = rows_of(x)
    assert rows.one_dim
    assert rows.array.shape == (1, 3)
    assert np.shares_memory(rows.array, x)
    assert rows.wrap(np.array([7])).shape == ()
    assert rows.wrap(np.ones((1, 3))).shape == (3,)
    assert rows.wrap(np.ones((1, 3, 2))).shape == (3, 2)


def test_ml_dtypes_bfloat16_is_viewed():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.arange(6).reshape(2, 3).astype(bfloat16)
    rows = rows_of(x)
    assert rows.bf16
    assert rows.array.dtype == np.uint16
    assert np.shares_memory(rows.array, x)
    assert read(rows) == ("bfloat16", 2, 3, [3.0, 12.0])
    back = rows.wrap(rows.array)
    assert back.dtype == bfloat16
    assert rows.wrap(np.ones((2, 3), bool)).dtype == bool


@pytest.mark.parametrize("name", ["float32", "float16", "float64", "bfloat16"])
def test_torch_is_viewed(torch, name):
    x = torch.arange(6, dtype=getattr(torch, name)).reshape(2, 3).requires_grad_()
    rows = rows_of(x)
    assert rows.kind == "torch"
    assert rows.array.ctypes.data == x.data_ptr()
    assert read(rows) == (name, 2, 3, [3.0, 12.0])
    back = rows.wrap(rows.array)
    assert back.dtype == x.dtype
    assert torch.equal(back, x.detach())
    assert back.data_ptr() == x.data_ptr()
    tokens = rows.wrap(np.array([1, 2]))
    assert tokens.dtype == torch.int64
    assert rows_of(x[0]).wrap(np.array([1])).shape == ()


def test_torch_slices_are_viewed(torch):
    x = torch.arange(24, dtype=torch.bfloat16).reshape(2, 3, 4)
    last = rows_of(x[:, -1, :])
    assert last.array.ctypes.data == x[:, -1, :].data_ptr()
    assert read(last) == ("bfloat16", 2, 4, [38.0, 86.0])


def test_dlpack_is_viewed():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)

    class Foreign:
        def __dlpack__(self, **options):
            return x.__dlpack__(**options)

        def __dlpack_device__(self):
            return x.__dlpack_device__()

    rows = rows_of(Foreign())
    assert rows.kind == "numpy"
    assert np.shares_memory(rows.array, x)


def test_dlpack_of_a_device_is_refused():
    class OnDevice:
        def __dlpack__(self, **options):
            raise AssertionError("never asked")

        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(
        TypeError, match=r"^logits: must be on the CPU, got a DLPack device of type 2"
    ):
        rows_of(OnDevice())


BASE = np.arange(60, dtype=np.float32).reshape(6, 10)


@pytest.mark.parametrize(
    "x",
    [
        BASE[::2],
        BASE[::-1],
        BASE[:, 3:7],
        BASE[::-2, 1:],
        np.broadcast_to(BASE[0], (4, 10)),
        BASE[:, :1],
        BASE.T[:1],
        BASE[2:2],
    ],
    ids=["every other", "reversed", "columns", "both", "broadcast", "one column", "one", "empty"],
)
def test_any_distance_between_rows_is_viewed(x):
    rows = rows_of(x)
    if rows.array is not x:
        # Only a transposed row has elements that are not neighbours.
        assert x.strides[1] != 4
    kind, n, columns, sums = read(rows)
    assert (kind, n, columns) == ("float32", *x.shape)
    np.testing.assert_array_equal(sums, x.sum(axis=1, dtype=np.float64))


def structured():
    """Fields of 12-byte records: neither neighbours nor, for the doubles, aligned."""
    x = np.zeros((3, 5), np.dtype([("single", "<f4"), ("double", "<f8")]))
    x["single"] = x["double"] = np.arange(15).reshape(3, 5)
    return x


def unaligned():
    raw = np.zeros(4 * 15 + 1, np.uint8)
    x = raw[1:].view(np.float32).reshape(3, 5)
    x[...] = np.arange(15).reshape(3, 5)
    return x


@pytest.mark.parametrize(
    "x",
    [
        structured()["single"],
        structured()["double"],
        unaligned(),
        np.arange(15, dtype=">f4").reshape(3, 5),
        np.arange(15, dtype=np.float32).reshape(5, 3).T.reshape(3, 5, order="A"),
        np.arange(30, dtype=np.float32).reshape(3, 10)[:, ::2],
        np.arange(15, dtype=np.float32).reshape(3, 5)[:, ::-1],
        np.broadcast_to(np.ones((3, 1), np.float32), (3, 5)),
    ],
    ids=["single", "double", "unaligned", "endian", "fortran", "strided", "mirrored", "constant"],
)
def test_what_kernels_cannot_read_in_place_is_copied_once(x):
    rows = rows_of(x)
    np.testing.assert_array_equal(rows.array, x)
    assert rows.array.dtype.isnative
    np.testing.assert_array_equal(read(rows)[3], x.sum(axis=1, dtype=np.float64))


def test_read_only_arrays_are_accepted():
    x = np.ones((2, 3), np.float32)
    x.flags.writeable = False
    assert rows_of(x).array is x
    assert read(rows_of(x))[3] == [3.0, 3.0]


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((2, 3), np.int64), TypeError, "x: dtype must be float32, .*, got int64"),
        (np.ones((2, 3), np.uint16), TypeError, "x: dtype must be float32, .*, got uint16"),
        (np.ones((2, 3), bool), TypeError, "x: dtype must be float32, .*, got bool"),
        (np.ones((2, 3), complex), TypeError, "x: dtype must be float32, .*, got complex128"),
        (np.ones((2, 3), np.longdouble), TypeError, "x: dtype must be float32, .*, got "),
        (np.array([["a"]]), TypeError, "x: dtype must be float32, .*, got <U1"),
        ([1, 2], TypeError, "x: dtype must be float32, .*, got int64"),
        (None, TypeError, "x: dtype must be float32, .*, got object"),
        (np.float32(1), ValueError, r"x: must have shape \(V,\) or \(B, V\), got \(\)"),
        (
            np.ones((2, 3, 4), np.float32),
            ValueError,
            r"x: must have shape \(V,\) or \(B, V\), got \(2, 3, 4\)",
        ),
        (
            np.ones((2, 0), np.float32),
            ValueError,
            r"x: must have at least one column, got shape \(2, 0\)",
        ),
        (
            np.ones(0, np.float32),
            ValueError,
            r"x: must have at least one column, got shape \(0,\)",
        ),
    ],
)
def test_refusals(x, error, message):
    with pytest.raises(error, match=r"^" + message):
        rows_of(x, "x")


def test_torch_refusals(torch):
    with pytest.raises(TypeError, match=r"^logits: dtype must be .*, got torch\.int64"):
        rows_of(torch.ones(3, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"^logits: must be a dense tensor, got torch\.sparse_coo"):
        rows_of(torch.eye(3).to_sparse())
    with pytest.raises(TypeError, match=r"^logits: .* got a tensor on meta; use logits\.cpu\(\)"):
        rows_of(torch.ones(3, device="meta"))


def test_the_boundary_checks_for_itself():
    with pytest.raises(
        TypeError, match=r"^x: expected dtype float32, float16 or float64, got int64"
    ):
        _testing.row_sums(np.ones((2, 3), np.int64))
    with pytest.raises(TypeError, match=r"^x: expected dtype uint16 \(bfloat16\), got float32"):
        _testing.row_sums(np.ones((2, 3), np.float32), bf16=True)
    with pytest.raises(ValueError, match=r"^x: expected shape \(rows, columns\), got \[3\]"):
        _testing.row_sums(np.ones(3, np.float32))
    with pytest.raises(TypeError, match=r"^x: must be a NumPy array, got list"):
        _testing.row_sums([[1.0]])
    for x in (np.ones((2, 6), np.float32)[:, ::2], unaligned()):
        with pytest.raises(ValueError, match=r"^x: rows must be contiguous and aligned"):
            _testing.row_sums(x)
