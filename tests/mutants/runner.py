"""Runs the unit tests of mutants: in forked processes with the libraries imported, on copies of the project.

A process that imports nothing anew but our own code takes about a quarter of the time of one that starts at zero.
"""

import contextlib
import gc
import importlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from hypothesis import Phase, settings

from tests.mutants.mutations import Mutant
from tests.mutants.scope import ROOT

LIBRARIES = ("pika", "prometheus_client", "pydantic_settings", "structlog", "opentelemetry.sdk.trace.export")
MEMORY = 4 * 1024**3  # bytes of addresses: a mutant may append for ever
GRACE, TIMES = 8.0, 4.0  # seconds, and how often the time of the unchanged code, after which a mutant hangs


@dataclass(frozen=True)
class Job:
    """The unit tests of one mutant; None: of the module as it is."""

    module: str
    tests: Sequence[str]
    mutant: Mutant | None
    timeout: float


@dataclass(frozen=True)
class Result:
    """Whether the tests failed; `hung`: since they took longer than the job's `timeout`."""

    job: Job
    failed: bool
    hung: bool
    seconds: float


@dataclass
class _Trial:
    job: Job
    copy: Path
    source: str  # as it was
    began: float


class Runner:
    """So many processes at a time; each works in a copy of the project of its own."""

    def __init__(self, folder: Path, workers: int, root: Path = ROOT) -> None:
        """The copies are made in `folder`, which is the caller's to remove."""
        for library in LIBRARIES:
            importlib.import_module(library)
        # What is falsified is killed, by however long an example; and the same run twice says the same.
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", phases=phases, database=None, derandomize=True)
        self._free = [folder / str(number) for number in range(workers)]
        for copy in self._free:
            shutil.copytree(root, copy, ignore=_left_out)
            _temporary(copy).mkdir()
        gc.freeze()  # a child need not look at what is here, whose pages are shared
        self._running: dict[int, _Trial] = {}
        self._stamp = int(time.time())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what is running."""
        for pid in self._running:
            _kill(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Results in the order in which they come."""
        waiting = deque(jobs)
        while waiting or self._running:
            while waiting and self._free:
                self._start(waiting.popleft())
            for pid, trial in [*self._running.items()]:
                seconds = time.monotonic() - trial.began
                hangs = seconds > trial.job.timeout
                if hangs:
                    _kill(pid)
                ended, status = os.waitpid(pid, 0 if hangs else os.WNOHANG)
                if ended:
                    yield self._ended(pid, failed=status != 0, hung=hangs)
            time.sleep(0.01)

    def _ended(self, pid: int, *, failed: bool, hung: bool) -> Result:
        trial = self._running.pop(pid)
        _kill(pid)  # what its tests may have started
        self._put(trial.copy, trial.job.module, trial.source)
        self._free.append(trial.copy)
        return Result(trial.job, failed, hung, time.monotonic() - trial.began)

    def _put(self, copy: Path, module: str, source: str) -> None:
        path = copy / module
        path.write_text(source)
        self._stamp += 1
        os.utime(path, (self._stamp, self._stamp))  # never that of what was compiled: two are made in one second

    def _start(self, job: Job) -> None:
        copy = self._free.pop()
        source = (copy / job.module).read_text()
        if job.mutant:
            self._put(copy, job.module, job.mutant.source)
        if pid := os.fork():
            with contextlib.suppress(ProcessLookupError):
                os.setpgid(pid, pid)  # here, too: whichever comes first
            self._running[pid] = _Trial(job, copy, source, time.monotonic())
        else:
            _test(copy, job.tests)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Hidden files, what was built, virtual environments."""
    here = Path(folder)
    return [
        name
        for name in names
        if name.startswith(".") or name in ("build", "__pycache__") or (here / name / "pyvenv.cfg").exists()
    ]


def _temporary(copy: Path) -> Path:
    """For the temporary files of the tests, which one that is killed leaves."""
    return copy.with_name(f"{copy.name}.tmp")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _test(copy: Path, tests: Sequence[str]) -> None:
    """Run the tests in this forked process, and end it with pytest's exit code."""
    code = 1
    try:
        os.setpgid(0, 0)  # a group of its own: Ctrl-C does not reach it, and all of it can be killed
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.chdir(copy)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        ours = {path.stem for path in copy.iterdir()}
        for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
            del sys.modules[name]
        os.environ["TMPDIR"] = tempfile.tempdir = str(_temporary(copy))
        sys.path.insert(0, str(copy))
        settings.load_profile("mutants")
        random.seed(0)
        code = pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "--rootdir", str(copy), *tests])
    finally:
        os._exit(code)
