"""What is around the code agrees with itself, and who may use whom."""

import ast
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import sortes
from sortes._core import PURPOSES

ROOT = Path(__file__).parent.parent
LARGEST = 8 * 2**20
LEVELS = ["portable", "avx2", "avx512"]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def committed():
    """Every file that is part of the repository, or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git repository")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_one_version():
    version = tomllib.loads(read("Cargo.toml"))["workspace"]["package"]["version"]
    assert sortes.__version__ == version
    assert f"\nversion: {version}\n" in read("CITATION.cff")
    assert f"\n## [{version}] - " in read("CHANGELOG.md")


@pytest.mark.parametrize("asked", LEVELS)
def test_the_environment_chooses_the_instruction_set(asked):
    code = "from sortes import _core; print(_core.simd_level())"
    environment = {**os.environ, "SORTES_SIMD": asked}
    got = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert LEVELS.index(got.replace("neon", "portable")) <= LEVELS.index(asked)


@pytest.mark.parametrize("asked", ["avx3", "AVX2", "avx2 ", ""])
def test_an_instruction_set_that_nobody_knows(asked):
    done = subprocess.run(
        [sys.executable, "-c", "import sortes"],
        env={**os.environ, "SORTES_SIMD": asked},
        capture_output=True,
        text=True,
        check=False,
    )
    message = f"SORTES_SIMD: must be 'portable', 'neon', 'avx2' or 'avx512', got '{asked}'"
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(f"ValueError: {message}")


def test_make_lists_every_target():
    makefile = read("Makefile")
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert {"demo", "test", "lint", "bench", "docs", "wheel", "clean", "help"} <= listed
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert listed <= phony
    callers = [*(ROOT / ".github" / "workflows").glob("*.yml"), ROOT / ".ci" / "run"]
    callers += [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    called = re.compile(r"(?:^|run: |tests )make ([a-z-]+)", re.MULTILINE)
    for path in callers:
        assert set(called.findall(path.read_text(encoding="utf-8"))) <= listed, path


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_every_family_is_tested_on_each_instruction_set():
    planned = subprocess.run(
        ["make", "--dry-run", "test-simd"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"tests/(\w+)/", planned)) == set(sortes.FAMILIES)


def test_the_size_limit_of_the_wheel_is_the_same_everywhere():
    kilobytes = int(re.search(r"^WHEEL_LIMIT_KB := (\d+)$", read("Makefile"), re.MULTILINE)[1])
    in_bytes = int(re.search(r"WHEEL_LIMIT_BYTES: (\d+)", read(".github/workflows/wheels.yml"))[1])
    assert in_bytes == 1024 * kilobytes


@pytest.mark.parametrize("name", ["ci", "wheels", "docs"])
def test_workflows_are_well_formed(name):
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load(read(f".github/workflows/{name}.yml"))["jobs"]
    for job in jobs.values():
        assert {"runs-on", "steps"} <= job.keys()
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= jobs.keys()
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40}|release/v1)", step["uses"])


def test_pythons_agree():
    python = tomllib.loads(read("pyproject.toml"))
    oldest = python["project"]["requires-python"].removeprefix(">=")
    assert python["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert python["tool"]["mypy"]["python_version"] == oldest
    assert f'python: ["{oldest}", ' in read(".github/workflows/ci.yml")
    assert python["tool"]["maturin"]["features"] == [f"abi3-py{oldest.replace('.', '')}"]


def test_licences_are_there():
    licence = tomllib.loads(read("pyproject.toml"))["project"]
    assert licence["license"] == "MIT OR Apache-2.0"
    assert "Permission is hereby granted" in read("LICENSE-MIT")
    assert "TERMS AND CONDITIONS FOR USE" in read("LICENSE-APACHE")
    assert all((ROOT / name).is_file() for name in licence["license-files"])


def test_nothing_large_is_committed():
    large = [path.name for path in committed() if path.stat().st_size > LARGEST]
    assert not large


def test_no_file_knows_the_machine_it_was_written_on():
    homes = re.compile(r"(?<![\w.])/(home|root|Users|work)/\w+")
    for path in committed():
        if path.suffix in {".py", ".pyi", ".rs", ".md", ".toml", ".yml", ".json", ".sh", ""}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not homes.search(text), path


PACKAGE = ROOT / "python" / "sortes"
RUST = ROOT / "rust"
HEAVY = {
    *("torch", "scipy", "sklearn", "transformers", "networkx", "pandas", "matplotlib", "tqdm"),
    *("dask", "igraph", "pyarrow", "ray", "rustworkx"),
}
#: Families that stand on others, and why: the one arrow between families, in every layer.
STANDS_ON = {
    "sequences": {"decode"},  # texts are tokens: it takes rules and the law of a row as they are
}
#: Purposes that several modules read, and why their draws may be the same.
SHARED_PURPOSES = {
    "Duel": "which units meet is an option of one design: `pivotal_sample(order=)`",
    "Item": "`choice` and coordinated sketches: samples of overlapping data overlap",
    "Repel": "two kernels of the same walks, for few walkers and for many",
}
#: Purposes that the stream itself reads, or Python alone.
OWN_PURPOSES = {
    "DeviceStart": "chains on a device, in Torch",
    "DeviceTurn": "chains on a device, in Torch",
    "Split": "the keys of child streams",
    "Survivor": "weighted particles, in Torch",
    "Rounds": "the key of an algorithm that counts rounds of its own",
}


def family_of(path, root):
    """The family that a file belongs to: its first folder, or that of the native stubs."""
    parts = [part for part in path.relative_to(root).parts[:-1] if part != "_core"]
    return parts[0] if parts else ""


def used_by_python(source, package):
    """The families, and the integrations, that a module imports or reaches into, anywhere in it.

    `package` is that of the module: ``sortes.select``.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - max(node.level - 1, 0)]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("sortes", "_core"):
            names.add(f"sortes.{node.attr}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    layers = {*sortes.FAMILIES, "integrations"}
    parts = [name.replace("sortes._core.", "sortes.").split(".") for name in names]
    return {part[1] for part in parts if part[0] == "sortes" and len(part) > 1} & layers


def rust_code(text):
    """Rust without comments and without its tests."""
    text = re.sub(r"//.*|/\*.*?\*/", "", text)
    tests = r"^#\[cfg\(test\)\]\s*mod \w+ \{.*?^\}"
    return re.sub(tests, "", text, flags=re.MULTILINE | re.DOTALL)


def rust_files(crate):
    """The sources of a crate that are no tests."""
    return [path for path in sorted((RUST / crate / "src").rglob("*.rs")) if path.stem != "tests"]


def used_by_rust(source, *roots):
    """The names right below some roots of paths: of ``crate::{a, b::c}`` `a` and `b`."""
    found = set()
    code = rust_code(source)
    for path in re.finditer(rf"\b(?:{'|'.join(roots)})::(?:(\w+)|\{{([^;]*)\}};)", code):
        group = path[2] or ""
        while group != (group := re.sub(r"\{[^{}]*\}", "", group)):
            pass  # groups within the group
        found |= {path[1]} if path[1] else set(re.findall(r"(?:^|,)\s*(\w+)", group))
    return found


def test_python_families_use_no_other():
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]):
        own = family_of(path, PACKAGE)
        if path in (PACKAGE / "__init__.py", PACKAGE / "_core" / "__init__.pyi"):
            continue  # the families hang there
        package = ".".join(["sortes", *path.parent.relative_to(PACKAGE).parts])
        used = used_by_python(path.read_text(encoding="utf-8"), package)
        assert own == "integrations" or used <= {own, *STANDS_ON.get(own, ())}, path


def test_rust_families_use_no_other():
    for crate in ("sortes", "sortes-python"):
        root = RUST / crate / "src"
        for path in rust_files(crate):
            if path == root / "lib.rs":
                continue  # the families hang there
            used = used_by_rust(path.read_text(encoding="utf-8"), "crate", "sortes", "super")
            own = family_of(path, root)
            assert used & set(sortes.FAMILIES) <= {own, *STANDS_ON.get(own, ())}, path


def test_families_stand_on_families_one_way():
    assert STANDS_ON.keys() <= set(sortes.FAMILIES)
    below = set().union(*STANDS_ON.values())
    assert below <= set(sortes.FAMILIES)
    assert below.isdisjoint(STANDS_ON)  # one floor, no towers


def test_arrows_point_down():
    below = {
        "sortes-core": {"sortes", "sortes-python", "pyo3", "numpy"},
        "sortes": {"sortes-python", "pyo3", "numpy"},
    }
    for crate, above in below.items():
        manifest = tomllib.loads(read(f"rust/{crate}/Cargo.toml"))
        for kind, dependencies in manifest.items():
            if kind.endswith("dependencies") or kind == "target":
                assert not above & set(re.findall(r"[\w-]+", str(dependencies))), kind
        for path in rust_files(crate):
            code = rust_code(path.read_text(encoding="utf-8"))
            roots = set(re.findall(r"(?<![\w:])(\w+)::", code))
            assert not {name.replace("-", "_") for name in above} & roots, path


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("import sortes.decode.rules", {"decode"}),
        ("from sortes import decode, select as s", {"decode", "select"}),
        ("from sortes.decode import sample", {"decode"}),
        ("from sortes.integrations import arrow", {"integrations"}),
        ("def f():\n    from ..decode import rules", {"decode"}),
        ("from .. import decode", {"decode"}),
        ("from .weighted import choice", {"select"}),
        ("if TYPE_CHECKING:\n    from sortes.decode import Rules", {"decode"}),
        ("_core.decode.sampling.sample()", {"decode"}),
        ("from sortes._core.decode import sampling", {"decode"}),
        ("sortes.decode.sample()", {"decode"}),
        ("importlib.import_module('sortes.decode')", {"decode"}),
        ("from sortes import _core\nfrom sortes._rng import Rng\nimport numpy", set()),
    ],
)
def test_what_python_uses_is_seen(source, used):
    assert used_by_python(source, "sortes.select") == used


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("use crate::decode::rules;", {"decode"}),
        ("use crate::{args, decode::{a, select}};", {"args", "decode"}),
        ("use crate::{\n    args::{a, b},\n    decode,\n};", {"args", "decode"}),
        ("let x = crate::decode::f::<u8>();", {"decode"}),
        ("use sortes::decode as kernels;", {"decode"}),
        ("// use crate::decode;\nlet x = 1; /* crate::decode::f() */", set()),
        ("fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::decode;\n}", set()),
        ("use sortes_core::decode;", set()),
    ],
)
def test_what_rust_uses_is_seen(source, used):
    assert used_by_rust(source, "crate", "sortes") == used


@pytest.mark.parametrize("name", ["sortes", *(f"sortes.{family}" for family in sortes.FAMILIES)])
def test_import_drags_in_nothing_heavy(name):
    code = f"import sys, {name}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    command = [sys.executable, "-W", "error", "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "sortes" in loaded
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.parametrize("family", sortes.FAMILIES)
def test_no_module_is_hidden_by_a_name(family):
    package = importlib.import_module(f"sortes.{family}")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert modules.isdisjoint(package.__all__)


def readers_of_purposes():
    """Which modules read each purpose: files, or folders whose own file reads it."""
    files = {}
    for crate in ("sortes-core", "sortes", "sortes-python"):
        for path in rust_files(crate):
            name = path.relative_to(RUST).as_posix()
            if not name.startswith("sortes-core/src/rng/") and path.stem != "testing":
                for purpose in re.findall(r"\bPurpose::([A-Z]\w*)", rust_code(path.read_text())):
                    files.setdefault(purpose, set()).add(name)
    # `ALL` is the table itself.
    return {
        purpose: {
            n for n in names if n.endswith("/mod.rs") or f"{Path(n).parent}/mod.rs" not in names
        }
        for purpose, names in files.items()
        if purpose != "ALL"
    }


def test_every_purpose_has_one_owner():
    table = read("rust/sortes-core/src/rng/stream.rs")
    numbered = re.findall(r'^    ([A-Z]\w*) = (\d+), "(\w+)";$', table, re.MULTILINE)
    assert {name: int(number) for _, number, name in numbered} == PURPOSES
    readers = readers_of_purposes()
    owned_twice = {purpose for purpose, modules in readers.items() if len(modules) > 1}
    assert owned_twice == set(SHARED_PURPOSES), readers
    assert {purpose for purpose, *_ in numbered} == readers.keys() | OWN_PURPOSES.keys()
    assert readers.keys().isdisjoint(OWN_PURPOSES)


def test_every_purpose_is_documented():
    guarantees = read("docs/guarantees.md")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| \S.*\|$", guarantees, re.MULTILINE)
    assert {name: int(number) for number, name in rows} == PURPOSES
