"""ChannelUser: what a connection asks of the one who works on its channel."""

from typing import Protocol

from pika.channel import Channel

from common.refusal import Refusal
from common.topology import Topology


class ChannelUser(Protocol):
    """All of it is called on the I/O thread."""

    topology: Topology

    def prepare(self, channel: Channel) -> None:
        """Declare and select what is needed, ending with a call whose reply calls `Connection.accepted`."""

    def opened(self, channel: Channel) -> None:
        """All of that was accepted: begin."""

    def lost(self, reason: Refusal) -> None:
        """The channel is gone, and so is all that was in flight on it."""
