"""The source's thread: order, bounds, and what a stop may not lose."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from threading import Event, Semaphore
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from common.amqp.inflight import Publication
from common.message import Message
from common.plugins import ConfigError
from producer import reader as readers
from producer.reader import SourceReader, Unsendable
from producer.settings import ProducerSettings
from producer.source import Item
from tests.processes import ROOT

PATIENCE = 10.0  # seconds


def make(size: int = 10, max_body: int = 1000, **values: object) -> ProducerSettings:
    own = {"producer_source": "own:source", "producer_window": size, "mq_max_body": max_body}
    return ProducerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", **own, **values})


class Reader:
    """A source reader and what the I/O thread does with it: takes when woken."""

    def __init__(
        self,
        source: Callable[[], Iterable[object]],
        size: int = 10,
        count: int | None = None,
        rate: float | None = None,
        max_body: int = 1000,
        *,
        skip: bool = False,
    ) -> None:
        self.woken = Semaphore(0)
        self.got: list[Publication[int] | Unsendable] = []

        def items() -> Iterator[Item]:
            return (Item(value, position) for position, value in enumerate(source(), 1))

        bad_item = "refuse" if skip else "stop"
        own = make(size, max_body, producer_count=count, producer_rate=rate, producer_bad_item=bad_item)
        self.reader = SourceReader(items, self.woken.release, own, "run")
        self.reader.start()

    def take(self, most: int) -> list[Publication[int] | Unsendable]:
        """As the service does."""
        batch = self.reader.take(most)
        self.got += batch
        return batch

    def take_all(self, most: int = 3) -> list[Publication[int] | Unsendable]:
        """Until it ended and is empty, never looking without having been woken."""
        deadline = time.monotonic() + PATIENCE
        while not (self.reader.ended and not len(self.reader)):
            assert time.monotonic() < deadline, "the reader did not end"
            while len(self.take(most)) == most:
                pass
            self.woken.acquire(
                timeout=0.02 if self.reader._stop.is_set() or not self.reader._thread.is_alive() else 0.1
            )
        return self.got


def bodies(entries: list[Publication[int] | Unsendable]) -> list[bytes]:
    return [entry.message.body for entry in entries if isinstance(entry, Publication)]


@settings(max_examples=25)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 30))
def test_order_and_bound_are_kept(count: int, size: int, most: int) -> None:
    """For any sizes of source, buffer and batches; ids are all different."""
    largest = 0

    def numbers() -> Iterator[bytes]:
        nonlocal largest
        for number in range(count):
            largest = max(largest, len(reader.reader))
            yield b"%d" % number

    started = Event()

    def source() -> Iterator[bytes]:
        started.wait(PATIENCE)
        yield from numbers()

    reader = Reader(source, size=size)
    started.set()
    got = reader.take_all(most)
    assert bodies(got) == [b"%d" % number for number in range(count)]
    assert [entry.token for entry in got] == list(range(1, count + 1))
    assert largest <= size
    ids = [entry.message.message_id for entry in got if isinstance(entry, Publication)]
    assert ids == [f"run-{number}" for number in range(1, count + 1)]
    assert {entry.routing_key for entry in got if isinstance(entry, Publication)} <= {"jobs"}
    assert reader.reader.error is None


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
    reader.reader.stop()
    reader.take_all()
    reader.reader._thread.join(PATIENCE)
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
    reader.reader.stop()
    assert not reader.reader.ended
    assert bodies(reader.take_all()) == [b"one"]


def test_a_source_that_blocks_is_left_behind() -> None:
    """A stop does not wait for the next line of a terminal."""
    never = Event()

    def source() -> Iterator[str]:
        yield "one"
        never.wait(PATIENCE)

    reader = Reader(source)
    assert reader.woken.acquire(timeout=PATIENCE)
    assert not reader.reader.ended
    reader.reader.stop()
    assert bodies(reader.take_all()) == [b"one"]
    never.set()


def test_a_stop_ends_the_wait_for_the_next_beat() -> None:
    """A rate of one an hour must not take an hour to stop."""
    reader = Reader(lambda: iter(["one", "two", "three"]), rate=1 / 3600)
    assert reader.woken.acquire(timeout=PATIENCE)
    reader.reader.stop()
    assert bodies(reader.take_all())[0] == b"one"


def test_no_more_is_taken_than_wanted() -> None:
    """The source is not asked for one more, for which it might block."""
    asked: list[int] = []

    def source() -> Iterator[str]:
        for number in range(100):
            asked.append(number)
            yield str(number)

    assert bodies(Reader(source, count=3).take_all()) == [b"0", b"1", b"2"]
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3)])
def test_the_error_of_a_source_is_kept_and_so_is_what_it_gave(error: BaseException) -> None:
    """Even when it wanted to end the program."""

    def source() -> Iterator[str]:
        yield "one"
        raise error

    reader = Reader(source)
    assert bodies(reader.take_all()) == [b"one"]
    assert reader.reader.error is error


def test_a_value_that_is_no_message_is_the_end_of_the_source() -> None:
    """It is a defect of the user's."""
    reader = Reader(lambda: iter(["one", object(), "three"]))
    assert bodies(reader.take_all()) == [b"one"]
    assert isinstance(reader.reader.error, TypeError)


def test_an_error_in_a_messages_place_keeps_it() -> None:
    """A line that was too long, or a body over the limit: the others go on, and the position too."""
    too_long = ValueError("a line of 9 bytes")
    got = Reader(lambda: iter(["one", too_long, "x" * 11, "x" * 10]), max_body=10).take_all()
    assert bodies(got) == [b"one", b"x" * 10]
    assert got[1:3] == [
        Unsendable("a line of 9 bytes", "run-2", 2),
        Unsendable("a body of 11 bytes is over MQ_MAX_BODY (10)", "run-3", 3),
    ], "with the ids by which the log names them"
    assert [(entry.token, entry.size) for entry in got] == [(1, 3), (2, 0), (3, 0), (4, 10)]


def test_large_messages_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One may be over it, not a buffer full."""
    monkeypatch.setattr(readers, "BUFFER_BYTES", 1000)
    held: list[int] = []

    def source() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(400)
            held.append(len(reader.reader))

    started = Event()

    def late() -> Iterator[bytes]:
        started.wait(PATIENCE)
        yield from source()

    reader = Reader(late, size=100)
    started.set()
    assert len(reader.take_all(1)) == 20
    assert max(held) <= 4


def test_a_message_of_a_source_that_has_an_id_keeps_it_also_when_it_is_too_long() -> None:
    own = [Message(bytes(size), message_id=f"own-{size}") for size in (1, 2)]
    first, second = Reader(lambda: iter(own), max_body=1).take_all()
    assert isinstance(first, Publication)
    assert (first.message.message_id, second) == (
        "own-1",
        Unsendable("a body of 2 bytes is over MQ_MAX_BODY (1)", "own-2", 2),
    )


@pytest.mark.parametrize(
    ("rate", "size", "held"), [(None, 50, 50), (3.0, 50, 3), (3.6, 50, 4), (100.0, 50, 50), (0.01, 50, 1)]
)
def test_no_more_than_a_second_s_worth_is_read_ahead(rate: float | None, size: int, held: int) -> None:
    """Or an outage would end in a burst."""
    reader = SourceReader(list, lambda: None, make(size, 1, producer_rate=rate), "n")
    assert reader._size == held


def filled(size: int, *, bodies: int = 1) -> tuple[SourceReader, list[int], Event]:
    """A reader of more than fits, how many its source was asked for, and what is set when the I/O thread is woken."""
    asked: list[int] = []
    woken = Event()

    def source() -> Iterator[Item]:
        for number in range(1, 1000):
            asked.append(number)
            yield Item(bytes(bodies), number)

    reader = SourceReader(source, woken.set, make(size, 10_000), "n")
    reader.start()
    return reader, asked, woken


def settled(asked: list[int]) -> int:
    """How many were asked for, once no more are."""
    count = -1
    while count != len(asked):
        count = len(asked)
        time.sleep(0.1)
    return count


def test_a_full_buffer_is_filled_again_when_half_of_it_is_taken() -> None:
    """The one more is in hand."""
    reader, asked, _ = filled(10)
    assert (settled(asked), len(reader)) == (11, 10)
    reader.take(4)
    reader.take(0)
    assert len(reader) == 6
    reader.take(1)
    assert settled(asked) == 16
    assert len(reader) == 10
    reader.stop()


def test_a_take_that_found_too_little_is_followed_by_a_wake_and_a_full_one_is_not() -> None:
    reader, asked, woken = filled(4)
    assert woken.wait(PATIENCE), "the first message wakes"
    settled(asked)
    woken.clear()
    assert len(reader.take(2)) == 2
    settled(asked)
    assert not woken.is_set()
    assert len(reader.take(100)) == 4
    assert woken.wait(PATIENCE)
    reader.stop()


def test_a_stop_ends_the_wait_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in hand goes into the buffer, over its size."""
    monkeypatch.setattr(readers, "STOP_WAIT_SECONDS", 20.0)
    reader, asked, _ = filled(2)
    assert settled(asked) == 3
    reader.stop()
    reader._thread.join(PATIENCE)
    assert reader.ended
    assert len(reader.take(9)) == 3


def test_bytes_that_were_taken_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert readers.BUFFER_BYTES == 1_048_576
    monkeypatch.setattr(readers, "BUFFER_BYTES", 1000)
    reader, asked, _ = filled(100, bodies=500)
    assert (settled(asked), len(reader)) == (4, 3), "the third is over the bound, the fourth in hand"
    assert len(reader.take(3)) == 3
    assert settled(asked) == 7
    reader.stop()


def test_a_reader_that_was_stopped_twice_leaves_at_its_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert readers.STOP_WAIT_SECONDS == 0.5
    monkeypatch.setattr(readers, "STOP_WAIT_SECONDS", 0.2)
    never = Event()

    def source() -> Iterator[Item]:
        never.wait(PATIENCE)
        yield Item(b"", 1)

    reader = SourceReader(source, lambda: None, make(1, 1), "n")
    reader.start()
    reader.stop()
    left_at = reader._leave_at
    time.sleep(0.05)
    reader.stop()
    assert reader._leave_at == left_at
    assert not reader.ended
    time.sleep(0.25)
    assert reader.ended
    never.set()


def test_the_end_of_the_source_wakes_and_its_error_is_logged_with_where_it_was() -> None:
    woken = Event()

    def source() -> Iterator[Item]:
        raise RuntimeError("the disk is gone")
        yield Item(b"", 1)

    with capture_logs() as lines:
        reader = SourceReader(source, woken.set, make(1, 1), "n")
        assert not woken.is_set()
        reader.start()
        assert woken.wait(PATIENCE)
        reader._thread.join(PATIENCE)
    assert reader.ended
    (line,) = lines
    assert (line["event"], line["log_level"], line["exc_info"]) == ("the source failed", "error", reader.error)


@pytest.mark.parametrize("count", [2, None])
def test_a_stop_waits_for_what_a_source_does_at_its_end(count: int | None) -> None:
    """Its tear-down, after `count` items or when it is stopped; an error of that is the source's."""
    began, go_on = Event(), Event()

    def source() -> Iterator[Item]:
        try:
            for number in range(1, 1000):
                yield Item(b"", number)
        finally:
            began.set()
            go_on.wait(PATIENCE)
            raise ValueError("torn down badly")

    with capture_logs() as lines:
        reader = SourceReader(source, lambda: None, make(10, 1, producer_count=count), "n")
        reader.start()
        if not count:
            reader.stop()
        assert began.wait(PATIENCE)
        time.sleep(readers.STOP_WAIT_SECONDS + 0.1)
        assert not reader.ended
        go_on.set()
        reader._thread.join(PATIENCE)
    assert reader.ended
    assert str(reader.error) == "torn down badly"
    assert [line["event"] for line in lines] == ["the source failed"]


def test_a_config_error_of_a_source_is_for_people() -> None:
    """It is said at the end, in a line without a traceback."""

    def source() -> Iterator[Item]:
        raise ConfigError("SHOP_DB: name it")
        yield Item(b"", 1)

    with capture_logs() as lines:
        reader = SourceReader(source, lambda: None, make(10, 1), "n")
        reader.start()
        reader._thread.join(PATIENCE)
    assert isinstance(reader.error, ConfigError)
    assert str(reader.error) == "PRODUCER_SOURCE: SHOP_DB: name it"
    assert lines == []


CHILD = """
import os, sys
from common.process import fork
from producer.reader import SourceReader
from producer.settings import ProducerSettings
from producer.source import Item

def source():
    if not (pid := os.fork()):
        {child}
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    yield Item(b"x", 1)

fork.serving(True)
settings = ProducerSettings(mq_url="amqp://h", mq_ch="jobs", producer_source="own:source", producer_window=1)
reader = SourceReader(source, lambda: None, settings, "run")
reader.start()
reader._thread.join(20)
print(len(reader), reader.error)
"""


@pytest.mark.parametrize(
    ("child", "code"),
    [("return", 0), ("raise ValueError", 1), ("sys.exit(3)", 3), ("yield from [Item(b'child', 1)] * 9", 0)],
)
def test_a_forked_child_that_leaves_the_source_is_no_producer(child: str, code: int) -> None:
    """It ends where a program would end. What it yields would come twice, and nobody takes it."""
    words = [sys.executable, "-c", CHILD.format(child=child)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.split() == [f"{code}", "1", "None"]


@dataclass
class Row:
    """What JSON does not know."""

    number: int = 1


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)
DEEP: object = 1
for _ in range(100_000):  # Python 3.14 writes 10,000
    DEEP = [DEEP]


class Hostile:
    """Its attributes cannot be asked for."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


class Mute(Exception):  # noqa: N818
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise AttributeError("message")


class Detached(dict[str, object]):
    """A row whose fields are read when they are asked for, and cannot be any more."""

    def items(self) -> NoReturn:
        raise RuntimeError("detached")


class Mutely(dict[str, object]):
    """So is this, and its error has no text."""

    def items(self) -> NoReturn:
        raise Mute


BAD: dict[str, tuple[object, str]] = {
    "NaN": ({"a": [1, {"b": float("nan")}]}, "item 2 of the source, at ['a'][1]['b']: ValueError: Out of range float"),
    "datetime": (
        {"at": datetime(2026, 1, 2, tzinfo=UTC)},
        "item 2 of the source, at ['at']: TypeError: Object of type",
    ),
    "Decimal": (Decimal("1.1"), "item 2 of the source: TypeError: Object of type Decimal is not JSON serializable"),
    "set": ([1, {2}], "item 2 of the source, at [1]: TypeError: Object of type set"),
    "dataclass": ((Row(),), "item 2 of the source, at [0]: TypeError: Object of type Row"),
    "key": ({"a": {(1, 2): 3}}, "item 2 of the source, at ['a']: TypeError: keys must be str"),
    "surrogate": ("\ud800", "item 2 of the source: UnicodeEncodeError: 'utf-8' codec"),
    "circle": (CIRCLE, "item 2 of the source, at [0]"),
    "deep": (DEEP, "item 2 of the source, at [0]"),
    "body": (Message(None), "item 2 of the source: TypeError: object of type 'NoneType'"),  # type: ignore[arg-type]
    "hostile": (Hostile(), "item 2 of the source: "),
    "detached": (Detached(a=1), "item 2 of the source: RuntimeError: detached"),
    "mute": (Mutely(a=1), "item 2 of the source: Mute: an error without a text"),
    "within": ({"a": Detached(a=1)}, "item 2 of the source, at ['a']: RuntimeError: detached"),
}


@pytest.mark.parametrize(("value", "said"), BAD.values(), ids=BAD)
def test_an_item_that_cannot_be_a_message_is_named_with_its_place(value: object, said: str) -> None:
    """By default it ends the source, and nothing is left out; those before it go."""
    with capture_logs() as lines:
        reader = Reader(lambda: [{"ok": 1}, value, {"ok": 3}])
        got = reader.take_all()
    assert bodies(got) == [b'{"ok": 1}']
    assert str(reader.reader.error).startswith(said)
    assert len(str(reader.reader.error)) < 1000
    assert [line["event"] for line in lines] == ["the source failed"]


@pytest.mark.parametrize(("value", "said"), BAD.values(), ids=BAD)
def test_an_item_that_cannot_be_a_message_is_refused_where_that_is_wanted(value: object, said: str) -> None:
    """Under the id that it would have had, and its neighbours go."""
    got = Reader(lambda: [{"ok": 1}, value, {"ok": 3}], skip=True).take_all()
    assert bodies(got) == [b'{"ok": 1}', b'{"ok": 3}']
    (refused,) = [entry for entry in got if isinstance(entry, Unsendable)]
    assert refused.reason.startswith(said)
    assert (refused.message_id, refused.token) == ("run-2", 2)


def test_an_error_of_the_source_itself_ends_it_in_any_case() -> None:
    """A generator that raised gives nothing more."""

    def source() -> Iterator[object]:
        yield 1
        raise ValueError("the disk is gone")

    reader = Reader(source, skip=True)
    assert bodies(reader.take_all()) == [b"1"]
    assert str(reader.reader.error) == "the disk is gone"
