"""Sketches over Dask, Ray, Arrow and Parquet, on their local schedulers."""

import importlib
import sys

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
        with pytest.raises(ValueError, match=r"^value: no column 'u' among"):
            sketch_arrow(table.slice(0, 1), BottomK(9), id="id", value="u")
        with pytest.raises(TypeError, match=r"^data: must be Arrow data, got dict"):
            sketch_arrow({}, BottomK(9), id="id")


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
