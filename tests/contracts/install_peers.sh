#!/bin/sh
# Installs the projects that the contract tests and the benches run against, once.
#
#     sh tests/contracts/install_peers.sh [PYTHON]
#
# llama-cpp-python is compiled into PYTHON's own environment. vLLM and SGLang only have to
# be importable, so they lie without their GPU requirements in a folder each, .peers/vllm and
# .peers/sglang, which the tests append to the search path; the samplers of k-diffusion lie without the
# needs of its training in .peers/k_diffusion. PecanPy, for the benches alone, needs an
# older NumPy and so an environment of its own, .peers/pecanpy; the peers of spin models, for the benches
# too, have .peers/spins. So do PyMC 5 and 6: .peers/pymc5, and .peers/pymc6, with the samplers of the
# benches, for which a Python 3.12 or newer must be found beside PYTHON. A peer that cannot be installed is
# reported here, and its tests skip.

set -u
cd "$(dirname "$0")/../.." || exit 1
python=${1:-.venv/bin/python}
peers=.peers
mkdir -p "$peers"

pip() {
    "$python" -m pip --quiet --disable-pip-version-check "$@"
}

# once STAMP NAME VERSION COMMAND...: runs the command, unless the stamp says that it has been run.
once() {
    stamp=$1 title="$2 $3"
    shift 3
    if [ "$(cat "$stamp" 2>/dev/null)" = "$*" ]; then
        echo "$title: already installed"
        return
    fi
    echo "$title: installing"
    rm -f "$stamp"
    if "$@"; then
        echo "$*" >"$stamp"
        echo "$title: installed"
    else
        echo "$title: could not be installed; its tests will skip" >&2
    fi
}

# in_folder NAME VERSION NEED...: the bare package, then what its imports need on a CPU.
in_folder() {
    folder=$peers/$1 package=$1==$2
    rm -rf "$folder"
    shift 2
    pip install --target "$folder" --no-deps "$package" &&
        pip install --target "$folder" --upgrade "$@"
}

# alone NAME PACKAGE...: packages without what they need, which the environment has or no test uses.
alone() {
    folder=$peers/$1
    rm -rf "$folder"
    shift
    pip install --target "$folder" --no-deps "$@"
}

# in_environment FOLDER PACKAGE...: packages, in an environment of their own.
in_environment() {
    folder=$1
    shift
    environment_of "$python" "$peers/$folder" "$@"
}

# environment_of PYTHON FOLDER PACKAGE...: the same, for any Python.
environment_of() {
    interpreter=$1 folder=$2
    rm -rf "$folder"
    shift 2
    "$interpreter" -m venv "$folder" &&
        "$folder/bin/python" -m pip --quiet --disable-pip-version-check install "$@"
}

# newer: a Python of at least 3.12, from the path or from pyenv.
newer() {
    for candidate in "$python" python3.14 python3.13 python3.12 python3 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[234]*/bin/python; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info < (3, 12))" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no Python 3.12 or newer was found" >&2
    echo false
}

# Compiled for every processor with AVX2, not for this one: an environment may move to another
# machine, and so does pip's cache of what it has built. One job unless told otherwise: the sources
# are large, and small machines run out of memory.
llama_cpp() {
    package=llama-cpp-python==$1
    CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-1} CMAKE_ARGS=$2 \
        pip install --no-cache-dir --force-reinstall --no-deps "$package" &&
        pip install "$package"
}

once "$peers/vllm.stamp" vllm 0.33.0 in_folder vllm 0.33.0 \
    msgspec cbor2 pyzmq aiohttp openai-harmony openai pybase64 uvloop cloudpickle pydantic cachetools
once "$peers/sglang.stamp" sglang 0.5.23 in_folder sglang 0.5.23 \
    orjson starlette ipython dill pybase64 msgspec pyzmq aiohttp
once "$peers/k_diffusion.stamp" k-diffusion 0.1.1.post1 alone k_diffusion \
    k-diffusion==0.1.1.post1 torchsde==0.2.6 torchdiffeq==0.2.5 trampoline==0.1.2 boltons
once "$peers/pymc5.stamp" pymc 5.28.5 environment_of "$python" "$peers/pymc5" pymc==5.28.5 \
    numba==0.65.1 pytest
once "$peers/pymc6.stamp" pymc 6.4.0 environment_of "$(newer)" "$peers/pymc6" pymc==6.4.0 \
    numba==0.68.0 pytest nutpie==0.16.11 blackjax==1.7.1 emcee==3.1.6 zeus-mcmc==2.5.4
environment=$("$python" -c "import sys; print(sys.prefix)") || exit 1
once "$environment/.llama-cpp-python" llama-cpp-python 0.3.36 \
    llama_cpp 0.3.36 "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF"
# Those of the benches alone.
once "$peers/pecanpy.stamp" pecanpy 2.0.9 in_environment pecanpy pecanpy==2.0.9 "numpy<2"
once "$peers/spins.stamp" thrml 0.1.4 \
    in_environment spins thrml==0.1.4 dwave-samplers==1.8.0 numba
