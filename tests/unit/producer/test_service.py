"""The producer's service while there is no broker; with one it is tested in tests/broker and tests/system."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from pika import spec
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common.amqp.connection import State
from common.amqp.errors import BrokerError, Kind
from common.message import Message
from producer.checkpoint import open_checkpoint
from producer.follower import Confirms, Follower, Item
from producer.service import ProducerService
from producer.settings import ProducerSettings
from producer.source import open_source
from tests.unit.conftest import Loop
from tests.unit.peer import Peer

pytestmark = pytest.mark.usefixtures("own_metrics")


def make(**values: object) -> ProducerSettings:
    return ProducerSettings.model_validate(
        {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "mq_backoff_max": "50ms", "producer_source": "m:s", **values}
    )


def three() -> Iterator[Item]:
    return (Item(number, number + 1) for number in range(3))


def test_without_a_broker_nothing_is_lost_and_all_is_counted_as_left(process: Loop) -> None:
    """It is not done at the source's end, only when it must stop and a try has failed; the exit code tells."""
    service = ProducerService(process, make(), three, name="n")
    service.start()
    process.turn(lambda: service.summary()[0] == 3, "three messages")
    service.tick(time.monotonic())
    assert not service.done()
    process.stopping = True
    service.stop()
    assert not service.done()
    process.turn(service.done, "the first try came to nothing")
    service.close()
    assert service.closed()
    left, totals = service.summary()
    assert left == 3
    assert (totals["confirmed"], totals["published"], totals["refused"]) == (0, 0, 0)


def test_a_producer_without_a_broker_is_live_and_not_ready(process: Loop) -> None:
    """An outage must not restart a pod."""
    service = ProducerService(process, make(), three, name="n")
    service.start()
    process.turn(lambda: service.publisher.connection.state is State.BACKING_OFF, "a broker_error")
    assert service.problems() == []
    assert "nothing listens there" in json.dumps(service.reasons())
    service.close()


def test_a_source_that_fails_is_left_over(process: Loop) -> None:
    """Exit code 1, though nothing is unconfirmed; and it is told once, with where it was."""

    def failing() -> Iterator[Item]:
        raise RuntimeError("the disk is gone")
        yield Item(1, 1)

    service = ProducerService(process, make(), failing, name="n")
    with capture_logs() as lines:
        service.start()
        process.turn(service.done, "the source's end")
        assert service.summary()[0] == 1
        service.close()
    (told,) = [line["exc_info"] for line in lines if line["event"] == "the source failed"]
    assert str(told) == "the disk is gone"
    assert told.__traceback__


def test_an_unconfirmed_line_does_not_move_the_checkpoint(process: Loop, tmp_path: Path) -> None:
    """It is sent again by the next run."""
    file, checkpoint = tmp_path / "input", tmp_path / "checkpoint"
    file.write_text("one\ntwo\n")
    checkpoint.write_text("4 name\n")
    settings = make(producer_source=f"lines:{file}", producer_checkpoint=checkpoint)
    opened = open_checkpoint(checkpoint, Path("none"))
    assert opened
    service = ProducerService(process, settings, open_source(settings, 4), [opened], name="n")
    service.start()
    process.turn(lambda: service.summary()[0] == 1, "the second line")
    service.tick(time.monotonic())
    service.close()
    assert checkpoint.read_text() == "4 name\n"


def test_a_stop_while_the_connection_is_being_made_anew_sends_what_was_taken(process: Loop, peer: Peer) -> None:
    """It was cut a moment ago, and the broker is there: what was taken would be lost for a short cut."""
    peer.on_publish = lambda visit, tag: visit.say(spec.Basic.Ack(tag)) if visit.number else None
    service = ProducerService(process, make(mq_url=peer.url, mq_backoff_max="1s"), three, name="n")
    service.start()
    process.turn(lambda: peer.visits and peer.visits[0].published, "the first message is on its way")
    peer.visits[0].cut()
    process.turn(
        lambda: service.publisher.connection.state is State.BACKING_OFF or len(peer.visits) > 1,
        "the loss, and maybe more",
    )
    process.stopping = True
    service.stop()
    process.turn(service.done, "the end")
    assert service.summary()[0] == 0
    service.close()
    process.turn(service.closed, "the answer")


class Noted(Follower):
    """What a follower hears, in its order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float | None]] = []

    def taken(self, position: int) -> None:
        """Noted."""
        self.heard.append(("taken", position))

    def confirmed(self, position: int) -> None:
        """The same."""
        self.heard.append(("confirmed", position))

    def refused(self, position: int) -> None:
        """The same."""
        self.heard.append(("refused", position))

    def tick(self, now: float) -> None:
        """The same."""
        self.heard.append(("tick", now))

    def close(self) -> None:
        """The same."""
        self.heard.append(("close", None))


class Wire:
    """The publisher's connection and its channel, with a test in the broker's place."""

    def __init__(self) -> None:
        self.channel: Wire | None = None  # not yet
        self.blocked, self.all_failed, self.state = False, False, State.OPEN
        self.published: list[tuple[str, bytes]] = []
        self.opened = self.closed = 0
        self.connection = self

    def open(self) -> None:
        """Counted."""
        self.opened += 1

    def close(self) -> None:
        """Counted."""
        self.closed += 1

    def reasons(self) -> list[str]:
        """Something to tell it by."""
        return ["the wire"]

    def publish(self, channel: object, routing_key: str, message: Message, _: str = "") -> None:
        """Noted."""
        assert channel is self
        self.published.append((routing_key, message.body))


class Running:
    """A service of a window of 4 on a wire, and one follower. The loop does not turn: a test calls what it would."""

    def __init__(self, process: Loop, *values: object, count_buffered: int | None = None, **settings: object) -> None:
        items = [Item(value, 10 * number) for number, value in enumerate(values, 1)]
        self.noted, self.process, self.stopped = Noted(), process, 0
        self.service = ProducerService(
            process, make(producer_window=4, **settings), lambda: items, [self.noted], name="n"
        )
        self.wire = Wire()
        self.service.publisher.connection = self.wire  # type: ignore[assignment]
        self.service.start()
        self.buffered(min(4, len(values)) if count_buffered is None else count_buffered)

    def buffered(self, count: int) -> None:
        """Wait for so many."""
        self.process.turn(lambda: len(self.service._reader) >= count, "the buffer")

    def confirm(self, tag: int, *, multiple: bool = False) -> None:
        """As the broker."""
        self.service.publisher._on_confirm(self.wire, spec.Basic.Ack(tag, multiple))  # type: ignore[arg-type]

    def open(self) -> None:
        """The channel is there."""
        self.wire.channel = self.wire
        self.service.publisher.opened(self.wire)  # type: ignore[arg-type]


def test_a_message_goes_to_the_queue_and_back_to_the_followers_when_it_is_confirmed(process: Loop) -> None:
    """One first, then the window; each is taken before it is confirmed."""
    running = Running(process, b"a", b"b", b"c")
    assert (running.wire.opened, running.wire.published) == (1, [])
    running.open()
    assert running.wire.published == [("jobs", b"a")]
    assert running.noted.heard == [("taken", 10)]
    running.confirm(1)
    assert running.wire.published == [("jobs", b"a"), ("jobs", b"b"), ("jobs", b"c")]
    assert running.noted.heard[1:] == [("confirmed", 10), ("taken", 20), ("taken", 30)]
    assert running.service.summary() == (2, {"published": 3, "confirmed": 1, "unconfirmed": 2, "refused": 0})
    process.turn(lambda: running.service._reader.ended, "the end of the source")
    assert not running.service.done()
    running.confirm(3, multiple=True)
    assert running.noted.heard[4:] == [("confirmed", 20), ("confirmed", 30)]
    assert running.service.done()
    assert running.service.summary() == (0, {"published": 3, "confirmed": 3, "unconfirmed": 0, "refused": 0})


def test_an_unsendable_item_is_taken_refused_logged_and_counted_and_its_neighbours_go(process: Loop) -> None:
    running = Running(process, b"a", ValueError("a line of 9 bytes"), b"xxxxx", b"b", mq_max_body=4)
    with capture_logs() as lines:
        running.open()
        running.confirm(1)
    assert [body for _, body in running.wire.published] == [b"a", b"b"]
    assert running.noted.heard == [
        ("taken", 10),
        ("confirmed", 10),
        ("taken", 20),
        ("taken", 30),
        ("taken", 40),
        ("refused", 20),
        ("refused", 30),
    ]
    assert [(line["event"], line["reason"], line["message_id"]) for line in lines] == [
        ("refused", "a line of 9 bytes", "n-20"),
        ("refused", "a body of 5 bytes is over MQ_MAX_BODY (4)", "n-30"),
    ]
    assert running.service.summary() == (3, {"published": 2, "confirmed": 1, "unconfirmed": 1, "refused": 2})
    assert REGISTRY.get_sample_value("producer_refused_total") == 2


@pytest.mark.parametrize(("choice", "sent"), [("stop", [b"a"]), ("refuse", [b"a", b"b"])])
def test_an_item_that_cannot_be_a_message_ends_the_source_or_is_refused_as_its_user_chose(
    process: Loop, choice: str, sent: list[bytes]
) -> None:
    """Either way it is left over, and the exit code is 1."""
    running = Running(process, b"a", {"at": {1}}, b"b", producer_bad_item=choice, count_buffered=1)
    running.open()
    running.confirm(1)
    process.turn(lambda: running.service._reader.ended and not len(running.service._reader), "the end of the source")
    running.confirm(2)
    assert [body for _, body in running.wire.published] == sent
    assert running.service.summary()[0] == 1


def test_what_is_never_sent_waits_for_no_confirm(process: Loop) -> None:
    """On a new channel one message goes first; of those that cannot go none is that one, and no tick is waited for."""
    running = Running(process, *[b"xxxxx"] * 300, b"a", mq_max_body=4)
    running.open()
    process.turn(lambda: running.wire.published, "the first that can be sent")
    assert running.service.summary() == (301, {"published": 1, "confirmed": 0, "unconfirmed": 1, "refused": 300})


def test_what_cannot_be_encoded_waits_for_no_confirm(process: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found only when it is sent."""
    running = Running(process, *[b"bad"] * 300, b"a")
    real = running.wire.publish

    def publish(channel: object, routing_key: str, message: Message, _: str) -> None:
        if message.body == b"bad":
            raise ValueError("a header that AMQP cannot hold")
        real(channel, routing_key, message)

    monkeypatch.setattr(running.wire, "publish", publish)
    running.open()
    process.turn(lambda: running.wire.published, "the first that can be sent")
    assert running.service.summary()[1]["refused"] == 300


def test_a_message_that_the_broker_cannot_take_is_refused_to_the_followers(process: Loop) -> None:
    running = Running(process, b"a")
    running.open()
    running.service.publisher.lost(BrokerError(Kind.TOPOLOGY, "406 PRECONDITION_FAILED"))
    assert running.noted.heard == [("taken", 10), ("refused", 10)]
    assert running.service.summary() == (1, {"published": 1, "confirmed": 0, "unconfirmed": 0, "refused": 1})


def test_the_source_is_read_on_when_half_a_window_is_confirmed_or_time_goes_by(process: Loop) -> None:
    """So that many messages go in one send."""
    running = Running(process, *[b"%d" % number for number in range(20)])
    running.open()
    running.buffered(4)
    running.confirm(1)
    assert len(running.wire.published) == 5
    running.buffered(4)
    running.confirm(2)
    assert len(running.wire.published) == 5, "there is room for one"
    running.confirm(3)
    assert len(running.wire.published) == 7, "there is room for two, half the window"
    running.confirm(4)
    running.buffered(4)
    running.service.tick(time.monotonic())
    assert len(running.wire.published) == 8
    assert running.noted.heard[-1][0] == "tick"


def test_a_wake_of_the_source_is_no_reason_to_take_more_than_there_is_room_for(process: Loop) -> None:
    running = Running(process, b"a", b"b")
    running.service._fill()
    running.open()
    running.service._fill()
    assert running.wire.published == [("jobs", b"a")]
    assert len(running.service._reader) == 1


@pytest.mark.parametrize("can", [True, None, False])
def test_a_stop_asks_the_source_to_end_by_itself_where_it_can(process: Loop, can: bool | None) -> None:
    """Otherwise it is left behind; at the close in any case."""
    asked: list[int] = []
    service = ProducerService(process, make(), three, name="n", stop=lambda: asked.append(1) or can)
    service.stop()
    assert asked == [1]
    assert service._reader._stop.is_set() is (can is False)
    service.publisher.connection = Wire()  # type: ignore[assignment]
    service.close()
    assert service._reader._stop.is_set()


def test_a_close_closes_the_connection_and_the_followers(process: Loop) -> None:
    running = Running(process)
    running.service.stop()
    assert running.service._reader._stop.is_set()
    running.service.close()
    assert (running.wire.closed, running.noted.heard) == (1, [("close", None)])
    assert not running.service.closed()
    running.wire.state = State.CLOSED
    assert running.service.closed()
    assert running.service.reasons() == ["the wire"]
    assert running.service.problems() == []


@pytest.mark.parametrize(("stopping", "away", "done"), [(0, 0, False), (1, 0, False), (0, 1, False), (1, 1, True)])
def test_a_stop_gives_up_what_is_left_only_when_no_broker_can_be_reached(
    process: Loop, stopping: int, away: int, done: bool
) -> None:
    running = Running(process, b"a")
    process.stopping, running.wire.all_failed = bool(stopping), bool(away)
    assert running.service.done() is done


@pytest.mark.parametrize(
    ("values", "size", "interval"),
    [
        ({"producer_source": "heartbeat"}, 1, 1.0),
        ({"producer_source": "heartbeat", "producer_rate": 4}, 4, 0.25),
        ({"producer_source": "lines", "producer_rate": 10}, 10, 0.1),
        ({"producer_source": "lines", "producer_window": 50}, 50, None),
    ],
)
def test_a_heart_beats_once_a_second_and_other_sources_are_read_as_fast_as_they_give(
    process: Loop, values: dict[str, object], size: int, interval: float | None
) -> None:
    """Unless PRODUCER_RATE says otherwise."""
    reader = ProducerService(process, make(**values), three, name="n")._reader
    assert reader._size == size
    assert (reader._limiter and reader._limiter._interval) == interval


def test_as_many_messages_as_asked_for_are_read(process: Loop) -> None:
    service = ProducerService(process, make(producer_count=2), three, name="n")
    service._reader.start()
    process.turn(lambda: service._reader.ended, "the end")
    assert len(service._reader) == 2


class Told:
    """A source that hears of confirms, and may be slow to return, or raise."""

    def __init__(self, *values: object) -> None:
        self.values, self.heard = values, list[object]()
        self.may, self.error = Event(), None
        self.may.set()

    def __iter__(self) -> Iterator[object]:
        yield from self.values
        Event().wait(20)  # it waits for more, and never ends

    def confirmed(self, messages: list[object]) -> None:
        """Noted."""
        assert self.may.wait(20)
        if self.error:
            raise self.error
        self.heard += messages


class Telling(Running):
    """A service with such a source."""

    def __init__(self, process: Loop, source: Told, **settings: object) -> None:
        self.process, self.source = process, source
        followers: list[Follower] = []

        def items() -> Iterator[Item]:
            confirms = Confirms(source, source.confirmed)
            followers.append(confirms)
            yield from confirms.items()

        self.service = ProducerService(process, make(producer_window=4, **settings), items, followers, name="n")
        self.wire = Wire()
        self.service.publisher.connection = self.wire  # type: ignore[assignment]
        self.service.start()
        self.buffered(len(source.values))
        self.open()


def test_a_source_hears_of_a_message_when_the_broker_has_confirmed_it_and_not_before(process: Loop) -> None:
    """Or it would delete what a kill of the producer loses."""
    running = Telling(process, source := Told(b"a", b"b", b"c"))
    time.sleep(0.1)
    assert (running.wire.published, source.heard) == ([("jobs", b"a")], [])
    running.confirm(1)
    process.turn(lambda: source.heard, "the first is told")
    time.sleep(0.1)
    assert (len(running.wire.published), source.heard) == (3, [b"a"])
    running.confirm(3, multiple=True)
    process.turn(lambda: source.heard == [b"a", b"b", b"c"], "the others are told")


def test_a_nacked_and_a_refused_message_are_not_told_to_the_source(process: Loop) -> None:
    running = Telling(process, source := Told(b"a", b"xxxxx", b"c"), mq_max_body=4)
    running.service.publisher._on_confirm(running.wire, spec.Basic.Nack(1))  # type: ignore[arg-type]
    running.service.publisher.lost(BrokerError(Kind.OTHER, "cut"))
    time.sleep(0.1)
    assert source.heard == []
    running.open()
    process.turn(lambda: len(running.wire.published) == 2, "it is sent again")
    running.confirm(1)
    running.confirm(2)
    process.turn(lambda: source.heard == [b"a", b"c"], "those that were confirmed are told")


def test_a_stop_waits_until_the_source_knows_of_the_last_confirms(process: Loop) -> None:
    running = Telling(process, source := Told(b"a"))
    source.may.clear()
    process.stopping = True
    running.service.stop()
    running.confirm(1)
    process.turn(lambda: running.service._reader.ended, "the source is left behind")
    assert not running.service.done()
    assert running.service.summary()[0] == 1, "the source does not know of one"
    source.may.set()
    process.turn(running.service.done, "the source knows")
    assert source.heard == [b"a"]
    assert running.service.summary()[0] == 0


def test_a_source_that_never_returns_from_confirmed_is_waited_for_no_longer_than_the_grace(process: Loop) -> None:
    """Also one that ended by itself. The exit code is 1: what it was not told it may send again."""
    running = Telling(process, source := Told(b"a"), shutdown_grace="200ms")
    source.may.clear()
    running.service.stop()
    running.confirm(1)
    process.turn(lambda: running.service._reader.ended, "the source is left behind")
    began = time.monotonic()
    assert not running.service.done()
    process.turn(running.service.done, "the wait is over")
    assert time.monotonic() - began >= 0.2
    assert running.service.summary()[0] == 1
    with capture_logs() as lines:
        running.service.close()
    assert [line["event"] for line in lines] == ["confirmed, and not told to the source"]
    source.may.set()


def test_a_source_that_raises_in_confirmed_ends_and_what_it_gave_is_published(process: Loop) -> None:
    """As if it had raised in its iteration, though it waits for more there. The exit code is 1."""
    running = Telling(process, source := Told(b"a", b"b"))
    source.error = RuntimeError("the database is away")
    running.confirm(1)
    process.turn(lambda: running.service._followers[0].error, "the error")
    assert not running.service._reader.ended
    running.service.tick(time.monotonic())
    process.turn(lambda: running.service._reader.ended, "the end of the source")
    assert [body for _, body in running.wire.published] == [b"a", b"b"]
    assert not running.service.done()
    running.confirm(2)
    assert running.service.done(), "nobody is left to tell"
    assert running.service.summary()[0] == 3, "the error, and two that may come again"
    assert running.service._reader.error is source.error
