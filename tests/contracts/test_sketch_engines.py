"""Sketches over Dask, Ray, Arrow and Parquet, on their local schedulers."""

import importlib
import sys
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from sortes.select import BottomK, PrioritySample, VarOpt, hash_ids

N = 10_000
KINDS = [BottomK, PrioritySample, VarOpt]
kinds = pytest.mark.parametrize("kind", KINDS)


def columns():
    rng = np.random.default_rng(0)
    return {"id": rng.permutation(N), "w": rng.pareto(1.5, N), "v": np.arange(N) / 2}


def check(kind, sketch):
    """A sketch of all the data: the very same where the kind says so."""
    data = columns()
    if kind is not VarOpt:
        assert sketch == kind(50, rng=1).update(data["id"], data["w"], data["v"])
        return
    sample = sketch.sample()
    assert (len(sketch), sketch.n) == (50, N)
    assert sketch.total == pytest.approx(data["w"].sum(), rel=1e-12)
    assert sample.adjusted_weights.sum() == pytest.approx(sketch.total, rel=1e-12)
    whole = VarOpt(50, rng=1).update(data["id"], data["w"])
    assert sample.threshold == pytest.approx(whole.sample().threshold, rel=1e-12)


class TestDask:
    @pytest.fixture(autouse=True)
    def _dask(self):
        self.dask = pytest.importorskip("dask", reason="an engine that may be absent")

    @kinds
    @pytest.mark.parametrize("scheduler", ["threads", "sync"])
    def test_data_frame(self, kind, scheduler):
        dd = pytest.importorskip("dask.dataframe", reason="needs pandas")
        pd = pytest.importorskip("pandas")
        from sortes.integrations.dask import sketch_dask

        frame = dd.from_pandas(pd.DataFrame(columns()), npartitions=20)
        with self.dask.config.set(scheduler=scheduler):
            sketch = sketch_dask(frame, kind(50, rng=1), id="id", weight="w", value="v")
            again = sketch_dask(frame, kind(50, rng=1), id="id", weight="w", value="v")
        check(kind, sketch)
        assert again == sketch

    @kinds
    def test_array(self, kind):
        import dask.array as da
        from sortes.integrations.dask import sketch_dask

        data = columns()
        weights, ids = da.from_array(data["w"], chunks=777), da.from_array(data["id"], chunks=1000)
        values = da.from_array(data["v"], chunks=N)
        check(kind, sketch_dask(weights, kind(50, rng=1), id=ids, value=values))
        positions = sketch_dask(weights, kind(N, rng=1))
        assert sorted(positions.sample().ids) == list(range(N))
        with pytest.raises(ValueError, match=r"^data: chunk sizes are unknown"):
            sketch_dask(weights[weights > 1], kind(50, rng=1))
        with pytest.raises(ValueError, match=r"^data: must have shape \(n,\), got \(2, 2\)"):
            sketch_dask(da.ones((2, 2)), kind(50, rng=1))
        with pytest.raises(TypeError, match=r"^weight: an array holds the weights itself"):
            sketch_dask(weights, kind(50, rng=1), weight="w")
        with pytest.raises(TypeError, match=r"^id: must be a Dask array, got ndarray"):
            sketch_dask(weights, kind(50, rng=1), id=data["id"])
        with pytest.raises(ValueError, match=r"^value: must have shape \(10000,\), got \(3,\)"):
            sketch_dask(weights, kind(50, rng=1), value=da.ones(3))

    @kinds
    def test_bag_and_delayed(self, kind):
        import dask.bag as db
        from sortes.integrations.dask import sketch_dask

        data = columns()
        records = list(zip(*data.values(), strict=True))
        bag = db.from_sequence(records, npartitions=7)
        with self.dask.config.set(scheduler="sync"):
            check(kind, sketch_dask(bag, kind(50, rng=1), id=0, weight=1, value=2))
            dicts = bag.map(lambda record: dict(zip(data, record, strict=True)))
            check(kind, sketch_dask(dicts, kind(50, rng=1), id="id", weight="w", value="v"))
        parts = [
            self.dask.delayed({name: column[i::3] for name, column in data.items()})
            for i in range(3)
        ]
        check(kind, sketch_dask(parts, kind(50, rng=1), id="id", weight="w", value="v"))
        assert sketch_dask([], kind(50, rng=1), id="id").n == 0

    def test_one_sketch_takes_several_collections(self):
        import dask.array as da
        from sortes.integrations.dask import sketch_dask

        sketch = VarOpt(10, rng=1).update([1, 2, 3])
        for _ in range(3):
            sketch_dask(da.ones(100, chunks=9), sketch)
        assert sketch.total == 303

    @pytest.mark.parametrize(
        "kind", [VarOpt, lambda k, **own: BottomK(k, coordinated=False, **own)]
    )
    def test_shards_are_new(self, kind):
        from sortes.integrations.dask import sketch_dask

        parts = [self.dask.delayed({"id": [i] if i > 5 else []}) for i in range(9)]
        sketch = kind(10, rng=1, shard=9).update([1])
        for _ in range(3):
            sketch_dask(parts, sketch, id="id")
        assert sketch.n == 10

    def test_columns_that_are_not_there(self):
        dd = pytest.importorskip("dask.dataframe", reason="needs pandas")
        pd = pytest.importorskip("pandas")
        from sortes.integrations.dask import sketch_dask

        frame = dd.from_pandas(pd.DataFrame({"id": [1, 2], "w": [1.0, 2.0]}), npartitions=1)
        with pytest.raises(ValueError, match=r"^weight: no column 'u' among \['id', 'w'\]"):
            sketch_dask(frame, BottomK(3), id="id", weight="u")
        with pytest.raises(ValueError, match=r"^id: no column \['id'\] among \['id', 'w'\]"):
            sketch_dask(frame, BottomK(3), id=["id"])

    def test_strings_and_what_is_refused(self):
        from sortes.integrations.dask import sketch_dask

        part = self.dask.delayed([{"user": "ann"}, {"user": "bob"}, {"user": "ann"}])
        sketch = sketch_dask([part], BottomK(5, rng=0), id="user")
        assert sorted(sketch.sample().ids) == sorted(hash_ids(["ann", "bob"]))
        with pytest.raises(TypeError, match=r"^data: must be a Dask collection, got dict"):
            sketch_dask({}, BottomK(5), id="user")
        with pytest.raises(TypeError, match=r"^id: must name the ids of the items"):
            sketch_dask([part], BottomK(5))
        bad = self.dask.delayed({"id": [1], "w": [-1.0]})
        with pytest.raises(ValueError, match=r"^weights: item 0 must be in \[0, inf\), got -1\.0"):
            sketch_dask([bad], BottomK(5), id="id", weight="w")

    @pytest.mark.parametrize(
        ("ids", "expected"),
        [
            (["a", b"b\0", "a"], hash_ids(["a", b"b\0"])),
            ([UUID(int=1), UUID(int=256)], hash_ids([UUID(int=1).bytes, UUID(int=256).bytes])),
            ([2**64 - 1, 2**63, 5], [-1, -(2**63), 5]),
            (np.uint64([2**64 - 1, 5]), [-1, 5]),
            ([Decimal(7), Decimal(8)], [7, 8]),
        ],
    )
    def test_ids_of_all_kinds(self, ids, expected):
        from sortes.integrations.dask import sketch_dask

        pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
        parts = [{"id": ids}, pd.DataFrame({"id": ids}), [(i,) for i in ids]]
        if {type(i) for i in ids} == {Decimal}:
            parts += [pa.table({"id": ids}), pa.record_batch({"id": ids})]
        for part in parts:
            key = 0 if isinstance(part, list) else "id"
            sketch = sketch_dask([self.dask.delayed(part)], BottomK(5, rng=0), id=key)
            assert sorted(sketch.sample().ids) == sorted(expected), type(part)

    @pytest.mark.parametrize(
        ("ids", "error", "message"),
        [
            (["a", 5], TypeError, "id: must hold integers alone or strings alone, got 5 at item 1"),
            ([5, "a"], TypeError, "id: must hold integers alone or strings alone, got 'a' at item"),
            ([1, None], ValueError, "id: item 1 is missing"),
            (["a", None], ValueError, "id: item 1 is missing"),
            ([1, float("nan")], ValueError, "id: item 1 is missing"),
            ([1.5, 2.0], TypeError, "id: must hold integers, got "),
            ([1, 2**64], ValueError, r"id: item 1 must be in \[-2\*\*63, 2\*\*64\)"),
            (np.ma.masked_array([1, 2], [0, 1]), TypeError, "id: must not be a masked array"),
        ],
    )
    def test_ids_that_are_refused(self, ids, error, message):
        import dask.bag as db
        from sortes.integrations.dask import sketch_dask

        parts = [[self.dask.delayed({"id": ids})]]
        if isinstance(ids, list):
            pd = pytest.importorskip("pandas")
            parts.append(db.from_sequence([{"id": i} for i in ids], npartitions=1))
            parts.append([self.dask.delayed(pd.DataFrame({"id": pd.Series(ids)}))])
        for data in parts:
            with (
                self.dask.config.set(scheduler="sync"),
                pytest.raises(error, match=f"^{message}"),
            ):
                sketch_dask(data, BottomK(5), id="id")

    def test_the_size_does_not_depend_on_the_partitions(self):
        dd = pytest.importorskip("dask.dataframe", reason="needs pandas")
        pd = pytest.importorskip("pandas")
        from sortes.integrations.dask import sketch_dask

        rows = pd.DataFrame({"id": np.arange(200)})
        samples = []
        for parts in (1, 20, 100):
            frame = dd.from_pandas(rows, npartitions=parts)
            sketch = sketch_dask(frame, BottomK(20, rng=0), id="id")
            samples.append(sketch.sample().ids.tolist())
            assert len(frame.sample(frac=0.2, random_state=0)) in (40, 0)  # Dask rounds in each
        assert len(samples[0]) == 20
        assert samples[1] == samples[2] == samples[0]

    def test_weights_of_all_kinds(self):
        import dask.array as da
        from sortes.integrations.dask import sketch_dask

        pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
        dd = pytest.importorskip("dask.dataframe")
        amounts = [Decimal("0.3"), Decimal("1.13"), Decimal("0.1")]
        expected = BottomK(5, rng=0).update([1, 2, 3], [0.3, 1.13, 0.1])
        decimals = pd.ArrowDtype(pa.decimal128(38, 2))
        frame = pd.DataFrame({"id": [1, 2, 3], "w": pd.Series(amounts, dtype=decimals)})
        nullable = frame.astype({"id": "Int64"}).assign(w=pd.array([0.3, 1.13, 0.1], "Float64"))
        for part in (frame, nullable, dict(frame), pa.table(frame)):
            sketch = sketch_dask([self.dask.delayed(part)], BottomK(5, rng=0), id="id", weight="w")
            assert sketch == expected
        several = dd.from_pandas(frame, npartitions=3)
        assert sketch_dask(several, BottomK(5, rng=0), id="id", weight="w") == expected
        masked = da.ma.masked_greater(da.from_array([1.0, 2.0, 3.0], chunks=2), 2)
        with pytest.raises(TypeError, match=r"^weights: must not be a masked array"):
            sketch_dask(masked, BottomK(5))
        with pytest.raises(ValueError, match=r"^weight: item 0 is missing"):
            sketch_dask(
                [self.dask.delayed({"id": [1], "w": [None]})], BottomK(5), id="id", weight="w"
            )


class TestArrow:
    @pytest.fixture(autouse=True)
    def _arrow(self):
        self.pa = pytest.importorskip("pyarrow", reason="an engine that may be absent")

    @kinds
    def test_tables_and_streams(self, kind):
        from sortes.integrations.arrow import sketch_arrow

        class Exported:  # as polars, DuckDB and others do
            def __init__(self, table):
                self.__arrow_c_stream__ = table.__arrow_c_stream__

        table = self.pa.table(columns())
        batches = table.to_batches(max_chunksize=999)
        reader = self.pa.RecordBatchReader.from_batches(table.schema, batches)
        whole = kind(50, rng=1).update(*columns().values())
        for data in (table, reader, table.to_batches()[0], Exported(table)):
            calls = []
            sketch = sketch_arrow(
                data,
                kind(50, rng=1),
                id="id",
                weight="w",
                value="v",
                progress=lambda *units, calls=calls: calls.append(units),
            )
            assert sketch == whole
            assert calls[-1][0] == N

    @kinds
    def test_parquet(self, kind, tmp_path):
        import pyarrow.parquet as pq
        from sortes.integrations.arrow import sketch_parquet

        table = self.pa.table(columns() | {"text": ["x"] * N})
        pq.write_table(table.slice(0, 4000), tmp_path / "a.parquet", row_group_size=1000)
        pq.write_table(table.slice(4000), tmp_path / "b.parquet")
        calls = []
        sketch = sketch_parquet(
            tmp_path,
            kind(50, rng=1),
            id="id",
            weight="w",
            value="v",
            batch_size=900,
            progress=lambda *units: calls.append(units),
        )
        assert sketch == kind(50, rng=1).update(*columns().values())
        assert calls[-1] == (N, N)
        files = [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]
        assert sketch_parquet(files, kind(50, rng=1), id="id", weight="w", value="v") == sketch
        with pytest.raises(ValueError, match=r"^weight: no column 'u' among \['id', 'w', 'v'"):
            sketch_parquet(tmp_path, kind(50), id="id", weight="u")
        with pytest.raises(FileNotFoundError):
            sketch_parquet(tmp_path / "c.parquet", kind(50), id="id")

    def test_an_interruption_keeps_what_is_done(self):
        from sortes.integrations.arrow import sketch_arrow

        table = self.pa.table(columns())
        reader = self.pa.RecordBatchReader.from_batches(
            table.schema, table.to_batches(max_chunksize=1000)
        )

        def stop(done, total):
            if done == 3000:
                raise KeyboardInterrupt

        sketch = VarOpt(10, rng=0)
        with pytest.raises(KeyboardInterrupt):
            sketch_arrow(reader, sketch, id="id", weight="w", progress=stop)
        assert sketch.n == 3000
        sketch_arrow(reader, sketch, id="id", weight="w")
        assert sketch == VarOpt(10, rng=0).update(columns()["id"], columns()["w"])

    def test_strings_and_what_is_refused(self):
        from sortes.integrations.arrow import sketch_arrow

        names = ["ann", "bob", "ann", "eve"]
        plain = self.pa.array(names)
        expected = BottomK(9, rng=0).update(hash_ids(names))
        for column in (plain, plain.dictionary_encode(), plain.cast(self.pa.large_string())):
            table = self.pa.table({"id": column})
            assert sketch_arrow(table, BottomK(9, rng=0), id="id") == expected
            assert sketch_arrow(table.slice(1), BottomK(9, rng=0), id="id").n == 3
        numbers = self.pa.array([4, 5, 4])
        table = self.pa.table({"id": numbers.dictionary_encode()})
        assert sketch_arrow(table, BottomK(9, rng=0), id="id") == BottomK(9, rng=0).update(numbers)
        with pytest.raises(
            TypeError, match=r"^id: column 'f' must hold integers or strings, got d"
        ):
            sketch_arrow(self.pa.table({"f": [1.5]}), BottomK(9), id="f")
        table = self.pa.table({"id": [1, None], "w": [1.0, None]})
        with pytest.raises(ValueError, match=r"^id: column 'id' has 1 nulls"):
            sketch_arrow(table, BottomK(9), id="id")
        empty = table.slice(0, 0)
        reader = self.pa.RecordBatchReader.from_batches(table.schema, [])
        for data in (table.slice(0, 1), empty, reader, self.pa.table(empty.to_pydict())):
            with pytest.raises(ValueError, match=r"^value: no column 'u' among"):
                sketch_arrow(data, BottomK(9), id="id", value="u")
        twice = self.pa.Table.from_arrays([[1], [2]], names=["id", "id"])
        with pytest.raises(ValueError, match=r"^id: more than one column 'id' among"):
            sketch_arrow(twice, BottomK(9), id="id")
        with pytest.raises(TypeError, match=r"^data: must be Arrow data, got dict"):
            sketch_arrow({}, BottomK(9), id="id")

    def test_ids_of_all_kinds(self):
        from sortes.integrations.arrow import sketch_arrow

        pa = self.pa

        def ids(column):
            sketch = sketch_arrow(pa.table({"id": column}), BottomK(9, rng=0), id="id")
            return sorted(sketch.sample().ids)

        named = sorted(hash_ids(["a", "b"]))
        plain = pa.array(["b", "a", "b"])
        runs = pa.RunEndEncodedArray.from_arrays([2, 5], pa.array(["a", "b"]))
        text = [plain, plain.dictionary_encode(), runs, runs.slice(1), plain.cast(pa.binary())]
        text.append(pa.array([b"a", b"b"], pa.binary(1)))
        if hasattr(pa, "string_view"):
            view = plain.cast(pa.string_view())
            text += [view, plain.cast(pa.binary()).cast(pa.binary_view())]
            text.append(pa.DictionaryArray.from_arrays(np.arange(3, dtype=np.uint32), view))
        for column in text:
            assert ids(column) == named, column.type
        raw = [UUID(int=i).bytes for i in (1, 256)]
        if hasattr(pa, "uuid"):
            column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(raw, pa.binary(16)))
            assert ids(column) == sorted(hash_ids(raw))
        assert ids(pa.array([5, 2**64 - 1], pa.uint64())) == [-1, 5]
        assert ids(pa.array([Decimal(5), Decimal(2**64 - 1)], pa.decimal128(38, 0))) == [-1, 5]
        for column in (pa.array([Decimal("0.5")]), pa.array([True]), pa.array([1.5])):
            with pytest.raises(TypeError, match=r"^id: column 'id'.* must hold integers"):
                ids(column)
        nulls = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))
        with pytest.raises(ValueError, match=r"^id: column 'id' has 1 nulls"):
            ids(nulls)

    def test_weights_of_all_kinds(self):
        from sortes.integrations.arrow import sketch_arrow

        pa, expected = self.pa, BottomK(5, rng=0).update([1, 2, 3], [0.3, 1.13, 0.1])
        amounts = [Decimal("0.3"), Decimal("1.13"), Decimal("0.1")]
        floats = pa.array([0.3, 1.13, 0.1])
        for column in (
            *(pa.array(amounts), pa.array(amounts, pa.decimal256(60, 20))),
            *(floats, floats.dictionary_encode(), pa.array(amounts).dictionary_encode()),
            pa.RunEndEncodedArray.from_arrays([1, 2, 3], floats),
        ):
            table = pa.table({"id": [1, 2, 3], "w": column})
            assert sketch_arrow(table, BottomK(5, rng=0), id="id", weight="w") == expected
        with pytest.raises(TypeError, match=r"^weight: column 'w' must hold numbers, got string"):
            sketch_arrow(pa.table({"id": [1], "w": ["a"]}), BottomK(5), id="id", weight="w")

    def test_hive_partitions(self, tmp_path):
        import pyarrow.parquet as pq
        from sortes.integrations.arrow import sketch_parquet

        table = self.pa.table({"id": [1, 2, 3], "day": [4, 5, 4], "city": ["x", "y", "y"]})
        pq.write_to_dataset(table, tmp_path, partition_cols=["day", "city"])
        sketch = sketch_parquet(tmp_path, BottomK(5, rng=0), id="city")
        assert sorted(sketch.sample().ids) == sorted(hash_ids(["x", "y"]))
        total = sketch_parquet(tmp_path, VarOpt(5, rng=0), id="id", weight="day").total
        assert total == 13

    def test_what_polars_exports(self):
        pl = pytest.importorskip("polars", reason="a library that may be absent")
        from sortes.integrations.arrow import sketch_arrow

        expected = BottomK(5, rng=0).update(hash_ids(["a", "b"]), [0.3, 1.13])
        for dtype in (pl.String, pl.Categorical, pl.Enum(["b", "a"])):
            ids = pl.Series(["a", "b"], dtype=dtype)
            frame = pl.DataFrame({"id": ids, "w": [Decimal("0.3"), Decimal("1.13")]})
            assert sketch_arrow(frame, BottomK(5, rng=0), id="id", weight="w") == expected
        for other in (pl.Series("id", [1]), pl.DataFrame({"id": pl.Series([1], dtype=pl.Int128)})):
            with pytest.raises(TypeError, match=r"^data: must be a table of Arrow's types: "):
                sketch_arrow(other, BottomK(5), id="id")

    def test_what_duckdb_exports(self):
        duckdb = pytest.importorskip("duckdb", reason="a library that may be absent")
        from sortes.integrations.arrow import sketch_arrow

        query = "select i % 3 as id, sum(i) as w from range(10) t(i) group by 1 order by 1"
        expected = BottomK(5, rng=0).update([0, 1, 2], [18, 12, 15])
        relation = duckdb.sql(query)
        assert "HUGEINT" in str(relation.types)
        assert sketch_arrow(relation, BottomK(5, rng=0), id="id", weight="w") == expected
        hashes = duckdb.sql("select hash(i) as id from range(3) t(i)")
        bits = hashes.fetchnumpy()["id"].view(np.int64)
        assert sorted(sketch_arrow(hashes, BottomK(5), id="id").sample().ids) == sorted(bits)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="starts a local cluster")
@pytest.mark.filterwarnings("ignore")  # the engine's own
class TestRay:
    @pytest.fixture(scope="class")
    def ray(self):
        ray = pytest.importorskip("ray", reason="an engine that may be absent")
        pytest.importorskip("ray.data", reason="needs pandas and pyarrow")
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray
        ray.shutdown()

    def test_dataset(self, ray):
        from sortes.integrations.ray import sketch_ray

        blocks = ray.data.from_numpy(np.arange(N)).repartition(4).materialize()
        data = columns()

        def look_up(batch):
            places = batch["data"]
            return {name: column[places] for name, column in data.items()}

        dataset = blocks.map_batches(look_up).materialize()
        for kind in KINDS:
            sketch = sketch_ray(dataset, kind(50, rng=1), id="id", weight="w", value="v")
            check(kind, sketch)

    def test_the_seed_counts_behind_a_step_that_has_one(self, ray):
        from sortes.integrations.ray import sketch_ray

        half = ray.data.range(1000, override_num_blocks=1).random_sample(0.5, seed=1)

        def ids(rng):
            return sketch_ray(half, BottomK(50, rng=rng), id="id").sample().ids.tolist()

        assert ids(2) == ids(2) != ids(3)

    def test_columns_of_all_kinds(self, ray):
        pa = pytest.importorskip("pyarrow")
        from sortes.integrations.ray import sketch_ray

        raw = pa.array([UUID(int=i).bytes for i in (1, 256)], pa.binary(16))
        table = pa.table(
            {
                "decimal": pa.array([Decimal("0.3"), Decimal("1.13")], pa.decimal128(38, 2)),
                "bits": pa.array([5, 2**64 - 1], pa.uint64()),
                "text": pa.array(["a", "b"]).dictionary_encode(),
                "raw": raw,
                "null": pa.array([1, None]),
            }
        )
        dataset = ray.data.from_arrow(table)
        for name, ids in (
            ("text", hash_ids(["a", "b"])),
            ("raw", hash_ids(raw)),
            ("bits", [5, -1]),
        ):
            sketch = sketch_ray(dataset, BottomK(5, rng=0), id=name, weight="decimal")
            assert sketch == BottomK(5, rng=0).update(ids, [0.3, 1.13]), name
        with pytest.raises(Exception, match="id: item 1 is missing"):
            sketch_ray(dataset, BottomK(5), id="null")


@pytest.mark.parametrize(("module", "package"), [("dask", "dask"), ("arrow", "pyarrow")])
def test_an_absent_engine_is_named(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"sortes.integrations.{module}", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'sortes\[{module}\]'"):
        importlib.import_module(f"sortes.integrations.{module}")


def test_what_is_no_ray_dataset():
    from sortes.integrations.ray import sketch_ray

    with pytest.raises(TypeError, match=r"^dataset: must be a Ray dataset, got list"):
        sketch_ray([], BottomK(3), id="id")
