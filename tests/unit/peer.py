"""A peer that speaks just enough AMQP to be connected to, and then does what no broker does when a test asks for it.

What a broker does is shown on real ones (tests/broker); this one shows what its faults, and those of what lies between,
must not lead to.
"""

import contextlib
import socket
from collections.abc import Callable
from threading import Thread
from typing import Self

from pika import amqp_object, frame, spec

CAPABILITIES = {"publisher_confirms": True, "basic.nack": True, "connection.blocked": True}


class Visit(Thread):
    """One connection to the peer, served in a thread of its own."""

    def __init__(self, peer: "Peer", stream: socket.socket, number: int) -> None:
        super().__init__(daemon=True)
        self.number = number  # from 0
        self.published: list[bytes] = []  # bodies
        self.open = True
        self._peer, self._stream = peer, stream

    def say(self, method: amqp_object.Method, channel: int = 1) -> None:
        """Send a method; nothing if the other end has gone."""
        self.send(frame.Method(channel, method))

    def send(self, value: frame.Frame) -> None:
        """Send a frame; nothing if the other end has gone."""
        with contextlib.suppress(OSError):
            self._stream.sendall(value.marshal())

    def cut(self) -> None:
        """End the connection without a word."""
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Until the other end closes."""
        buffer = b""
        with self._stream, contextlib.suppress(OSError):
            self._stream.recv(8)  # AMQP 0 0 9 1
            self.say(spec.Connection.Start(server_properties={"capabilities": CAPABILITIES}), 0)  # type: ignore[arg-type]
            while data := self._stream.recv(65536):
                buffer += data
                while (taken := frame.decode_frame(buffer))[1]:
                    buffer = buffer[taken[0] :]
                    self._take(taken[1])
        self.open = False

    def _take(self, value: object) -> None:
        if isinstance(value, frame.Body):
            self.published.append(value.fragment)
            self._peer.on_publish(self, len(self.published))
        elif isinstance(value, frame.Method):
            self._peer.on_method(self, value.method)
            match value.method:
                case spec.Connection.StartOk():
                    self.say(spec.Connection.Tune(2047, 131_072, 0), 0)
                case spec.Connection.Open():
                    self.say(spec.Connection.OpenOk(), 0)
                case spec.Channel.Open():
                    self.say(spec.Channel.OpenOk(), value.channel_number)
                case spec.Basic.Consume() as consume:
                    self.say(spec.Basic.ConsumeOk(consume.consumer_tag), value.channel_number)
                case spec.Confirm.Select():
                    self.say(spec.Confirm.SelectOk(), value.channel_number)
                case spec.Channel.Close() | spec.Connection.Close() as close if self._peer.answers_close:
                    ok = spec.Channel.CloseOk if isinstance(close, spec.Channel.Close) else spec.Connection.CloseOk
                    self.say(ok(), value.channel_number)


class Peer:
    """Listens on `port`; `on_publish(visit, tag)` is called for each message, and confirms it unless a test sets it."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.answers_close = True
        self.on_publish: Callable[[Visit, int], None] = lambda visit, tag: visit.say(spec.Basic.Ack(tag))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = Thread(target=self._listen, daemon=True)

    def on_method(self, visit: Visit, method: object) -> None:
        """Whatever a client asks; what opens and closes is answered in any case."""

    @property
    def url(self) -> str:
        """Of any user and virtual host."""
        return f"amqp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def refuse(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def __exit__(self, *_: object) -> None:
        self.refuse()
        for visit in self.visits:
            visit.cut()
            visit.join(10)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                visit = Visit(self, self._listener.accept()[0], len(self.visits))
                self.visits.append(visit)
                visit.start()
