"""Workers: the handler threads. Two crossings: deliveries come in lists, outcomes go back with one wake-up for many."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Condition, Thread
from typing import Any, cast

import structlog

from common.message import Message
from common.observe.logs import Subject, Tracebacks, subject
from common.plugins import ConfigError
from common.process import fork
from common.process.rate import paced
from consumer.delivery import Delivery, Running
from consumer.handler import Handle, SetUp
from consumer.outcome import ACK, Outcome, decide, succeeded
from consumer.settle import Done

Judge = Callable[[object, Message], Outcome]  # of what a handler returned, and the message as it came
IDLE_WAIT_SECONDS = 1.0  # only a bound: work wakes a worker at once
log = structlog.get_logger()


def attempt(
    handle: Handle,
    message: Message,
    judge: Judge,
    delays: Sequence[float],
    trace: Callable[[BaseException, str], str],
) -> Outcome:
    """Have the message handled, and judge how that ended."""
    try:
        returned = handle(message)
        outcome = ACK if returned is None else judge(returned, message.original())
        if fork.child:
            fork.end_child(None)
    except BaseException as error:  # noqa: BLE001 - SystemExit in a handler is a failed attempt as well
        if fork.child:
            fork.end_child(error)
        return decide(error, message.original().attempt, delays, trace)
    return outcome


class Workers:
    """`wake` is called in a handler thread when there is something for `outcomes` to fetch."""

    def __init__(
        self,
        handle: Handle | SetUp,
        count: int,
        delays: Sequence[float],
        wake: Callable[[], None],
        judge: Judge = succeeded,
        *,
        rate: float | None = None,
    ) -> None:
        """`delays` are those of the retries, in seconds; `judge` says what follows from what a handler returns.

        `rate` is CONSUMER_RATE.
        """
        self.count = count
        self._set_up = handle if isinstance(handle, SetUp) else None
        self.ready = not self._set_up  # there is a handler, so deliveries may come
        self.error: BaseException | None = None  # what the set-up or the tear-down raised
        self._handle: Handle | SetUp = handle
        self._delays, self._wake, self._judge = delays, wake, judge
        self._leaving, self._left = False, self.ready
        self._pending: deque[Delivery] = deque()  # the I/O thread appends, workers take
        self._next = paced(self._pending, rate) if rate else self._pending.popleft
        self._done: deque[Done] = deque()  # workers append, the I/O thread takes
        self._running: list[Running | None] = [None] * count  # each written by its worker; None while it waits
        self._tracebacks = Tracebacks()
        self._wake_sent = False
        self._work = Condition()
        self._threads = self._made(count)

    def start(self) -> None:
        for thread in self._threads if self.ready else self._threads[:1]:
            thread.start()

    def leave(self) -> bool:
        """Begin to leave the handler's context, since all is handled and no more comes; True when that is done."""
        self._leaving = True
        with self._work:
            self._work.notify_all()
        return self._left

    def hand_over(self, deliveries: Iterable[Delivery]) -> None:
        """Give deliveries to the workers. I/O thread only."""
        self._pending.extend(deliveries)
        with self._work:
            self._work.notify(len(self._pending))

    def outcomes(self) -> list[Done]:
        """What is done since the last call. I/O thread only."""
        self._wake_sent = False  # first: what is appended from here on wakes anew
        done = self._done
        return [done.popleft() for _ in range(len(done))]

    def take_back(self, keep: int = 0) -> list[Delivery]:
        """Take what no handler began with, but for the `keep` deliveries that are next. I/O thread only."""
        taken = []
        with suppress(IndexError):  # a worker was quicker
            while len(self._pending) > keep:
                taken.append(self._pending.pop())
        return taken[::-1]

    @property
    def waiting(self) -> int:
        """Deliveries that no handler began with. Any thread."""
        return len(self._pending)

    @property
    def busy(self) -> int:
        """Handlers that run now."""
        return len(self.running())

    def running(self) -> list[Running]:
        """Since when, and for what. Any thread."""
        return [each for each in self._running if each]

    def longest(self, now: float) -> float:
        """Seconds that the longest running handler has taken so far; 0 when none runs. Any thread."""
        return max((now - started for started, _ in self.running()), default=0.0)

    def oldest(self) -> float:
        """Age in seconds of the delivery that is next for a handler; 0 when none waits. Any thread."""
        try:
            return self._pending[0].message.age or 0.0
        except IndexError:
            return 0.0

    def problems(self, now: float, most: float) -> list[str]:
        """A handler that has run for over `most` seconds: only a new process ends it. Any thread."""
        longest = self.longest(now)
        return [f"a handler has run for {longest:.0f}s, over CONSUMER_HANDLER_TIMEOUT"] if longest > most else []

    def _made(self, count: int) -> list[Thread]:
        first = self._run_within if self._set_up else self._run
        targets = [first] + [self._run] * (count - 1)
        return [Thread(target=each, args=(i,), name=f"handler-{i}", daemon=True) for i, each in enumerate(targets)]

    def _run_within(self, number: int) -> None:
        """Enter the handler's context, work, and leave it when no other handler runs."""
        try:
            self._within(number)
        except BaseException as error:  # the user's code, too
            if fork.child:
                fork.end_child(error)
            self.error = ConfigError(f"CONSUMER_HANDLER: {error}") if isinstance(error, ConfigError) else error
            if error is self.error:
                log.error(f"the handler's {'tear-down' if self.ready else 'set-up'} failed", exc_info=error)
        self._left = True

    def _within(self, number: int) -> None:
        context: Any = self._set_up and self._set_up.context
        with context as handle:
            self._begin(handle)
            for thread in self._threads[1:]:
                thread.start()
            self._run(number)
            for thread in self._threads[1:]:
                thread.join()

    def _begin(self, handle: Handle) -> None:
        """Take `handle`, which the context gave. Raises ConfigError."""
        if fork.child:
            fork.end_child(None)
        self._handle = self._set_up.opened(handle) if self._set_up else handle
        self.ready = True

    def _run(self, number: int) -> None:
        pending, running, done, following = self._pending, self._running, self._done, self._next
        handle, clock, works_on = cast(Handle, self._handle), time.monotonic, Subject()
        subject.set(works_on)
        while True:
            try:
                delivery = following()
            except IndexError:
                if self._leaving:
                    return
                with self._work:
                    if not pending:
                        self._work.wait(IDLE_WAIT_SECONDS)
                continue
            start = clock()
            running[number] = start, delivery
            works_on.message = delivery.message
            outcome = attempt(handle, delivery.message, self._judge, self._delays, self._tracebacks.first)
            if outcome is not ACK:  # whatever the handler did to the message
                delivery = delivery._replace(message=delivery.message.original())
            running[number] = None  # first: who has taken the outcome must not find the run
            done.append((delivery, outcome, clock() - start))
            if not self._wake_sent:
                self._wake_sent = True
                self._wake()
