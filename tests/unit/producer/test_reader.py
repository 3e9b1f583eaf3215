"""The source's thread: order, bounds, and what a stop may not lose."""

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event, Semaphore

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.message import Message
from producer import reader as feeds
from producer.reader import Entry, Feed, Pace
from producer.source import Item

PATIENCE = 10.0  # seconds


class Reader:
    """A feed and what the I/O thread does with it: takes when woken."""

    def __init__(
        self,
        source: Callable[[], Iterable[object]],
        size: int = 10,
        most: int | None = None,
        rate: float | None = None,
        max_body: int = 1000,
    ) -> None:
        self.woken = Semaphore(0)
        self.got: list[Entry] = []

        def items() -> Iterator[Item]:
            return (Item(value, position) for position, value in enumerate(source(), 1))

        self.feed = Feed(items, self.woken.release, Pace(rate), size=size, max_body=max_body, most=most, name="run")
        self.feed.start()

    def take(self, most: int) -> list[Entry]:
        """As the service does."""
        batch = self.feed.take(most)
        self.got += batch
        return batch

    def take_all(self, most: int = 3) -> list[Entry]:
        """Until it ended and is empty, never looking without having been woken."""
        deadline = time.monotonic() + PATIENCE
        while not (self.feed.ended and not len(self.feed)):
            assert time.monotonic() < deadline, "the feed did not end"
            while len(self.take(most)) == most:
                pass
            self.woken.acquire(timeout=0.02 if self.feed._stop.is_set() or not self.feed._thread.is_alive() else 0.1)
        return self.got


def bodies(entries: list[Entry]) -> list[bytes]:
    return [entry.value.body for entry in entries if isinstance(entry.value, Message)]


@settings(max_examples=25)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 30))
def test_order_and_bound_are_kept(count: int, size: int, most: int) -> None:
    """For any sizes of source, buffer and batches; ids are all different."""
    largest = 0

    def numbers() -> Iterator[bytes]:
        nonlocal largest
        for number in range(count):
            largest = max(largest, len(reader.feed))
            yield b"%d" % number

    started = Event()

    def source() -> Iterator[bytes]:
        started.wait(PATIENCE)
        yield from numbers()

    reader = Reader(source, size=size)
    started.set()
    got = reader.take_all(most)
    assert bodies(got) == [b"%d" % number for number in range(count)]
    assert [entry.position for entry in got] == list(range(1, count + 1))
    assert largest <= size
    ids = {entry.value.message_id for entry in got if isinstance(entry.value, Message)}
    assert len(ids) == count
    assert reader.feed.error is None


@settings(max_examples=20)
@given(st.integers(0, 30), st.integers(1, 5))
def test_a_stop_loses_nothing_that_was_taken(before: int, size: int) -> None:
    """What left the source comes out, and no more is asked of it than the one in hand."""
    taken = 0

    def source() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"%d" % taken

    reader = Reader(source, size=size)
    deadline = time.monotonic() + PATIENCE
    while len(reader.got) < before and time.monotonic() < deadline:
        reader.take(before - len(reader.got))
    reader.feed.stop()
    reader.take_all()
    reader.feed._thread.join(PATIENCE)
    reader.take_all()
    assert bodies(reader.got) == [b"%d" % number for number in range(1, taken + 1)]


def test_a_stop_waits_for_what_the_source_is_asked_for_already() -> None:
    """A source that took it from somewhere else would have it no more."""
    asked = Event()

    def source() -> Iterator[str]:
        asked.set()
        time.sleep(0.2)
        yield "one"
        yield "never asked for"

    reader = Reader(source)
    assert asked.wait(PATIENCE)
    reader.feed.stop()
    assert not reader.feed.ended
    assert bodies(reader.take_all()) == [b"one"]


def test_a_source_that_blocks_is_left_behind() -> None:
    """A stop does not wait for the next line of a terminal."""
    never = Event()

    def source() -> Iterator[str]:
        yield "one"
        never.wait(PATIENCE)

    reader = Reader(source)
    assert reader.woken.acquire(timeout=PATIENCE)
    assert not reader.feed.ended
    reader.feed.stop()
    assert bodies(reader.take_all()) == [b"one"]
    never.set()


def test_a_stop_ends_the_wait_for_the_next_beat() -> None:
    """A rate of one an hour must not take an hour to stop."""
    reader = Reader(lambda: iter(["one", "two", "three"]), rate=1 / 3600)
    assert reader.woken.acquire(timeout=PATIENCE)
    reader.feed.stop()
    assert bodies(reader.take_all())[0] == b"one"


def test_no_more_is_taken_than_wanted() -> None:
    """The source is not asked for one more, for which it might block."""
    asked: list[int] = []

    def source() -> Iterator[str]:
        for number in range(100):
            asked.append(number)
            yield str(number)

    assert bodies(Reader(source, most=3).take_all()) == [b"0", b"1", b"2"]
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3)])
def test_what_a_source_died_of_is_kept_and_so_is_what_it_gave(error: BaseException) -> None:
    """Even when it wanted to end the program."""

    def source() -> Iterator[str]:
        yield "one"
        raise error

    reader = Reader(source)
    assert bodies(reader.take_all()) == [b"one"]
    assert reader.feed.error is error


def test_a_value_that_is_no_message_is_the_end_of_the_source() -> None:
    """It is a defect of the user's."""
    reader = Reader(lambda: iter(["one", object(), "three"]))
    assert bodies(reader.take_all()) == [b"one"]
    assert isinstance(reader.feed.error, TypeError)


def test_an_error_in_a_messages_place_keeps_it() -> None:
    """A line that was too long, or a body over the limit: the others go on, and the position too."""
    too_long = ValueError("a line of 9 bytes")
    got = Reader(lambda: iter(["one", too_long, "x" * 11, "x" * 10]), max_body=10).take_all()
    assert bodies(got) == [b"one", b"x" * 10]
    refused = [entry.value for entry in got[1:3]]
    assert [str(each) for each in refused] == ["a line of 9 bytes", "a body of 11 bytes is over MQ_MAX_BODY (10)"]
    assert [each.message_id.rpartition("-")[2] for each in refused] == ["2", "3"], "by which the log names them"
    assert [entry.position for entry in got] == [1, 2, 3, 4]


def test_large_messages_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One may be over it, not a buffer full."""
    monkeypatch.setattr(feeds, "BYTES", 1000)
    held: list[int] = []

    def source() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(400)
            held.append(len(reader.feed))

    started = Event()

    def late() -> Iterator[bytes]:
        started.wait(PATIENCE)
        yield from source()

    reader = Reader(late, size=100)
    started.set()
    assert len(reader.take_all(1)) == 20
    assert max(held) <= 4


@given(st.floats(0.01, 10_000), st.lists(st.floats(0, 30), max_size=50))
def test_a_rate_is_kept_and_at_most_a_second_is_caught_up(rate: float, pauses: list[float]) -> None:
    """However long the source or an outage stood in between."""
    pace, now = Pace(rate), 1000.0
    went: list[float] = []
    for pause in pauses:
        now += pause
        wait = pace.wait(now)
        assert 0 <= wait <= 1 / rate + 1e-6
        now += wait
        went.append(now)
    for first in range(len(went)):
        for last in range(first, len(went)):
            assert last - first <= rate * (went[last] - went[first] + 1) + 1.001


@pytest.mark.parametrize("rate", [0.5, 1, 100])
def test_the_first_goes_at_once_and_the_others_follow_evenly(rate: float) -> None:
    """For someone who is always ready."""
    pace, now = Pace(rate), 1000.0
    for number in range(10):
        wait = pace.wait(now)
        assert wait == pytest.approx(0 if number == 0 else 1 / rate)
        now += wait


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_without_a_rate_nothing_waits(times: list[float]) -> None:
    """As fast as it goes."""
    pace = Pace(None)
    assert all(pace.wait(now) == 0 for now in times)
