"""Columns and tables of other libraries, wherever an array is taken: the same as of NumPy."""

import sys
from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction
from uuid import UUID

import numpy as np
import public as tables
import pytest
import signatures
from sortes._arrays import host, ids_of, integers_of, vector_of
from sortes._columns import array_of, decoded
from sortes.select import (
    BottomK,
    choice,
    hash_ids,
    kmeans_plusplus,
    sketch_array,
    stratified_sample,
)
from test_bad_values import outcome, shown

TAKERS = [
    public
    for public in signatures.of_module("select")
    if public.kind in ("function", "method", "constructor")
    and any(
        isinstance(value, np.ndarray)
        for given in tables.valid_calls(public)
        for value in given.values()
    )
]


def library(name):
    return pytest.importorskip(name, reason="a library that may be absent")


def exact(x):
    """The numbers of an array as decimals."""
    return [v if v is None or isinstance(v, bool) else Decimal(repr(v)) for v in x]


# How each library holds a list of numbers, of booleans, and of None among them.


def pandas_nullable(x):
    names = {"bool": "boolean", "int": "Int64", "float": "Float64"}
    return library("pandas").Series(x, dtype=names[type(x[0]).__name__])


def pandas_objects(x):
    return library("pandas").Series(x, dtype=object)


def pandas_arrow(x):
    pd, pa = library("pandas"), library("pyarrow")
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(x)))


def pandas_decimals(x):
    return library("pandas").Index(exact(x), dtype=object)


def arrow(x):
    return library("pyarrow").array(x)


def arrow_chunks(x):
    return library("pyarrow").chunked_array([x[:1], x[1:]])


def arrow_dictionary(x):
    return library("pyarrow").array([x[0], *x]).dictionary_encode()[1:]


def arrow_runs(x):
    pa = library("pyarrow")
    runs = pa.RunEndEncodedArray.from_arrays(np.arange(1, len(x) + 2), pa.array([x[0], *x]))
    return runs.slice(1)


def arrow_decimals(x):
    pa = library("pyarrow")
    return pa.array(exact(x), pa.bool_() if isinstance(x[0], bool) else pa.decimal128(38, 9))


def polars(x):
    return library("polars").Series(x)


def polars_decimals(x):
    pl = library("polars")
    return pl.Series(exact(x), dtype=pl.Boolean if isinstance(x[0], bool) else pl.Decimal(38, 9))


def polars_categories(x):
    """Of whatever, as no number can be a category: run through Arrow's dictionaries."""
    return library("polars").Series(x, strict=False).to_arrow().dictionary_encode()


COLUMNS = [
    *(pandas_nullable, pandas_objects, pandas_arrow, pandas_decimals),
    *(arrow, arrow_chunks, arrow_dictionary, arrow_runs, arrow_decimals),
    *(polars, polars_decimals, polars_categories, list, exact),
]
columns = pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.__name__)


def as_columns(x, column):
    """An array as a column, a matrix as a table of columns."""
    if x.ndim == 1:
        return column(x.tolist())
    parts = {f"c{i}": column(x[:, i].tolist()) for i in range(x.shape[1])}
    if column in (list, exact):
        return np.array(list(parts.values()), object).T.tolist()
    made = column.__name__
    if made.startswith("pandas"):
        return library("pandas").DataFrame(parts)
    return (
        library("polars").DataFrame(parts)
        if made in ("polars", "polars_decimals")
        else (library("pyarrow").table(parts))
    )


@columns
@pytest.mark.parametrize("public", TAKERS, ids=str)
def test_every_argument_takes_columns(public, column):
    for case in range(len(tables.valid_calls(public))):
        expected = outcome(tables.function(public), public, tables.valid_calls(public)[case])
        given = tables.valid_calls(public)[case]
        given = {
            name: as_columns(x, column) if isinstance(x, np.ndarray) else x
            for name, x in given.items()
        }
        assert shown(outcome(tables.function(public), public, given)) == shown(expected)


@columns
@pytest.mark.parametrize("public", TAKERS, ids=str)
def test_every_argument_names_what_is_missing(public, column):
    for case in range(len(tables.valid_calls(public))):
        for name, x in tables.valid_calls(public)[case].items():
            if isinstance(x, np.ndarray) and x.ndim == 1:
                given = tables.valid_calls(public)[case] | {name: column([*x.tolist()[:-1], None])}
                with pytest.raises(ValueError, match=rf"^{name}: item {x.size - 1} is missing$"):
                    outcome(tables.function(public), public, given)


def test_there_are_takers():
    assert Counter(public.kind for public in TAKERS)["function"] > 15


# Decimals


AMOUNTS = ["0.3", "1.13", "0.1", "1234567.89", "90071992547409.93", "1e-9", "0", "-2.675"]


def decimals(scale):
    with localcontext(prec=80):
        return [Decimal(a).quantize(Decimal(1).scaleb(-scale)) for a in AMOUNTS]


@pytest.mark.parametrize(
    ("bits", "digits", "scale"),
    [(64, 18, 3), (128, 38, 2), (128, 38, 9), (128, 38, 23), (256, 76, 9), (256, 76, 40)],
)
def test_arrow_decimals_become_the_nearest_number(bits, digits, scale):
    pa = library("pyarrow")
    if not hasattr(pa, f"decimal{bits}"):
        pytest.skip("an Arrow without narrow decimals")
    given = decimals(scale)
    column = pa.array(given, getattr(pa, f"decimal{bits}")(digits, scale))
    for form in (column, pa.chunked_array([column[:3], column[3:]]), column[1:]):
        expected = [float(item) for item in form.to_pylist()]
        assert vector_of(form).tolist() == expected
    assert vector_of(column[:0]).dtype == np.float64


def test_decimals_without_places_are_integers():
    pa = library("pyarrow")
    whole = [Decimal(3), Decimal(-(2**63)), Decimal(2**63 - 1)]
    column = pa.array(whole, pa.decimal128(38, 0))
    for given in (column, whole, pa.array(whole, pa.decimal128(38, 4))):
        assert integers_of(given, "sizes").tolist() == [3, -(2**63), 2**63 - 1]
    assert ids_of(pa.array([Decimal(2**64 - 1), Decimal(1)])).tolist() == [-1, 1]
    with pytest.raises(
        ValueError, match=r"^ids: item 1 must be in \[-2\*\*63, 2\*\*64\), got 3689"
    ):
        ids_of(pa.array([Decimal(1), Decimal(2**65)]))
    labels = [Decimal(10**37 + 1), Decimal(10**37)]
    assert stratified_sample(pa.array(labels), 1).labels.tolist() == [10**37, 10**37 + 1]
    for odd in ("2.5", "inf"):
        with pytest.raises(TypeError, match=r"^sizes: must hold integers, got object"):
            integers_of([Decimal(odd)], "sizes")
    for odd in ("NaN", "sNaN"):
        with pytest.raises(ValueError, match=r"^sizes: item 0 is missing"):
            integers_of([Decimal(odd)], "sizes")


def test_numbers_among_objects():
    given = np.array([Decimal("0.1"), Fraction(1, 3), 2, np.float32(0.5), True, 2**70], object)
    assert vector_of(given).tolist() == [0.1, 1 / 3, 2.0, 0.5, 1.0, 2.0**70]
    for odd in ("a", 1j, b"a", [1]):
        given[1] = odd
        with pytest.raises(TypeError, match=r"^weights: item 1 must be a number, got "):
            vector_of(given)
    with pytest.raises(ValueError, match=r"^weights: item 0 must be in the range of float64, got"):
        vector_of([10**400, 1])


# Ids and labels


def test_hashes_keep_their_bits():
    given = [7, 2**63, 2**64 - 1]
    expected = [7, -(2**63), -1]
    forms = [given, np.uint64(given), np.array(given, ">u8"), np.array(given, object)]
    forms += [make(given) for make in (arrow_chunks, polars) if make.__name__[:5] in sys.modules]
    for form in forms:
        assert ids_of(form).tolist() == expected
        sample = BottomK(3, rng=0).update(form).sample()
        assert sorted(sample.ids) == sorted(expected)
    assert sorted(
        sketch_array(None, BottomK(3, rng=0), ids=np.uint64(given)).sample().ids
    ) == sorted(expected)


def test_wide_integers_of_polars():
    pl = library("polars")
    assert ids_of(pl.Series([5, 2**64 - 1], dtype=pl.Int128)).tolist() == [5, -1]
    assert vector_of(pl.Series([5, 2**100], dtype=pl.Int128)).tolist() == [5.0, 2.0**100]


def texts():
    """Columns of the strings b, a, b."""
    given = ["b", "a", "b"]
    yield given
    yield np.array(given)
    if hasattr(np.dtypes, "StringDType"):
        yield np.array(given, np.dtypes.StringDType())
    if pd := sys.modules.get("pandas"):
        yield from (pd.Series(given), pd.Categorical(given), pd.Series(given, dtype=object))
    if pa := sys.modules.get("pyarrow"):
        plain = pa.array(given)
        yield from (plain, plain.cast(pa.large_string()), plain.dictionary_encode())
        yield pa.RunEndEncodedArray.from_arrays([1, 2, 3], plain.dictionary_encode())
        if hasattr(pa, "string_view"):
            view = plain.cast(pa.string_view())
            yield view
            yield pa.DictionaryArray.from_arrays(np.arange(3, dtype=np.uint32), view)
            yield pa.RunEndEncodedArray.from_arrays([1, 2, 3], view)
    if pl := sys.modules.get("polars"):
        yield from (pl.Series(given), pl.Series(given, dtype=pl.Categorical))
        yield pl.Series(given, dtype=pl.Enum(["b", "a"]))


def test_text():
    for name in ("pandas", "pyarrow", "polars"):
        try:
            __import__(name)
        except ImportError:
            continue
    for column in texts():
        sample = stratified_sample(column, 3)
        assert sample.labels.tolist() == ["a", "b"], type(column)
        assert sample.sizes.tolist() == [1, 2], type(column)
        assert hash_ids(column).tolist() == hash_ids(["b", "a", "b"]).tolist(), type(column)


def test_uuids_are_their_bytes():
    pa = library("pyarrow")
    given = [UUID(int=i) for i in (1, 256, 2**127)]
    expected = hash_ids([item.bytes for item in given])
    assert hash_ids(given).tolist() == expected.tolist()
    assert hash_ids(pa.array([item.bytes for item in given], pa.binary(16))).tolist() == (
        expected.tolist()
    )
    if hasattr(pa, "uuid"):
        column = pa.ExtensionArray.from_storage(
            pa.uuid(), pa.array([item.bytes for item in given], pa.binary(16))
        )
        assert hash_ids(column).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "labels",
    [
        ["a", None],
        ["a", float("nan")],
        [1.5, None],
        [1.5, float("nan")],
        [b"a", None],
        np.array(["a", None], object),
        np.array(["2026", "NaT"], "M8[D]"),
    ],
)
def test_missing_labels_are_named(labels):
    with pytest.raises(ValueError, match=r"^strata: item 1 is missing$"):
        stratified_sample(labels, 1)


def test_lists_are_not_turned_into_strings():
    # NumPy's own conversion makes "5" of 5, "nan" of NaN and b"a" of b"a\0".
    with pytest.raises(TypeError, match=r"^strata: must hold labels that can be sorted"):
        stratified_sample(["a", 5], 1)
    assert stratified_sample([b"a\0", b"a"], 1).labels.tolist() == [b"a", b"a\0"]
    assert stratified_sample(["a\0", "a"], 1).labels.tolist() == ["a", "a\0"]
    with pytest.raises(TypeError, match=r"^ids: must hold integers, got object; hash_ids turns"):
        BottomK(3).update(["a", 5])
    assert host(["a", "b"], "x", None).dtype.kind == "U"


# Tables


def test_tables_name_their_columns():
    pd = library("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0], "city": ["x", "y"]})
    with pytest.raises(TypeError, match=r"^X: column 'city': item 0 must be a number, got 'x'"):
        kmeans_plusplus(frame, 1)
    frame["city"] = pd.array([3, None], dtype="Int64")
    with pytest.raises(ValueError, match=r"^X: column 'city': item 1 is missing"):
        kmeans_plusplus(frame, 1)
    frame["city"] = pd.to_datetime(["2026", "2027"])
    with pytest.raises(TypeError, match=r"^X: column 'city': item 0 must be a number"):
        kmeans_plusplus(frame, 1)


def test_a_plain_frame_is_not_copied():
    pd = library("pandas")
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    frame = pd.DataFrame(x, copy=False)
    assert np.shares_memory(host(frame, "X"), x)
    single = pd.DataFrame({"a": np.float32([1, 2]), "b": pd.array([1, 2], dtype="Float32")})
    assert host(single, "X").dtype == np.float32
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"]).astype("Int64")
    assert host(twice, "X").tolist() == [[1, 2]]
    assert host(frame[[]], "X").shape == (3, 0)


# What is decoded


def test_arrow_is_decoded_wherever_it_is_cut():
    pa = library("pyarrow")
    items = list("abbcccc")
    runs = pa.RunEndEncodedArray.from_arrays([1, 3, 7], pa.array(["a", "b", "c"]))
    coded = pa.array(items).dictionary_encode()
    for first in range(8):
        for length in range(8 - first):
            for column in (runs, coded):
                cut = column.slice(first, length)
                assert decoded(cut, pa).to_pylist() == items[first : first + length]


def test_nulls_among_the_values_of_a_dictionary():
    pa = library("pyarrow")
    values = pa.array([1.5, None, 2.5])
    used = pa.DictionaryArray.from_arrays(pa.array([0, 1]), values)
    assert used.null_count == 0
    with pytest.raises(ValueError, match=r"^weights: item 1 is missing"):
        choice(used)
    unused = pa.DictionaryArray.from_arrays(pa.array([0, 2]), values)
    assert array_of(unused, "weights").tolist() == [1.5, 2.5]


def test_a_missing_item_is_counted_across_chunks():
    pa = library("pyarrow")
    with pytest.raises(ValueError, match=r"^weights: item 3 is missing"):
        choice(pa.chunked_array([[1.0, 2.0], [3.0, None]]))
    assert array_of(pa.chunked_array([], pa.int64()), "x").tolist() == []


def test_anything_else_is_left_alone():
    for other in ([1], (1, 2), 3, None, np.ones(2), {"a": 1}, "text"):
        assert array_of(other, "x") is None
