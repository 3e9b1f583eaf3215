"""Sessions with a peer of ours, and with loopback ports where no broker is."""

import socket
import sys
import time
from collections.abc import Callable

import pytest
from pika import spec
from pika.channel import Channel
from pika.exceptions import ConnectionWrongStateError

from common.amqp.connection import connection_parameters
from common.amqp.errors import BrokerError, Kind
from common.amqp.plain import PlainConnection
from common.amqp.session import CANCELLED, UNANSWERED, Session, connection_class
from common.settings.broker_url import BrokerUrl
from common.settings.shared import Settings
from tests.unit.conftest import Loop
from tests.unit.origins import FENCE
from tests.unit.peer import Peer


class Owner:
    """Stands for a connection: notes the events of its session."""

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.blocked: list[bool] = []
        self.lost: list[BrokerError] = []

    def on_channel(self, channel: Channel) -> None:
        self.channels.append(channel)

    def on_blocked(self, blocked: bool) -> None:
        self.blocked.append(blocked)

    def on_lost(self, broker_error: BrokerError) -> None:
        self.lost.append(broker_error)


@pytest.fixture(params=["direct", "pika"] if FENCE else ["pika"])
def wire(request: pytest.FixtureRequest) -> str:
    """Each value of MQ_WIRE."""
    return str(request.param)


@pytest.fixture
def owner() -> Owner:
    return Owner()


SETTLE_SECONDS = 29.0


class SettleTimeout:
    """The time-out of a session's declarations: it runs out when a test says so."""

    def __init__(self, process: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end: Callable[[], None] | None = None
        call_later = process.call_later

        def noted(delay: float, function: Callable[[], None]) -> Callable[[], None]:
            if delay != SETTLE_SECONDS:
                return call_later(delay, function)
            self.end = function
            return lambda: setattr(self, "end", None)

        monkeypatch.setattr(process, "call_later", noted)


@pytest.fixture(autouse=True)
def settle_timeout(process: Loop, monkeypatch: pytest.MonkeyPatch) -> SettleTimeout:
    return SettleTimeout(process, monkeypatch)


Begin = Callable[..., Session]


@pytest.fixture
def begin(process: Loop, owner: Owner, wire: str) -> Begin:
    """`begin(port, timeout="200ms")`: a session, with MQ_CONNECT_TIMEOUT."""

    def session(port: int, timeout: str = "200ms") -> Session:
        settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "mq_connect_timeout": timeout})
        url = BrokerUrl("127.0.0.1", port, "/", "guest", "guest", tls=False)
        return Session(owner, connection_parameters(url, settings, "test"), process, SETTLE_SECONDS, wire)

    return session


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def pause(process: Loop, seconds: float) -> None:
    over: list[bool] = []
    process.call_later(seconds, lambda: over.append(True))
    process.turn(lambda: over, "a moment")


def test_a_refused_try_is_told_once(process: Loop, owner: Owner, begin: Begin) -> None:
    """And not again, whatever pika still calls."""
    session = begin(closed_port())
    process.turn(lambda: owner.lost, "the error")
    assert not session.close(), "there is nothing to wait for"
    pause(process, 0.1)
    assert [error.kind for error in owner.lost] == [Kind.TCP]


def test_a_peer_that_never_answers_ends_the_try_in_time(process: Loop, owner: Owner, begin: Begin) -> None:
    """A port may accept connections long before its broker speaks."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin(silent.getsockname()[1])
        process.turn(lambda: owner.lost, "the error")
    assert [error.kind for error in owner.lost] == [Kind.HANDSHAKE]


def test_a_peer_that_hangs_up_does_not_speak_amqp(process: Loop, owner: Owner, begin: Begin) -> None:
    """A load balancer without its broker does that."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)  # a try begins on the same loop, and on a busy machine not so soon
        begin(server.getsockname()[1], "5s")

        def hang_up() -> None:
            try:
                server.accept()[0].close()
            except BlockingIOError:
                process.call_later(0.05, hang_up)

        process.call_later(0.05, hang_up)
        process.turn(lambda: owner.lost, "the error")
    assert [error.kind for error in owner.lost] == [Kind.HANDSHAKE]


def test_a_dropped_session_tells_nothing_more(process: Loop, owner: Owner, begin: Begin) -> None:
    """Its last callbacks may come late."""
    begin(closed_port()).drop()
    pause(process, 0.2)
    assert owner.lost == []


def test_a_session_dropped_before_it_opens_is_closed_when_it_opens(
    process: Loop, peer: Peer, owner: Owner, begin: Begin
) -> None:
    begin(peer.port, "5s").drop()
    process.turn(lambda: peer.visits and not peer.visits[0].open, "the end of the connection")
    assert (owner.channels, owner.lost) == ([], [])


def opened(process: Loop, peer: Peer, owner: Owner, begin: Begin) -> Session:
    session = begin(peer.port, "5s")
    process.turn(lambda: owner.channels, "a channel")
    return session


def test_declarations_without_an_answer_end_the_session(
    process: Loop, peer: Peer, owner: Owner, begin: Begin, settle_timeout: SettleTimeout
) -> None:
    opened(process, peer, owner, begin)
    assert settle_timeout.end
    settle_timeout.end()
    assert owner.lost == [UNANSWERED]
    process.turn(lambda: not peer.visits[0].open, "the end of the connection")
    assert len(owner.lost) == 1


def test_a_settled_session_stays_open_and_its_close_is_told_once(
    process: Loop, peer: Peer, owner: Owner, begin: Begin, settle_timeout: SettleTimeout
) -> None:
    session = opened(process, peer, owner, begin)
    session.settled()
    assert settle_timeout.end is None
    assert session.close(), "there is a handshake"
    assert owner.lost == []
    process.turn(lambda: owner.lost, "the end of the handshake")
    pause(process, 0.1)
    assert len(owner.lost) == 1


def test_a_session_that_is_closing_does_not_wait_for_its_declarations(
    process: Loop, peer: Peer, owner: Owner, begin: Begin, settle_timeout: SettleTimeout
) -> None:
    peer.answers_close = False
    assert opened(process, peer, owner, begin).close()
    assert settle_timeout.end is None
    peer.visits[0].cut()
    process.turn(lambda: owner.lost, "the end")


@pytest.mark.skipif(not FENCE, reason="pika has no public way to abort")
def test_an_unanswered_closing_handshake_is_aborted(
    process: Loop, peer: Peer, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.amqp.session.CLOSE_TIMEOUT", 0.1)
    peer.answers_close = False
    url = BrokerUrl("127.0.0.1", peer.port, "/", "guest", "guest", tls=False)
    settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"})
    session = Session(owner, connection_parameters(url, settings, "test"), process, SETTLE_SECONDS, "direct")
    process.turn(lambda: owner.channels, "a channel")
    began = time.monotonic()
    assert session.close()
    process.turn(lambda: owner.lost, "the end")
    assert time.monotonic() - began < 8, "the heartbeat of 10 s would have ended it"
    process.turn(lambda: not peer.visits[0].open, "the end of the connection")


@pytest.mark.parametrize("error", [ConnectionWrongStateError("closing"), OSError("gone")])
def test_a_connection_that_is_gone_already_has_no_handshake(
    process: Loop, peer: Peer, owner: Owner, begin: Begin, error: Exception
) -> None:
    session = opened(process, peer, owner, begin)

    def gone() -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session._connection, "close", gone)
        assert session.close() is False
    assert session.close()
    process.turn(lambda: owner.lost, "the end")


def test_a_session_dropped_while_it_is_open_closes_its_connection(
    process: Loop, peer: Peer, owner: Owner, begin: Begin
) -> None:
    session, began = opened(process, peer, owner, begin), time.monotonic()
    session.drop()
    process.turn(lambda: not peer.visits[0].open, "the end of the connection")
    assert time.monotonic() - began < 8, "the heartbeat of 10 s would have ended it"
    assert owner.lost == []


def test_an_alarm_and_its_end_are_told(process: Loop, peer: Peer, owner: Owner, begin: Begin) -> None:
    opened(process, peer, owner, begin)
    peer.visits[0].say(spec.Connection.Blocked("low on memory"), 0)
    process.turn(lambda: owner.blocked == [True], "the alarm")
    peer.visits[0].say(spec.Connection.Unblocked(), 0)
    process.turn(lambda: owner.blocked == [True, False], "its end")
    peer.visits[0].cut()
    process.turn(lambda: owner.lost, "the end")


def test_a_dropped_session_tells_no_alarm(process: Loop, peer: Peer, owner: Owner, begin: Begin) -> None:
    """Its successor is not blocked."""
    peer.answers_close = False
    session = opened(process, peer, owner, begin)
    session.drop()
    peer.visits[0].say(spec.Connection.Blocked("low on memory"), 0)
    pause(process, 0.2)
    peer.visits[0].cut()
    process.turn(lambda: not peer.visits[0].open, "the end of the connection")
    assert (owner.blocked, owner.lost) == ([], [])


def test_a_channel_that_the_broker_closes_ends_the_session_with_the_brokers_words(
    process: Loop, peer: Peer, owner: Owner, begin: Begin
) -> None:
    opened(process, peer, owner, begin)
    peer.visits[0].say(spec.Channel.Close(404, "NOT_FOUND - no queue 'jobs'", 50, 10))
    process.turn(lambda: not peer.visits[0].open, "the end of the connection")
    assert [(error.kind, error.text) for error in owner.lost] == [(Kind.TOPOLOGY, "404 NOT_FOUND - no queue 'jobs'")]


def test_a_consumer_that_the_broker_cancels_ends_the_session(
    process: Loop, peer: Peer, owner: Owner, begin: Begin
) -> None:
    """No delivery would come any more."""
    session = opened(process, peer, owner, begin)
    session.settled()
    begun: list[object] = []
    owner.channels[0].basic_consume("jobs", lambda *_: None, consumer_tag="tag", callback=begun.append)
    process.turn(lambda: begun, "a consumer")
    peer.visits[0].say(spec.Basic.Cancel("tag"))
    process.turn(lambda: owner.lost, "the error")
    assert owner.lost == [CANCELLED]
    process.turn(lambda: not peer.visits[0].open, "the end of the connection")


def test_mq_wire_pika_gives_plain_pikas_connection() -> None:
    """With nothing of `common.wire`."""
    assert connection_class("pika") is PlainConnection
    assert (connection_class("direct") is PlainConnection) != FENCE


def test_without_the_package_wire_a_connection_is_plain_pikas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package can be deleted."""
    monkeypatch.setitem(sys.modules, "common.wire.connection", None)  # type: ignore[arg-type]  # as if it were not there
    assert connection_class("direct") is PlainConnection
