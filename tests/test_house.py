"""What is around the code agrees with itself."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import sortes

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


def test_make_lists_every_target():
    makefile = read("Makefile")
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert {"demo", "test", "lint", "bench", "docs", "wheel", "clean", "help"} <= listed
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert listed <= phony


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
