"""What every test shares: budgets of hypothesis, and tests that need what is not there."""

import os
import signal

import pytest
import tiny_model
from backends import ALL, Backend
from hypothesis import HealthCheck, settings

pytest_plugins = ["isolated"]

# Examples are the same on every run; SORTES_MAX_EXAMPLES=10000 looks for rarer ones.
settings.register_profile(
    "ci",
    max_examples=int(os.environ.get("SORTES_MAX_EXAMPLES", "100")),
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("ci")


def pytest_configure() -> None:
    """Let tests interrupt themselves where a shell runs them in the background, deaf to Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `cuda` where there is no GPU, and say so; the long ones come first."""
    # At the end one process would wait for the other.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    wanted = [item for item in items if item.get_closest_marker("cuda")]
    if wanted and not _has_cuda():
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_report_header() -> str:
    """Say what this run covers."""
    from sortes import _core

    return f"sortes {_core.__version__} ({_core.build_profile}), SIMD {_core.simd_level()}"


@pytest.fixture(scope="session")
def torch():
    """Torch, for the tests that need it."""
    return pytest.importorskip("torch")


def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


@pytest.fixture(scope="session", name="tiny_model")
def model_and_inputs():
    """A language model of random weights that is made in a moment, and a prompt for it.

    ``None`` twice without transformers: what needs it skips on its own.
    """
    try:
        model = tiny_model.build(1000)
    except ImportError:
        return None, None
    model.generation_config.max_new_tokens = 8
    return model, tiny_model.prompts([4, 4], 1000)


@pytest.fixture(scope="session", params=ALL)
def backend(request):
    """Every kind of array in turn."""
    if request.param != "numpy":
        pytest.importorskip("torch")
    return Backend(request.param)


@pytest.fixture(scope="session", params=ALL[2:])
def device(request):
    """The path of devices only."""
    pytest.importorskip("torch")
    return Backend(request.param)
