"""The states of a connection, where no broker is; what needs one is in tests/broker and tests/chaos."""

import socket
import ssl
from pathlib import Path

import pytest
from pika import PlainCredentials, spec
from pika.channel import Channel
from prometheus_client import REGISTRY

from common.amqp.connection import Connection, State, connection_parameters
from common.amqp.errors import BrokerError, Kind
from common.settings.broker_url import parse_urls
from common.settings.shared import Settings
from tests.unit.conftest import Loop
from tests.unit.origins import FENCE
from tests.unit.peer import Peer


class User:
    """Implements `ChannelUser`; without a broker nothing of it may be called."""

    def prepare(self, channel: Channel) -> None:
        """Not without a broker."""
        raise AssertionError(f"{channel} of no broker")

    def opened(self, channel: Channel) -> None:
        """Not without a broker."""
        raise AssertionError(f"{channel} of no broker")

    def lost(self, reason: BrokerError) -> None:
        """Not without a broker."""
        raise AssertionError(f"lost what was never open: {reason}")


@pytest.fixture
def port() -> int:
    """Where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def connection(process: Loop, **values: object) -> Connection:
    quick = {"mq_ch": "jobs", "mq_backoff_max": "50ms", "mq_connect_timeout": "500ms"}
    return Connection("test", process, Settings.model_validate(quick | values), User())


def test_before_it_is_opened_it_is_closed_and_says_so(process: Loop, port: int) -> None:
    """Nobody has a channel of it."""
    made = connection(process, mq_url=f"amqp://127.0.0.1:{port}")
    assert (made.state, made.channel, made.reasons()) == (State.CLOSED, None, ["test: closed"])
    assert REGISTRY.get_sample_value("mq_connected", {"connection": "test"}) == 0


def test_a_refusal_is_a_reason_and_is_tried_again(process: Loop, port: int) -> None:
    """With what is wrong, and never with the password."""
    made = connection(process, mq_url=f"amqp://user:Zq7Xj9Kv@127.0.0.1:{port}")
    states: list[State] = []
    made.open()
    process.turn(lambda: states.append(made.state) or states.count(State.BACKING_OFF) > 3, "a few tries")  # type: ignore[func-returns-value]
    assert made.broker_error
    assert made.broker_error.kind is Kind.TCP
    (reason,) = made.reasons()
    assert "nothing listens there" in reason
    assert "Zq7Xj9Kv" not in f"{reason}{made.broker}"
    made.close()
    assert made.state is State.CLOSED


def test_all_brokers_have_their_turn(process: Loop, port: int) -> None:
    """In the order of MQ_URL."""
    made = connection(process, mq_url=f"amqp://a@127.0.0.1:{port},amqp://b@127.0.0.1:{port}")
    seen: list[str] = []

    def both() -> bool:
        if made.broker and made.broker.username not in seen:
            seen.append(made.broker.username)
        return len(seen) == 2

    made.open()
    process.turn(both, "both brokers")
    assert seen == ["a", "b"]
    made.close()


def test_a_file_that_went_away_is_waited_for(process: Loop, port: int, tmp_path: Path) -> None:
    """Whoever mounts it may be replacing it."""
    file = tmp_path / "mq-url"
    file.write_text("amqp://h")
    made = connection(process, mq_url_file=file)
    file.unlink()
    made.open()
    assert made.state is State.BACKING_OFF
    assert "MQ_URL_FILE" in made.reasons()[0]
    file.write_text(f"amqp://127.0.0.1:{port}")
    process.turn(lambda: "nothing listens there" in str(made.broker_error), "a try with the new file")
    made.close()


def test_after_close_nothing_is_tried_any_more(process: Loop, port: int) -> None:
    """Whether it was closed between two tries or during one."""
    for when in (State.BACKING_OFF, State.CONNECTING):
        made = connection(process, mq_url=f"amqp://127.0.0.1:{port}")
        made.open()
        process.turn(lambda made=made, when=when: made.state is when, when.value)  # type: ignore[misc]
        made.close()
        later: list[int] = []
        process.call_later(0.3, lambda later=later: later.append(1))  # type: ignore[misc]
        process.turn(lambda later=later: later, "a moment")  # type: ignore[misc]
        assert made.state is State.CLOSED, f"closed while {when.value}"


def test_failing_a_connection_that_is_not_there_does_nothing(process: Loop, port: int) -> None:
    """It comes back by itself already."""
    made = connection(process, mq_url=f"amqp://127.0.0.1:{port}")
    made.fail(BrokerError(Kind.OTHER, "x"))
    assert made.state is State.CLOSED
    assert REGISTRY.get_sample_value("mq_reconnects_total", {"connection": "test"}) == 0


class Ready(User):
    """Asks for nothing, so that whoever answers is good enough."""

    def __init__(self) -> None:
        self.made: Connection
        self.away_when_lost: list[bool] = []

    def prepare(self, channel: Channel) -> None:
        """Nothing to declare."""
        self.made.accepted(channel)

    def opened(self, channel: Channel) -> None:
        """It is open."""

    def lost(self, reason: BrokerError) -> None:
        """Write it down."""
        self.away_when_lost.append(self.made.all_failed)


def opened(process: Loop, *peers: Peer, user: Ready | None = None, name: str = "test") -> Connection:
    settings = {"mq_ch": "jobs", "mq_backoff_max": "50ms", "mq_url": ",".join(peer.url for peer in peers)}
    user = user or Ready()
    user.made = Connection(name, process, Settings.model_validate(settings), user)
    user.made.open()
    process.turn(lambda: user.made.state is State.OPEN, "it is open")
    return user.made


LOST = BrokerError(Kind.OTHER, "given up")


def test_an_alarm_told_to_a_connection_that_was_given_up_does_not_hold_up_the_next(process: Loop, peer: Peer) -> None:
    """Nobody would ever tell the next one that it is over."""
    peer.answers_close = False
    made = opened(process, peer)
    made.fail(LOST)
    process.turn(lambda: made.state is State.OPEN, "the next")
    peer.visits[0].say(spec.Connection.Blocked("low on memory"), 0)
    process.turn(lambda: not peer.visits[0].open, "the old one has read it, and ended")
    assert made.reasons() == []
    made.close()


@pytest.mark.skipif(not FENCE, reason="pika has no public way to end it, and its heartbeats do in time")
def test_a_connection_that_was_given_up_ends_though_its_peer_says_nothing(process: Loop, peer: Peer) -> None:
    """Or each reconnect would leave one behind. So does one that is closed for good."""
    peer.answers_close = False
    made = opened(process, peer)
    for number in (1, 2):
        made.fail(LOST)
        process.turn(lambda: made.state is State.OPEN, "the next")
        process.turn(lambda number=number: not peer.visits[number - 1].open, "the end of the old one")  # type: ignore[misc]
    made.close()
    process.turn(lambda: made.state is State.CLOSED, "it is closed")
    assert len(peer.visits) == 3


def test_a_broker_that_is_given_up_each_time_is_not_all_that_is_tried(process: Loop, peer: Peer) -> None:
    """A node that was cut off from its cluster may accept connections, and confirm nothing."""
    with Peer() as good:
        made = opened(process, peer, good)
        made.fail(LOST)
        process.turn(lambda: made.state is State.OPEN, "the next")
        assert (len(peer.visits), len(good.visits)) == (1, 1)
        made.close()
        process.turn(lambda: made.state is State.CLOSED, "it is closed")


def test_one_that_was_just_lost_is_not_given_up_until_a_try_has_failed(process: Loop, peer: Peer) -> None:
    """By which a producer that stops knows whether there is anybody to wait for. Nor is one whose first try goes on."""
    settings = Settings.model_validate({"mq_ch": "jobs", "mq_url": peer.url})
    assert not Connection("untried", process, settings, Ready()).all_failed
    user = Ready()
    made = opened(process, peer, user=user)
    assert not made.all_failed
    peer.visits[0].cut()
    process.turn(lambda: user.away_when_lost and made.state is State.OPEN, "it is lost, and is back")
    peer.refuse()
    peer.visits[1].cut()
    process.turn(lambda: made.all_failed, "a try failed")
    assert user.away_when_lost == [False, False]
    made.close()


def test_of_several_brokers_none_has_failed_before_each_was_tried(
    process: Loop, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them is often down, and a producer that stops would give up what the next one takes."""
    with Peer() as first, Peer() as down:
        down.refuse()
        made = opened(process, first, down, peer)
        become, away = made._become, list[bool]()

        def noted(state: State, delay: float = 0.0) -> None:
            become(state, delay)
            if state is State.BACKING_OFF:
                away.append(made.all_failed)

        monkeypatch.setattr(made, "_become", noted)
        first.refuse()
        first.visits[0].cut()
        process.turn(lambda: len(peer.visits) == 1 and made.state is State.OPEN, "the third took it")
        assert away == [False, False], "when it was lost, and with each try"
        peer.refuse()
        peer.visits[0].cut()
        process.turn(lambda: made.all_failed, "none of them answers")
        assert away[2:6] == [False, False, False, True]
        made.close()


def make(**values: object) -> Settings:
    return Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", **values})


def test_every_part_of_the_url_arrives() -> None:
    """And the name by which the management page shows the connection."""
    (url,) = parse_urls("amqp://u:p%2F@[::1]:99/v%2F")
    parameters = connection_parameters(url, make(), "consumer_retry")
    assert (parameters.host, parameters.port, parameters.virtual_host) == ("::1", 99, "v/")
    assert isinstance(parameters.credentials, PlainCredentials)
    assert (parameters.credentials.username, parameters.credentials.password) == ("u", "p/")
    assert parameters.ssl_options is None
    assert parameters.client_properties == {"connection_name": "consumer_retry", "product": "mq-pair"}


def test_every_wait_has_its_bound() -> None:
    """From the settings, in seconds; TCP's own in milliseconds."""
    settings = make(mq_heartbeat="3s", mq_connect_timeout="1500ms", mq_blocked_timeout="7s")
    parameters = connection_parameters(parse_urls("amqp://h")[0], settings, "x")
    assert (parameters.heartbeat, parameters.blocked_connection_timeout) == (3, 7)
    assert (parameters.socket_timeout, parameters.stack_timeout) == (1.5, 1.5)
    assert parameters.tcp_options == {"TCP_USER_TIMEOUT": 6000}


def test_tls_verifies_the_broker() -> None:
    """Its certificate and its name, with TLS 1.2 or newer."""
    options = connection_parameters(parse_urls("amqps://h")[0], make(), "x").ssl_options
    assert options
    assert options.server_hostname == "h"
    assert options.context.verify_mode is ssl.CERT_REQUIRED
    assert options.context.check_hostname
    assert options.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_files_that_are_no_certificates_are_an_error_of_the_system(tmp_path: Path) -> None:
    """At the start it is a wrong setting; later the connection shows it and tries again."""
    file = tmp_path / "x.pem"
    file.write_text("nothing")
    with pytest.raises(OSError, match=r".*"):
        make(mq_tls_ca_file=file).tls_context()
    with pytest.raises(OSError, match=r".*"):
        make(mq_tls_cert_file=file, mq_tls_key_file=file).tls_context()
