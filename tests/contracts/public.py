"""Valid calls of the integrations, by module; each imports what it needs."""

import numpy as np
from public import FOLDER
from sortes.select import BottomK


def _table():
    import pyarrow as pa

    return pa.table({"id": [1, 2, 3], "weight": [1.0, 2.0, 3.0], "value": [0.0, 1.0, 2.0]})


def _arrow():
    return {"data": _table(), **COLUMNS, "sketch": BottomK(3, rng=0)}


def _parquet():
    import pyarrow.parquet

    path = FOLDER / "part.parquet"
    pyarrow.parquet.write_table(_table(), path)
    return {"path": path, **COLUMNS, "sketch": BottomK(3, rng=0)}


def _dask():
    import dask.array

    return {"data": dask.array.ones(4, chunks=2), "sketch": BottomK(3, rng=0)}


class _Dataset:
    """One block, with the methods of a Ray dataset that are used."""

    def select_columns(self, columns):
        return self

    def map_batches(self, task, **options):
        self.rows = task({name: column.to_numpy() for name, column in _columns()})
        return self

    def iter_rows(self):
        return [{name: column[0] for name, column in self.rows.items()}]


def _columns():
    table = _table()
    return zip(table.column_names, table.columns, strict=True)


def _node2vec():
    return {
        **{"edge_index": np.array([[0, 1, 1, 2], [1, 0, 2, 1]]), "num_nodes": 3},
        **{"embedding_dim": 4, "walk_length": 4, "context_size": 2, "walks_per_node": 2},
        **{"p": 0.5, "q": 2.0, "num_negative_samples": 2, "sparse": False},
        "edge_weight": np.array([1.0, 2.0, 1.0, 0.5]),
    }


def _config():
    from transformers import GenerationConfig

    return {"config": GenerationConfig(do_sample=True, top_p=0.9), "min_p": 0.1}


def _estimate():
    from sortes.graph import Graph, kernel_estimate

    graph = Graph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]])
    return {"estimate": kernel_estimate(graph, rng=0)}


def _model():
    import pymc

    with pymc.Model() as model:
        pymc.HalfNormal("scale")
    return model


def _compiled():
    from sortes.integrations.pymc import compile_model

    return compile_model(_model())


def _trace():
    from sortes.mcmc import Slice, sample

    return sample(lambda x: -(x**2).sum(1), Slice(), [0.0], draws=4, warmup=0, rng=0)


def _tokenizer():
    import tiny_model

    return tiny_model.tokenizer()


def _scheduler():
    from sortes.integrations.diffusers import SortesScheduler

    made = SortesScheduler("ddpm")
    made.set_timesteps(4)
    return made


def _step():
    import torch

    x = torch.linspace(-1, 1, 6).reshape(2, 3)
    return {"model_output": 0.5 * x, "timestep": 999.0, "sample": x, "variance_noise": x}


def _noisy(sample, timestep):
    import torch

    x = torch.linspace(-1, 1, 6).reshape(2, 3)
    return {sample: x, "noise": x.flip(0), timestep: torch.tensor([5, 9])}


COLUMNS = {"id": "id", "weight": "weight", "value": "value"}
XTC = {"xtc_probability": 0.5, "xtc_threshold": 0.1}
FIRE = {"fire_temperature": 20.0, "fire_top_k": 2, "positions": [0]}
DRY = {
    **{"dry_multiplier": 0.8, "dry_base": 1.5, "dry_allowed_length": 2, "dry_penalty_last_n": 9},
    **{"dry_sequence_breakers": [3], "pad_token_id": 0},
}
CALLS = {
    "integrations.arrow": {"sketch_arrow": _arrow, "sketch_parquet": _parquet},
    "integrations.dask": {"sketch_dask": _dask},
    "integrations.diffusers": {
        "SortesScheduler": [
            {"solver": "dpmpp_2m", "schedule": "karras", "num_train_timesteps": 100},
            {"solver": "euler", "prediction_type": "flow_prediction", "shift": 3.0},
        ],
        "SortesScheduler.add_noise": lambda: _noisy("original_samples", "timesteps"),
        "SortesScheduler.from_config": {"config": {"beta_schedule": "linear"}, "solver": "ddim"},
        "SortesScheduler.scale_model_input": lambda: {"sample": _step()["sample"]},
        "SortesScheduler.scale_noise": lambda: _noisy("sample", "timestep"),
        "SortesScheduler.set_begin_index": {"begin_index": 2},
        "SortesScheduler.set_timesteps": {"num_inference_steps": 5},
        "SortesScheduler.step": _step,
    },
    "integrations.gpytorch": {"kernel_operator": _estimate},
    "integrations.llama_cpp": {
        "SortesLogitsProcessor": {"logit_bias": {1: 0.5}, "rng": 0, "top_p": 0.9}
    },
    "integrations.pymc": {
        "CompiledModel.to_arviz": lambda: {"trace": _trace()},
        "compile_model": lambda: {"model": _model()},
        "sample": lambda: {"model": _compiled(), "draws": 4, "warmup": 0, "rng": 0},
    },
    "integrations.ray": {
        "sketch_ray": lambda: {"dataset": _Dataset(), "sketch": BottomK(3, rng=0), **COLUMNS}
    },
    "integrations.sglang": {
        "SortesLogitProcessor": {},
        "SortesLogitProcessor.validate_params": {"custom_params": {"min_p": 0.1}},
    },
    "integrations.torch_geometric": {"Node2Vec": _node2vec},
    "integrations.transformers": {
        "ArithmeticLogitsProcessor": {"n": 2, "codebook": "stratified", "rng": 0, "top_p": 0.9},
        "DRYLogitsWarper": DRY,
        "EpsilonLogitsWarper": {"epsilon": 0.1},
        "EtaLogitsWarper": {"epsilon": 0.1},
        "FIRELogitsWarper": {"prompt_length": 4, **FIRE, "top_p": 0.9},
        "MinPLogitsWarper": {"min_p": 0.1},
        "PLessLogitsWarper": {"temperature": 0.8},
        "RegexLogitsProcessor": lambda: {
            "pattern": "A+",
            "tokenizer": _tokenizer(),
            "eos_token_id": [2],
            "prompt_length": 3,
        },
        "SortesDrawProcessor": {"rng": 0, "rows": [0, 1], "top_p": 0.9},
        "SortesLogitsWarper": {"rng": 0, "rows": [0, 1], "top_p": 0.9},
        "TemperatureLogitsWarper": {"temperature": 0.8},
        "TopALogitsWarper": {"top_a": 0.2},
        "TopHLogitsWarper": {"top_h": 0.5},
        "TopKLogitsWarper": {"top_k": 3},
        "TopNSigmaLogitsWarper": {"top_n_sigma": 1.0},
        "TopPLogitsWarper": {"top_p": 0.9},
        "TypicalLogitsWarper": {"mass": 0.9},
        "XTCLogitsWarper": {**XTC, "protected_ids": [1]},
        "from_generation_config": _config,
    },
}
MADE = {"integrations.diffusers": {"SortesScheduler": _scheduler}}
