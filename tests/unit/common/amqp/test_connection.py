"""The states of a connection: alone, with a peer of ours, and without any; with a broker: tests/broker, tests/chaos."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pika import PlainCredentials, spec
from pika.channel import Channel
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common.amqp.connection import Connection, State, connection_parameters
from common.amqp.errors import BrokerError, Kind
from common.settings.broker_url import parse_urls
from common.settings.shared import Settings
from tests.processes import output
from tests.unit.conftest import Loop
from tests.unit.origins import FENCE
from tests.unit.peer import Peer, Visit

LOST = BrokerError(Kind.OTHER, "given up")


class Sessions:
    """In the place of `Session`: notes what a connection asks of its sessions, and whether they have a handshake."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.handshake = True

    def __call__(
        self, owner: Connection, parameters: Any, _process: object, timeout: float, wire: str, *, tries: int
    ) -> Any:
        calls: list[str] = []
        session = SimpleNamespace(
            owner=owner,
            host=parameters.host,
            limits=(timeout, wire),
            tries=tries,
            calls=calls,
            settled=lambda: calls.append("settled"),
            drop=lambda: calls.append("drop"),
            update_secret=lambda secret, taken: (calls.append(secret), taken()),
            close=lambda: calls.append("close") or self.handshake,  # type: ignore[func-returns-value]
        )
        self.made.append(session)
        return session

    @property
    def hosts(self) -> list[str]:
        """Where the sessions connected to."""
        return [session.host for session in self.made]


class Alone:
    """A connection with sessions and a process that do nothing; it is its own user."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, name: str, url: str = "amqp://a", file: Path | None = None
    ) -> None:
        self.now = 100.0
        self.events: list[object] = []  # what the user was told
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.sessions = Sessions()
        self.name = name
        monkeypatch.setattr("common.amqp.connection.Session", self.sessions)
        monkeypatch.setattr("common.amqp.connection.time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr("random.uniform", lambda _, longest: longest)
        values = {"mq_ch": "jobs", "mq_backoff_max": "5s", "mq_connect_timeout": "3s"}
        values |= {"mq_url_file": str(file)} if file else {"mq_url": url}
        process: Any = SimpleNamespace(call_later=self.call_later)
        self.connection = Connection(name, process, Settings.model_validate(values), self)

    def call_later(self, delay: float, function: Callable[[], None]) -> Callable[[], None]:
        timer = (delay, function)
        self.timers.append(timer)
        return lambda: self.timers.remove(timer)

    def adapts(self, refusal: BrokerError) -> bool:
        return False

    def prepare(self, channel: Channel) -> None:
        self.events.append(("prepare", channel))

    def opened(self, channel: Channel) -> None:
        self.events.append(("opened", channel))

    def lost(self, reason: BrokerError) -> None:
        self.events.append(("lost", reason))

    def connect(self, channel: Any = "channel") -> "Alone":
        """Open, with the broker accepting everything."""
        self.connection.open()
        self.accept(channel)
        return self

    def accept(self, channel: Any = "channel") -> None:
        """The broker accepts the session under way."""
        self.connection.on_channel(channel)
        self.connection.accepted(channel)

    def retry(self) -> float:
        """The next try begins; after how many seconds."""
        ((delay, function),) = self.timers
        self.timers.clear()
        function()
        return delay

    def counted(self, metric: str) -> float | None:
        return REGISTRY.get_sample_value(metric, {"connection": self.name})


def test_a_user_name_that_is_a_token_is_in_no_log_line_and_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker names the user whom it refuses."""
    with capture_logs() as lines:
        alone = Alone(monkeypatch, "token", "amqp://Zq7Xj9Kv@a").connect()
        alone.connection.on_lost(BrokerError(Kind.VHOST, "530 NOT_ALLOWED - vhost 'v' refused for user 'Zq7Xj9Kv'"))
        alone.retry()
    assert "Zq7Xj9Kv" not in str(lines) + str(alone.events) + str(alone.connection.reasons())
    assert "refused for user '…'" in str(lines)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Alone:
    return Alone(monkeypatch, request.node.name)


def test_a_connection_opens_when_the_broker_has_accepted_everything(alone: Alone) -> None:
    connection, channel = alone.connection, "channel"
    with capture_logs() as lines:
        connection.open()
        assert (connection.state, connection.reasons()) == (State.CONNECTING, [f"{alone.name}: connecting"])
        connection.on_channel(channel)  # type: ignore[arg-type]
        assert (connection.channel, alone.events) == (None, [("prepare", channel)])
        connection.accepted(channel)  # type: ignore[arg-type]
    assert (connection.channel, connection.state, connection.reasons()) == (channel, State.OPEN, [])
    assert alone.events == [("prepare", channel), ("opened", channel)]
    (session,) = alone.sessions.made
    assert (session.owner, session.host, session.limits) == (connection, "a", (3.0, "direct"))
    assert session.calls == ["settled"]
    assert lines[-1] == {
        "event": "connected",
        "log_level": "info",
        "connection": alone.name,
        "broker": "amqp://guest@a:5672/",
    }
    assert (alone.counted("mq_connected"), alone.counted("mq_reconnects_total")) == (1, 0)


URLS = "amqp://shop:{0}@a,amqp://shop:{0}@b"


@pytest.mark.parametrize(
    ("written", "handed_on"),
    [
        ([URLS.format("new")], ["new"]),
        ([URLS.format("ne"), URLS.format("new")], ["new"]),  # the first was a half of it
        ([URLS.format("new"), URLS.format("new"), URLS.format("newer")], ["new", "newer"]),
        ([URLS.format("old")], []),
        (["amqp://shop:new@c"], []),
        (["amqp://other:new@a"], []),
        (["amqp://shop:new@a/vhost"], []),
        (["", "not a URL", URLS.format("new")], ["new"]),
        ([None, URLS.format("new")], ["new"]),  # no file for a moment
    ],
)
def test_a_secret_that_alone_has_changed_in_the_file_is_handed_to_the_broker(
    written: list[str | None], handed_on: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When two looks have found the same; and the connection stays. No secret is in the log."""
    file = tmp_path / "url"
    file.write_text(URLS.format("old"))
    alone = Alone(monkeypatch, "secret", file=file).connect()
    (session,) = alone.sessions.made
    with capture_logs() as lines:
        alone.retry()
        for text in written:
            if text is None:
                file.unlink()
            else:
                file.write_text(text)
            assert alone.retry() == 1.0
        alone.retry()
        alone.retry()
    assert session.calls == ["settled", *handed_on]
    assert alone.connection.state is State.OPEN
    assert [(line["event"], line["connection"]) for line in lines] == [("secret renewed", "secret")] * len(handed_on)
    assert "new" not in str(lines).replace("renewed", "")


def test_the_file_of_a_lost_connection_is_not_looked_at_any_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next one looks for itself."""
    file = tmp_path / "url"
    file.write_text(URLS.format("old"))
    alone = Alone(monkeypatch, "lost", file=file).connect()
    alone.connection.on_lost(LOST)
    (_, look), (_, reconnect) = alone.timers
    alone.timers.clear()
    look()
    assert alone.timers == []
    reconnect()
    alone.accept()
    assert len(alone.timers) == 1


def test_without_a_file_no_secret_is_looked_for(alone: Alone) -> None:
    assert alone.connect().timers == []


def test_opening_an_open_connection_does_nothing(alone: Alone) -> None:
    alone.connect().connection.open()
    assert len(alone.sessions.made) == 1


def test_only_the_channel_of_the_session_under_way_can_be_accepted_and_only_once(alone: Alone) -> None:
    """Late replies of a dropped session must open nothing."""
    alone.connection.open()
    alone.connection.on_channel("channel")  # type: ignore[arg-type]
    alone.connection.accepted("another")  # type: ignore[arg-type]
    assert alone.connection.state is State.CONNECTING
    alone.connection.accepted("channel")  # type: ignore[arg-type]
    alone.connection.accepted("channel")  # type: ignore[arg-type]
    assert alone.events == [("prepare", "channel"), ("opened", "channel")]
    alone.connection.fail(LOST)
    alone.connection.accepted(None)  # type: ignore[arg-type]
    assert alone.connection.state is State.BACKING_OFF
    alone.retry()
    alone.connection.accepted("channel")  # type: ignore[arg-type]
    assert alone.connection.state is State.CONNECTING


def test_a_channel_that_opens_after_close_is_not_prepared(alone: Alone) -> None:
    alone.connection.open()
    alone.connection.close()
    alone.accept()
    assert (alone.connection.state, alone.events) == (State.CLOSING, [])


def test_a_lost_connection_is_logged_counted_and_opened_again_after_a_pause(alone: Alone) -> None:
    connection = alone.connect().connection
    connection.on_blocked(True)
    with capture_logs() as lines:
        connection.on_lost(BrokerError(Kind.TCP, "gone"))
    assert lines == [
        {
            "event": "not connected",
            "log_level": "warning",
            "connection": alone.name,
            "broker": "amqp://guest@a:5672/",
            "reason": "gone",
            "retry_in": 0.2,
        }
    ]
    assert (connection.channel, connection.blocked) == (None, False)
    assert connection.reasons() == [f"{alone.name}: backing off (gone)"]
    assert alone.events[2:] == [("lost", BrokerError(Kind.TCP, "gone"))]
    assert (alone.counted("mq_connected"), alone.counted("mq_reconnects_total")) == (0, 1)
    assert alone.retry() == 0.2
    assert connection.reasons() == [f"{alone.name}: connecting (gone)"]
    alone.accept()
    assert (connection.reasons(), connection.broker_error) == ([], None)
    assert len(alone.sessions.made) == 2


def test_a_failed_try_is_no_loss_and_no_reconnect(alone: Alone) -> None:
    alone.connection.open()
    alone.connection.on_channel("channel")  # type: ignore[arg-type]
    alone.connection.on_lost(LOST)
    assert alone.events == [("prepare", "channel")]
    assert alone.counted("mq_reconnects_total") == 0
    assert [alone.retry(), alone.connection.on_lost(LOST), alone.retry()] == [0.2, None, 0.4]


def test_pauses_are_short_again_after_a_connection_that_stayed_open_longer_than_the_cap(alone: Alone) -> None:
    alone.connect()
    for open_seconds, pause in ((1.0, 0.2), (5.0, 0.4), (5.1, 0.2)):
        alone.now += open_seconds
        alone.connection.on_lost(LOST)
        assert alone.retry() == pause
        alone.accept()


def test_all_brokers_are_tried_and_have_failed_when_the_last_of_them_has(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Alone(monkeypatch, "three_brokers", "amqp://a,amqp://b,amqp://c")
    connection = alone.connection
    assert not connection.all_failed
    connection.open()
    failed = []
    for _ in range(3):
        connection.on_lost(LOST)
        failed.append((connection.all_failed, alone.retry()))
    assert failed == [(False, 0.0), (False, 0.0), (True, 0.2)]
    assert alone.sessions.hosts == ["a", "b", "c", "a"]
    assert [session.tries for session in alone.sessions.made] == [0, 0, 0, 1], "of each broker"
    alone.accept()
    assert not connection.all_failed
    connection.on_lost(LOST)
    assert not connection.all_failed, "a loss is no failed try"


def test_a_failed_connection_drops_its_session_first(alone: Alone) -> None:
    alone.connect().connection.fail(LOST)
    assert alone.sessions.made[0].calls == ["settled", "drop"]
    assert alone.events[2:] == [("lost", LOST)]
    alone.connection.fail(LOST)
    assert (alone.events[3:], len(alone.timers)) == ([], 1), "without a session there is nothing to fail"


def test_close_waits_for_the_handshake_and_nothing_is_tried_again(alone: Alone) -> None:
    connection = alone.connect().connection
    connection.close()
    assert (connection.state, connection.channel) == (State.CLOSING, None)
    connection.on_lost(LOST)
    assert (connection.state, connection.broker_error) == (State.CLOSED, None)
    assert (alone.timers, alone.events[2:]) == ([], [])
    assert alone.counted("mq_reconnects_total") == 0


def test_close_without_a_handshake_closes_at_once(alone: Alone) -> None:
    alone.connect()
    alone.sessions.handshake = False
    alone.connection.close()
    assert alone.connection.state is State.CLOSED
    assert alone.sessions.made[0].calls == ["settled", "close", "drop"]
    alone.connection.fail(LOST)
    assert alone.connection.state is State.CLOSED, "the session is gone"


def test_close_between_two_tries_cancels_the_next_try(alone: Alone) -> None:
    alone.connection.open()
    alone.connection.on_lost(LOST)
    alone.connection.close()
    assert (alone.connection.state, alone.timers) == (State.CLOSED, [])


def test_an_alarm_of_the_broker_is_a_reason_a_metric_and_a_log_line(alone: Alone) -> None:
    connection = alone.connect().connection
    for blocked, event, reasons in (
        (True, "blocked by the broker's alarm", [f"{alone.name}: blocked"]),
        (False, "unblocked", []),
    ):
        with capture_logs() as lines:
            connection.on_blocked(blocked)
        assert lines == [{"event": event, "log_level": "warning", "connection": alone.name}]
        assert (connection.reasons(), alone.counted("mq_blocked")) == (reasons, blocked)


class User:
    """Implements `ChannelUser`: without a broker no method may be called."""

    def adapts(self, refusal: BrokerError) -> bool:
        return False

    def prepare(self, channel: Channel) -> None:
        raise AssertionError(f"{channel} of no broker")

    def opened(self, channel: Channel) -> None:
        raise AssertionError(f"{channel} of no broker")

    def lost(self, reason: BrokerError) -> None:
        raise AssertionError(f"lost what was never open: {reason}")


@pytest.fixture
def port() -> int:
    """A port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def connection(process: Loop, **values: object) -> Connection:
    quick = {"mq_ch": "jobs", "mq_backoff_max": "50ms", "mq_connect_timeout": "500ms"}
    return Connection("test", process, Settings.model_validate(quick | values), User())


def test_a_connection_is_closed_and_has_no_channel_before_it_is_opened(process: Loop, port: int) -> None:
    made = connection(process, mq_url=f"amqp://127.0.0.1:{port}")
    assert (made.state, made.channel, made.reasons()) == (State.CLOSED, None, ["test: closed"])
    assert REGISTRY.get_sample_value("mq_connected", {"connection": "test"}) == 0


def test_a_refused_connection_is_tried_again_and_its_reason_has_no_password(process: Loop, port: int) -> None:
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


def test_brokers_are_tried_in_the_order_of_mq_url(process: Loop, port: int) -> None:
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


def test_a_missing_mq_url_file_is_waited_for(process: Loop, port: int, tmp_path: Path) -> None:
    """Kubernetes may be replacing the file."""
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


def test_a_closed_connection_is_not_tried_again(process: Loop, port: int) -> None:
    """Whether it was closed between two tries or during a try."""
    for when in (State.BACKING_OFF, State.CONNECTING):
        made = connection(process, mq_url=f"amqp://127.0.0.1:{port}")
        made.open()
        process.turn(lambda made=made, when=when: made.state is when, when.value)  # type: ignore[misc]
        made.close()
        later: list[int] = []
        process.call_later(0.3, lambda later=later: later.append(1))  # type: ignore[misc]
        process.turn(lambda later=later: later, "a moment")  # type: ignore[misc]
        assert made.state is State.CLOSED, f"closed while {when.value}"


class Ready(User):
    """Declares nothing, so that a peer of ours will do."""

    def __init__(self) -> None:
        self.made: Connection
        self.away_when_lost: list[bool] = []

    def adapts(self, refusal: BrokerError) -> bool:
        return False

    def prepare(self, channel: Channel) -> None:
        self.made.accepted(channel)

    def opened(self, channel: Channel) -> None:
        pass

    def lost(self, reason: BrokerError) -> None:
        self.away_when_lost.append(self.made.all_failed)


def opened(process: Loop, *peers: Peer, user: Ready | None = None, name: str = "test") -> Connection:
    settings = {"mq_ch": "jobs", "mq_backoff_max": "50ms", "mq_url": ",".join(peer.url for peer in peers)}
    user = user or Ready()
    user.made = Connection(name, process, Settings.model_validate(settings), user)
    user.made.open()
    process.turn(lambda: user.made.state is State.OPEN, "it is open")
    return user.made


def test_an_alarm_on_a_dropped_session_does_not_block_the_next_session(
    process: Loop, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next session would never hear that the alarm is over."""
    monkeypatch.setattr("common.amqp.session.CLOSE_TIMEOUT", 0.2)
    peer.answers_close = False
    made = opened(process, peer)
    made.fail(LOST)
    process.turn(lambda: made.state is State.OPEN, "the next")
    peer.visits[0].say(spec.Connection.Blocked("low on memory"), 0)
    # Without the fence only missing heartbeats end the old one, and soon after it the next one, too.
    read = time.monotonic() + 1.0
    process.turn(lambda: not peer.visits[0].open or (not FENCE and time.monotonic() > read), "the old one has read it")
    assert made.reasons() == []
    made.close()


@pytest.mark.skipif(not FENCE, reason="pika has no public way to end it, and its heartbeats do in time")
def test_a_dropped_session_ends_though_its_peer_does_not_answer_the_close(
    process: Loop, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each reconnect would leave a socket open. A connection that is closed for good ends, too."""
    monkeypatch.setattr("common.amqp.session.CLOSE_TIMEOUT", 0.2)
    peer.answers_close = False
    made = opened(process, peer)
    for number in (1, 2):
        made.fail(LOST)
        process.turn(lambda: made.state is State.OPEN, "the next")
        process.turn(lambda number=number: not peer.visits[number - 1].open, "the end of the old one")  # type: ignore[misc]
    made.close()
    process.turn(lambda: made.state is State.CLOSED, "it is closed")
    assert len(peer.visits) == 3


def test_after_a_failed_session_the_next_broker_is_tried(process: Loop, peer: Peer) -> None:
    """A node that was cut off from its cluster may accept connections and confirm nothing."""
    with Peer() as good:
        made = opened(process, peer, good)
        made.fail(LOST)
        process.turn(lambda: made.state is State.OPEN, "the next")
        assert (len(peer.visits), len(good.visits)) == (1, 1)
        made.close()
        process.turn(lambda: made.state is State.CLOSED, "it is closed")


def test_a_lost_broker_has_not_failed_until_a_try_has_failed(process: Loop, peer: Peer) -> None:
    """A stopping producer waits for confirms until all brokers have failed. Before the first try none has."""
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
    """One of them is often down, and a stopping producer would give up messages that the next broker takes."""
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


def test_of_two_addresses_the_second_is_tried_when_the_first_accepts_and_is_silent(
    process: Loop, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that answers with another protocol. Until the connection was lost the one that works is kept."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        records = [(*stream, silent.getsockname()), (*stream, ("127.0.0.1", peer.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(records))
        user = Ready()
        settings = {"mq_ch": "jobs", "mq_backoff_max": "50ms", "mq_url": "amqp://broker", "mq_connect_timeout": "300ms"}
        user.made = Connection("test", process, Settings.model_validate(settings), user)
        user.made.open()
        process.turn(lambda: user.made.state is State.OPEN, "it is open")
        user.made.close()
        process.turn(lambda: user.made.state is State.CLOSED, "it is closed")


class TlsPeer(Peer):
    """Speaks TLS by `context`, which a test changes."""

    context: ssl.SSLContext

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                stream = self._listener.accept()[0]
                with contextlib.suppress(ssl.SSLError, ConnectionError):
                    visit = Visit(self, self.context.wrap_socket(stream, server_side=True), len(self.visits))
                    self.visits.append(visit)
                    visit.start()


def certify(folder: Path) -> tuple[dict[str, bytes], ssl.SSLContext]:
    """A new authority's own certificate for `localhost` with its key, and the context of a peer that takes no other."""
    crt, key = folder / "new.crt", folder / "new.key"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-addext", "keyUsage=critical,keyCertSign,digitalSignature"]
    output(["openssl", "req", "-x509", *new, *names, "-days", "2", "-keyout", str(key), "-out", str(crt)])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=crt)
    context.load_cert_chain(crt, key)
    context.verify_mode = ssl.CERT_REQUIRED
    return {"ca.crt": crt.read_bytes(), "tls.crt": crt.read_bytes(), "tls.key": key.read_bytes()}, context


def test_renewed_tls_files_are_taken_at_the_next_connect(process: Loop, tmp_path: Path) -> None:
    """The authority, our certificate and its key; while they do not fit, the reason is TLS."""
    files, context = certify(tmp_path)
    renewed, next_context = certify(tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    named = {"mq_tls_ca_file": "ca.crt", "mq_tls_cert_file": "tls.crt", "mq_tls_key_file": "tls.key"}
    user, peer = Ready(), TlsPeer()
    peer.context = context
    with peer:
        settings = {"mq_ch": "jobs", "mq_backoff_max": "50ms", "mq_url": f"amqps://localhost:{peer.port}"}
        settings |= {setting: str(tmp_path / name) for setting, name in named.items()}
        made = user.made = Connection("test", process, Settings.model_validate(settings), user)
        made.open()
        process.turn(lambda: made.state is State.OPEN, "it is open")
        peer.context = next_context
        made.fail(LOST)
        process.turn(lambda: made.broker_error and made.broker_error.kind is Kind.TLS, "the old files do not fit")
        (tmp_path / "ca.crt").write_bytes(renewed["ca.crt"])
        process.turn(lambda: "MQ_TLS_CERT_FILE" in str(made.broker_error), "ours is the old one")
        for name in ("tls.crt", "tls.key"):
            (tmp_path / name).write_bytes(renewed[name])
        process.turn(lambda: made.state is State.OPEN, "it is open again")
        made.close()
        process.turn(lambda: made.state is State.CLOSED, "it is closed")


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
