"""The proxy makes the network as bad as it says."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.chaos.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        """Until the other end closes."""
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that does so."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(5)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as running:
        yield running


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def _ask(stream: socket.socket, text: bytes = b"hello") -> bytes:
    stream.sendall(text)
    answer = b""
    while len(answer) < len(text):
        answer += stream.recv(65536)
    return answer


def test_forwards(proxy: Proxy) -> None:
    with closing(_connect(proxy)) as stream:
        assert _ask(stream, b"x" * 200_000) == b"x" * 200_000


def test_a_half_open_connection_stays_open_and_dead_even_when_healed(proxy: Proxy) -> None:
    with closing(_connect(proxy)) as stream, closing(_connect(proxy)) as fresh:
        _ask(stream)
        proxy.swallow("up", "down")
        stream.sendall(b"hello")
        proxy.heal()
        fresh.close()
        stream.sendall(b"hello")
        stream.settimeout(0.3)
        with pytest.raises(TimeoutError):
            stream.recv(1)
    with closing(_connect(proxy)) as after:
        assert _ask(after) == b"hello"


def test_reset_is_seen_as_a_reset(proxy: Proxy) -> None:
    with closing(_connect(proxy)) as stream:
        _ask(stream)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            stream.recv(1)


def test_a_mute_peer_accepts_and_says_nothing(proxy: Proxy) -> None:
    proxy.mute = True
    with closing(_connect(proxy)) as stream:
        stream.sendall(b"hello")
        stream.settimeout(0.3)
        with pytest.raises(TimeoutError):
            stream.recv(1)


@pytest.mark.parametrize(("name", "value"), [("latency", 0.1), ("rate", 50.0)])
def test_slow_is_slow_and_whole(proxy: Proxy, name: str, value: float) -> None:
    setattr(proxy, name, value)
    with closing(_connect(proxy)) as stream:
        began = time.monotonic()
        assert _ask(stream) == b"hello"
        assert time.monotonic() - began >= 0.19


def test_sliced_is_whole(proxy: Proxy) -> None:
    proxy.chunk = 2
    with closing(_connect(proxy)) as stream:
        assert _ask(stream, b"hello world") == b"hello world"
