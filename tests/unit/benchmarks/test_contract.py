"""What each peer is told to do, and when."""

import time

import pytest

from benchmarks.peers.contract import Task
from benchmarks.span import STAMP


def left(body: bytes) -> float:
    """When it did, or should have, in seconds."""
    return int(body[:STAMP], 16) / 1e9


def test_a_message_that_is_waited_for_is_stamped_when_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """How late a timer is would be the benchmark's fault and not the client's."""
    sleep = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: sleep(seconds + 0.05))
    began = time.monotonic()
    first, second = (left(body) for body in Task("publish", "", "", count=2, size=256, rate=50).bodies())
    assert began <= first
    assert began + 0.02 + 0.05 <= second <= time.monotonic()


def test_a_message_that_was_due_while_its_client_was_busy_is_stamped_with_when_it_was_due() -> None:
    """Or the clients that block would look the better the longer they do."""
    bodies = Task("publish", "", "", count=3, size=256, rate=100).bodies()
    first = left(next(bodies))
    time.sleep(0.1)
    second, third = left(next(bodies)), left(next(bodies))
    assert second < first + 0.05 < time.monotonic()
    assert abs(third - second - 0.01) < 0.001


def test_without_a_rate_each_leaves_at_once() -> None:
    """However long its client was busy."""
    bodies = Task("publish", "", "", count=2, size=256).bodies()
    next(bodies)
    time.sleep(0.02)
    asked = time.monotonic()
    assert asked <= left(next(bodies)) + 1e-6
