"""Ways to hand a decoding pipeline to ``generate``, for the demo and the benchmarks."""

from sortes.integrations.transformers import SortesLogitsWarper, sample

PIPELINES = {
    "top-k 50": {"top_k": 50},
    "top-p 0.9": {"top_p": 0.9},
    "eta 3e-4": {"eta_cutoff": 3e-4},
    "common": {"temperature": 0.7, "top_k": 50, "top_p": 0.95},
}
# What transformers applies on its own when nothing is said.
_NEUTRAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}

WAYS = ("transformers", "our processor", "our draw")


def arguments(pipeline: str, way: str) -> dict:
    """Return the keyword arguments of ``model.generate``."""
    rules = PIPELINES[pipeline]
    if way == "transformers":
        return {"do_sample": True, **_NEUTRAL, **rules}
    if way == "our processor":
        processors = [SortesLogitsWarper(**rules)]
        return {"do_sample": True, **_NEUTRAL, "logits_processor": processors}
    return {"do_sample": True, **_NEUTRAL, **rules, "custom_generate": sample}


def row_by_row(rows: int) -> dict:
    """Return the arguments that give each pipeline this many rows of one batch, with our draw."""
    neutral = {**_NEUTRAL, "eta_cutoff": 0.0}
    values = [{**neutral, **rules} for rules in PIPELINES.values() for _ in range(rows)]
    columns = {name: [row[name] for row in values] for name in neutral}
    return {"do_sample": True, "custom_generate": sample, **columns}
