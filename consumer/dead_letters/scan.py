"""Scan: reads the dead-letter queue once, from the oldest message to what was the newest when the scan began."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from common.amqp.connection import Connection, State
from common.amqp.errors import FINAL, BrokerError, Kind
from common.message import Message
from common.process.run import Process
from common.settings.shared import Settings
from consumer.dead_letters.browser import Browser
from consumer.dead_letters.dead_letter import DeadLetter, Filter
from consumer.progress import Progress

FIRST_BATCH = 16  # messages, to learn how large they are
PAST_TENSE = {"list": "", "replay": "replayed ", "purge": "purged "}


class Report(NamedTuple):
    """Numbers of messages. `done` are those listed, replayed or purged; the names are those of `--json`."""

    command: str
    queue: str
    parked: int  # when the scan began
    looked_at: int
    done: int
    replayed_too_often: int = 0
    unpublishable: int = 0
    unconfirmed: int = 0
    elsewhere: int = 0  # did not come
    more: bool = False  # --max was reached before the end
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        left = self.replayed_too_often + self.unpublishable + self.unconfirmed + self.elsewhere
        return not (left or self.interrupted)


class Deadline:
    """How long a person waits: for one try at each broker, and then MQ_BLOCKED_TIMEOUT for something to happen."""

    def __init__(self, settings: Settings) -> None:
        self.was_open = False  # all connections, at the same time
        self._timeout = settings.mq_blocked_timeout
        self._connect_by = time.monotonic() + settings.mq_connect_timeout * (len(settings.broker_urls()) - 1)

    def error(self, connections: Sequence[Connection], last_activity: float, now: float) -> BrokerError | None:
        """Why to give up now, None while there is reason to wait; all times are those of `time.monotonic()`."""
        self.was_open = self.was_open or all(each.state is State.OPEN for each in connections)
        error = next((each.broker_error for each in connections if each.broker_error), None)
        if not self.was_open:
            return error if now >= self._connect_by else None
        if error and (error.kind in FINAL or "NOT_FOUND" in error.text):
            return error
        if now - last_activity < self._timeout:
            return None
        reasons = "; ".join(reason for each in connections for reason in each.reasons())
        return error or BrokerError(Kind.LIMIT, f"nothing moved for MQ_BLOCKED_TIMEOUT; {reasons}")


class Scan:
    """Implements `Service` and `Visitor`, on the I/O thread. Subclasses act on what the filter accepts."""

    command = "list"
    memory = 128 * 1024 * 1024  # bytes of bodies in a batch: the broker reads into its memory what is requested

    def __init__(self, process: Process, settings: Settings, wanted: Filter, progress: Progress) -> None:
        self.filter, self.browser = wanted, Browser(process, settings, self)
        self.connections = [self.browser.connection]  # all that must be open
        self.interrupted = False
        self.error: BrokerError | None = None  # why the scan could not go on
        self._deadline, self._progress = Deadline(settings), progress

    @property
    def count(self) -> int:
        """How many messages are done with: listed, or else out of the queue."""
        return self.filter.accepted if self.command == "list" else self.browser.acknowledged

    def idle(self) -> bool:
        """Whether nothing that was accepted is still under way."""
        return True

    def act(self, tag: int, letter: DeadLetter) -> None:
        """Do what the command does to a message, known to the channel by its delivery `tag`."""

    def visit(self, tag: int, message: Message) -> None:
        """Implements `Visitor`. After an interrupt messages come only to keep the order, and are left alone."""
        letter = DeadLetter(self.browser.seen, message, self.browser.connection.properties_room)
        if not self.interrupted and self.filter.accepts(letter):
            self.act(tag, letter)

    def wants_more(self) -> bool:
        return not self.interrupted and not self.filter.full

    def next_batch(self, seen: int, size: int, left: int) -> int:
        """Implements `Visitor`. As many as fit into `memory`, if the others are as large as those seen."""
        return min(left, FIRST_BATCH) if not seen else max(1, min(left, self.memory * seen // max(1, size)))

    def start(self) -> None:
        for connection in self.connections:
            connection.open()

    def tick(self, now: float) -> None:
        browser = self.browser
        gave_up = self._deadline.error(self.connections, browser.last_activity, now)
        self.error = self.error or browser.error or gave_up
        browser.tick()
        if self._deadline.was_open and browser.over and self.idle():
            browser.leave()
        if browser.total is not None:
            self._progress.tick(now, self._state(), browser.seen / max(1, browser.total))

    def stop(self) -> None:
        """Accept nothing more; what is under way is finished."""
        self.interrupted = True

    def done(self) -> bool:
        """Whether all that is not acknowledged was given back, or the broker has taken it back."""
        gone = self.interrupted and self.browser.connection.state is not State.OPEN
        return self.browser.finished or bool(self.error) or gone

    def close(self) -> None:
        self._progress.end()
        for connection in self.connections:
            connection.close()

    def closed(self) -> bool:
        return all(each.state is State.CLOSED for each in self.connections)

    def summary(self) -> tuple[int, dict[str, Any]]:
        return 0, {"looked_at": self.filter.examined, "taken": self.filter.accepted}

    def report(self) -> Report:
        browser, wanted = self.browser, self.filter
        return Report(
            self.command,
            browser.topology.dead,
            parked=browser.total or 0,
            looked_at=browser.seen,
            done=self.count,
            replayed_too_often=wanted.replayed_too_often,
            elsewhere=browser.left if browser.finished and self.wants_more() else 0,
            more=wanted.more or (wanted.full and browser.left > 0),
            interrupted=self.interrupted,
        )

    def _state(self) -> str:
        done = f", {PAST_TENSE[self.command]}{self.count:,}" if PAST_TENSE[self.command] else ""
        waits = "".join(f" ({reason})" for each in self.connections for reason in each.reasons())
        return f"looked at {self.browser.seen:,} of {self.browser.total:,}{done}{waits}"


class Listing(Scan):
    """For `list`, `show`, `--dry-run` and the question of `purge`: keeps a view of each message, and no bodies."""

    def __init__(self, *arguments: Any, view: Callable[[DeadLetter], Any]) -> None:
        """`arguments` as for `Scan`; `view(letter)` is what is kept, in `views`."""
        super().__init__(*arguments)
        self.views: list[Any] = []
        self._view = view

    def act(self, _tag: int, letter: DeadLetter) -> None:
        self.views.append(self._view(letter))
