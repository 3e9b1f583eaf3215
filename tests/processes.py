"""A service as a process of its own, the way a user runs it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from local.ports import free_port
from local.reports import get, readiness

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0  # seconds; only a failure waits so long, and the machine may be busy with other tests
WIRES = ("direct", "pika")  # MQ_WIRE
OURS = ("MQ_", "PRODUCER_", "CONSUMER_", "HTTP_", "LOG_", "SHUTDOWN_", "OTEL_")


def until(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """The first true value of `condition`; fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}"
        time.sleep(0.05)
    return value


def metrics(base: str) -> dict[str, float]:
    """The samples of the service at `base` (http://host:port), by name and labels as written in its page."""
    lines = [line for line in get(f"{base}/metrics")[1].splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def output(command: Sequence[str], env: Mapping[str, str] | None = None, timeout: float = 120.0) -> str:
    """What a command that must succeed prints, run from the repository; fails with the end of its standard error."""
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2000:]}"
    return done.stdout


class Process:
    """`python -m service arguments` with only the given settings; standard output and error go to files."""

    def __init__(
        self,
        service: str,
        env: Mapping[str, str],
        folder: Path,
        arguments: Sequence[str] = (),
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        *,
        root: Path = ROOT,
    ) -> None:
        """Start it, from the code in `root`; `folder` takes its files, HTTP_PORT is a free one unless given."""
        self.service = service
        self.http_port = int(env.get("HTTP_PORT") or free_port())
        number = len(list(folder.glob(f"{service}-*.err")))
        self.stdout, self.stderr = folder / f"{service}-{number}.out", folder / f"{service}-{number}.err"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", service, *arguments],
                env=inherited | {"HTTP_PORT": str(self.http_port), "LOG_FORMAT": "json"} | dict(env),
                cwd=root,
                stdin=stdin,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the service itself."""
        return self._process.pid

    @property
    def stdin(self) -> IO[bytes]:
        """With `stdin=subprocess.PIPE`."""
        assert self._process.stdin
        return self._process.stdin

    @property
    def address(self) -> str:
        """Of its HTTP pages."""
        return f"http://127.0.0.1:{self.http_port}"

    def code(self) -> int | None:
        """The exit code, None while it runs; minus the signal's number when one ended it."""
        return self._process.poll()

    def live(self) -> bool:
        """What /livez says."""
        return get(f"{self.address}/livez")[0] == 200

    def reasons(self) -> list[str] | None:
        """Why it is not ready; [] when it is; None while nobody answers."""
        try:
            return readiness(self.address)[1]
        except OSError:
            return None

    def metrics(self) -> dict[str, float]:
        """Its samples, by name and labels as written in the page."""
        return metrics(self.address)

    def metric(self, name: str) -> float:
        """One sample; 0 when there is none yet."""
        return self.metrics().get(name, 0.0)

    def log(self) -> list[dict[str, Any]]:
        """Its log lines so far that are JSON."""
        lines = self.stderr.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def event(self, name: str) -> dict[str, Any]:
        """Its last log line of that event, {} if there is none."""
        return next((line for line in reversed(self.log()) if line.get("event") == name), {})

    def wait_ready(self, timeout: float = PATIENCE) -> "Process":
        """Wait until /readyz says so; fails with its log when it ends before."""

        def ready() -> bool:
            assert self.code() is None, f"{self.service} ended with {self.code()}:\n{self.stderr.read_text()}"
            return self.reasons() == []

        try:
            until(ready, f"{self.service} is ready", timeout)
        except AssertionError as late:
            raise AssertionError(f"{late}; {self.reasons()}\n{self.stderr.read_text()[-3000:]}") from None
        return self

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code; raises TimeoutExpired."""
        return self._process.wait(timeout)

    def signal(self, number: int) -> None:
        """Send any signal."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End it by SIGKILL and wait."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def close(self) -> None:
        """Leave nothing running."""
        self.kill()
        if self._process.stdin:
            self._process.stdin.close()
