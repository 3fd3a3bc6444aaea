r"""What a step costs at least beyond the cache, and peers that run by themselves.

ThunderRW (github.com/Xtra-Computing/ThunderRW) is a program, not a package. In its root, with SFMT
for its folder dependency/SFMT-src-1.5.1 and NAME for deepwalk and node2vec, each in turn:

    gcc -O3 -march=native -DSFMT_MEXP=19937 -DHAVE_SSE2=1 -c SFMT/SFMT.c
    g++ -std=c++11 -O3 -fopenmp -march=native -DUSE_LOG -DTIME_RESULTS -DSFMT_MEXP=19937 \
        -DHAVE_SSE2=1 -I. -Irandom_walk -Iutil -ISFMT random_walk/apps/NAME.cpp \
        random_walk/walker_generator.cpp util/graph/graph.cpp util/io/io.cpp util/log/log.cpp \
        SFMT.o -lpthread -o NAME.out

SORTES_THUNDERRW then names the folder of the two programs.

PecanPy has an environment of its own, .peers/pecanpy, which tests/contracts/install_peers.sh makes.
"""

import os
import re
import subprocess
import time
import weakref
from pathlib import Path

import numpy as np

OUTSTANDING = 12  # misses that a core waits for at once
CHASE = 1 << 24  # places of the chase: 128 MiB
STEPS = 1 << 18


def cache_bytes():
    """Return the size of the last cache, or 0 where the system does not say."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    texts = [path.read_text().strip() for path in sizes]
    return max((int(text[:-1]) * units[text[-1]] for text in texts), default=0)


def latency_ns():
    """Return the nanoseconds of a read that waits for the one before, from anywhere in memory."""
    from sortes.graph import Graph, random_walks

    # A walk along one cycle through all nodes is a chase, if there is one walker.
    order = np.random.default_rng(0).permutation(CHASE).astype(np.int64)
    targets = np.empty(CHASE, np.int64)
    targets[order] = np.roll(order, -1)
    graph = Graph.from_csr(np.arange(CHASE + 1), targets)
    began = time.perf_counter()
    random_walks(graph, order[:1], walk_length=STEPS, num_threads=1)
    # The word of the node, and its arc.
    return (time.perf_counter() - began) * 1e9 / STEPS / 2


def thunder(graph, program, moves, data, *options):
    """Return a turn of a program of ThunderRW, which says how long it took, or why there is none.

    It walks once from each node, and makes one move less than `moves` says; its walks are not kept.
    """
    folder = os.environ.get("SORTES_THUNDERRW")
    if folder is None:
        return "SORTES_THUNDERRW does not name the folder of its programs"
    degrees = np.diff(graph.indptr).astype(np.int32)
    if not degrees.all():
        return "it divides by the degree of nodes without arcs"
    with (data / "b_degree.bin").open("wb") as file:
        np.array([4, len(degrees)], np.int32).tofile(file)
        np.array([len(graph.indices)], np.int64).tofile(file)
        degrees.tofile(file)
    graph.indices.astype(np.int32).tofile(data / "b_adj.bin")
    command = [str(Path(folder) / program), "-f", str(data), "-n", "1", "-l", str(moves + 1)]

    def turn(_):
        done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
        said = re.search(r"Walking time \(seconds\): ([0-9.]+)", done.stdout + done.stderr)
        return float(said[1])

    return turn


def pecanpy(graph, p, q, num_walks, length, data):
    """Return a turn of PecanPy's walker without tables, which says how long it took.

    It walks from all nodes, on one thread.
    """
    python = Path(__file__).parents[2] / ".peers" / "pecanpy" / "bin" / "python"
    if not python.exists():
        return "pecanpy is not installed"
    np.savez(data / "arcs.npz", indptr=graph.indptr, indices=graph.indices)
    script = Path(__file__).with_name("pecanpy_walks.py")
    process = subprocess.Popen(
        [python, script, data / "arcs.npz", *map(str, (p, q, num_walks, length))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "NUMBA_NUM_THREADS": "1"},
    )
    weakref.finalize(graph, process.communicate)

    def turn(_):
        process.stdin.write("\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    turn(0)  # it starts, and compiles
    return turn


def said_or_wall(turn, n):
    """Return the seconds that a turn says it took, or those that went by."""
    began = time.perf_counter()
    said = turn(n)
    return said if isinstance(said, float) else time.perf_counter() - began
