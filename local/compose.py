"""The pair as containers: docker-compose.yml at the root, with Docker Compose."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local import Failure

_FILE = Path(__file__).parent.parent / "docker-compose.yml"
_UP_SECONDS = 1200.0
_DOWN_SECONDS = 180.0
_ASK_SECONDS = 30.0


def compose_works() -> bool:
    """Tell whether Compose is here and a Docker daemon answers it."""
    try:
        subprocess.run(["docker", "compose", "ls"], capture_output=True, check=True, timeout=_ASK_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class Compose:
    """The pair in containers; `settings` are environment variables that docker-compose.yml hands on to the services."""

    keeps = True  # messages that are left, in the broker's volume
    login = "pair, development"  # of the development broker only; docker-compose.yml shows them as well

    def __init__(self, settings: dict[str, str], management_port: int) -> None:
        self._env = os.environ | settings | {"MQ_GUI_PORT": str(management_port)}
        self._addresses: dict[str, str] = {}
        self.management_url = f"http://127.0.0.1:{management_port}/"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Build and start all three, and remove them in the end; raises Failure."""
        # Locked to the end, so that of two runs started at once one is told.
        with _FILE.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failure("another `make run` of this folder is running: stop it with Ctrl-C there") from None
            if self._compose("ps", "--quiet"):
                raise Failure("the pair is up already: `docker compose down` stops it, its messages stay in the volume")
            print("building the images (some minutes the first time) ...", flush=True)
            self._compose("build", "--quiet", seconds=_UP_SECONDS)
            print("starting the broker and the services ...", flush=True)
            try:
                self._compose("up", "--detach", "--force-recreate", seconds=_UP_SECONDS)
                yield
            finally:
                self._compose("down", "--remove-orphans", seconds=_DOWN_SECONDS)

    def _compose(self, *args: str, seconds: float = _ASK_SECONDS) -> str:
        # The file beside it that is yours, docker-compose.override.yml or what COMPOSE_FILE names, counts here, too.
        command = ["docker", "compose", "--progress", "quiet", *args]
        try:
            done = subprocess.run(
                command,
                cwd=_FILE.parent,
                env=self._env,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                # Ctrl-C is for the runner, which then stops the services in the right order.
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"`docker compose {args[0]}` did not end within {seconds:.0f} s") from None
        if done.returncode:
            raise Failure(f"`docker compose {args[0]}` failed:\n{(done.stderr or done.stdout).strip()[-1500:]}")
        return done.stdout.strip()

    def address(self, service: str) -> str:
        """Return where the service's pages are; raises OSError while they are nowhere."""
        if service not in self._addresses:
            try:
                self._addresses[service] = f"http://{self._compose('port', service, '8080')}"
            except Failure as gone:
                raise OSError(str(gone)) from None
        return self._addresses[service]

    def exit_code(self, service: str) -> int | None:
        """Return the code with which the service ended for good, None while it runs or is started anew."""
        # Asked when a service does not answer: started anew by Docker, it is published on another port.
        self._addresses.pop(service, None)
        rows = self._compose("ps", "--all", "--format", "json", service).splitlines()
        row: dict[str, Any] = json.loads(rows[0]) if rows else {"State": "exited", "ExitCode": 1}
        # What was killed is started anew by Docker; a mistake in the settings would be, for ever.
        ended = row["State"] in {"exited", "dead"} or (row["State"] == "restarting" and row["ExitCode"] == 2)
        return int(row["ExitCode"]) if ended else None

    def stop(self, service: str) -> None:
        """Let the service end in order."""
        self._compose("stop", service, seconds=_DOWN_SECONDS)

    def log(self, service: str) -> list[str]:
        """Return the last lines of the service's log."""
        return self._compose("logs", "--no-log-prefix", "--no-color", "--tail", "50", service).splitlines()
