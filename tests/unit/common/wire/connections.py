"""Connections to nobody, ours and pika's, which keep what they would send."""

from typing import Any

from pika import ConnectionParameters, SelectConnection
from pika.channel import Channel

from common.wire.connection import WireConnection
from tests.unit.conftest import Loop


class Quick(WireConnection):
    """Ours."""

    def __init__(self, loop: Any) -> None:
        self.sent = b""
        super().__init__(ConnectionParameters(), loop, lambda _: None, lambda *_: None)

    def _adapter_connect_stream(self) -> None:
        """To nobody."""

    def _write(self, pieces: list[bytes], size: int) -> None:
        assert size == sum(map(len, pieces))
        self.sent += b"".join(pieces)


class Plain(SelectConnection):
    """pika's."""

    def __init__(self, loop: Any) -> None:
        self.sent = b""
        super().__init__(ConnectionParameters(), custom_ioloop=loop)

    def _adapter_connect_stream(self) -> None:
        """To nobody."""

    def _adapter_emit_data(self, data: bytes) -> None:
        self.sent += data


def opened(
    kind: type[Any], process: Loop, number: int = 3, connection: Any = None, frame_max: int = 131_072
) -> Channel:
    """Channel `number` of a new connection, or of `connection`."""
    connection = connection or kind(process.loop)
    connection._body_max_length = frame_max - 8
    channel: Channel = connection._create_channel(number, lambda _: None)
    channel._set_state(channel.OPEN)
    channel._add_callbacks()
    connection._channels[number] = channel
    return channel
