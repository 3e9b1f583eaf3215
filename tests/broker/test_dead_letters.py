"""`consumer dead-letters` where brokers differ: a look changes nothing, a replay loses nothing."""

import signal
import time
from collections.abc import Callable

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker
from tests.conftest import Start
from tests.parking import COUNT, drain, ids, listed, names, park, ready, rows, run
from tests.processes import PATIENCE, until
from tests.system.kit import PLUGINS
from tests.system.manage import policy

LARGE = 2000
MANY = 20_000


def at_once(condition: Callable[[], bool], what: str) -> None:
    """Wait for what lasts a moment only: no pause between two looks."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"


def test_list_and_show_change_neither_order_nor_delivery_counts(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """Also a look at a part of what somebody has looked at before, which the broker would put behind the rest."""
    park(channel, mq_ch, 100)
    assert listed(start) == names(100)
    assert listed(start, "--max", "5") == names(5)
    assert rows(run(start, "show", "m7", "--json"))[0]["headers"]["number"] == 7
    left = drain(channel, f"{mq_ch}.dead", 100)
    assert [properties.message_id for properties, _ in left] == names(100)
    if broker.name == "container":  # before 4.3 the broker counts each look, up to its limit of a million
        assert all(COUNT not in properties.headers for properties, _ in left)


def test_a_list_killed_in_the_middle_changes_no_order(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """SIGKILL while it holds everything, the first time and when all was held before."""
    park(channel, mq_ch, LARGE)
    for _ in range(2):
        process = start("consumer", "dead-letters", "list")
        at_once(lambda: not ready(channel, f"{mq_ch}.dead"), "it holds all")
        process.kill()
        until(lambda: ready(channel, f"{mq_ch}.dead") == LARGE, "the broker has put all back")
    assert ids(channel, f"{mq_ch}.dead", LARGE) == names(LARGE)


def test_a_replay_takes_what_matches_in_order_and_leaves_the_rest_in_order(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """Its attempts begin anew; errors, and what is not ours, stay as they were."""
    park(channel, mq_ch, 1000, tenant="a")
    run(start, "replay", "--match", "error~Time", "--max", "200")
    came = drain(channel, mq_ch, 200)
    replayed = names(400)[::2]
    assert [properties.message_id for properties, _ in came] == replayed
    properties, body = came[3]
    assert body == b"6" + bytes(10)
    assert {key: value for key, value in properties.headers.items() if not key.startswith("x-")} == {
        "number": 6,
        "tenant": "a",
        "mq-first-error": "KeyError: 'x'",
        "mq-last-error": "TimeoutError: too slow",
        "mq-queue": mq_ch,
        "mq-replays": 1,
    }
    assert ids(channel, f"{mq_ch}.dead", 800) == [name for name in names(1000) if name not in replayed]


def test_what_the_broker_parked_comes_through_a_retry_after_its_replay(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """RabbitMQ 3.10 never lets a message out of a retry queue whose headers say that it died in the main queue."""
    death = {"reason": "delivery_limit", "queue": mq_ch, "exchange": "", "routing-keys": [mq_ch], "count": 1}
    park(channel, mq_ch, 1, **{"x-death": [death], "x-first-death-reason": "delivery_limit"})
    run(start, "replay")
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:fail", CONSUMER_RETRY_DELAYS="100ms", RECORD="/dev/null")
    until(lambda: ready(channel, f"{mq_ch}.dead") == 1, "it failed twice")
    consumer.terminate()
    [(properties, _)] = drain(channel, f"{mq_ch}.dead", 1)
    assert (properties.headers["mq-attempt"], properties.headers["mq-replays"]) == (2, 1)


def test_a_replay_killed_in_the_middle_loses_nothing(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """The queue is full, and it waits. What has no confirm is still parked; duplicates are what was in flight."""
    park(channel, mq_ch, LARGE)
    with policy(broker, mq_ch, {"max-length": 100}):
        process = start("consumer", "dead-letters", "replay")
        until(lambda: ready(channel, mq_ch) >= 100, "the queue is full")
        time.sleep(0.5)  # what it acknowledges, it has acknowledged
        process.kill()
        until(lambda: sum(ready(channel, queue) for queue in (mq_ch, f"{mq_ch}.dead")) >= LARGE, "all are in a queue")
        time.sleep(0.2)  # and what was on its way when it was killed
    came = [name for queue in (mq_ch, f"{mq_ch}.dead") for name in ids(channel, queue, ready(channel, queue))]
    assert set(came) == set(names(LARGE))
    assert len(came) - LARGE <= 1024


@pytest.mark.one_wire("takes long, and reads as the listing does")
def test_a_purge_interrupted_at_its_first_message_leaves_the_others(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """Also of a queue that was looked at before, where it goes on to the end for the order."""
    park(channel, mq_ch, MANY)
    run(start, "list", "--max", "1")
    purge = start("consumer", "dead-letters", "purge", "--yes", "--json")
    at_once(lambda: ready(channel, f"{mq_ch}.dead") < MANY, "it has begun")
    purge.signal(signal.SIGINT)
    assert purge.wait() == 1
    [report] = rows(purge)
    assert report["interrupted"]
    assert report["done"] < MANY  # how many depends on the machine: some 2 s of purging lie before it
    left = MANY - report["done"]
    assert ids(channel, f"{mq_ch}.dead", left) == names(MANY)[-left:]
