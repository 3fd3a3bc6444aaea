"""No option is accepted and ignored: of each, some other valid value changes what a call does.

The calls are those of `public`; other values follow from the annotation, or stand in ``VALUES`` of
a family's table. ``BESIDE`` there has what an argument needs beside it before it can act.
"""

import pickle
import typing
from fnmatch import fnmatch
from typing import Any, Literal

import numpy as np
import public as tables
import pytest
import test_bad_values as bad
from signatures import Public, members

#: What changes no result, and why.
IDLE = {
    "*.num_threads": "results never depend on it",
    "*.progress": "shows what is done",
    "*.out": "says where the result goes",
    "decode.*sample.method": "how a token is found, not which",
    "decode.cutoffs.ties": "a cutoff is a logit, whichever of its equals stay",
    "decode.BasisAwareSampler.*.ties": "for the rules below, at whose door it is tried",
    "decode.BasisAwareSampler.*.top_p_boundary": "likewise",
    "decode.BasisAwareSampler.*.sigma_ddof": "likewise",
    "decode.BasisAwareSampler.sample.top_h": "likewise",
    "decode.BasisAwareSampler.sample.temperature": "likewise",
    "decode.BasisAwareSampler.sample.eta_cutoff": "`keep_mask` shows it",
    "sequences.*.node_batch_size": "how many beginnings go to the model at once",
    "sequences.*.on_interrupt": "says what Ctrl-C does",
    "sequences.SequenceSearch.*": "an iterator: it is tried at the functions that read one",
    "sequences.DraftTreeBuilder.*": "they act when a tree grows",
    "sequences.verify_tree.draft_logits": "the method says whether they must be there",
    "sequences.verify_paths.e*_cutoff": "for the rules of decode, at whose door it is tried",
    "sequences.verify_tree.order": "likewise",
    "sequences.*.ties": "for the rules of decode, at whose door it is tried",
    "sequences.*.top_p_boundary": "likewise",
    "sequences.*.sigma_ddof": "likewise",
    "mcmc.s*.max_evals_per_transition": "warns of the draws that it makes stay",
    "mcmc.Sampling.wait.timeout": "says how long it waits for chains that are through",
    "mcmc.sample.on_limit": "makes an error of that warning",
    "mcmc.*.on_interrupt": "says what Ctrl-C does",
    "diffusion.*.on_interrupt": "says what Ctrl-C does",
    "diffusion.fit_*.batch_size": "how many states go to the denoiser at once",
    "diffusion.Fitted.load.solver": "makes an error of a result of another solver",
    "graph.graphlet_concentration.allow_missing": "makes a result of an error",
    "graph.iter_walks.*": "an iterator: it is tried at `random_walks`",
    "mcmc.smc.vectorized": "says how functions are called, with the same results",
    "select.kmeans_plusplus*.on_degenerate": "makes an error of a warning",
    "select.kmeans_plusplus*.x_squared_norms": "is there for the sake of scikit-learn's signature",
    "sequences.power_sample.max_nodes": "makes an error of a list that would take longer",
    "select.sketch_array.chunk": "says how much is read at once",
}


def idle(public: Public) -> list[str]:
    """The arguments of which no other value was seen to act."""
    data = {p.name for p in public.parameters if p.default is p.empty}
    return [
        name
        for name in public.arguments
        if name not in data
        and not any(fnmatch(f"{public}.{name}", pattern) for pattern in IDLE)
        and not _acts(public, name)
    ]


def _acts(public: Public, name: str) -> bool:
    """Whether some other value changes what a call does, or all of them are refused."""
    accepted = False
    for case in range(len(tables.valid_calls(public))):
        before = _seen(public, _given(public, name, case))
        given = _given(public, name, case)
        changes = [{name: value} for value in _others(public, name, given.get(name))]
        if name in given:
            changes.append({name: ...})
        for change in changes:
            after = _seen(public, _given(public, name, case) | change)
            if after is not None and after != before:
                return True
            accepted |= after is not None
    return not accepted


def _given(public: Public, name: str, case: int) -> tables.Arguments:
    """The arguments of a valid call, and what this one needs beside it."""
    table = tables.values(public).BESIDE
    beside = table.get(f"{public.name} {name}", table.get(name, {}))
    given = {**tables.valid_calls(public)[case], **beside}
    return {key: value for key, value in given.items() if key in public.arguments}


def _others(public: Public, name: str, valid: Any) -> Any:
    """Other values of an argument, of which some may be refused."""
    table = tables.values(public).VALUES
    yield from table.get(f"{public.name} {name}", table.get(name, ()))
    for member in members(public.arguments[name]):
        if typing.get_origin(member.type) is Literal:
            yield from typing.get_args(member.type)
        if member.type is bool:
            yield from (True, False)
        if member.type is int:
            yield from (0, 1, 2, 3, 5)
        if member.type is float:
            yield from (0.1, 0.3, 0.5, 0.9, 1.5, 3.0)
    if isinstance(valid, np.ndarray) and valid.ndim:
        yield valid[::-1].copy()
        yield np.roll(valid, 1, -1)
        yield valid + valid.dtype.type(1)
        yield valid & (np.arange(valid.shape[-1]) == 1) if valid.dtype == bool else valid * 2


def _seen(public: Public, given: tables.Arguments) -> list[Any] | None:
    """What a call gives, and what it does to its object; None if it is refused.

    Arguments that are ``...`` are left out.
    """
    function = tables.function(public)
    given = {name: value for name, value in given.items() if value is not ...}
    try:
        result = bad.outcome(function, public, given)
    except (TypeError, ValueError):
        return None
    seen: list[Any] = [bad.shown(result)]
    for one in (result, getattr(function, "__self__", None)):
        try:
            seen.append(pickle.dumps(one))
        except (TypeError, pickle.PicklingError):
            seen.append(None)
        seen.append(
            {name: bad.shown(value) for name, value in getattr(one, "__dict__", {}).items()}
        )
    return seen


@pytest.mark.parametrize("public", bad.FAMILIES, ids=str)
def test_every_argument_acts(public, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert idle(public) == []


def _ignoring(k: int, *, used: int = 0, ignored: int = 0):
    return k + used


def test_what_is_ignored_is_seen(monkeypatch):
    monkeypatch.setattr(tables, "valid_calls", lambda public: [{"k": 5}])
    assert idle(Public("", "f", "function", _ignoring, "")) == ["ignored"]
