"""A private RabbitMQ node from the machine's own `rabbitmq-server`: own data, own ports, own name, no Docker."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from local import Failure
from local.install import server
from local.ports import free_port, speaks_amqp

_START_SECONDS = 90.0
_STOP_SECONDS = 30.0
_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"


class Node:
    """One broker on 127.0.0.1, run as the current user; `with Node() as node:` leaves nothing behind.

    `url` is its AMQP address, `management_url` its management page or None. Not thread-safe.
    """

    name = "debian"

    def __init__(self, management_port: int | None = None) -> None:
        """Reserve ports and a folder; raises Failure when there is no RabbitMQ."""
        self._programs = server()
        self._folder = Path(tempfile.mkdtemp(prefix="mq-node-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self._env = self._environment()
        has_page = any(self._programs.parent.glob("**/plugins/rabbitmq_management-*"))
        page_port = free_port(management_port)
        self.management_url = f"http://127.0.0.1:{page_port}/" if has_page else None
        self._write("enabled_plugins", "[rabbitmq_management]." if has_page else "[].")
        page = f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {page_port}\n" if has_page else ""
        self._write("rabbitmq.conf", f"listeners.tcp.1 = 127.0.0.1:{self.port}\n{page}")
        # Written before anything of Erlang's runs, so that the node and rabbitmqctl never race to make it.
        self._write(".erlang.cookie", secrets.token_hex(32))
        (self._folder / ".erlang.cookie").chmod(0o600)

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)

    def _environment(self) -> dict[str, str]:
        home = str(self._folder)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))}
        return inherited | {
            "HOME": home,
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_BYTES": "0",
            "RABBITMQ_NODENAME": f"mq-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOOPBACK,
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK,
            # The script then becomes the Erlang VM instead of watching it: one process to signal.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def start(self) -> Self:
        """Start the node on its old data, if any, and wait until it speaks AMQP; raises Failure with its last words."""
        if self._epmd is None:
            # Otherwise the node would start a port mapper that outlives it.
            if not shutil.which("epmd"):
                raise Failure("epmd is missing: rabbitmq-server needs Erlang")
            self._epmd = self._spawn(["epmd", "-port", self._env["ERL_EPMD_PORT"], "-address", "127.0.0.1"])
        self._server = self._spawn([str(self._programs / "rabbitmq-server")])
        deadline = time.monotonic() + _START_SECONDS
        while not speaks_amqp(self.port):
            if self._server.poll() is not None or time.monotonic() > deadline:
                words = (self._folder / "output").read_text(errors="replace").strip()[-600:]
                self.kill()
                raise Failure(f"the private RabbitMQ node did not start: {words or 'it said nothing'}")
            time.sleep(0.1)
        return self

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "output").open("ab") as output:
            # A session of its own: Ctrl-C in a terminal is for the runner, which then stops the node last.
            return subprocess.Popen(
                command,
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End the Erlang VM as a power cut would (SIGKILL); the data stays for the next start."""
        if self._server:
            self._server.kill()
            self._server.wait(_STOP_SECONDS)

    def stop(self) -> None:
        """Stop the node in order; the data stays for the next start."""
        if self._server and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def restart(self) -> None:
        """Stop the node if it runs and start it again on the same port and data."""
        self.stop()
        self.start()

    def rabbitmqctl(self, *args: str) -> str:
        """Run `rabbitmqctl -s args` on this node and return what it prints, without headings; raises Failure."""
        command = [str(self._programs / "rabbitmqctl"), "-s", *args]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Failure(f"rabbitmqctl {' '.join(args[:1])}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        # The data goes away with the folder, so there is nothing to stop in order.
        self.kill()
        if self._epmd:
            self._epmd.kill()
            self._epmd.wait(_STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)
