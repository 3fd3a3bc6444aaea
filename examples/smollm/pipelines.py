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
