"""A Compose project of its own, of docker-compose.yml."""

import json
import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deploy.images import docker
from tests.processes import ROOT


class Project:
    """`settings` are the environment variables that Compose reads, `files` more files over docker-compose.yml."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.files: list[Path] = []
        self._name = f"mq-test-{uuid.uuid4().hex[:8]}"

    def __call__(self, *args: str) -> str:
        """What `docker compose args` prints."""
        return docker(*self._words("--progress", "quiet", *args), env=self._env(), timeout=300)

    def _words(self, *args: str) -> list[str]:
        files = [f"--file={each}" for each in (ROOT / "docker-compose.yml", *self.files)]
        return ["compose", *files, "--project-name", self._name, *args]

    def _env(self) -> dict[str, str]:
        return {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | self.settings

    @contextmanager
    def running(self, *args: str) -> Iterator[Path]:
        """`docker compose args` until the block ends; what it says, in a file."""
        with tempfile.NamedTemporaryFile() as said:
            command = ["docker", *self._words(*args)]
            process = subprocess.Popen(command, cwd=ROOT, env=self._env(), stdout=said, stderr=subprocess.STDOUT)
            try:
                yield Path(said.name)
            finally:
                process.terminate()
                process.wait(60)

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker knows of the service's container."""
        return dict(json.loads(docker("inspect", self("ps", "--all", "--quiet", service).strip()))[0])

    def ended(self, service: str) -> int | None:
        """Its exit code, once it has ended for good."""
        state = self.inspect(service)["State"]
        return int(state["ExitCode"]) if state["Status"] == "exited" else None

    def remove(self) -> None:
        """Take all of it away, the images that it built too."""
        self("--profile=*", "down", "--volumes", "--rmi=local", "--timeout=5")
