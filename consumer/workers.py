"""Workers: the handler threads. Two crossings: deliveries come in lists, outcomes go back with one wake-up for many."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Condition, Thread

from common.message import Message
from common.observe.logs import subject
from common.observe.tracebacks import Tracebacks
from common.process import fork
from common.process.rate import paced
from consumer.delivery import Delivery, Running
from consumer.outcome import ACK, Outcome, check_returned, decide
from consumer.settle import Done

IDLE_WAIT_SECONDS = 1.0  # only a bound: work wakes a worker at once


class Workers:
    """`wake` is called in a handler thread when there is something for `outcomes` to fetch."""

    def __init__(
        self,
        handle: Callable[[Message], None],
        count: int,
        delays: Sequence[float],
        wake: Callable[[], None],
        rate: float | None = None,
    ) -> None:
        """`delays` are those of the retries, in seconds; `rate` is CONSUMER_RATE."""
        self.count = count
        self._handle, self._delays, self._wake = handle, delays, wake
        self._pending: deque[Delivery] = deque()  # the I/O thread appends, workers take
        self._next = paced(self._pending, rate) if rate else self._pending.popleft
        self._done: deque[Done] = deque()  # workers append, the I/O thread takes
        self._running: list[Running | None] = [None] * count  # each written by its worker; None while it waits
        self._tracebacks = Tracebacks()
        self._wake_sent = False
        self._work = Condition()
        self._threads = [Thread(target=self._run, args=(i,), name=f"handler-{i}", daemon=True) for i in range(count)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

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

    def _run(self, number: int) -> None:
        pending, running, done, following = self._pending, self._running, self._done, self._next
        handle, clock = self._handle, time.monotonic
        while True:
            try:
                delivery = following()
            except IndexError:
                with self._work:
                    if not pending:
                        self._work.wait(IDLE_WAIT_SECONDS)
                continue
            start = clock()
            running[number] = start, delivery
            subject.message = delivery.message
            try:
                returned: object = handle(delivery.message)
                if returned is not None:
                    check_returned(returned)
                outcome: Outcome = ACK
                if fork.child:
                    fork.end_child(None)
            except BaseException as error:  # noqa: BLE001 - SystemExit in a handler is a failed attempt as well
                if fork.child:
                    fork.end_child(error)
                delivery = delivery._replace(message=delivery.message.original())
                outcome = decide(error, delivery.message.attempt, self._delays, self._tracebacks.first)
            running[number] = None  # first: who has taken the outcome must not find the run
            done.append((delivery, outcome, clock() - start))
            if not self._wake_sent:
                self._wake_sent = True
                self._wake()
