"""The harness counts exactly; its clients and its broker are stand-ins."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench import Bench
from benchmarks.child import Child, MeasureError
from benchmarks.client import Client, Command

# A client without a broker: it says that it did as many as it was asked to, or as TOLD_<mode> says.
SCRIPT = """
import json, os, signal, sys, time
mode, count = sys.argv[1], int((sys.argv[2:] or [0])[0])
if mode != "publish":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    open(f"{os.environ['SUBSCRIBED']}/{os.getpid()}", "w").close()
    signal.sigwait([signal.SIGTERM])
told = int(os.environ.get("TOLD_" + mode, count))
now = time.monotonic()
report = dict(count=told, began=now, first=now, ended=now + 1, cpu=0.1, peak_kib=2048, latencies_ns=[1000000] * told)
with open(os.environ["BENCH_REPORT"], "w") as file:
    json.dump(report, file)
"""


class FakeBroker:
    """Its queue holds what it is told to; it is drained when `consumers` have subscribed."""

    url = "amqp://nowhere"

    def __init__(self, folder: Path, *held: int, consumers: int = 1) -> None:
        self.folder = folder
        self._held, self._consumers = list(held), consumers
        self.deleted: list[str] = []
        self.logs = 0

    def begin_log(self) -> None:
        """Count them."""
        self.logs += 1

    def declare(self, queue: str) -> None:
        """Note it."""
        self.declared = queue

    def delete(self, *queues: str) -> None:
        """Note them."""
        self.deleted += queues

    def state(self, _queue: str) -> tuple[int, int]:
        """Ready messages and consumers."""
        subscribed = len(list(self.folder.iterdir()))
        return self._consumers - subscribed, subscribed

    def holds(self, _queue: str, count: int) -> bool:
        """Whether the next is `count`."""
        return self._held.pop(0) == count


def client(broker: FakeBroker, **told: int) -> Client:
    env = {f"TOLD_{mode}": str(count) for mode, count in told.items()}
    return Client("fake", "the fake", (sys.executable, "-c", SCRIPT), 1, 1, {**env, "SUBSCRIBED": str(broker.folder)})


def bench(broker: FakeBroker) -> Bench:
    return Bench(broker, client(broker))  # type: ignore[arg-type]


def test_publish_counts_what_the_queue_holds(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 50)
    assert bench(broker).publish(client(broker), 50, 256)["rate"] == 50
    assert broker.deleted == [broker.declared] == ["bench.0"]


def test_each_measure_begins_a_log(tmp_path: Path) -> None:
    """What a measure before it left in the broker's would be its burden."""
    broker = FakeBroker(tmp_path, 50, 50)
    measured = bench(broker)
    for number in (1, 2):
        measured.publish(client(broker), 50, 256)
        assert broker.logs == number


def test_a_start_needs_no_log_of_its_own(tmp_path: Path) -> None:
    """A message or five are no burden, and the command takes a while."""
    broker = FakeBroker(tmp_path)
    assert bench(broker).start(client(broker))["start_ms"] > 0
    assert not broker.logs


def test_a_queue_that_holds_less_is_no_measure(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 49)
    with pytest.raises(MeasureError, match="the fake: 50 messages confirmed, the queue holds"):
        bench(broker).publish(client(broker), 50, 256)


def test_a_client_that_publishes_less_is_no_measure(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 49)
    with pytest.raises(MeasureError, match="says it published 49"):
        bench(broker).publish(client(broker, publish=49), 50, 256)


def test_consumers_must_handle_all_together(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 50, 0, consumers=2)
    assert bench(broker).consume(client(broker, consume=25), 50, 256, consumers=2)["rate"] > 0
    assert broker.logs == 1


def test_what_is_on_its_way_when_the_queue_is_empty_has_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fastest hardly works for that; and a broker too busy to look says that nothing and nobody is there."""
    looks = [(7, 1), (0, 0), (0, 0), (0, 1), (3, 1), (0, 1), (0, 1)]
    broker = FakeBroker(tmp_path, 50, 0)
    monkeypatch.setattr(broker, "state", lambda _: looks.pop(0))
    monkeypatch.setattr("benchmarks.bench._QUIET", 0.05)
    bench(broker).consume(client(broker, consume=50), 50, 256)
    assert looks == []


def test_a_reader_may_be_given_the_messages_of_another(tmp_path: Path) -> None:
    """Who declares the queue, too."""
    broker = FakeBroker(tmp_path, 50, 0)
    other = replace(client(broker), label="the other", own_queues=("", ".dead"))
    assert bench(broker).consume(client(broker, publish=49, consume=50), 50, 256, publisher=other)["rate"] > 0
    assert broker.deleted == ["bench.0", "bench.0.dead"]


def test_a_message_lost_is_no_measure(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 50, 0)
    with pytest.raises(MeasureError, match="handled 49 messages of 50"):
        bench(broker).consume(client(broker, consume=49), 50, 256)


def test_a_message_left_is_no_measure(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 50, 1)
    with pytest.raises(MeasureError, match="the queue holds"):
        bench(broker).consume(client(broker, consume=50), 50, 256)


def test_end_to_end_runs_both_sides(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 0)
    assert bench(broker).end_to_end(client(broker, consume=50), 50, 256)["peak_mib"] == 2
    assert broker.logs == 1


def test_latency_runs_both_sides(tmp_path: Path) -> None:
    broker = FakeBroker(tmp_path, 0)
    assert bench(broker).latency(client(broker, latency=500), 1.0)["p99_ms"] == 1
    assert broker.logs == 1


def test_a_child_that_fails_is_reported_with_its_output() -> None:
    with (
        Child(Command((sys.executable, "-c", "raise SystemExit('no such queue')"), {})) as child,
        pytest.raises(MeasureError, match="no such queue"),
    ):
        child.wait(20)


def test_a_child_that_hangs_is_ended() -> None:
    hanging = Command((sys.executable, "-c", "import time; time.sleep(60)"), {})
    with Child(hanging) as child, pytest.raises(MeasureError, match="did not end"):
        child.wait(0.1)
    assert child.ended
