"""What the peers need: a virtual environment of their own, and the compiled C client."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PEERS: Final = ROOT / "benchmarks" / "peers"
_LOCK: Final = ROOT / "benchmarks" / "requirements.lock"
_HOME: Final = ROOT / ".venv-bench"
_SOURCE: Final = PEERS / "rabbitmq_c.c"


class UnpreparedError(Exception):
    """Something that the benchmark needs is not there; the text says what to do."""


def peers_python(home: Path = _HOME, lock: Path = _LOCK, code: Path = PEERS) -> Path:
    """The interpreter of the environment `home`, made when it is missing or its lock has changed."""
    python, mark = home / "bin" / "python", home / "lock.sha256"
    # Of this interpreter, so that all Python clients run on the same build: one without optimisations costs a quarter.
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode() + sys.base_prefix.encode()).hexdigest()
    if mark.exists() and mark.read_text() == digest and python.exists():
        return python
    print(f"making {home.name} for the peers ...", file=sys.stderr)
    venv.create(home, clear=True, with_pip=True)
    (home / ".gitignore").write_text("*\n")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", lock]
    _run([*map(str, pip)], "the peers' packages cannot be installed")
    _run([str(python), "-m", "compileall", "-q", str(code)], "the peers do not compile")
    mark.write_text(digest)
    return python


def c_client() -> Path:
    """The C client, compiled when its source is newer."""
    binary = peers_python().parent / "rabbitmq_c"
    if binary.exists() and binary.stat().st_mtime > _SOURCE.stat().st_mtime:
        return binary
    compiler = shutil.which("cc")
    if compiler is None:
        raise UnpreparedError(
            "the C client needs a C compiler: on Debian, `apt-get install gcc libc6-dev librabbitmq-dev`"
        )
    hint = "the C client needs librabbitmq's headers: on Debian, `apt-get install librabbitmq-dev`"
    _run([compiler, "-O2", "-o", str(binary), str(_SOURCE), "-lrabbitmq"], hint)
    return binary


def _run(command: list[str], hint: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise UnpreparedError(f"{hint}\n{done.stderr.strip()[-2000:]}")
