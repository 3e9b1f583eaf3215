"""The pair as two processes of this machine beside a private RabbitMQ node: no Docker."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from local import SERVICES
from local.node import Node
from local.ports import free_port

_ROOT = Path(__file__).parent.parent
_STOP_SECONDS = 30.0
_LOG_TAIL = 64 * 1024


class Processes:
    """See Pair; `settings` are environment variables for both services."""

    keeps = False

    def __init__(self, settings: dict[str, str], management_port: int) -> None:
        self._settings = settings
        self._management_port = management_port
        self._ports: dict[str, int] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mq-run-")))
            node = Node(self._management_port)
            print("starting a private RabbitMQ node ...", flush=True)
            self._node = stack.enter_context(node)
            stack.callback(self._kill)
            for service in SERVICES:
                self._start(service)
            self._open = stack.pop_all()
        return self

    def _start(self, service: str) -> None:
        self._ports[service] = free_port()
        env = {key: value for key, value in os.environ.items() if key not in {"MQ_URL", "MQ_URL_FILE"}}
        env = {"MQ_CH": "greetings"} | env | self._settings
        env |= {"MQ_URL": self._node.url, "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(self._ports[service])}
        with (self._folder / service).open("wb") as log:
            # A session of its own, so that Ctrl-C reaches the runner only, which stops the two in the right order.
            self._running[service] = subprocess.Popen(
                [sys.executable, "-m", service],
                env=env,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def management_url(self) -> str | None:
        """See Pair."""
        return self._node.management_url

    @property
    def management_login(self) -> str:
        """See Pair."""
        return "guest, guest"

    def address(self, service: str) -> str:
        """See Pair."""
        return f"http://127.0.0.1:{self._ports[service]}"

    def exit_code(self, service: str) -> int | None:
        """See Pair."""
        return self._running[service].poll()

    def stop(self, service: str) -> None:
        """See Pair."""
        process = self._running[service]
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self, service: str) -> list[str]:
        """See Pair."""
        with (self._folder / service).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
            return log.read().decode(errors="replace").splitlines()

    def _kill(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def __exit__(self, *_: object) -> None:
        self._open.close()
