"""Copies of the project from which something is deleted, and what still works in one."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from local.ports import free_port
from tests.architecture.modules import MODULES, OPTIONAL, PACKAGES, ROOT, files, within

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


def unit_tests_that_reach(names: Sequence[str], folder: Path) -> list[str]:
    """The unit tests in `folder` that import, by whatever way, a module whose text names one of `names`.

    Each other test runs only code that would be the same if these existed.
    """
    modules = {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
        for room in (*PACKAGES, "tests")
        for path in (folder / room).rglob("*.py")
    }
    named = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names))
    reached, imported = set[str](), dict[str, set[str]]()
    for module, path in modules.items():
        tree = ast.parse(path.read_text())
        imported[module] = {name for node in ast.walk(tree) for name in _imported(node)}
        if named.search(path.read_text()) or any(within(name, tuple(names)) for name in imported[module]):
            reached.add(module)
    while more := {module for module in modules.keys() - reached if imported[module] & reached}:
        reached |= more
    tests = (path.parent if path.stem == "conftest" else path for path in map(modules.get, reached) if path)
    paths = {path.relative_to(folder) for path in tests if path.name.startswith("test_") or path.is_dir()}
    unit = Path("tests/unit")
    return sorted(
        str(path) for path in paths if path.is_relative_to(unit) and not any(up in paths for up in path.parents)
    )


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(origin), names=names):
            return [origin, *(f"{origin}.{alias.name}" for alias in names)]
        case _:
            return []


def deletions() -> dict[str, Sequence[str]]:
    """Each alone, and all of them."""
    return {**OPTIONAL, "all": [name for names in OPTIONAL.values() for name in names]}
