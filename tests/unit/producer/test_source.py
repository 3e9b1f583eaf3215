"""The sources that PRODUCER_SOURCE can name."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.plugins import ConfigError
from producer.follower import Follower, Item
from producer.settings import ProducerSettings
from producer.source import PluginSource, Pump, heartbeat, open_source
from tests.processes import PATIENCE, until


def make(source: str, **values: object) -> ProducerSettings:
    return ProducerSettings.model_validate(
        {"mq_url": "amqp://h", "mq_ch": "jobs", "producer_source": source, "mq_max_body": 10, **values}
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "input.txt"
    path.write_bytes(b"one\n\nthree\xff\na line too long\nlast")
    return path


def test_the_heartbeat_is_the_original_examples() -> None:
    """It counts from 1."""
    assert list(islice(heartbeat(), 2)) == [Item("Hello World 1!", 1), Item("Hello World 2!", 2)]
    assert open_source(make("heartbeat")) is heartbeat


def test_the_lines_of_a_file_come_as_bytes_with_their_positions(file: Path) -> None:
    """An error stands in the place of one that is too long."""
    items = list(open_source(make(f"lines:{file}"))())
    assert [item.position for item in items] == [4, 5, 12, 28, 32]
    assert [item.value for item in items[:3]] == [b"one", b"", b"three\xff"]
    assert isinstance(items[3].value, ValueError)
    assert items[4].value == b"last"


def test_lines_go_on_behind_an_offset(file: Path) -> None:
    """With positions of the whole file."""
    items = list(open_source(make(f"lines:{file}"), 5)())
    assert items[0] == Item(b"three\xff", 12)


def test_a_line_that_was_not_whole_when_it_was_sent_comes_again(file: Path) -> None:
    """Its writer was at it. Else its end would be a message of its own, and nobody would get the whole."""
    source = f"lines:{file}"
    assert list(open_source(make(source), 32)()) == []
    with file.open("ab") as stream:
        stream.write(b" one\nnext\n")
    items = list(open_source(make(source), 32)())
    assert items == [Item(b"last one", 37), Item(b"next", 42)]
    assert list(open_source(make(source), 37)()) == [Item(b"next", 42)]
    file.write_bytes(b"first\n")
    assert list(open_source(make(source), 3)()) == [Item(b"first", 6)]


def test_a_line_that_got_only_its_newline_since_it_was_sent_does_not_come_again(file: Path) -> None:
    """It would have another message id. An empty line behind it is one."""
    source = f"lines:{file}"
    with file.open("ab") as stream:
        stream.write(b"\n\nnext\n")
    items = [Item(b"", 34), Item(b"next", 39)]
    assert list(open_source(make(source), 32)()) == items
    assert list(open_source(make(source), 33)()) == items


def test_a_line_that_is_too_long_to_send_is_not_looked_through_for_its_start(file: Path) -> None:
    """It may be gigabytes. Nor is what is left of it a message."""
    file.write_bytes(bytes(30) + b"\nnext\n")
    long, after = open_source(make(f"lines:{file}"), 25)()
    assert isinstance(long.value, ValueError)
    assert (long.position, after) == (31, Item(b"next", 36))


def test_standard_input_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path."""
    with file.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert next(iter(open_source(make("lines"))())).value == b"one"


def test_a_closed_standard_input_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a daemon may have it."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="standard input is closed"):
        open_source(make("lines"))


def test_a_callables_values_are_counted_from_1() -> None:
    """Called when the reader begins, not before."""
    items = open_source(make("itertools:count"))()
    assert list(islice(items, 2)) == [Item(0, 1), Item(1, 2)]


class Outbox:
    """A source that wants to hear of confirms."""

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def confirmed(self, messages: list[object]) -> None:
        """Not called here."""


class Generated(list[str]):
    """Has an attribute of that name, which nobody can call."""

    confirmed = True


@pytest.mark.parametrize(("made", "followed"), [(Outbox, 1), (lambda: Generated("ab"), 0), (lambda: iter("ab"), 0)])
def test_only_a_source_with_confirmed_is_followed_and_that_before_its_first_item(
    made: Callable[[], object], followed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other has no follower, which would cost a little with each message."""
    monkeypatch.setattr("producer.source.load_callable", lambda *_, **__: made)
    followers: list[Follower] = []
    source = open_source(make("orders:pending"), follow=followers.append)
    assert followers == [], "it is called in its own thread"
    items = iter(source())
    assert len(followers) == followed
    assert list(items) == [Item("a", 1), Item("b", 2)]


@pytest.mark.parametrize("returned", ["hello", b"hello", {"order": 1}, None, 5])
def test_one_message_in_the_place_of_many_is_an_error(returned: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text would be sent letter by letter, and a dictionary's keys without its values."""
    monkeypatch.setattr("producer.source.load_callable", lambda *_, **__: lambda: returned)
    with pytest.raises(TypeError, match="no iterable of messages"):
        open_source(make("orders:pending"))()


KINDS = """
from contextlib import asynccontextmanager, contextmanager

told = []
async def nothing(): ...
async def counted():
    for number in range(3):
        yield number

@contextmanager
def opened():
    told.append("set up")
    yield iter(range(3))
    told.append("torn down")

@asynccontextmanager
async def opened_async():
    told.append("set up")
    yield counted()
    told.append("torn down")

class Opened:
    def __enter__(self): return [0, 1, 2]
    def __exit__(self, *_): told.append("torn down")

class File(Opened):
    def __iter__(self): return iter([0, 1, 2])
"""


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "kinds_of_sources.py").write_text(KINDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kinds_of_sources", raising=False)
    return "kinds_of_sources"


def test_an_async_source_without_a_yield_is_refused_at_the_start(kinds: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigError, match="async without a yield"):
        open_source(make(f"{kinds}:nothing"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("counted", []),
        ("opened", ["set up", "torn down"]),
        ("opened_async", ["set up", "torn down"]),
        ("Opened", ["torn down"]),
        ("File", []),
    ],
)
def test_a_source_may_be_async_or_set_up_by_a_context_manager(name: str, told: list[str], kinds: str) -> None:
    """Each gives its values, counted from 1. What can be iterated over by itself, such as a file, is not entered."""
    source = open_source(make(f"{kinds}:{name}"))
    assert list(source()) == [Item(0, 1), Item(1, 2), Item(2, 3)]
    assert sys.modules[kinds].told == told


def test_the_context_of_a_source_that_hears_of_confirms_is_left_when_it_has_heard(
    kinds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `confirmed` uses what the context opened, such as a connection to a database."""
    told: list[str] = []

    class Heard(Outbox):
        def confirmed(self, messages: list[object]) -> None:
            told.extend(map(str, messages))

    @contextmanager
    def opened() -> Iterator[Heard]:
        yield Heard()
        told.append("torn down")

    monkeypatch.setattr("producer.source.load_callable", lambda *_, **__: opened)
    followers: list[Follower] = []
    ended: list[list[Item]] = []
    source = open_source(make("orders:opened"), follow=followers.append)
    reader = Thread(target=lambda: ended.append(list(source())))
    reader.start()
    until(lambda: followers, "it is followed")
    time.sleep(0.2)
    assert not ended
    assert told == []
    for position in (1, 2):
        followers[0].confirmed(position)
    reader.join(PATIENCE)
    assert told == ["a", "b", "torn down"]


@pytest.mark.parametrize("set_up", [False, True])
def test_an_async_source_that_would_hear_of_confirms_is_refused(set_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would never be told."""

    class Heard(Outbox):
        async def __aiter__(self) -> AsyncIterator[str]:
            yield "a"

        __iter__ = None  # type: ignore[assignment]

    @asynccontextmanager
    async def opened() -> AsyncIterator[Heard]:
        yield Heard()

    monkeypatch.setattr("producer.source.load_callable", lambda *_, **__: opened if set_up else Heard)
    with pytest.raises(TypeError, match="of an async source would never be called"):
        list(open_source(make("orders:opened"))())


def test_only_an_async_source_ends_by_itself_when_it_is_asked(kinds: str) -> None:
    for name, ends in (("opened", False), ("counted", True)):
        source = open_source(make(f"{kinds}:{name}"))
        assert isinstance(source, PluginSource)
        assert source.stop() is False, "it has not begun"
        items = iter(source())
        next(items)
        assert source.stop() is ends
        assert len(list(items)) == 2 * (not ends)


def test_a_checkpoint_behind_the_end_of_its_file_is_refused(file: Path) -> None:
    """The checkpoint is of another file."""
    with pytest.raises(ConfigError, match="checkpoint"):
        open_source(make(f"lines:{file}"), 999)


def test_a_missing_file_or_a_folder_is_refused_with_its_path(tmp_path: Path) -> None:
    """Before anything is connected."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match=str(path)):
            open_source(make(f"lines:{path}"))


def test_a_pipe_is_opened_when_it_is_read(tmp_path: Path) -> None:
    """Its `open` waits for a writer, and the main thread must hear signals."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = open_source(make(f"lines:{pipe}"))
    writer = Thread(target=lambda: pipe.write_bytes(b"one\ntwo\n"), daemon=True)
    writer.start()
    assert [item.value for item in source()] == [b"one", b"two"]
    writer.join(10)
    with pytest.raises(ConfigError, match="is a pipe"):
        open_source(make(f"lines:{pipe}"), 4)


@pytest.mark.parametrize("name", ["", "Heartbeat", "line", "lines:", "nowhere_at_all:x"])
def test_an_unknown_source_is_refused_with_what_there_is(name: str) -> None:
    """With what may be written, or where was looked."""
    with pytest.raises(ConfigError, match=r"is none of|no module"):
        open_source(make(name))


@pytest.mark.parametrize(
    ("ends", "lines"), [("lf", [b"one\r", b"two", b"three\r"]), ("any", [b"one", b"two", b"three"])]
)
def test_a_file_with_line_ends_of_windows_is_read_as_its_user_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str, lines: list[bytes]
) -> None:
    """As a file, through a pipe with a name, and on standard input."""
    file, pipe = tmp_path / "in", tmp_path / "pipe"
    file.write_bytes(b"one\r\ntwo\nthree\r\n")
    os.mkfifo(pipe)
    for name in (f"lines:{file}", f"lines:{pipe}", "lines"):
        with file.open("rb") as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            source = open_source(make(name, producer_line_ends=ends))
            if "pipe" in name:
                Thread(target=lambda: pipe.write_bytes(file.read_bytes()), daemon=True).start()
            assert [item.value for item in source()] == lines


def test_a_last_line_that_got_its_line_end_of_windows_since_is_behind_the_checkpoint(tmp_path: Path) -> None:
    """Where that is a line end: it would be sent again, under another id."""
    file = tmp_path / "in"
    file.write_bytes(b"one\r\ntwo\r\nthree\r\n")
    made = make(f"lines:{file}", producer_line_ends="any")
    assert list(open_source(made, 8)()) == [Item(b"three", 17)]
    assert list(open_source(made, 9)()) == [Item(b"three", 17)]
    assert list(open_source(made, 7)()) == [Item(b"two", 10), Item(b"three", 17)]
    assert list(open_source(make(f"lines:{file}"), 8)()) == [Item(b"two\r", 10), Item(b"three\r", 17)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=30))
def test_every_value_comes_once_and_in_order(waits: list[bool]) -> None:
    """Whether the source waits before it or not."""

    async def source() -> AsyncIterator[int]:
        for number, wait in enumerate(waits):
            if wait:
                await asyncio.sleep(0)
            yield number

    assert list(Pump(nullcontext(source())).values()) == list(range(len(waits)))


@asynccontextmanager
async def opened(told: list[Any], error: Exception | None = None) -> AsyncIterator[AsyncIterator[int]]:
    told.append(asyncio.current_task())
    async with asyncio.timeout(PATIENCE):
        yield source(told)
    told.append(asyncio.current_task())
    if error:
        raise error


async def source(told: list[Any]) -> AsyncIterator[int]:
    try:
        async with asyncio.timeout(PATIENCE):  # open across each yield, it is bound to its task
            for number in range(10):
                await asyncio.sleep(0)
                told.append(asyncio.current_task())
                yield number
    finally:
        await asyncio.sleep(0)
        told.append("ended")


@pytest.mark.parametrize("taken", [3, 10])
def test_one_task_enters_iterates_and_leaves(taken: int) -> None:
    """The source ends before its context is left, however many values were taken."""
    told: list[Any] = []
    with closing(Pump(opened(told)).values()) as values:  # type: ignore[type-var]
        assert list(islice(values, taken)) == list(range(taken))
    assert len(set(map(str, told))) >= 2
    assert len({each for each in told if each != "ended"}) == 1
    # Where the reader breaks off, the task is cancelled: it leaves the context by that exception.
    assert told.count("ended") == 1


@pytest.mark.parametrize("taken", [2, 20])
def test_an_error_of_the_tear_down_is_raised(taken: int) -> None:
    @asynccontextmanager
    async def failing() -> AsyncIterator[AsyncIterator[int]]:
        try:
            yield source([])
        finally:
            raise ValueError("torn down badly")

    with pytest.raises(ValueError, match="torn down badly"), closing(Pump(failing()).values()) as values:  # type: ignore[type-var]
        list(islice(values, taken))


def test_an_error_of_the_source_is_raised_behind_its_values() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("the stream is gone")

    values = Pump(nullcontext(broken())).values()
    assert next(values) == 1
    with pytest.raises(RuntimeError, match="the stream is gone"):
        next(values)


@pytest.mark.parametrize("before", [0, 2])
def test_a_stop_ends_a_source_where_it_waits(before: int) -> None:
    """At once, with what it does at its end; all that it has yielded is there."""
    waits, told = Event(), list[str]()

    async def waiting() -> AsyncIterator[int]:
        try:
            for number in range(before):
                yield number
            waits.set()
            await asyncio.sleep(PATIENCE)
            yield -1
        finally:
            await asyncio.sleep(0.01)
            told.append("torn down")

    pump, got = Pump(nullcontext(waiting())), list[object]()
    assert pump.stop() is False
    thread = Thread(target=lambda: got.extend(pump.values()), daemon=True)
    thread.start()
    assert waits.wait(PATIENCE)
    start = time.monotonic()
    assert pump.stop() is True
    thread.join(PATIENCE)
    assert time.monotonic() - start < 2
    assert (got, told) == (list(range(before)), ["torn down"])
    assert pump.stop() is True, "of no effect"


def test_a_stop_while_a_value_is_in_hand_keeps_it_and_ends() -> None:
    told: list[Any] = []
    pump = Pump(nullcontext(source(told)))
    values = pump.values()
    assert next(values) == 0
    pump.stop()
    assert list(values) == []
    assert told[-1] == "ended"


def test_a_context_that_gives_no_async_iterable_is_an_error() -> None:
    with pytest.raises(TypeError, match="gave a list and no async iterable"):
        list(Pump(nullcontext([1, 2])).values())
