"""The receive buffer of a channel's socket: what has come and was not received yet."""

import fcntl
import struct
import termios
from typing import Any

_count = struct.Struct("i")


def buffered(channel: Any) -> int:
    """Bytes, also those of TLS and of frames that are no deliveries; 0 without a connection.

    The socket is internal to pika: `tests/unit/consumer/test_receive_buffer.py` holds this against the one we lock.
    """
    transport = channel and channel.connection._transport
    if not transport:
        return 0
    count: int = _count.unpack(fcntl.ioctl(transport._sock, termios.FIONREAD, bytes(_count.size)))[0]
    return count
