"""The services themselves are killed, stopped, or asked to stop."""

import signal
from functools import partial
from pathlib import Path

from tests.chaos.promise import promise
from tests.chaos.scene import Scene
from tests.processes import until

FROZEN = 12.0  # seconds; the broker gives a connection up after two heartbeats
LINES = 5000


@promise(
    "a consumer killed with SIGKILL loses nothing that it held",
    short=True,
    mix=True,
    settings={"CHAOS_SECONDS": "0.0025"},
)
def consumer_killed(scene: Scene) -> None:
    pair = scene.pair
    for _ in range(3):
        pair.consumer.kill()
        pair.consume()
        # What came while nobody consumed now lies in the consumer, which dies at once again.
        pair.consumer.wait_ready()


@promise("a consumer stopped past its heartbeat goes on", mix=True)
def consumer_stopped(scene: Scene) -> None:
    scene.pair.consumer.signal(signal.SIGSTOP)
    scene.hold(FROZEN)
    scene.pair.consumer.signal(signal.SIGCONT)


@promise(
    "a consumer asked to stop settles what it began with and hands the rest back: no duplicates",
    mix=True,
    settings={"CONSUMER_WORKERS": "4", "CHAOS_SECONDS": "0.01", "PRODUCER_RATE": "250"},
)
def consumer_terminated(scene: Scene) -> None:
    # The handlers are hardly faster than the load, so that what came while nobody consumed lies in the next consumer.
    handled = scene.pair.handled
    before = len(handled.read().names) - len(handled.ids)
    for _ in range(4):
        scene.hold(1)
        scene.pair.consumer.terminate()
        scene.expect(scene.pair.consumer.wait(20) == 0, "the consumer did not exit with 0")
        scene.pair.consume()
        scene.pair.consumer.wait_ready()
    twice = len(handled.read().names) - len(handled.ids) - before
    scene.expect(not twice or scene.mixed, f"{twice} were handled twice")


@promise("a producer stopped past its heartbeat goes on", mix=True)
def producer_stopped(scene: Scene) -> None:
    scene.pair.producer.signal(signal.SIGSTOP)
    scene.hold(FROZEN)
    scene.pair.producer.signal(signal.SIGCONT)


@promise("a producer asked to stop leaves nothing unconfirmed", mix=True)
def producer_terminated(scene: Scene) -> None:
    for _ in range(3):
        scene.pair.producer.terminate()
        scene.expect(scene.pair.producer.wait(20) == 0, "the producer did not exit with 0")
        scene.pair.produce()
        scene.pair.producer.wait_ready()


@promise(
    "a producer killed with SIGKILL goes on where its checkpoint says",
    cold=True,
    settings={"PRODUCER_SOURCE": "lines:{folder}/input", "PRODUCER_CHECKPOINT": "{folder}/checkpoint"},
)
def producer_killed(scene: Scene) -> None:
    pair = scene.pair
    assert pair.lines
    pair.lines.write_text("".join(f"1-{number} some text\n" for number in range(1, LINES + 1)))
    scene.start()
    scene.flow()
    checkpoint = pair.folder / "checkpoint"
    for _ in range(3):
        until(partial(_moved, checkpoint, _position(checkpoint)), "the checkpoint moves")
        pair.producer.kill()
        pair.produce()
        pair.producer.wait_ready()
    # Since the last save at most half a second passed, and what was in flight.
    scene.expect(len(pair.handled.read().names) - len(pair.handled.ids) < 2000, "far too much was sent again")


def _moved(path: Path, since: int) -> bool:
    return _position(path) > since


def _position(path: Path) -> int:
    return int(path.read_text().split()[0]) if path.exists() else 0
