"""What has come to a channel's socket, held against the pika that we lock."""

import socket
import ssl
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pika.adapters.utils import io_services_utils

from consumer.receive_buffer import buffered
from tests.unit.common.amqp.test_connection import LOST, opened
from tests.unit.conftest import PATIENCE, Loop
from tests.unit.peer import Peer


def test_bytes_are_there_from_when_they_come_until_they_are_received(process: Loop, peer: Peer) -> None:
    """And none of a connection that was lost."""
    connection = opened(process, peer, name="buffered")
    channel = connection.channel
    assert buffered(channel) == 0
    peer.visits[0]._stream.sendall(bytes([8, 0, 0, 0, 0, 0, 0, 206]) * 1000)  # heartbeats
    deadline = time.monotonic() + PATIENCE
    while buffered(channel) < 8000 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert buffered(channel) == 8000
    process.turn(lambda: buffered(channel) == 0, "they are received")
    connection.fail(LOST)
    process.turn(lambda: channel.connection.is_closed, "it is closed")
    assert buffered(channel) == 0
    connection.close()


@pytest.mark.parametrize("kind", ["_AsyncPlaintextTransport", "_AsyncSSLTransport"])
def test_both_of_pikas_streams_name_their_socket_alike(kind: str) -> None:
    """An SSL socket has the descriptor of the one below it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire: Any = ours
        if kind == "_AsyncSSLTransport":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            wire = context.wrap_socket(ours, server_hostname="x", do_handshake_on_connect=False)
        poller = SimpleNamespace(set_reader=lambda *_: None, add_callback_threadsafe=lambda *_: None)
        stream = getattr(io_services_utils, kind)(wire, None, poller)
        theirs.sendall(b"12345")
        assert buffered(SimpleNamespace(connection=SimpleNamespace(_transport=stream))) == 5
        wire.close()
