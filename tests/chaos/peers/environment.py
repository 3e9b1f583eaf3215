"""The peers' own virtual environment, from a lock without addresses, and the versions in it."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.environment import ROOT, peers_python

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
_VERSIONS = """
import json, sys, importlib.metadata as metadata
print(json.dumps({name: metadata.version(name) for name in sys.argv[1:]}))
"""


def python() -> str:
    """The interpreter of `.venv-peers`, made when it is missing. Raises UnpreparedError."""
    return str(peers_python(ROOT / ".venv-peers", LOCK, HERE / "adapters"))


def versions(interpreter: str, packages: Sequence[str]) -> dict[str, str]:
    """The version of each, as it is installed there."""
    command = [interpreter, "-c", _VERSIONS, *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return {str(name): str(version) for name, version in json.loads(done.stdout).items()}
