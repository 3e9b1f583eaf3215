"""Bench: the measures, each on a queue of its own, each counted exactly."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.broker import Broker
from benchmarks.child import Child, MeasureError, Report
from benchmarks.client import Client, Where
from benchmarks.sample import Sample, of_consumers, of_flow, of_latency, of_publisher, of_start

RATE: Final = 500
_LONGEST: Final = 300.0
_QUIET: Final = 0.3
_SUBSCRIBED: Final = 20.0


class Bench:
    """Measures clients at one broker. `filler`, the fastest, preloads the queues of those that read any body."""

    def __init__(self, broker: Broker, filler: Client) -> None:
        self._broker, self._filler = broker, filler
        self._number = itertools.count()

    def publish(self, client: Client, count: int, size: int) -> Sample:
        """Publishes and confirms `count` messages into an empty queue."""
        with self._queue(client) as where:
            report = self._publish(client, where, count, size)
            self._expect(client, where, count)
        return of_publisher(report)

    def consume(
        self, client: Client, count: int, size: int, consumers: int = 1, publisher: Client | None = None
    ) -> Sample:
        """Drains a queue of `count` confirmed messages, those of `publisher` or of the filler."""
        publisher = publisher or (client if client.own_messages else self._filler)
        with self._queue(publisher) as where:
            self._publish(publisher, where, count, size)
            self._expect(client, where, count)
            reports = self._consume(client, where, consumers)
            self._account(client, where, count, reports)
        return of_consumers(reports)

    def end_to_end(self, client: Client, count: int, size: int) -> Sample:
        """A consumer waits; then a publisher sends `count` messages as fast as it can."""
        return of_flow(*self._flow(client, count, size, rate=0))

    def latency(self, client: Client, seconds: float) -> Sample:
        """From when a message leaves, or should have left (peers/contract.py), to its handler, at 500 a second."""
        return of_latency(self._flow(client, int(RATE * seconds), 256, rate=RATE)[1])

    def start(self, client: Client) -> Sample:
        """From the start of a process to its first confirm; its queue is there and its bytecode compiled."""
        with self._queue(client, log=False) as where:
            reports = []
            for _ in range(5):
                with Child(client.start(where)) as child:
                    reports.append(child.wait(_LONGEST))
        return of_start(reports[1:])

    def _flow(self, client: Client, count: int, size: int, rate: int) -> tuple[Report, Report]:
        with self._queue(client) as where, Child(client.consume(where, latency=bool(rate))) as consumer:
            self._subscribed(where, [consumer])
            publisher = self._publish(client, where, count, size, rate)
            self._drained(where, [consumer])
            report = consumer.stop()
            self._account(client, where, count, [report])
        return publisher, report

    @contextlib.contextmanager
    def _queue(self, client: Client, *, log: bool = True) -> Iterator[Where]:
        where = Where(self._broker.url, f"bench.{next(self._number)}")
        if log:
            self._broker.begin_log()
        if not client.own_queues:
            self._broker.declare(where.queue)
        try:
            yield where
        finally:
            self._broker.delete(*(where.queue + suffix for suffix in client.own_queues or ("",)))

    def _publish(self, client: Client, where: Where, count: int, size: int, rate: int = 0) -> Report:
        with Child(client.publish(where, count, size, rate)) as child:
            report = child.wait(_LONGEST)
        if report.count != count:
            raise MeasureError(f"{client.label} says it published {report.count} messages, not {count}")
        return report

    def _consume(self, client: Client, where: Where, consumers: int) -> list[Report]:
        with contextlib.ExitStack() as stack:
            children = [stack.enter_context(Child(client.consume(where))) for _ in range(consumers)]
            self._drained(where, children)
            for child in children:  # all at once: one that waits for the others spends CPU time, too
                child.terminate()
            return [child.wait() for child in children]

    def _subscribed(self, where: Where, children: Sequence[Child]) -> None:
        deadline = time.monotonic() + _SUBSCRIBED
        while self._broker.state(where.queue)[1] < len(children):
            for child in children:
                child.check()
            if time.monotonic() > deadline:
                raise MeasureError(f"no consumer within {_SUBSCRIBED:.0f} s")
            time.sleep(0.02)

    def _drained(self, where: Where, children: Sequence[Child]) -> None:
        """Until nothing is ready and the consumers rest.

        The broker does not say what a consumer still holds, so their CPU time tells, from when nothing was ready on; a
        guess too early shows in the count afterwards.
        """
        deadline = time.monotonic() + _LONGEST
        empty = False
        while True:
            before = sum(child.cpu for child in children)
            time.sleep(_QUIET)
            for child in children:
                child.check()
            working = sum(child.cpu for child in children) - before > 0.02 * len(children) + 0.01
            ready, subscribed = self._broker.state(where.queue)  # which does not know the queue while it is busy
            was_empty, empty = empty, not ready and subscribed >= len(children)
            if was_empty and empty and not working:
                return
            if time.monotonic() > deadline:
                raise MeasureError(f"not drained within {_LONGEST:.0f} s")

    def _expect(self, client: Client, where: Where, count: int) -> None:
        if not self._broker.holds(where.queue, count):
            held = self._broker.state(where.queue)[0]
            raise MeasureError(f"{client.label}: {count} messages confirmed, the queue holds {held}")

    def _account(self, client: Client, where: Where, count: int, reports: Sequence[Report]) -> None:
        handled = sum(report.count for report in reports)
        if handled != count:
            raise MeasureError(f"{client.label} handled {handled} messages of {count}")
        self._expect(client, where, 0)
