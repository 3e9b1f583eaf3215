"""A trial: some contestants, one fault, and what became of every message."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.brokers import outlive_a_kill
from tests.chaos.cluster import Cluster
from tests.chaos.peers.broker import Node, add, delete, queues
from tests.chaos.peers.contestant import RATE, Contestant
from tests.chaos.peers.faults import Fault
from tests.chaos.peers.lineup import Entry
from tests.chaos.peers.services import terminate
from tests.chaos.rabbit import Rabbit

START = 60.0  # seconds
SUBSCRIBED = 2.0  # seconds from a queue's declaration until it is consumed
FLOW = 60  # messages handled, after which a contestant counts as running
LIMIT = 60.0  # seconds after the fault in which messages must flow again, or a person is needed
QUIET = 10.0  # seconds in which nothing more was handled, after which nothing more will be


@dataclass(frozen=True, slots=True)
class Row:
    """What a contestant has to show for one run of one fault."""

    entry: str
    fault: str
    run: int
    attempted: int
    sent: int  # as the adapter believes
    handled: int  # distinct
    lost: int  # believed sent, and neither handled nor in any queue
    duplicated: int
    unclear: int  # the publish raised or was cut off, and the message is nowhere
    kept: int  # still in a queue at the end, such as one of dead letters or for a later try
    held: int  # of these, what could have been handled, and was not before a person stopped the consumer
    stuck: bool  # no message flowed within LIMIT after the fault
    recovery: float  # seconds from the end of the fault until a message published afterwards was handled
    starts: int  # of both programs, the first two included
    beside: int  # contestants that ran at the same time
    rate: float  # messages a second, at most
    load: float  # of the machine, before
    limit: float
    version: str
    broker: str
    date: str


def put_to_test(
    entries: Sequence[Entry],
    fault: Fault,
    broker: "Rabbit | Cluster",
    folder: Path,
    python: str,
    *,
    run: int,
    versions: dict[str, str],
    limit: float = LIMIT,
    rate: float = RATE,
    quiet: float = QUIET,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """A row for each entry. Raises Failure when something of the harness's own does not work."""
    load = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        everyone = []
        for entry in entries:
            each = Contestant(entry, python, broker, folder / entry.key, handler=fault.handler, rate=rate)
            everyone.append(stack.enter_context(each))
        homes = [each.home for each in everyone]
        add(broker, homes)
        tell("starts")
        _start(everyone, broker)
        flowing = _flow(everyone)
        outlive_a_kill(time.monotonic())
        tell("is broken")
        fault.inject(everyone, broker)  # type: ignore[arg-type]
        tell("is mended, and recovers")
        recovery = _recovery(everyone, limit)
        tell("drains")
        _drain(everyone, quiet)
        rows, queues_of = [], queues(broker, homes)
        for each in everyone:
            found = each.take_all(queues_of[each.home.name])
            total, missing = each.account(found), each.missing()
            waiting = {name for queue, names in found.items() if not is_for_later(queue) for name in names}
            took = recovery[each.entry.key]
            rows.append(
                Row(
                    entry=each.entry.key,
                    fault=fault.key,
                    run=run,
                    attempted=total.attempted,
                    sent=total.confirmed,
                    handled=total.handled,
                    lost=len(total.lost),
                    duplicated=total.duplicated,
                    unclear=len(total.unclear),
                    kept=total.left,
                    held=len(missing & waiting),
                    stuck=took is None or each.entry.key not in flowing,
                    recovery=round(limit if took is None else took, 1),
                    starts=each.producer.runs + each.consumer.runs,
                    beside=len(everyone),
                    rate=rate,
                    load=round(load, 1),
                    limit=limit,
                    version=versions.get(each.entry.peer.package, ""),
                    broker=versions["broker"],
                    date=datetime.now(UTC).strftime("%Y-%m-%d"),
                )
            )
        delete(broker, homes)
        return rows


def is_for_later(queue: str) -> bool:
    """Whether what lies there is tried again without anybody's help: the delay queues of dramatiq, taskiq and ours."""
    return queue.endswith(".DQ") or ".retry." in queue or "delay" in queue


def _start(everyone: Sequence[Contestant], broker: Node) -> None:
    """The producers when the consumers' queues are there: what a start loses is no fault's doing."""
    for each in everyone:
        each.consumer.start()
    deadline = time.monotonic() + START
    while not all(queues(broker, [each.home for each in everyone]).values()) and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(SUBSCRIBED)
    for each in everyone:
        each.producer.start()


def _flow(everyone: Sequence[Contestant]) -> set[str]:
    """Wait until all of them flow; those that do."""
    deadline = time.monotonic() + START
    while True:
        flowing = {each.entry.key for each in everyone if len(each.handled.read().names) >= FLOW}
        if len(flowing) == len(everyone) or time.monotonic() > deadline:
            return flowing
        time.sleep(0.1)


def _recovery(everyone: Sequence[Contestant], limit: float) -> dict[str, float | None]:
    """Seconds until a message attempted from now on is handled; None: not within the limit."""
    began = time.monotonic()
    marks = {each.entry.key: len(each.attempted.read().names) for each in everyone}
    found: dict[str, float | None] = {}
    while len(found) < len(everyone) and time.monotonic() - began < limit:
        for each in everyone:
            key = each.entry.key
            if key not in found and not each.handled.read().ids.keys().isdisjoint(
                each.attempted.read().names[marks[key] :]
            ):
                found[key] = time.monotonic() - began
        time.sleep(0.1)
    return {each.entry.key: found.get(each.entry.key) for each in everyone}


def _drain(everyone: Sequence[Contestant], quiet: float) -> None:
    """End the producers, wait until all is handled or nothing moves any more, then end the consumers."""
    for each in everyone:
        each.producer.rest()
        (each.folder / "stop").touch()
    deadline = time.monotonic() + 15
    while not all(each.producer.ended() for each in everyone) and time.monotonic() < deadline:
        time.sleep(0.1)
    for each in everyone:
        each.producer.kill()
    moved, seen = time.monotonic(), -1
    while time.monotonic() - moved < quiet and any(each.missing() for each in everyone):
        total = sum(len(each.handled.read().ids) for each in everyone)
        if total != seen:
            moved, seen = time.monotonic(), total
        time.sleep(0.2)
    time.sleep(1)  # acknowledgements of the last
    for each in everyone:
        each.consumer.rest()
    terminate(each.consumer for each in everyone)
    for each in everyone:
        each.consumer.kill()  # what it may have left running
    time.sleep(1)  # the broker takes back what they held
