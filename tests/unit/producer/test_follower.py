"""What a source with `confirmed` hears, and when."""

import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Event, Thread, current_thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.message import Message
from producer.follower import HELD_BYTES, VALUE_BYTES, Confirms, Follower
from tests.processes import ROOT, until


class Source:
    """Which gives `values`; `told` are the batches, `threads` where they were told."""

    def __init__(self, *values: object) -> None:
        self.values, self.given = values, 0
        self.told: list[list[object]] = []
        self.threads: set[str] = set()
        self.may = Event()  # end
        self.may.set()

    def __iter__(self) -> Iterator[object]:
        for value in self.values:
            self.given += 1
            yield value

    def confirmed(self, messages: list[object]) -> None:
        """Noted."""
        self.threads.add(current_thread().name)
        self.told.append([*messages])
        messages.clear()  # it is the source's own
        assert self.may.wait(20)

    def heard(self) -> list[object]:
        """All that was told."""
        return [value for batch in self.told for value in batch]


def given(source: Source) -> Confirms:
    """The follower of `source`, which has given all."""
    confirms = Confirms(source, source.confirmed)
    assert [item.position for item in confirms.items()] == [*range(1, len(source.values) + 1)]
    return confirms


def told(confirms: Confirms) -> None:
    until(lambda: not confirms.untold(), "the source knows", 20)


def test_a_source_hears_of_its_own_objects_in_its_own_thread_for_that() -> None:
    """What it yielded, and no copy: whatever it needs to find its row again, it may hang on there."""
    values = {"row": 1}, Message(b"two"), b"three", "four", bytearray(b"five")
    source = Source(*values)
    confirms = given(source)
    for position in range(1, 6):
        confirms.confirmed(position)
    told(confirms)
    assert [*map(id, source.heard())] == [*map(id, values)]
    assert source.threads == {"confirmed"}


def test_a_source_hears_in_its_order_whatever_the_order_of_the_confirms() -> None:
    """So it may remember one number: all before it is confirmed."""
    source = Source("a", "b", "c", "d")
    confirms = given(source)
    confirms.confirmed(2)
    confirms.confirmed(3)
    time.sleep(0.1)
    assert source.told == []
    assert confirms.untold() == 0, "a stop need not wait for what cannot be told"
    confirms.confirmed(1)
    told(confirms)
    assert source.heard() == ["a", "b", "c"]


def test_a_source_never_hears_of_a_refused_message_and_hears_of_those_behind_it() -> None:
    source = Source("a", "b", "c", "d")
    confirms = given(source)
    confirms.refused(1)
    confirms.confirmed(3)
    confirms.refused(2)
    confirms.confirmed(4)
    told(confirms)
    assert source.heard() == ["c", "d"]
    assert confirms._held_bytes == 0


def test_a_slow_source_hears_in_batches_and_holds_up_nobody() -> None:
    """The I/O thread goes on; what comes meanwhile is one batch."""
    source = Source(*range(100))
    source.may.clear()
    confirms = given(source)
    confirms.confirmed(1)
    until(lambda: source.told, "the first call", 20)
    for position in range(2, 101):
        confirms.confirmed(position)
    assert confirms.untold() == 100
    source.may.set()
    told(confirms)
    assert source.told == [[0], [*range(1, 100)]]


@pytest.mark.parametrize("size", [0, 1024 * 1024])
def test_what_is_held_for_a_source_that_does_not_return_is_bounded(size: int) -> None:
    """In bytes, and so in number: the source gives no more, until it has heard."""
    fits = -(-HELD_BYTES // (size + VALUE_BYTES))
    body = bytes(size)
    source = Source(*[Message(body)] * (fits + 3))
    source.may.clear()
    confirms = Confirms(source, source.confirmed)
    items = confirms.items()
    for _ in range(fits):
        next(items)
    waiting = Event()
    reader = Thread(target=lambda: (next(items), waiting.set()), daemon=True)
    reader.start()
    assert not waiting.wait(0.2)
    assert source.given == fits + 1
    for position in range(1, fits + 1):
        confirms.confirmed(position)
    assert not waiting.wait(0.2), "it is being told"
    source.may.set()
    assert waiting.wait(20)
    told(confirms)
    assert confirms._held_bytes == size + VALUE_BYTES


@pytest.mark.parametrize("error", [RuntimeError("the database is away"), SystemExit(3)])
def test_an_error_in_confirmed_is_logged_and_kept_and_confirmed_is_not_called_again(error: BaseException) -> None:
    calls: list[Any] = []

    def confirmed(messages: list[object]) -> None:
        calls.append(messages)
        raise error

    confirms = Confirms(["a", "b"], confirmed)
    with capture_logs() as lines:
        assert len([*confirms.items()]) == 2
        confirms.confirmed(1)
        until(lambda: confirms.error, "the error", 20)
        confirms.confirmed(2)
        time.sleep(0.1)
        confirms.close()
    assert calls == [["a"]]
    assert confirms.error is error
    assert confirms.untold() == 2
    assert [(line["event"], line.get("exc_info")) for line in lines] == [
        ("the source's confirmed() failed", error),
        ("confirmed, and not told to the source", None),
    ]
    assert lines[1]["messages"] == 2


async def coroutine(_messages: list[object]) -> None:
    """A call runs nothing."""


def generator(_messages: list[object]) -> Iterator[None]:
    """The same."""
    yield


@pytest.mark.parametrize("tell", [coroutine, generator])
def test_a_confirmed_whose_call_runs_nothing_is_refused(tell: Any) -> None:
    """The source would believe that it is told."""
    with pytest.raises(TypeError, match="must be a plain function"):
        Confirms([], tell)


def test_other_followers_leave_nothing_untold() -> None:
    assert Follower().untold() == 0
    assert Follower().error is None


CHILD = """
import os, time
from common.process import fork
from producer.follower import Confirms
from producer.source import Item

def fork_and(leave):
    if not (pid := os.fork()):
        return leave
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

def source():
    fork_and(None)
    yield "a"

fork.serving(True)
confirms = Confirms(source(), lambda _: fork_and(None))
items = confirms.items()
item = next(items, None)
if fork.child:
    os._exit(7 if item is None else 8)
confirms.confirmed(1)
while confirms.untold():
    time.sleep(0.01)
print(confirms.error)
"""


def test_a_forked_child_is_told_nothing_and_gives_nothing() -> None:
    """Of a fork in the source, and of one in `confirmed`."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.split() == ["7", "0", "None"], done.stderr
