"""Messages sent and received with plain pika and with `common.wire`, with equal results."""

import errno
import socket
import threading
from threading import Event, Thread
from typing import Any

import pytest
from pika import BasicProperties, ConnectionParameters, frame, spec
from pika.channel import Channel

from common.amqp.errors import BrokerError
from common.amqp.plain import IOServices
from common.amqp.session import Session, connection_class
from common.message import Message
from tests.unit.conftest import Loop
from tests.unit.peer import Peer


@pytest.fixture(params=["direct", "pika"])
def kind(request: pytest.FixtureRequest) -> Any:
    """The connection class of each MQ_WIRE."""
    return connection_class(request.param)


@pytest.fixture
def channel(process: Loop, peer: Peer, kind: Any) -> Any:
    """Of a connection to a peer that confirms whatever it gets."""
    opened: list[Any] = []
    closed: list[object] = []
    parameters = ConnectionParameters("127.0.0.1", peer.port)
    connection = kind(
        parameters,
        process.loop,
        lambda made: made.channel(on_open_callback=opened.append),
        lambda *why: closed.append(why),
    )
    process.turn(lambda: opened, "a channel")
    yield opened[0]
    connection.close()
    process.turn(lambda: closed, "the end")


def test_published_messages_arrive_and_are_confirmed_in_their_order(process: Loop, peer: Peer, channel: Any) -> None:
    confirmed: list[Any] = []
    channel.confirm_delivery(lambda value: confirmed.append(value.method.delivery_tag))
    for body in (b"one", b"two"):
        channel.connection.publish(channel, "jobs", Message.of(body, "m"))
    process.turn(lambda: confirmed == [1, 2], "two confirms")
    assert peer.visits[0].published == [b"one", b"two"]


@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_deliveries_come_in_their_order_with_their_properties(
    process: Loop, peer: Peer, channel: Any, size: int
) -> None:
    """Without a body, with a short body, and with a body of several frames."""
    came: list[Any] = []
    channel.connection.consume(channel, "jobs", "000001", lambda _, some: came.extend(some))
    properties = BasicProperties(message_id="m", headers={"tenant": "a"})
    for tag in (1, 2, 3):
        body = b"x" * (size if tag == 2 else 5)
        peer.visits[0].say(spec.Basic.Deliver("000001", tag, tag == 3, "", "jobs"))
        peer.visits[0].send(frame.Header(1, len(body), properties))
        for at in range(0, len(body), 100_000):
            peer.visits[0].send(frame.Body(1, body[at : at + 100_000]))
    process.turn(lambda: len(came) == 3, "three deliveries")
    assert [(tag, len(body), again) for tag, _, body, again in came] == [(1, 5, False), (2, size, False), (3, 5, True)]
    for _, origin, *_ in came:
        assert origin.to_pika() == properties
        assert len(origin) > 0
        assert origin.to_pika() is not origin.to_pika()


def test_the_address_of_a_host_is_told_on_the_loop(process: Loop) -> None:
    found: list[object] = []
    IOServices(process.loop).getaddrinfo("127.0.0.1", 5672, on_done=found.append)
    process.turn(lambda: found, "the address")
    assert "127.0.0.1" in str(found)


def test_a_look_up_that_hangs_does_not_keep_the_program_from_ending(
    process: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python joins all threads but daemons at exit."""
    asked, answer, before = Event(), Event(), set(threading.enumerate())

    def hang(*_: object, **__: object) -> list[object]:
        asked.set()
        answer.wait(30)
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    IOServices(process.loop).getaddrinfo("host", 5672, on_done=lambda _: None)
    assert asked.wait(30)
    waiting: set[Thread] = set(threading.enumerate()) - before
    answer.set()
    assert waiting
    assert all(thread.daemon for thread in waiting)


def test_an_ascii_name_is_looked_up_without_the_codec_of_international_names(
    process: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python loads that codec for any text."""
    asked: list[object] = []

    def answer(host: object, *_: object, **__: object) -> list[object]:
        asked.append(host)
        return []

    monkeypatch.setattr("socket.getaddrinfo", answer)
    for number, name in enumerate(("rabbitmq-service", "häuschen"), 1):
        IOServices(process.loop).getaddrinfo(name, 5672, on_done=lambda _: None)
        process.turn(lambda number=number: len(asked) == number, "the question")  # type: ignore[misc]
    assert asked == [b"rabbitmq-service", "häuschen"]


def test_addresses_that_no_socket_can_be_opened_for_are_left_out(
    process: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IPv6 on a kernel without it would end pika's loop. If no address is left, the socket's error is the answer."""

    class OldKernel(socket.socket):
        def __init__(self, family: int = -1, *others: Any, **more: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *others, **more)

    monkeypatch.setattr(socket, "socket", OldKernel)
    found: list[object] = []
    six, four = (socket.AF_INET6, "six"), (socket.AF_INET, "four")
    for records in ([six, four], [six]):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, records=records, **__: records)
        IOServices(process.loop).getaddrinfo("localhost", 5672, on_done=found.append)
        process.turn(lambda: found, "an answer")
        said = found.pop()
        assert said == [four] if four in records else isinstance(said, OSError)


class Owner:
    """Of one session: notes why it was lost."""

    def __init__(self) -> None:
        self.lost: list[BrokerError] = []

    def on_channel(self, channel: Channel) -> None:
        """Not reached."""

    def on_lost(self, broker_error: BrokerError) -> None:
        self.lost.append(broker_error)

    def on_blocked(self, blocked: bool) -> None:
        """Not reached."""


@pytest.mark.parametrize("lacks", ["thread", "descriptor"])
def test_a_thread_or_a_descriptor_that_cannot_be_had_is_a_failed_try(
    process: Loop, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    """In a container that has used up its own, the connection is tried again, and the process goes on."""
    owner = Owner()
    with monkeypatch.context() as patch:
        if lacks == "thread":
            patch.setattr(Thread, "start", raising(RuntimeError("can't start new thread")))
        else:
            patch.setattr(socket.socket, "__init__", raising(OSError(errno.EMFILE, "Too many open files")))
        parameters = ConnectionParameters("127.0.0.1", 1)
        session = Session(owner, parameters, process, 5.0, "pika")
        process.turn(lambda: owner.lost, "a failed try")
    session.drop()
    assert {"thread": "can't start new thread", "descriptor": "Too many open files"}[lacks] in str(owner.lost)


def raising(error: Exception) -> Any:
    """A method that raises it."""

    def method(*_: object, **__: object) -> None:
        raise error

    return method


def test_each_try_begins_with_another_address(process: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address, or none, is no matter."""
    for records in ([(socket.AF_INET, each) for each in "abc"], [(socket.AF_INET, "a")], []):
        found: list[list[Any]] = []
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, records=records, **__: list(records))
        for tries in range(4):
            IOServices(process.loop, tries).getaddrinfo("broker", 5672, on_done=found.append)
            process.turn(lambda tries=tries, found=found: len(found) == tries + 1, "an answer")  # type: ignore[misc]
        orders = ["".join(address for _, address in each) for each in found]
        assert orders == {3: ["abc", "bca", "cab", "abc"], 1: ["a"] * 4, 0: [""] * 4}[len(records)]
