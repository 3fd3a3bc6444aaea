#!/bin/sh
# Installs the projects that the contract tests run against, once.
#
#     sh tests/contracts/install_peers.sh [PYTHON]
#
# llama-cpp-python is compiled into PYTHON's own environment. vLLM and SGLang only have to
# be importable, so they lie without their GPU requirements in a folder each, .peers/vllm and
# .peers/sglang, which the tests append to the search path. A peer that cannot be installed
# is reported here, and its tests skip.

set -u
cd "$(dirname "$0")/../.." || exit 1
python=${1:-.venv/bin/python}
peers=.peers
mkdir -p "$peers"

pip() {
    "$python" -m pip --quiet --disable-pip-version-check "$@"
}

# once NAME VERSION COMMAND...: runs the command unless NAME is stamped with VERSION.
once() {
    name=$1 stamp=$peers/$1.stamp wanted=$2
    shift 2
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        echo "$name $wanted: already installed"
        return
    fi
    echo "$name $wanted: installing"
    if "$@"; then
        echo "$wanted" >"$stamp"
        echo "$name $wanted: installed"
    else
        echo "$name $wanted: could not be installed; its tests will skip" >&2
    fi
}

# in_folder NAME VERSION NEED...: the bare package, then what its imports need on a CPU.
in_folder() {
    folder=$peers/$1
    rm -rf "$folder"
    package=$1==$2
    shift 2
    pip install --target "$folder" --no-deps "$package" && pip install --target "$folder" "$@"
}

llama_cpp() {
    # One compiler at a time: the sources are large, and small machines run out of memory.
    CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-1} pip install "llama-cpp-python==$1"
}

once vllm 0.33.0 in_folder vllm 0.33.0 \
    msgspec cbor2 pyzmq aiohttp openai-harmony openai pybase64 uvloop cloudpickle pydantic
once sglang 0.5.23 in_folder sglang 0.5.23 orjson starlette ipython dill
once llama-cpp-python 0.3.36 llama_cpp 0.3.36
