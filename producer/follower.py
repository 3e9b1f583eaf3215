"""Follower: who hears what became of a source's messages; one of them tells the source itself."""

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Condition, Thread
from typing import NamedTuple

import structlog

from common.message import Message
from common.plugins import is_any
from common.process import fork

HELD_BYTES = 32 * 1024 * 1024  # the reader's buffer and the bodies in flight, 17 MiB, fit twice
VALUE_BYTES = 1024  # what a value counts beside its body, so that the number of small ones is bounded, too
WAIT_SECONDS = 10.0  # in which a source's context waits for the next confirm before it is left without it
ASYNC = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
log = structlog.get_logger()


class Item(NamedTuple):
    """What a source gave: a value for `Message.of`, or an error in its place; and where the source stands behind it.

    Positions rise. They are a file's offsets in bytes, or count from 1.
    """

    value: object
    position: int


class Follower:
    """Hears by their positions what became of a source's messages. I/O thread, which must never wait."""

    error: BaseException | None = None  # for which the source must end, as if it had raised it

    def taken(self, position: int) -> None:
        """The message before `position` left the source."""

    def confirmed(self, position: int) -> None:
        """The broker has it."""

    def refused(self, position: int) -> None:
        """It can never be sent."""

    def tick(self, now: float) -> None:
        """Look at what depends on time. `now` is `time.monotonic()`."""

    def untold(self) -> int:
        """How many confirmed messages could be told to the source, and it does not know of them yet."""
        return 0

    def close(self) -> None:
        """Nothing more is confirmed."""


class Confirms(Follower):
    """Stands between a source that has `confirmed` and its reader.

    Calls it in a thread of its own, with the values as the source gave them, in the source's order, each once. Those
    that were refused are left out. Holds a value until that call has returned.
    """

    def __init__(self, values: Iterable[object], tell: Callable[[list[object]], object]) -> None:
        """Raises TypeError for a `tell` whose call would do nothing."""
        if is_any(tell, ASYNC):
            raise TypeError(
                "the source's confirmed() must be a plain function: a call of another runs none of its code"
            )
        self._values, self._tell = values, tell
        self._changed = Condition()  # held for moments only, and never while `tell` runs
        self._held: deque[tuple[object, int]] = deque()  # given and not passed on yet, and how many bytes they count
        self._held_bytes = 0  # of these, and of those that are being told
        self._first = 1  # the position of the first of them
        self._settled: dict[int, bool] = {}  # by position, from the first on: whether it was confirmed, or else refused
        self._to_tell: list[tuple[object, int]] = []
        self._untold = 0

    def items(self) -> Iterator[Item]:
        """The source's values, while not too much is held. Source thread."""
        Thread(target=self._run, name="confirmed", daemon=True).start()
        for position, value in enumerate(self._values, 1):
            if fork.child:  # which has no such thread; its reader ends it
                return
            body = value.body if isinstance(value, Message) else value
            size = VALUE_BYTES + (len(body) if isinstance(body, (str, bytes, bytearray, memoryview)) else 0)
            with self._changed:
                self._changed.wait_for(lambda: self._held_bytes < HELD_BYTES)
                self._held.append((value, size))
                self._held_bytes += size
            yield Item(value, position)

    def confirmed(self, position: int) -> None:
        self._settle(position, confirmed=True)

    def refused(self, position: int) -> None:
        self._settle(position, confirmed=False)

    def _settle(self, position: int, *, confirmed: bool) -> None:
        with self._changed:
            self._settled[position] = confirmed
            while self._first in self._settled:
                given = self._held.popleft()
                if self._settled.pop(self._first):
                    self._to_tell.append(given)
                    self._untold += 1
                else:
                    self._held_bytes -= given[1]
                self._first += 1
            self._changed.notify_all()

    def untold(self) -> int:
        return self._untold

    def wait(self) -> None:
        """Until the source was told of all that it gave, or nothing was confirmed for WAIT_SECONDS. Source thread."""
        with self._changed:
            before = -1
            while self._held_bytes and self._held_bytes != before and not self.error:
                before = self._held_bytes
                self._changed.wait_for(lambda: not self._held_bytes or self.error, WAIT_SECONDS)

    def close(self) -> None:
        if self._untold:
            log.warning("confirmed, and not told to the source", messages=self._untold, so="it may send them again")

    def _run(self) -> None:
        while not self.error:
            with self._changed:
                self._changed.wait_for(lambda: self._to_tell)
                told, self._to_tell = self._to_tell, []
            try:
                self._tell([value for value, _ in told])
            except BaseException as error:  # the user's code
                self.error = error
                if not fork.child:
                    log.error("the source's confirmed() failed", exc_info=error)
            if fork.child:
                fork.end_child(self.error)
            with self._changed:
                if not self.error:
                    self._held_bytes -= sum(size for _, size in told)
                    self._untold -= len(told)  # the last: untold() reads it without the lock
                self._changed.notify_all()
