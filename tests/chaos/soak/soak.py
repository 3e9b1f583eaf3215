"""A pair at work while one of its connections is lost twice a second and a second pair is restarted beside it."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local import Failure
from tests.chaos.pair import Pair
from tests.chaos.promise import Promise
from tests.chaos.scene import Broker, Scene
from tests.chaos.soak.figures import Sample, Soak
from tests.chaos.trial import judge
from tests.processes import Process

SETTINGS = {"PRODUCER_RATE": "200", "CHAOS_SECONDS": "0.001"}
RESET_INTERVAL = 0.5  # seconds
RESTART_INTERVAL = 15.0  # seconds
SAMPLES = 360
LOOK_INTERVAL = 0.05  # seconds between two looks at what was handled
MIB = 1024 * 1024


def soak(broker: Broker, folder: Path, seconds: float, *, wire: str, tell: Callable[[str], None]) -> Soak:
    """Run for so long, look at the two that live through it all, and account for every message at the end."""
    began = time.monotonic()
    with Scene(broker, folder, SETTINGS, short=True, proxied=True, wire=wire) as scene:
        pair, resets, restarts = scene.pair, _Count(), _Count()
        services: dict[str, list[Sample]] = {"producer": [], "consumer": []}
        pauses: list[tuple[float, float]] = []
        try:
            scene.start()
            scene.flow()
            lasting = {"producer": pair.producer, "consumer": pair.consumer}
            pair.consume()
            pair.produce()
            with (
                _every(RESET_INTERVAL, lambda: resets.add(scene.proxy.reset(1)), scene.notes),
                _every(RESTART_INTERVAL, lambda: restarts.add(_restart(pair, restarts.value)), scene.notes),
            ):
                for sample_at, pause in _looks(pair, seconds):
                    for name, process in lasting.items():
                        services[name].append(_look(process, sample_at))
                    pauses.append((sample_at, pause))
                    tell(f"soak, {sample_at:.0f} of {seconds:.0f} s: {services['consumer'][-1].memory:.1f} MiB")
            pair.end_source()
            scene.wait(lambda: lasting["producer"].code() is not None, "the producer ends with its source", 60)
        except (AssertionError, Failure) as broken:
            scene.notes.append(str(broken))
        whole = Promise("a soak", lambda _: None)
        scene.drain(whole.parked)
        lasting["consumer"].terminate()
        scene.wait(lambda: lasting["consumer"].code() == 0, "the first consumer ends after SIGTERM", 30)
        row = judge(scene, whole, 0.0, began)
    return Soak(
        seconds,
        services,
        pauses,
        resets.value,
        restarts.value,
        row.account.attempted,
        row.account.duplicated,
        row.complaints,
    )


class _Count:
    value = 0

    def add(self, more: int) -> None:
        self.value += more


def _restart(pair: Pair, number: int) -> int:
    """End one of the second pair, in turn by SIGTERM and by SIGKILL, and start it anew."""
    service, start = (pair.producer, pair.produce) if number % 2 else (pair.consumer, pair.consume)
    service.signal(signal.SIGKILL if number % 4 > 1 else signal.SIGTERM)
    service.wait(30)
    start()
    return 1


def _looks(pair: Pair, seconds: float) -> Iterator[tuple[float, float]]:
    """When to take a sample, and the longest time without a handled message since the last."""
    began = moved = time.monotonic()
    size, longest = 0, 0.0
    for number in range(1, SAMPLES + 1):
        while (now := time.monotonic()) - began < seconds * number / SAMPLES:
            time.sleep(LOOK_INTERVAL)
            longest = max(longest, now - moved)
            if (new := pair.handled.path.stat().st_size) != size:
                size, moved = new, now
        yield now - began, longest
        longest = 0.0


def _look(process: Process, sample_at: float) -> Sample:
    folder = Path(f"/proc/{process.pid}")
    pages = int((folder / "statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / MIB
    return Sample(sample_at, memory, len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir())))


@contextmanager
def _every(interval: float, action: Callable[[], None], notes: list[str]) -> Iterator[None]:
    """Do this again and again in a thread, at random around so many seconds; what it raises is noted, and ends it."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(interval * random.uniform(0.5, 1.5)):
            try:
                action()
            except (AssertionError, Failure, OSError, subprocess.TimeoutExpired, TimeoutError) as error:
                notes.append(f"the soak itself failed: {error!r}")
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(60)
