"""The projects that the contracts are with: imported where they are, skipped where not."""

import ast
import importlib
import sys
import types
import warnings
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[2] / ".peers"
# What install_peers.sh installs, each with a fixture of its name, and what of it was compiled.
INSTALLED = {"vllm", "sglang", "llama_cpp", "pymc", "k_diffusion"}
COMPILED = {"llama_cpp"}


def pytest_itemcollected(item):
    """Mark the tests that use these fixtures; code compiled here may not run on this processor."""
    if INSTALLED & set(item.fixturenames):
        item.add_marker(pytest.mark.peer)
    if COMPILED & set(item.fixturenames):
        item.add_marker(pytest.mark.isolated)


def is_whole(name):
    """Whether an installation into `.peers` came to its end: one that was stopped is not used."""
    return (PEERS / f"{name}.stamp").exists()


def peer(name, *modules):
    """Import modules of a peer, from its folder if it has one; skip, visibly, without it."""
    folder = str(PEERS / name)
    if is_whole(name) and folder not in sys.path:
        sys.path.append(folder)  # last: what the environment has comes first
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [importlib.import_module(module) for module in modules]
        except ImportError as error:
            pytest.skip(f"{error}; make test-peers installs it")


def definition(path, name):
    """The syntax of a class or function of a module that needs a GPU to be imported."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = [node for node in module.body if getattr(node, "name", None) == name]
    return found


@pytest.fixture(scope="session")
def syntax_of():
    """Reads what cannot be imported: a path and a name to syntax."""
    return definition


@pytest.fixture(scope="session")
def function_of():
    """Takes a function out of a module that cannot be imported: a path, a name and its globals."""

    def compiled(path, name, **names):
        function = definition(path, name)
        function.returns = None
        for argument in (*function.args.args, *function.args.kwonlyargs):
            argument.annotation = None
        exec(compile(ast.Module([function], []), str(path), "exec"), names)
        return names[name]

    return compiled


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    """Run models of a few kilobytes on one thread: handing them round would cost more."""
    try:
        import torch
    except ImportError:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def vllm():
    """vLLM: its processors, and those of its second model runner."""
    return peer(
        "vllm",
        "vllm.v1.sample.logits_processor",
        "vllm.v1.worker.gpu.sample.logits_processor",
        "vllm",
        "vllm.exceptions",
    )


@pytest.fixture(scope="session")
def sglang():
    """SGLang's processor."""
    return peer("sglang", "sglang.srt.sampling.custom_logit_processor")[0]


@pytest.fixture(scope="session")
def pymc():
    """The interpreters that have PyMC: takes a major version."""

    def python(version):
        if not is_whole(f"pymc{version}"):
            pytest.skip(f"no PyMC {version}; make test-peers installs it")
        return PEERS / f"pymc{version}" / "bin" / "python"

    return python


@pytest.fixture(scope="session")
def llama_cpp():
    """llama-cpp-python, with the library that it has compiled."""
    return peer("llama_cpp", "llama_cpp")[0]


@pytest.fixture(scope="session")
def k_diffusion():
    """The samplers of k-diffusion, without the rest of its package, which training needs."""
    peer("k_diffusion", "torchsde", "torchdiffeq")
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(PEERS / "k_diffusion" / "k_diffusion")]
    images = {"torchvision": {}, "torchvision.transforms": {"functional": None}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "k_diffusion", package)
        for name, members in images.items():  # for pictures alone
            module = types.ModuleType(name)
            vars(module).update(members)
            patch.setitem(sys.modules, name, sys.modules.get(name, module))
        yield peer("k_diffusion", "k_diffusion.sampling")[0]
