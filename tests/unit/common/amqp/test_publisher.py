"""What a publisher promises, with a channel of the test's and with a peer; with a broker: tests/broker, tests/chaos."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pika import BasicProperties, spec
from pika.frame import Method
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common.amqp.errors import BrokerError, Kind
from common.amqp.flow import NOT_CONFIRMED, ONLY_NACKS_MAX_SECONDS, STILL_FULL
from common.amqp.inflight import Publication, Single
from common.amqp.publisher import Publisher
from common.amqp.topology import Topology
from common.message import Message
from common.settings.shared import Settings
from tests.unit.conftest import Loop
from tests.unit.origins import received
from tests.unit.peer import Peer, Visit

Token = int


def fail(*arguments: object) -> None:
    raise AssertionError(f"confirmed or refused without a broker: {arguments}")


def make(process: Loop, url: str, confirmed: list[Token] | None = None, **more: object) -> Publisher[Token]:
    settings = Settings.model_validate({"mq_url": url, "mq_ch": "jobs", "mq_backoff_max": "50ms", **more})

    def on_progress(publications: list[Publication[Token]]) -> None:
        if publications and confirmed is None:
            fail(publications)
        elif confirmed is not None:
            confirmed.extend(each.token for each in publications)

    topology = Topology("jobs")
    return Publisher("test_publisher", process, settings, topology, window=10, on_progress=on_progress, on_refused=fail)


def numbers(*tokens: Token) -> list[Publication[Token]]:
    return [Publication("jobs", Message(b"%d" % token), token) for token in tokens]


@pytest.fixture
def publisher(process: Loop, own_metrics: None) -> Publisher[Token]:
    return make(process, "amqp://127.0.0.1:1")


def test_without_a_broker_everything_is_kept_and_nothing_more_is_asked_for(publisher: Publisher[Token]) -> None:
    """Over losses and ticks; the metric counts the messages."""
    publisher.publish(Publication("jobs", Message(b"x"), number) for number in range(3))
    publisher.lost(BrokerError(Kind.TCP, "gone"))
    publisher.tick(time.monotonic() + 1000)
    assert len(publisher) == 3
    assert publisher.room == 0
    assert REGISTRY.get_sample_value("test_publisher_unconfirmed") == 3
    assert REGISTRY.get_sample_value("test_publisher_published_total") == 0


def test_each_refused_message_is_logged_with_its_id(publisher: Publisher[Token]) -> None:
    """Up to a limit, since whoever posts to the HTTP source could fill the log; the others are counted."""
    with capture_logs() as lines:
        for number in range(1000):
            publisher.refused("too long", message_id=f"m{number}")
        publisher.tick(time.monotonic())
    *told, last = lines
    assert [line["message_id"] for line in told] == [f"m{number}" for number in range(200)]
    assert {(line["event"], line["reason"]) for line in told} == {("refused", "too long")}
    assert last["count"] == 800
    assert REGISTRY.get_sample_value("test_publisher_refused_total") == 1000


def test_a_publisher_without_a_broker_is_not_ready_and_says_why(publisher: Publisher[Token]) -> None:
    """The reason of the connection, and that of the last loss until a message is confirmed."""
    assert publisher.reasons() == ["test_publisher: closed"]
    publisher.lost(BrokerError(Kind.TOPOLOGY, "312 NO_ROUTE: there is no queue jobs"))
    assert publisher.reasons() == ["test_publisher: closed", "there is no queue"]


@pytest.mark.usefixtures("own_metrics")
def test_a_message_whose_confirm_is_left_out_is_sent_again(process: Loop, peer: Peer) -> None:
    """However many confirms come for other messages."""
    confirmed: list[Token] = []

    def leave_out_the_second(visit: Visit, tag: int) -> None:
        if visit.number or tag != 2:
            visit.say(spec.Basic.Ack(tag))

    peer.on_publish = leave_out_the_second
    publisher = make(process, peer.url, confirmed, mq_confirm_timeout="300ms")
    publisher.connection.open()
    for token in range(400):
        publisher.publish(numbers(token))
        process.turn(lambda token=token: confirmed.count(token) or token == 1, "its confirm")  # type: ignore[misc]
        publisher.tick(time.monotonic())
        if 1 in confirmed:
            break
    process.turn(lambda: 1 in confirmed, "the one that was left out")
    assert b"1" in peer.visits[1].published
    publisher.connection.close()


@pytest.mark.usefixtures("own_metrics")
def test_messages_that_a_full_queue_refused_are_sent_again_in_their_order(process: Loop, peer: Peer) -> None:
    """Also when the broker refuses them in several batches."""
    confirmed: list[Token] = []

    def refuse_two_batches(visit: Visit, tag: int) -> None:
        if tag == 5:
            visit.say(spec.Basic.Nack(3, multiple=True))
            visit.say(spec.Basic.Nack(5, multiple=True))
        elif tag == 1 or tag > 5:
            visit.say(spec.Basic.Ack(tag))

    peer.on_publish = refuse_two_batches
    publisher = make(process, peer.url, confirmed)
    publisher.connection.open()
    publisher.publish(numbers(*range(8)))

    def all_are_confirmed() -> bool:
        publisher.tick(time.monotonic())
        return len(confirmed) == 8

    process.turn(all_are_confirmed, "all confirms")
    assert peer.visits[0].published[8:] == [b"1", b"2", b"3", b"4"]
    assert sorted(confirmed) == list(range(8))
    publisher.connection.close()


@pytest.mark.usefixtures("own_metrics")
def test_a_channel_that_only_nacks_is_given_up_with_its_reason(process: Loop, peer: Peer) -> None:
    """RabbitMQ may not have told this channel that the queue has room again."""
    confirmed: list[Token] = []
    peer.on_publish = lambda visit, tag: visit.say(spec.Basic.Ack(tag) if visit.number else spec.Basic.Nack(tag))
    publisher = make(process, peer.url, confirmed)
    publisher.connection.open()
    publisher.publish(numbers(0))
    process.turn(lambda: "the queue is full" in publisher.reasons(), "a broker_error")
    publisher.tick(time.monotonic() + ONLY_NACKS_MAX_SECONDS + 1)
    assert publisher.connection.broker_error is STILL_FULL
    process.turn(lambda: confirmed == [0], "the confirm of another")
    publisher.connection.close()


@pytest.mark.usefixtures("own_metrics")
def test_a_lost_connection_is_not_blamed_on_a_queue_that_was_full(process: Loop) -> None:
    """And no try to connect is given up because of that queue."""
    publisher = make(process, "amqp://127.0.0.1:1")
    publisher._watchdog.nacked(time.monotonic())
    publisher.lost(BrokerError(Kind.TCP, "gone"))
    publisher.connection.open()
    publisher.tick(time.monotonic() + ONLY_NACKS_MAX_SECONDS + 1)
    assert publisher.connection.broker_error is not STILL_FULL
    publisher.connection.close()


class Wire:
    """In the place of the publisher's connection and of its channel: notes what they are asked for."""

    def __init__(self, publisher: Publisher[Token]) -> None:
        self.channel: Wire | None = self
        self.blocked = False
        self.failures: list[BrokerError] = []
        self.published: list[tuple[object, str, Message]] = []
        self.connection = self
        publisher.connection = self  # type: ignore[assignment]

    def reasons(self) -> list[str]:
        return []

    def fail(self, reason: BrokerError) -> None:
        self.failures.append(reason)

    def publish(self, channel: object, routing_key: str, message: Message, _: str = "") -> None:
        """Note the message; the body `bad` cannot be encoded."""
        if message.body == b"bad":
            raise TypeError("no such header")
        self.published.append((channel, routing_key, message))

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for _, _, message in self.published]


class Owned:
    """A publisher with a window of 4 and an open channel, and what its owner is told."""

    def __init__(self, process: Loop, name: str = "test_publisher") -> None:
        self.heard: list[list[Token]] = []
        self.refused: list[Token] = []
        self.name = name
        settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"})
        self.publisher: Publisher[Token] = Publisher(
            name,
            process,
            settings,
            Topology("jobs"),
            window=4,
            on_progress=lambda confirmed: self.heard.append([each.token for each in confirmed]),
            on_refused=lambda refused: self.refused.append(refused.token),
        )
        self.wire = Wire(self.publisher)

    def open(self, window: int = 4) -> "Owned":
        """Open the channel; pass the slow start unless `window` is 1."""
        self.publisher.opened(self.wire)  # type: ignore[arg-type]
        if window > 1:
            self.publisher.publish(numbers(0))
            self.ack(1)
            self.wire.published.clear()
        self.heard.clear()
        return self

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        self.publisher._on_confirm(self.wire, spec.Basic.Ack(tag, multiple))  # type: ignore[arg-type]

    def nack(self, tag: int, *, multiple: bool = False) -> None:
        self.publisher._on_confirm(self.wire, spec.Basic.Nack(tag, multiple))  # type: ignore[arg-type]

    def counted(self, what: str) -> float | None:
        return REGISTRY.get_sample_value(f"{self.name}_{what}")


@pytest.fixture
def owned(process: Loop, own_metrics: None) -> Owned:
    return Owned(process)


def test_a_message_is_published_to_its_queue_mandatory_with_its_own_properties(owned: Owned) -> None:
    """Through the default exchange."""
    owned.open()
    (publication,) = numbers(7)
    owned.publisher.publish([publication])
    assert owned.wire.published == [(owned.wire, "jobs", publication.message)]


def test_one_message_goes_first_on_a_channel_and_its_confirm_opens_the_window(owned: Owned) -> None:
    owned.open(window=1)
    assert owned.publisher.room == 1
    owned.publisher.publish(numbers(1, 2, 3, 4, 5, 6))
    assert owned.wire.bodies == [b"1"]
    assert owned.publisher.room == 1 - 6
    owned.ack(1)
    assert owned.wire.bodies == [b"1", b"2", b"3", b"4", b"5"]
    assert owned.heard == [[1]]
    assert (owned.counted("published_total"), owned.publisher.metrics.sent) == (5, 5)
    assert (owned.counted("confirmed_total"), owned.counted("unconfirmed")) == (1, 5)
    owned.ack(5, multiple=True)
    assert owned.heard == [[1], [2, 3, 4, 5]]
    assert owned.counted("confirm_seconds_count") == 5
    assert len(owned.publisher) == 1


def test_room_is_what_would_be_sent_at_once(owned: Owned) -> None:
    owned.open()
    assert owned.publisher.room == 4
    owned.publisher.publish(numbers(1, 2, 3))
    assert owned.publisher.room == 1
    owned.wire.blocked = True
    assert owned.publisher.room == 0
    owned.wire.blocked, owned.wire.channel = False, None
    assert owned.publisher.room == 0


def test_there_is_no_room_while_as_many_bytes_as_may_be_are_held(owned: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.amqp.inflight.WINDOW_BYTES", 2)
    owned.open()
    owned.publisher.publish(numbers(1))
    assert owned.publisher.room == 3
    owned.publisher.publish(numbers(2))
    assert owned.publisher.room == 0


def test_a_wait_is_counted_from_the_publish_to_the_confirm(owned: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    owned.open()
    before = owned.counted("confirm_seconds_sum")
    now = time.monotonic()
    monkeypatch.setattr("common.amqp.publisher.time", SimpleNamespace(monotonic=lambda: now))
    owned.publisher.publish(numbers(1, 2))
    now += 3
    owned.ack(3, multiple=True)
    assert owned.counted("confirm_seconds_sum") == pytest.approx(before + 6)  # type: ignore[operator]


def test_a_blocked_connection_gets_nothing_until_the_tick_after_the_alarm(owned: Owned) -> None:
    owned.open()
    owned.wire.blocked = True
    owned.publisher.publish(numbers(1))
    owned.publisher.tick(time.monotonic())
    assert owned.wire.published == []
    owned.wire.blocked = False
    owned.publisher.tick(time.monotonic())
    assert owned.wire.bodies == [b"1"]
    assert owned.heard == [[], []], "there may be room at each tick"


def test_a_new_channel_sends_what_waits_and_asks_for_more(owned: Owned) -> None:
    owned.publisher.publish(numbers())
    owned.wire.channel = None
    owned.publisher.publish(numbers(1, 2))
    owned.wire.channel = owned.wire
    owned.publisher.opened(owned.wire)  # type: ignore[arg-type]
    assert owned.wire.bodies == [b"1"], "one, until it is confirmed"
    assert owned.heard == [[]]


def test_a_nack_keeps_the_message_pauses_and_is_logged_once(owned: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    """The confirm after the pause opens the window again."""
    monkeypatch.setattr("common.amqp.flow.full_jitter", lambda *_: 2.0)
    owned.open()
    owned.publisher.publish(numbers(1, 2, 3))
    with capture_logs() as lines:
        owned.nack(3, multiple=True)
        owned.nack(4)
    assert [(line["event"], line["nacked"]) for line in lines] == [
        ("the queue is full: messages are kept and sent again", 2)
    ]
    assert lines[0]["log_level"] == "warning"
    assert owned.counted("nacked_total") == 3
    assert owned.heard == []
    assert len(owned.publisher) == 3
    assert owned.publisher.reasons() == ["the queue is full"]
    owned.publisher.tick(time.monotonic())
    assert owned.wire.bodies == [b"1", b"2", b"3"]
    owned.publisher.tick(time.monotonic() + 3)
    assert owned.wire.bodies[3:] == [b"1"]
    owned.ack(5)
    assert owned.publisher.reasons() == []
    assert owned.counted("confirmed_total") == 2


def test_answers_of_a_channel_that_is_gone_are_not_believed(owned: Owned) -> None:
    """The tags of that channel name other messages now."""
    owned.open()
    owned.publisher.publish(numbers(1))
    gone, method = Wire(owned.publisher), spec.Basic.Return(312, "NO_ROUTE", "", "jobs")
    owned.publisher.connection = owned.wire  # type: ignore[assignment]
    for answer in (spec.Basic.Ack(2), spec.Basic.Nack(2)):
        owned.publisher._on_confirm(gone, answer)  # type: ignore[arg-type]
    owned.publisher._on_return(gone, method, BasicProperties(), b"")  # type: ignore[arg-type]
    assert (len(owned.publisher), owned.heard, owned.wire.failures) == (1, [], [])
    assert (owned.counted("nacked_total"), owned.counted("returned_total")) == (0, 0)


def test_a_returned_message_ends_the_connection_before_its_confirm_is_believed(owned: Owned) -> None:
    owned.open()
    owned.publisher.publish(numbers(1))
    method = spec.Basic.Return(312, "NO_ROUTE", "", "jobs")
    owned.publisher._on_return(owned.wire, method, BasicProperties(), b"")  # type: ignore[arg-type]
    assert owned.wire.failures == [BrokerError(Kind.TOPOLOGY, "312 NO_ROUTE: there is no queue jobs")]
    assert owned.counted("returned_total") == 1
    owned.publisher.lost(owned.wire.failures[0])
    assert owned.publisher.reasons() == ["there is no queue"]
    owned.publisher.opened(owned.wire)  # type: ignore[arg-type]
    assert owned.wire.bodies == [b"1", b"1"]
    assert owned.refused == []


def test_a_lost_connections_messages_are_sent_again_first_and_one_by_one(owned: Owned) -> None:
    owned.open()
    owned.publisher.publish(numbers(1, 2, 3, 4, 5))
    owned.publisher.lost(BrokerError(Kind.TCP, "gone"))
    assert owned.publisher.reasons() == []
    owned.publisher.opened(owned.wire)  # type: ignore[arg-type]
    assert owned.wire.bodies[4:] == [b"1"]
    owned.ack(1)
    assert owned.wire.bodies[4:] == [b"1", b"2", b"3", b"4", b"5"], "without a suspect the window opens"
    assert owned.counted("published_total") == 1 + 4 + 5


POISON = BrokerError(Kind.TOPOLOGY, "406 PRECONDITION_FAILED - message size 9 is larger than 8")


def test_a_poisoned_message_is_found_among_several_and_refused_alone(owned: Owned) -> None:
    owned.open()
    owned.publisher.publish(numbers(1, 2))
    owned.publisher.lost(POISON)
    assert owned.refused == []
    owned.publisher.opened(owned.wire)  # type: ignore[arg-type]
    owned.ack(1)
    assert owned.wire.bodies[2:] == [b"1", b"2"]
    owned.publisher.publish(numbers(3))
    assert owned.wire.bodies[2:] == [b"1", b"2"], "the second suspect goes alone"
    with capture_logs() as lines:
        owned.publisher.lost(POISON)
    assert owned.refused == [2]
    assert [(line["event"], line["reason"], line["log_level"]) for line in lines] == [
        ("refused", POISON.text, "warning")
    ]
    assert owned.counted("refused_total") == 1
    owned.publisher.opened(owned.wire)  # type: ignore[arg-type]
    assert owned.wire.bodies[4:] == [b"3"]


def test_what_cannot_be_encoded_is_refused_and_its_neighbours_go(owned: Owned) -> None:
    owned.open()
    bad = Publication("jobs", Message(b"bad", message_id="m-2"), 2)
    with capture_logs() as lines:
        owned.publisher.publish([*numbers(1), bad, *numbers(3, 4, 5)])
    assert owned.wire.bodies == [b"1", b"3", b"4", b"5"], "the window is filled all the same"
    assert owned.refused == [2]
    assert [(line["reason"], line["message_id"]) for line in lines] == [("TypeError: no such header", "m-2")]
    assert (owned.counted("refused_total"), owned.counted("published_total")) == (1, 1 + 4)
    owned.ack(3)
    assert owned.heard == [[3]], "the one that did not go has no tag"


def test_an_owner_that_discards_keeps_what_it_wants(owned: Owned) -> None:
    owned.open()
    owned.wire.blocked = True
    owned.publisher.publish(numbers(1, 2, 3))
    owned.publisher.discard(lambda token: token == 2)
    owned.wire.blocked = False
    owned.publisher.tick(time.monotonic())
    assert owned.wire.bodies == [b"2"]


def test_a_connection_that_confirms_nothing_is_given_up(owned: Owned) -> None:
    """After MQ_CONFIRM_TIMEOUT; during an alarm it is not."""
    owned.open()
    owned.publisher.publish(numbers(1))
    after = time.monotonic() + 31
    owned.wire.blocked = True
    owned.publisher.tick(after)
    assert owned.wire.failures == []
    owned.wire.blocked = False
    owned.publisher.tick(after + 29)
    assert owned.wire.failures == []
    owned.publisher.tick(after + 31)
    assert owned.wire.failures == [NOT_CONFIRMED]


def test_a_broker_that_confirms_slowly_and_in_order_is_waited_for(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned.open()
    now = time.monotonic()
    monkeypatch.setattr("common.amqp.publisher.time", SimpleNamespace(monotonic=lambda: now))
    owned.publisher.publish(numbers(1, 2))
    now += 29
    owned.ack(2)
    owned.publisher.tick(now + 30)
    assert owned.wire.failures == []
    owned.publisher.tick(now + 31)
    assert owned.wire.failures == [NOT_CONFIRMED]


def test_a_message_that_later_ones_overtook_is_not_waited_for_longer(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned.open()
    now = time.monotonic()
    monkeypatch.setattr("common.amqp.publisher.time", SimpleNamespace(monotonic=lambda: now))
    owned.publisher.publish(numbers(1, 2))
    now += 29
    owned.ack(3)
    owned.publisher.tick(now + 2)
    assert owned.wire.failures == [NOT_CONFIRMED]


def test_the_topology_is_declared_and_confirms_are_selected_before_anything_goes(owned: Owned) -> None:
    """The reply to the last request opens the connection."""
    asked: list[str] = []
    accepted: list[object] = []

    class Prepared:
        def add_on_return_callback(self, callback: Callable[..., None]) -> None:
            asked.append("returns")
            self.on_return = callback

        def queue_declare(self, queue: str, **_: object) -> None:
            asked.append(queue)

        def confirm_delivery(self, on_confirm: Callable[..., None], callback: Callable[..., None]) -> None:
            asked.append("confirms")
            self.on_confirm, self.on_selected = on_confirm, callback

    channel: Any = Prepared()
    owned.wire.accepted = accepted.append  # type: ignore[attr-defined]
    owned.publisher.prepare(channel)
    assert (asked[0], asked[-1]) == ("returns", "confirms")
    assert "jobs" in asked
    assert accepted == []
    channel.on_selected(None)
    assert accepted == [channel]
    owned.wire.channel = channel
    channel.connection = owned.wire
    owned.publisher.publish(numbers(1))
    channel.on_confirm(Method(1, spec.Basic.Ack(1)))
    assert owned.heard == [[1]]
    channel.on_return(channel, spec.Basic.Return(312, "NO_ROUTE", "", "jobs"), BasicProperties(), b"")
    assert len(owned.wire.failures) == 1


def single(number: int, exchange: str = "", key: str = "out") -> Single[Token]:
    return Single(exchange, key, Message(b"%d" % number, message_id=f"m{number}"), number)


@pytest.fixture
def failed(owned: Owned) -> list[tuple[Token, str, bool]]:
    """What its owner is told of each Single that fails."""
    told: list[tuple[Token, str, bool]] = []
    owned.publisher.on_failed = lambda publication, reason, outage: told.append((publication.token, reason, outage))
    return told


def give_back(owned: Owned, exchange: str, key: str, number: int) -> None:
    method = spec.Basic.Return(312, "NO_ROUTE", exchange, key)
    came = received(BasicProperties(message_id=f"m{number}"))  # of either wire
    owned.publisher._on_return(owned.wire, method, came, b"")  # type: ignore[arg-type]


def test_a_returned_single_has_failed_and_its_confirm_counts_for_nothing(
    owned: Owned, failed: list[tuple[Token, str, bool]]
) -> None:
    """The connection and all others stay."""
    owned.open()
    owned.publisher.publish([single(1), single(2), *numbers(3)])
    give_back(owned, "", "out", 1)
    assert failed == [(1, "312 NO_ROUTE: no queue takes it", True)]
    assert owned.wire.failures == []
    owned.ack(4, multiple=True)
    assert owned.heard[-1] == [2, 3]
    assert owned.refused == []


def test_a_return_that_names_no_single_ends_the_connection(owned: Owned, failed: list[tuple[Token, str, bool]]) -> None:
    """It is a copy of ours, and its queue is to be declared again."""
    owned.open()
    owned.publisher.publish([single(1), *numbers(2)])
    give_back(owned, "", "jobs", 1)
    assert (failed, len(owned.wire.failures)) == ([], 1)


def test_a_single_that_a_full_queue_refuses_has_failed_and_holds_up_nothing(
    owned: Owned, failed: list[tuple[Token, str, bool]]
) -> None:
    owned.open()
    owned.publisher.publish([single(1), *numbers(2)])
    owned.nack(2)
    assert failed == [(1, "the queue is full", True)]
    assert owned.publisher.reasons() == []
    owned.publisher.publish(numbers(3))
    assert owned.wire.bodies == [b"1", b"2", b"3"]


CLOSED = "404 NOT_FOUND - no exchange '{}' in vhost '/'"


def test_a_missing_exchange_fails_its_messages_and_is_not_tried_for_a_while(
    owned: Owned, failed: list[tuple[Token, str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker closes the channel over each: the others are sent again, and are not held up by more of them."""
    owned.open()
    owned.publisher.publish([single(1, "gone"), *numbers(2), single(3, "there"), single(4, "gone")])
    reason = CLOSED.format("gone")
    owned.publisher.lost(BrokerError(Kind.TOPOLOGY, reason))
    assert failed == [(1, reason, True), (4, reason, True)]
    owned.wire.published.clear()
    owned.open(window=1)
    owned.publisher.publish([single(5, "gone")])
    owned.ack(1)
    assert owned.wire.bodies == [b"2", b"3"]
    assert failed[2:] == [(5, reason, True)]
    monkeypatch.setattr("common.amqp.publisher.BARRED_SECONDS", 0.0)
    owned.publisher.lost(BrokerError(Kind.TOPOLOGY, reason))
    owned.publisher._barred.clear()
    owned.open(window=1)
    owned.ack(1)
    owned.publisher.publish([single(6, "gone")])
    assert owned.wire.bodies[-1] == b"6"


def test_an_exchange_whose_name_the_broker_cuts_is_found_by_sending_one_at_a_time(
    owned: Owned, failed: list[tuple[Token, str, bool]]
) -> None:
    """A refusal has 255 bytes, and a name may have as many."""
    long = "x" * 255
    reason = CLOSED.format(long)[:252] + "..."
    owned.open()
    owned.publisher.publish([*numbers(1), single(2, long), *numbers(3)])
    owned.publisher.lost(BrokerError(Kind.TOPOLOGY, reason))
    owned.wire.published.clear()
    owned.open(window=1)
    owned.ack(1)
    assert owned.wire.bodies == [b"1", b"2"], "one by one"
    owned.publisher.lost(BrokerError(Kind.TOPOLOGY, reason))
    assert failed == [(2, reason, True)]
    owned.open(window=1)
    assert owned.wire.bodies[2:] == [b"3"]
    assert owned.refused == []


def test_a_single_that_cannot_be_encoded_has_failed_by_itself_and_is_not_counted_as_refused(
    owned: Owned, failed: list[tuple[Token, str, bool]]
) -> None:
    owned.open()
    owned.publisher.publish([Single("", "out", Message(b"bad"), 1), *numbers(2)])
    assert failed == [(1, "TypeError: no such header", False)]
    assert owned.wire.bodies == [b"2"]
    assert owned.counted("refused_total") == 0
