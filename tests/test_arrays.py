"""Every array that users have, in the forms of the kernels: without copies where that can be."""

import numpy as np
import pytest
from sortes._arrays import host, ids_of, integers_of, matrix_of, numbers_of, rows_of, vector_of
from sortes._check import WORD, Domain
from sortes._core import _testing
from sortes._out import target


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


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors(torch):
    nested = torch.nested.nested_tensor([torch.ones(3), torch.ones(3)])
    for check in (rows_of, lambda x: host(x, "logits")):
        with pytest.raises(TypeError, match=r"^logits: must be a dense tensor, got a nested"):
            check(nested)


def test_the_boundary_checks_for_itself():
    with pytest.raises(
        TypeError, match=r"^x: dtype must be float32, float16 or float64, got int64"
    ):
        _testing.row_sums(np.ones((2, 3), np.int64))
    with pytest.raises(TypeError, match=r"^x: dtype must be uint16 \(bfloat16\), got float32"):
        _testing.row_sums(np.ones((2, 3), np.float32), bf16=True)
    with pytest.raises(ValueError, match=r"^x: must have shape \(rows, columns\), got \[3\]"):
        _testing.row_sums(np.ones(3, np.float32))
    with pytest.raises(TypeError, match=r"^x: must be a NumPy array, got list"):
        _testing.row_sums([[1.0]])
    for x in (np.ones((2, 6), np.float32)[:, ::2], unaligned()):
        with pytest.raises(ValueError, match=r"^x: rows must be contiguous and aligned"):
            _testing.row_sums(x)


MASKED = np.ma.masked_array([1.0, 2.0], [False, True])


def test_masked_arrays_are_refused():
    message = r"^x: must not be a masked array; fill or drop the masked items first$"
    for read_it in (host, rows_of, vector_of, ids_of, integers_of, numbers_of):
        with pytest.raises(TypeError, match=message):
            read_it(MASKED, "x")
    with pytest.raises(TypeError, match=message):
        matrix_of(np.ma.masked_array(np.eye(2)), "x")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (["a"], TypeError, "must hold numbers, got <U1"),
        ("a", TypeError, "must be a number, got 'a'"),
        (None, TypeError, "must be a number, got None"),
        ([1j], TypeError, "must hold numbers, got complex128"),
        ([np.datetime64(1, "s")], TypeError, r"must hold numbers, got datetime64\[s\]"),
        ([object()], TypeError, "item 0 must be a number, got <object object"),
        (np.zeros(2, np.longdouble), TypeError, "must hold numbers, got "),
        ([[1], [1, 2]], ValueError, "must be an array or lists of equal lengths"),
    ],
)
def test_what_holds_no_numbers(x, error, message):
    for read_it in (host, vector_of, numbers_of):
        with pytest.raises(error, match=r"^x: " + message):
            read_it(x, "x")


def test_host_of_tensors(torch):
    x = torch.arange(3.0, requires_grad=True)
    assert host(x, "x").ctypes.data == x.data_ptr()
    half = host(torch.tensor([1.5], dtype=torch.bfloat16), "x")
    assert (half.dtype, half.tolist()) == (np.float32, [1.5])
    with pytest.raises(TypeError, match=r"^x: must be on the CPU, got a tensor on meta"):
        host(torch.ones(3, device="meta"), "x")
    with pytest.raises(TypeError, match=r"^x: must be a dense tensor, got torch\.sparse_coo"):
        host(torch.eye(3).to_sparse(), "x")
    assert host(torch.ones(2, dtype=torch.complex64).imag.neg(), "x").tolist() == [0, 0]


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"^X: must be dense, got a csr_matrix"):
        matrix_of(sparse.csr_matrix(np.eye(2)), "X")


def test_vectors():
    for dtype in (np.float32, np.float64):
        x = np.ones(3, dtype)
        assert vector_of(x) is x
    assert vector_of(np.ones(3, np.float32), double=True).dtype == np.float64
    assert vector_of(np.ones(3, np.float16)).dtype == np.float32
    assert vector_of([True, False]).tolist() == [1.0, 0.0]
    assert vector_of([]).shape == (0,)
    strided = np.arange(6.0)[::2]
    assert vector_of(strided).flags.c_contiguous
    with pytest.raises(ValueError, match=r"^weights: must have shape \(n,\), got \(1, 2\)"):
        vector_of([[1, 2]])
    assert matrix_of([[1, 2]], "X").dtype == np.float64
    with pytest.raises(ValueError, match=r"^X: must have shape \(n, d\), got \(2,\)"):
        matrix_of([1, 2], "X")


def test_integers():
    x = np.arange(3)
    assert integers_of(x, "ids") is x
    assert ids_of(x) is x
    for given in ([], np.zeros(0, bool), ()):
        assert integers_of(given, "ids").dtype == np.int64
    assert integers_of(np.array([1], np.uint8), "ids").dtype == np.int64
    assert integers_of(5, "rows", WORD, n=3).tolist() == [5, 5, 5]
    assert integers_of([2**63 - 1], "ids").tolist() == [2**63 - 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: integers_of([0.5], "r"), TypeError, "r: must hold integers, got float64"),
        (lambda: integers_of([True], "r"), TypeError, "r: must hold integers, got bool"),
        (lambda: integers_of(1.5, "r", n=2), TypeError, "r: must be an integer, got 1.5"),
        (lambda: integers_of(3, "r"), ValueError, r"r: must have shape \(n,\), got \(\)"),
        (lambda: integers_of([1], "r", n=2), ValueError, r"r: must have shape \(2,\), got \(1,\)"),
        (
            lambda: integers_of([0, -1], "r", WORD),
            ValueError,
            r"r: item 1 must be in \[0, 2",
        ),
        (lambda: integers_of([0, 2**64], "r"), ValueError, r"r: item 1 must be in \[-2\*\*63, 2"),
        (lambda: integers_of([2**63], "r"), ValueError, r"r: item 0 must be in \[-2\*\*63, 2"),
        (
            lambda: ids_of([1, 2**64], "i"),
            ValueError,
            r"i: item 1 must be in \[-2\*\*63, 2\*\*64\)",
        ),
        (lambda: ids_of(["a"]), TypeError, "ids: must hold integers, got <U1; hash_ids turns"),
        (
            lambda: numbers_of(0, "t", Domain("(0, 1)")),
            ValueError,
            r"t: must be in \(0, 1\), got 0",
        ),
        (lambda: numbers_of([0.5, 1], "t", Domain("(0, 1)")), ValueError, r"t: item 1 must be in "),
        (lambda: numbers_of(True, "t"), TypeError, "t: must be a number, got True"),
        (lambda: numbers_of(0.5, "t", WORD), TypeError, "t: must be an integer, got 0.5"),
        (lambda: numbers_of([1, 2], "t", rows=3), ValueError, r"t: must be a number or have shape"),
    ],
)
def test_bad_integers_and_numbers(call, error, message):
    with pytest.raises(error, match=r"^" + message):
        call()


class TestTarget:
    def test_views(self, torch):
        out = np.empty((2, 3), np.float32)
        assert target(out, (2, 3), np.float32) is out
        tensor = torch.empty(2, 3, dtype=torch.bfloat16, requires_grad=True)
        view = target(tensor, (2, 3), np.uint16, kind="torch", bf16=True)
        assert view.ctypes.data == tensor.data_ptr()
        assert target(np.empty(0), (0,), np.float64).shape == (0,)

    def test_rows_any_distance_apart(self):
        wide = np.empty((3, 10))
        view = wide[:, :4]
        assert target(view, (3, 4), np.float64, strided=True) is view
        with pytest.raises(ValueError, match=r"^out: must be C-contiguous"):
            target(view, (3, 4), np.float64)
        itself = np.lib.stride_tricks.as_strided(wide, (3, 4), (8, 8))
        for bad in (itself, np.lib.stride_tricks.as_strided(wide, (3, 4), (0, 8)), wide[:, ::3]):
            with pytest.raises(ValueError, match=r"^out: rows must be contiguous and must not"):
                target(bad, (3, 4), np.float64, strided=True)

    def test_overlap(self):
        x = np.zeros((4, 6))
        for out in (x, x[1:3], x.reshape(6, 4)):
            with pytest.raises(ValueError, match=r"^out: overlaps logits"):
                target(out, out.shape, np.float64, apart={"logits": x})
        assert target(x, x.shape, np.float64, apart={"logits": x}, same=x) is x
        with pytest.raises(ValueError, match=r"^out: overlaps logits"):
            target(x[1:], (3, 6), np.float64, apart={"logits": x[:3]}, same=x[:3])
        # Interleaved columns share a range of addresses, but no memory.
        left, right = x[:, :3], x[:, 3:]
        assert target(right, (4, 3), np.float64, apart={"x": left}, strided=True) is right
        with pytest.raises(ValueError, match=r"^out: overlaps x"):
            target(x[:, 2:5], (4, 3), np.float64, apart={"x": left}, strided=True)

    @pytest.mark.parametrize(
        ("out", "error", "message"),
        [
            ([0.0] * 3, TypeError, "out: must be a NumPy array, got list"),
            (np.ma.zeros(3), TypeError, "out: must be a NumPy array, got MaskedArray"),
            (np.zeros(3, np.float32), TypeError, "out: dtype must be float64, got float32"),
            (np.zeros(3, ">f8"), TypeError, "out: dtype must be float64, got >f8"),
            (np.zeros(4), ValueError, r"out: must have shape \(3,\), got \(4,\)"),
            (np.broadcast_to(0.0, 3), ValueError, "out: is read-only"),
            (np.zeros(6)[::2], ValueError, "out: must be C-contiguous"),
        ],
    )
    def test_refused(self, out, error, message):
        with pytest.raises(error, match=r"^" + message):
            target(out, (3,), np.float64)

    def test_kinds(self, torch):
        with pytest.raises(TypeError, match=r"^out: must be a NumPy array, got a tensor"):
            target(torch.zeros(3), (3,), np.float32)
        message = r"^out: must be a dense Torch tensor on the CPU, got "
        for out in (np.zeros(3), torch.zeros(3, device="meta"), torch.eye(3).to_sparse()):
            with pytest.raises(TypeError, match=message):
                target(out, (3,), np.float32, kind="torch")


def test_integers_beyond_every_dtype_are_outside_a_domain_of_integers():
    for x in (2**100, [1, -(2**100)]):
        with pytest.raises(ValueError, match=r"^k: (item 1 )?must be "):
            numbers_of(x, "k", WORD)
