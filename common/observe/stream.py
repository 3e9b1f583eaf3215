"""Stream: standard error, written by a thread of its own: a reader that stands still costs lines, and no work."""

import atexit
import os
import select
import sys
import time
from contextlib import suppress
from threading import Condition, Thread, current_thread

import structlog

from common.observe.metrics import LOG_LINES_DROPPED
from common.process import fork

DESCRIPTOR = 2
MAX_WAITING = 1_000_000  # characters that wait to be written, some 5,000 lines; up to as many are being written
AT_ONCE = 0.25  # seconds that a caller waits, so that its line is out if the process crashes next
SLOW, DISTRUST = 0.005, 10.0  # seconds; after a line that took longer, nobody waits for so long
LAST_LINES = 2.0  # seconds for what waits at the end of the process


class Stream:
    """Any thread may write: lines stay whole and in order. Lines that cannot be written are counted, and told later."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the thread is the parent's, and so are the lines
        atexit.register(self.drain)
        fork.at_end.append(self.drain)

    def _reset(self) -> None:
        self._changed = Condition()
        self._waiting: list[str] = []
        self._size = 0  # characters of those waiting
        self._given = self._done = 0  # how many texts were given, and of how many the fate is known
        self._dropped = 0  # lines that were not told yet
        self._cut = False  # a part of a line was written last
        self._trust_at = 0.0
        self._thread: Thread | None = None

    def write(self, text: str) -> None:
        """Never blocks for longer than AT_ONCE."""
        if sys.stderr is not sys.__stderr__ or sys.stderr is None:  # another program's, such as a test's; or closed
            with suppress(OSError):
                if sys.stderr:
                    sys.stderr.write(text)
                    sys.stderr.flush()
            return
        own = current_thread() is self._thread  # tells how many were dropped
        with self._changed:
            if self._size >= MAX_WAITING and not own:
                self._drop(1)
                return
            self._waiting.append(text)
            self._size += len(text)
            self._given += 1
            self._changed.notify_all()
            if not self._thread and not self._start():
                self._write_waiting()
            began = time.monotonic()
            if began >= self._trust_at and not own:
                given = self._given
                self._changed.wait_for(lambda: self._done >= given, AT_ONCE)
                now = time.monotonic()
                self._trust_at = now + DISTRUST if now - began > SLOW else 0.0

    def line(self, text: str) -> None:
        self.write(f"{text}\n")

    # For structlog, whose own logger holds a lock while it writes: a child forked meanwhile would wait for ever.
    debug = info = warning = error = critical = line

    def flush(self) -> None:
        """Each line is on its way."""

    def isatty(self) -> bool:
        return bool(sys.stderr) and sys.stderr.isatty()

    def drain(self, seconds: float = LAST_LINES) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._done >= self._given, seconds)

    def _start(self) -> bool:
        thread = Thread(target=self._run, name="log", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left, or Python is about to end
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
            self._write_waiting()

    def _write_waiting(self) -> None:
        with self._changed:
            text, given = "".join(self._waiting), self._given
            self._waiting, self._size = [], 0
        if self._put(text) and self._dropped:
            with self._changed:
                dropped, self._dropped = self._dropped, 0
            structlog.get_logger().warning("lines of this log were dropped, since it was not read", count=dropped)
        with self._changed:
            self._done = given
            self._changed.notify_all()

    def _put(self, text: str) -> bool:
        encoding = getattr(sys.__stderr__, "encoding", "utf-8")
        data = b"\n" * self._cut + text.encode(encoding, "backslashreplace")
        at = 0
        while at < len(data):
            try:
                at += os.write(DESCRIPTOR, data[at : at + 65536])
            except BlockingIOError:  # whoever shares it made it so
                select.select([], [DESCRIPTOR], [], 1.0)
            except OSError:  # a full disk, or a reader who left
                with self._changed:
                    self._drop(data.count(b"\n", at or self._cut))
                self._cut = not data[:at].endswith(b"\n") if at else self._cut
                return False
        self._cut = False
        return True

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        LOG_LINES_DROPPED.inc(lines)


STDERR = Stream()
