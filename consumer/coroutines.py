"""Coroutines: `async def` handlers, on one event loop in one thread, in the place of the handler threads."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from threading import Thread
from typing import Any, cast

from common.observe.logs import Subject, subject
from common.process import fork
from common.process.rate import CATCH_UP_SECONDS, RateLimiter
from common.settings.types import format_duration
from consumer.delivery import Delivery
from consumer.handler import Handle, SetUp
from consumer.outcome import ACK, Outcome, decide, succeeded
from consumer.workers import Judge, Workers

WATCH_INTERVAL = 0.1  # seconds; a handler may run so much over its time-out
TURN_SECONDS = 0.01  # that handlers which never wait may keep the loop from the others
CANCEL_GRACE = 5.0  # seconds for a cancelled handler to end; then the process is not live


class Coroutines(Workers):
    """`count` tasks, each with one handler at a time. One that runs for over `timeout` seconds is cancelled."""

    def __init__(
        self,
        handle: Handle | SetUp,
        count: int,
        delays: Sequence[float],
        wake: Callable[[], None],
        judge: Judge = succeeded,
        *,
        timeout: float,
        rate: float | None = None,
    ) -> None:
        super().__init__(handle, count, delays, wake, judge)
        self._limiter, self._turn = RateLimiter(rate, CATCH_UP_SECONDS) if rate else None, asyncio.Lock()
        self._timeout, self._left = timeout, False
        self._loop = asyncio.new_event_loop()
        self._idle: deque[asyncio.Future[None]] = deque()  # of tasks that wait for deliveries
        self._tasks: list[asyncio.Task[None]] = []
        self._overdue: set[int] = set()  # tasks whose handler was cancelled and has not ended
        self._turned = time.monotonic()  # when the loop was last seen to turn

    def hand_over(self, deliveries: Iterable[Delivery]) -> None:
        """Give deliveries to the handlers. I/O thread only."""
        self._pending.extend(deliveries)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._spread)

    def leave(self) -> bool:
        """As that of threads."""
        self._leaving = True
        self.hand_over(())
        return self._left

    def problems(self, now: float, most: float) -> list[str]:
        """A handler that does not let the loop turn, or does not end though it is cancelled. Any thread."""
        if self._left:
            return []
        if (blocked := now - self._turned) > most:
            return [f"{self._current()} has blocked the event loop for {blocked:.0f}s, over CONSUMER_HANDLER_TIMEOUT"]
        return super().problems(now, most + CANCEL_GRACE)

    def _current(self) -> str:
        """What the loop runs just now."""
        task = asyncio.current_task(self._loop)
        found = [each for each, own in zip(self._running, self._tasks, strict=False) if each and own is task]
        name = task.get_name() if task else "something"
        return f"the handler of message {found[0][1].message.message_id}" if found else name

    def _made(self, count: int) -> list[Thread]:
        return [Thread(target=self._run_within, args=(count,), name="handlers", daemon=True)]

    def _within(self, number: int) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main(number))

    async def _main(self, count: int) -> None:
        context: Any = self._set_up.context if self._set_up else nullcontext(self._handle)
        watch = asyncio.create_task(self._watch())
        async with context as handle:
            self._begin(handle)
            self._tasks = [asyncio.create_task(self._take(number), name=f"handler-{number}") for number in range(count)]
            await asyncio.gather(*self._tasks)
        watch.cancel()

    def _spread(self) -> None:
        """Wake as many tasks as there is work for; at the end all."""
        for _ in range(len(self._idle) if self._leaving else min(len(self._pending), len(self._idle))):
            if not (idle := self._idle.popleft()).done():
                idle.set_result(None)

    async def _watch(self) -> None:
        """Cancel what is over its time-out. A timer for each message would cost more than a look at all of them."""
        while True:
            now = self._turned = time.monotonic()
            for number, each in enumerate(self._running):
                if each and now - each[0] > self._timeout and number not in self._overdue:
                    self._overdue.add(number)
                    self._tasks[number].cancel()
            await asyncio.sleep(WATCH_INTERVAL)

    async def _take(self, number: int) -> None:
        """One of the tasks."""
        pending, running, done = self._pending, self._running, self._done
        handle, clock, turn = cast(Handle, self._handle), time.monotonic, 0.0
        while True:
            if self._limiter:
                async with self._turn:
                    for seconds in self._limiter.pauses(pending):
                        await asyncio.sleep(seconds)
            try:
                delivery = pending.popleft()
            except IndexError:
                if self._leaving:
                    return
                self._idle.append(idle := self._loop.create_future())
                await idle
                turn = clock()
                continue
            start = clock()
            running[number] = start, delivery
            subject.set(Subject(delivery.message))
            outcome = await self._attempt(number, handle, delivery)
            if outcome is not ACK:  # whatever the handler did to the message
                delivery = delivery._replace(message=delivery.message.original())
            running[number] = None  # first: who has taken the outcome must not find the run
            end = clock()
            done.append((delivery, outcome, end - start))
            if not self._wake_sent:
                self._wake_sent = True
                self._wake()
            if end - turn > TURN_SECONDS:
                await asyncio.sleep(0)
                turn = clock()

    async def _attempt(self, number: int, handle: Handle, delivery: Delivery) -> Outcome:
        outcome: Outcome = ACK
        error: BaseException | None = None
        try:
            returned: object = await handle(delivery.message)
            if returned is not None:
                outcome = self._judge(returned, delivery.message.original())
            if fork.child:
                fork.end_child(None)
        except BaseException as raised:  # noqa: BLE001 - SystemExit in a handler is a failed attempt as well
            error = raised
        return self._unhandled(number, delivery, error) if error or number in self._overdue else outcome

    def _unhandled(self, number: int, delivery: Delivery, raised: BaseException | None) -> Outcome:
        """What follows for a delivery whose handler raised, or was cancelled: whatever that one did then."""
        if fork.child:
            fork.end_child(raised)
        if number in self._overdue:
            self._overdue.discard(number)
            self._tasks[number].uncancel()
            error = TimeoutError(f"cancelled after {format_duration(self._timeout)}, CONSUMER_HANDLER_TIMEOUT")
            error.__cause__ = raised
            return self._failed(delivery, error.with_traceback(raised.__traceback__ if raised is not None else None))
        if self._tasks[number].cancelling():  # the loop ends
            raise asyncio.CancelledError
        return self._failed(delivery, raised or asyncio.CancelledError())

    def _failed(self, delivery: Delivery, error: BaseException) -> Outcome:
        return decide(error, delivery.message.original().attempt, self._delays, self._tracebacks.first)
