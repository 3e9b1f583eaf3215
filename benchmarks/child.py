"""Child: one measured process, from its start to its report."""

import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from benchmarks.client import Command
from benchmarks.environment import ROOT

_STOP: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class MeasureError(Exception):
    """A measured process failed, or did not report; the text has the end of its output."""


@dataclass(frozen=True)
class Report:
    """What a process measured of itself (see span.py) and what its parent saw; seconds, CLOCK_MONOTONIC."""

    count: int
    began: float
    first: float
    ended: float
    cpu: float
    peak_kib: int
    latencies_ns: list[int]
    spawned: float
    """Just before the process was started."""


class Child:
    """Starts on entering; killed on leaving if it still runs."""

    def __init__(self, command: Command) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        self._report = Path(self._folder.name) / "report.json"
        self._output: IO[bytes] = (Path(self._folder.name) / "output").open("w+b")
        keep = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        env = {**keep, "PYTHONPATH": str(ROOT), "BENCH_REPORT": str(self._report), **command.env}
        self._spawned = time.monotonic()
        self._process = subprocess.Popen(
            command.argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._folder.cleanup()

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def check(self) -> None:
        """Raises MeasureError when the process has ended."""
        if self.ended:
            raise MeasureError(f"{self._name} ended too early, exit code {self._process.returncode}\n{self._tail()}")

    def terminate(self) -> None:
        """Asks it to end in order."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> Report:
        """Asks it to end in order, and reads its report."""
        self.terminate()
        return self.wait()

    def wait(self, timeout: float = _STOP) -> Report:
        """Lets it end by itself, and reads its report."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MeasureError(f"{self._name} did not end within {timeout:.0f} s\n{self._tail()}") from None
        if code or not self._report.exists():
            raise MeasureError(f"{self._name}: exit code {code}\n{self._tail()}")
        return Report(**json.loads(self._report.read_text()), spawned=self._spawned)

    @property
    def _name(self) -> str:
        return " ".join(map(str, self._process.args[:4])) if isinstance(self._process.args, tuple) else "the process"

    def _tail(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace").strip()[-2000:]
