"""The examples run, each in less than a minute."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "examples"
# These need a model of 93 MB and, the first time, a minute to read it: `make demo`.
WITH_MODEL = sorted(p for p in FOLDER.glob("*.py") if "smollm" in p.read_text(encoding="utf-8"))
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - set(WITH_MODEL))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(example, tmp_path):
    source = example.read_text(encoding="utf-8")
    for package in ("torch", "transformers"):
        if f"import {package}" in source or f"from {package}" in source:
            pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("example", WITH_MODEL, ids=lambda path: path.stem)
def test_what_needs_the_model_compiles(example):
    compile(example.read_text(encoding="utf-8"), str(example), "exec")


def test_calls_of_generate_take_turns(tiny_model, monkeypatch):
    """The model runs once a step, on the first call's tokens; each call is timed at each step."""
    pytest.importorskip("greenlet")
    pytest.importorskip("transformers")
    monkeypatch.syspath_prepend(FOLDER)
    from smollm.turns import in_turns
    from sortes.integrations.transformers import sample

    model, inputs = tiny_model
    first = {"do_sample": True, "top_k": 0, "custom_generate": sample, "rng": 1}
    alone = model.generate(**inputs, **first, max_new_tokens=6, eos_token_id=-1)
    read = []
    hook = model.model.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"]), with_kwargs=True
    )
    calls = {"first": first, "theirs": {"do_sample": True}, "greedy": {"do_sample": False}}
    race = in_turns(model, inputs, 6, calls)
    hook.remove()
    assert np.array_equal(np.concatenate(read, 1), alone[:, :-1])
    assert len(race.inside) == 5
    assert {name: len(times) for name, times in race.outside.items()} == dict.fromkeys(calls, 5)
    assert race.batch == len(alone)
    rates = [race.tokens_per_second(name) for name in calls]
    assert all(0 < rate < 1e3 * race.batch / race.model_ms for rate in rates)
    assert "forward" not in vars(model)
