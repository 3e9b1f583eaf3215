"""The pair as two processes of this machine beside a private RabbitMQ node: no Docker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import SERVICES
from local.node import Node
from local.ports import free_port

_ROOT = Path(__file__).parent.parent
_STOP_SECONDS = 30.0
_LOG_TAIL = 64 * 1024


class Processes:
    """The pair without Docker, with the methods of Compose; `settings` are environment variables for both services."""

    keeps = False  # messages that are left: they go with the node
    login = "guest, guest"

    def __init__(self, settings: dict[str, str], management_port: int) -> None:
        self._settings = settings
        self._node = Node(management_port)
        self._ports: dict[str, int] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.management_url = self._node.management_url

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start all three, and leave nothing behind in the end; raises Failure."""
        print("starting a private RabbitMQ node ...", flush=True)
        with self._node:
            for service in SERVICES:
                self._ports[service] = free_port()
                env = {key: value for key, value in os.environ.items() if key not in {"MQ_URL", "MQ_URL_FILE"}}
                env = {"MQ_CH": "greetings"} | env | self._settings
                env |= {"MQ_URL": self._node.url, "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(self._ports[service])}
                self._running[service] = self._node.spawn(service, [sys.executable, "-m", service], env, _ROOT)
            yield

    def address(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def exit_code(self, service: str) -> int | None:
        return self._running[service].poll()

    def stop(self, service: str) -> None:
        process = self._running[service]
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self, service: str) -> list[str]:
        with (self._node.folder / service).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
            return log.read().decode(errors="replace").splitlines()
