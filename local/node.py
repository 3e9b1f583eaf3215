"""A private RabbitMQ node from the machine's own `rabbitmq-server`: own data, own ports, own name, no Docker."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from local import Failure
from local.install import server
from local.ports import free_port, free_ports, speaks_amqp

_START_SECONDS = 90.0
_STOP_SECONDS = 30.0
_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"


class Node:
    """One broker on 127.0.0.1, run as the current user; `with Node() as node:` leaves nothing behind.

    `url` is its AMQP address, `management_url` its management page. Not thread-safe.
    """

    def __init__(self, management_port: int | None = None) -> None:
        """Reserve ports; raises Failure when there is no RabbitMQ."""
        self._programs = server()
        self._spawned: list[subprocess.Popen[bytes]] = []
        page_port = free_port(management_port)
        self.port, self._epmd_port, self._distribution_port = free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self.management_url = f"http://127.0.0.1:{page_port}/"
        self._settings = (
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {page_port}\n"
        )

    def _prepare(self) -> None:
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].")
        (self.folder / "rabbitmq.conf").write_text(self._settings)
        # Written before anything of Erlang's runs, so that the node and rabbitmqctl never race to make it.
        (self.folder / ".erlang.cookie").write_text(secrets.token_hex(32))
        (self.folder / ".erlang.cookie").chmod(0o600)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))}
        self._env = inherited | {
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_BYTES": "0",
            "RABBITMQ_NODENAME": f"mq-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{self.folder}/data",
            "RABBITMQ_LOG_BASE": f"{self.folder}/log",
            "RABBITMQ_PID_FILE": f"{self.folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOOPBACK,
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK,
            # The script then becomes the Erlang VM instead of watching it: one process to signal.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        # Otherwise the node would start a port mapper that outlives it.
        if not shutil.which("epmd"):
            raise Failure("epmd is missing: rabbitmq-server needs Erlang")
        self._spawn("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        return self.spawn("output", command, self._env, self.folder)

    def spawn(self, log: str, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
        """Start a program that ends with the node at the latest; what it says goes into the file `log` in `folder`."""
        with (self.folder / log).open("ab") as output:
            # A session of its own: Ctrl-C in a terminal is for the runner, which then stops the node last.
            process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._spawned.append(process)
        return process

    def start(self) -> Self:
        """Start the node on its old data, if any, and wait until it speaks AMQP; raises Failure with its last words."""
        self._server = self._spawn(str(self._programs / "rabbitmq-server"))
        deadline = time.monotonic() + _START_SECONDS
        while not speaks_amqp(self.port):
            if self._server.poll() is not None or time.monotonic() > deadline:
                words = (self.folder / "output").read_text(errors="replace").strip()[-600:]
                raise Failure(f"the private RabbitMQ node did not start: {words or 'it said nothing'}")
            time.sleep(0.1)
        return self

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="mq-node-"))
        try:
            self._prepare()
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        # The data goes away with the folder, so there is nothing to stop in order.
        for process in reversed(self._spawned):
            process.kill()
            process.wait(_STOP_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)
