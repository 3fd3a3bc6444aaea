"""What returns sparse arrays says that SciPy is missing before it draws anything."""

import sys

import numpy as np
import pytest
from graph.graphs import vector_graph
from sortes.graph import graph_random_features, kernel_estimate, ppr

CALLS = {
    "features": graph_random_features,
    "estimate": kernel_estimate,
    "ppr": lambda graph, **given: ppr(graph, [0], **given),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_is_drawn(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(ImportError, match=r"^this function needs scipy\.sparse"):
        call(vector_graph("k4"), rng=rng)
    assert rng.bit_generator.state == before
