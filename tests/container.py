"""A RabbitMQ container through Testcontainers, with the same methods as a private node."""

import os
import shutil
import subprocess
import time
from typing import Self

from local import Failure
from local.ports import free_port, speaks_amqp

# The container is removed by its own `with` block; the watcher would be one more image to pull.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

_IMAGE = "rabbitmq:4-management"
_START_SECONDS = 120.0


def docker_works() -> bool:
    """Tell whether a Docker daemon answers."""
    if not shutil.which("docker"):
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class Container:
    """One broker in a container, its ports fixed on 127.0.0.1 so that a restart keeps them. Not thread-safe."""

    name = "container"

    def __init__(self, image: str = _IMAGE) -> None:
        from testcontainers.core.container import DockerContainer

        if not docker_works():
            raise Failure("no Docker daemon answers: install and start Docker")
        self.port = free_port()
        page_port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self.management_url = f"http://127.0.0.1:{page_port}/"
        # The node's data folder is named after the host name.
        self._container = DockerContainer(image, hostname="broker")
        # Docker takes (address, port); Testcontainers' own method knows ports only and would listen to the world.
        bound = {"5672/tcp": ("127.0.0.1", self.port), "15672/tcp": ("127.0.0.1", page_port)}
        self._container.ports.update(bound)  # type: ignore[arg-type]
        self._created = False

    def start(self) -> Self:
        """Start the broker on its old data, if any, and wait until it speaks AMQP; raises Failure with its log."""
        if self._created:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._created = True
        deadline = time.monotonic() + _START_SECONDS
        # Not by `rabbitmq-diagnostics` inside: run before the node, it would write the cookie as root.
        while not speaks_amqp(self.port):
            if time.monotonic() > deadline:
                log = self._container.get_wrapped_container().logs(tail=20).decode(errors="replace")
                raise Failure(f"{_IMAGE} did not start within {_START_SECONDS:.0f} s: {log.strip()}")
            time.sleep(0.1)
        return self

    def kill(self) -> None:
        """End the whole container as a power cut would (SIGKILL); the data stays for the next start."""
        self._container.get_wrapped_container().kill()

    def stop(self) -> None:
        """Stop the broker in order; the data stays for the next start."""
        self._container.get_wrapped_container().stop(timeout=30)

    def restart(self) -> None:
        """Stop the broker if it runs and start it again on the same port and data."""
        self.stop()
        self.start()

    def rabbitmqctl(self, *args: str) -> str:
        """Run `rabbitmqctl -s args` in the container and return what it prints, without headings."""
        code, output = self._container.get_wrapped_container().exec_run(["rabbitmqctl", "-s", *args])
        text = str(output, "utf-8", "replace")
        if code:
            raise Failure(f"rabbitmqctl {' '.join(args[:1])}: {text.strip()}")
        return text

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._container.stop(force=True, delete_volume=True)
