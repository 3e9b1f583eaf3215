"""Copies of the project from which something is deleted, and what still works in one."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from local.ports import free_port
from tests.architecture.modules import MODULES, OPTIONAL, ROOT, files, within

OURS = ("MQ_", "PRODUCER_", "CONSUMER_", "HTTP_", "LOG_", "SHUTDOWN_", "OTEL_", "PYTEST_")
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}


def copy_without(names: Iterable[str], folder: Path) -> list[str]:
    """Copy the project into `folder` without these modules and packages, and their unit tests; the modules left."""
    deleted = tuple(names)
    for path in files():
        parts = path.with_name(path.name.removeprefix("test_")).with_suffix("").parts
        module = ".".join(parts[2:] if parts[:2] == ("tests", "unit") else parts)
        if not within(module, deleted):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, folder / path)
    return [name for name in MODULES if not within(name, deleted)]


def run(folder: Path, *words: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
    """`python words` in the copy, whose own code it imports."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def succeed(folder: Path, *words: str) -> str:
    """The same, with what it prints; fails with its end when it does not exit with 0."""
    done = run(folder, *words)
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def stop_without_a_broker(folder: Path, service: str) -> tuple[int, str]:
    """Start the service, whose broker nobody can reach, and end it by SIGTERM: its exit code and its log."""
    settings = {
        "MQ_URL": "amqp://127.0.0.1:1",
        "MQ_CH": "jobs",
        "MQ_BACKOFF_MAX": "50ms",
        "HTTP_PORT": str(free_port()),
    }
    started = subprocess.Popen(
        [sys.executable, "-m", service],
        cwd=folder,
        env=ENVIRONMENT | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stderr
        log = ""
        for line in started.stderr:
            log += line
            if "not connected" in line:
                started.send_signal(signal.SIGTERM)
                break
        return started.wait(60), log + started.stderr.read()
    finally:
        started.kill()
        started.communicate()


def deletions() -> dict[str, Sequence[str]]:
    """Each alone, and all of them."""
    return {**OPTIONAL, "all": [name for names in OPTIONAL.values() for name in names]}
