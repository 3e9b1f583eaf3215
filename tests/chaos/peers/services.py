"""A program that is started again when it ends, as a supervisor would."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.processes import OURS, ROOT

RESTART = 1.0  # seconds between the end of a program and its next start
GRACE = 15.0  # seconds from SIGTERM to SIGKILL


def terminate(services: Iterable["Service"]) -> None:
    """SIGTERM to all of them at once; they have ended then."""
    threads = [threading.Thread(target=each.terminate) for each in services]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


class Service:
    """One program in a process group of its own; all its runs write into one log."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.runs = 0
        self._argv, self._log = list(argv), log
        inherited = {key: value for key, value in os.environ.items() if not key.startswith((*OURS, "PEER_"))}
        self._env = inherited | {"PYTHONUNBUFFERED": "1"} | dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = threading.Event()
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Run it from now on."""
        self._run()
        self._wanted.set()
        if not self._thread.is_alive():
            self._thread.start()

    def _run(self) -> None:
        with self._lock, self._log.open("ab") as log:
            self.runs += 1
            log.write(f"=== run {self.runs}\n".encode())
            log.flush()
            env = self._env | {"PEER_RUN": str(self.runs)}
            self._process = subprocess.Popen(
                self._argv, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _watch(self) -> None:
        while not self._end.wait(0.05):
            if self._wanted.is_set() and self.ended():
                self._kill_group()  # what it may have left running
                if not self._end.wait(RESTART) and self._wanted.is_set():
                    self._run()

    def ended(self) -> bool:
        """Whether it does not run at the moment."""
        return self._process is None or self._process.poll() is not None

    def rest(self) -> None:
        """Do not start it again when it ends."""
        self._wanted.clear()

    def kill(self) -> None:
        """SIGKILL to all its processes; it is started again unless it rests."""
        self._kill_group()

    def terminate(self) -> None:
        """SIGTERM to its first process, and after the grace period SIGKILL to all; it has ended then."""
        run, process = self.runs, self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self.runs == run and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.runs == run and process.poll() is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with self._lock:
            if self._process:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(10)

    def close(self) -> None:
        """Leave nothing running."""
        self._wanted.clear()
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(20)
        self._kill_group()
