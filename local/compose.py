"""The pair as containers: docker-compose.yml at the root, with Docker Compose."""

import fcntl
import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from local import Failure

_ROOT = Path(__file__).parent.parent
_FILE = _ROOT / "docker-compose.yml"
# Of the development broker only; docker-compose.yml shows them as well.
_LOGIN = "pair, development"
_UP_SECONDS = 1200.0
_DOWN_SECONDS = 180.0
_ASK_SECONDS = 30.0


def compose_works() -> bool:
    """Tell whether a Docker daemon answers and has Compose."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            subprocess.run(command, capture_output=True, check=True, timeout=_ASK_SECONDS)
        except (OSError, subprocess.SubprocessError):
            return False
    return True


class Compose:
    """See Pair; `settings` are environment variables that docker-compose.yml hands on to the services."""

    keeps = True

    def __init__(self, settings: dict[str, str], management_port: int) -> None:
        self._env = os.environ | settings | {"MQ_GUI_PORT": str(management_port)}
        self._management_port = management_port
        self._addresses: dict[str, str] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Held to the end, so that of two runs started at once one is told.
            lock = stack.enter_context(_FILE.open("rb"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failure("another `make run` of this folder is running: stop it with Ctrl-C there") from None
            if self._compose("ps", "--quiet", seconds=_ASK_SECONDS):
                raise Failure("the pair is up already: `docker compose down` stops it, its messages stay in the volume")
            print("building the images (some minutes the first time) ...", flush=True)
            self._compose("build", "--quiet", seconds=_UP_SECONDS)
            print("starting the broker and the services ...", flush=True)
            stack.callback(self._compose, "down", "--remove-orphans", seconds=_DOWN_SECONDS)
            self._compose("up", "--detach", "--force-recreate", seconds=_UP_SECONDS)
            self._open = stack.pop_all()
        return self

    def _compose(self, *args: str, seconds: float) -> str:
        # The file beside it that is yours, docker-compose.override.yml or what COMPOSE_FILE names, counts here, too.
        command = ["docker", "compose", "--progress", "quiet", *args]
        try:
            done = subprocess.run(
                command,
                cwd=_ROOT,
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

    @property
    def management_url(self) -> str | None:
        """See Pair."""
        return f"http://127.0.0.1:{self._management_port}/"

    @property
    def management_login(self) -> str:
        """See Pair."""
        return _LOGIN

    def address(self, service: str) -> str:
        """See Pair."""
        if service not in self._addresses:
            try:
                self._addresses[service] = f"http://{self._compose('port', service, '8080', seconds=_ASK_SECONDS)}"
            except Failure as gone:
                raise OSError(str(gone)) from None
        return self._addresses[service]

    def exit_code(self, service: str) -> int | None:
        """See Pair."""
        # Asked when a service does not answer: started anew by Docker, it is published on another port.
        self._addresses.pop(service, None)
        lines = self._compose("ps", "--all", "--format", "json", service, seconds=_ASK_SECONDS).splitlines()
        state: dict[str, Any] = json.loads(lines[0]) if lines else {"State": "exited", "ExitCode": 1}
        # What was killed is started anew by Docker; a mistake in the settings would be, for ever.
        ended = state["State"] in {"exited", "dead"} or (state["State"] == "restarting" and state["ExitCode"] == 2)
        return int(state["ExitCode"]) if ended else None

    def stop(self, service: str) -> None:
        """See Pair."""
        self._compose("stop", service, seconds=_DOWN_SECONDS)

    def log(self, service: str) -> list[str]:
        """See Pair."""
        options = ("--no-log-prefix", "--no-color", "--tail", "50")
        return self._compose("logs", *options, service, seconds=_ASK_SECONDS).splitlines()

    def __exit__(self, *_: object) -> None:
        self._open.close()
