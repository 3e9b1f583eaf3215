"""A private RabbitMQ node that a test may kill and start again."""

import signal
import subprocess

import local.node
from local import Failure

STOP = 30.0  # seconds


class Node(local.node.Node):
    """On its old port and data each time, until its `with` block ends."""

    name = "debian"

    def kill(self) -> None:
        """End the Erlang VM as a power cut would (SIGKILL)."""
        self._server.kill()
        self._server.wait(STOP)

    def stop(self) -> None:
        """Stop the node in order."""
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(STOP)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        """Stop the node if it runs and start it again."""
        self.stop()
        self.start()

    def rabbitmqctl(self, *args: str) -> str:
        """Run `rabbitmqctl -s args` on this node and return what it prints, without headings; raises Failure."""
        command = [str(self._programs / "rabbitmqctl"), "-s", *args]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Failure(f"rabbitmqctl {' '.join(args[:1])}: {(done.stderr or done.stdout).strip()}")
        return done.stdout
