"""Walk: one look at the parked messages from first to last. By itself it changes nothing."""

from typing import Any

from common.amqp.connection import Connection, State
from common.amqp.errors import Refusal
from common.message import Message
from common.process.run import Process
from common.settings.shared import Settings
from consumer.dead_letters.browser import Browser
from consumer.dead_letters.chunks import look_chunk
from consumer.dead_letters.parked import Parked
from consumer.dead_letters.patience import Patience
from consumer.dead_letters.report import DONE, Report
from consumer.dead_letters.selection import Selection
from consumer.progress import Progress


class Walk:
    """Implements `Service` and `Visitor`. I/O thread only. Its heirs do something with what is taken."""

    command = "list"
    settles = False  # whether it acknowledges what it took

    def __init__(self, process: Process, settings: Settings, selection: Selection, progress: Progress) -> None:
        self.process, self.selection = process, selection
        self.browser = Browser(process, settings, self)
        self.interrupted = False
        self.refusal: Refusal | None = None  # why it could not go on
        self.patience = Patience(settings)
        self._progress = progress
        self._elsewhere = 0

    @property
    def count(self) -> int:
        """How many messages are done with."""
        return self.browser.settlement.settled if self.settles else self.selection.taken

    def connections(self) -> list[Connection]:
        """All that must be open."""
        return [self.browser.connection]

    def idle(self) -> bool:
        """Whether nothing that was taken is still under way."""
        return True

    def take(self, tag: int, parked: Parked) -> None:
        """One that is asked for."""

    def visit(self, tag: int, message: Message) -> None:
        """Implements `Visitor`. When it is interrupted more may come, for the order alone: they are left."""
        parked = Parked(self.browser.seen, message)
        if not self.interrupted and self.selection.takes(parked):
            self.take(tag, parked)

    def wants_more(self) -> bool:
        """Implements `Visitor`."""
        return not self.interrupted and not self.selection.enough

    def next_chunk(self, seen: int, size: int, left: int) -> int:
        """Implements `Visitor`."""
        return look_chunk(seen, size, left)

    def start(self) -> None:
        """Connect."""
        for connection in self.connections():
            connection.open()

    def tick(self, now: float) -> None:
        """Go on, leave, or give up."""
        browser = self.browser
        gave_up = self.patience.refusal(self.connections(), browser.moved_at, now)
        self.refusal = self.refusal or browser.lost_by or gave_up
        browser.tick()
        over = browser.ended or (browser.may_leave and not self.wants_more())
        if self.patience.was_open and over and self.idle():
            self._elsewhere = self._unseen
            browser.leave()
        if browser.total is not None:
            self._progress.tick(now, self._state(), browser.seen / max(1, browser.total))

    def stop(self) -> None:
        """Take nothing more; what is under way is finished."""
        self.interrupted = True

    def done(self) -> bool:
        """Whether all that is not settled was given back, or the broker has taken it back."""
        gone = self.interrupted and self.browser.connection.state is not State.OPEN
        return self.browser.settlement.complete or bool(self.refusal) or gone

    def close(self) -> None:
        """Close the connections; what is held goes back with them."""
        self._progress.end()
        for connection in self.connections():
            connection.close()

    def closed(self) -> bool:
        """Whether the broker answered."""
        return all(each.state is State.CLOSED for each in self.connections())

    def summary(self) -> tuple[int, dict[str, Any]]:
        """For the last log line."""
        return 0, {"looked_at": self.selection.looked, "taken": self.selection.taken}

    def report(self) -> Report:
        """Its numbers."""
        selection = self.selection
        return Report(
            self.command,
            self.browser.topology.dead,
            self.browser.total or 0,
            self.browser.seen,
            self.count,
            replayed_too_often=selection.worn,
            elsewhere=self._elsewhere if self.wants_more() else 0,
            more=selection.more or (selection.enough and self._unseen > 0),
            interrupted=self.interrupted,
        )

    @property
    def _unseen(self) -> int:
        return (self.browser.total or 0) - self.browser.seen

    def _state(self) -> str:
        done = f", {DONE[self.command]}{self.count:,}" if DONE[self.command] else ""
        waits = "".join(f" ({reason})" for each in self.connections() for reason in each.reasons())
        return f"looked at {self.browser.seen:,} of {self.browser.total:,}{done}{waits}"
