"""Peers that need an environment of their own answer from a process there."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Apart:
    """A script of this folder in an environment of `.peers`, see tests/contracts/install_peers.sh.

    It writes lines of JSON: one when it is ready, which is ``ready``, and then one for each line
    that it reads. `path` is a folder with further modules.
    """

    def __init__(self, environment, script, *args, path=""):
        python = ROOT / ".peers" / environment / "bin" / "python"
        if not python.exists():
            raise RuntimeError(f"the environment .peers/{environment} is not installed")
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [python, Path(__file__).with_name(script), *map(str, args)],
            env={**os.environ, "PYTHONPATH": str(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.ready = self.read()

    def read(self):
        """Return what it says next."""
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        raise RuntimeError(said[-1] if said else f"it ended with {self.process.returncode}")

    def __call__(self, _):
        """Return its answer."""
        print(file=self.process.stdin, flush=True)
        return self.read()

    def close(self):
        """End it."""
        self.process.communicate()
        self.errors.close()
