"""The temporary queue of a verification."""

import re

from common.amqp.topology import Queue, Topology

EXPIRES_MS = 300_000  # without a consumer for so long the broker deletes it, should a killed run have left it


class TemporaryTopology(Topology):
    """One queue, with the arguments of the one that it stands for. It has no dead-letter queue: no handler fails."""

    __slots__ = ()

    @property
    def queues(self) -> list[Queue]:
        """That one."""
        (main,) = (queue for queue in super().queues if queue.name == self.name)
        return [Queue(self.name, {**main.arguments, "x-expires": EXPIRES_MS})]


def temporary(name: str, mark: str) -> TemporaryTopology:
    """For the queue `name`; `mark` are hexadecimal digits that nobody else has."""
    return TemporaryTopology(f"{name}.verify.{mark}")


def pattern(name: str) -> str:
    """A regular expression of all the temporary queues for `name`, as RabbitMQ's permissions want it."""
    return rf"{re.escape(name)}\.verify\.[0-9a-f]+"
