"""Faults at random, one after the other, on one pair that lives through all of them."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from local import Failure
from tests.chaos.faults import promises
from tests.chaos.promise import Promise
from tests.chaos.scene import RECOVERY, Broker, Scene
from tests.chaos.trial import Row, judge

# Slower than the handlers can be, so that what one fault held up is gone before the next.
SETTINGS = {"PRODUCER_RATE": "200", "CHAOS_SECONDS": "0.001"}


def mix(broker: Broker, folder: Path, seconds: float, seed: int, tell: Callable[[str], None], *, wire: str) -> Row:
    """Break one thing after the other for so long. The same `seed` is the same order."""
    began, slowest, count = time.monotonic(), 0.0, 0
    with Scene(broker, folder, SETTINGS, short=True, proxied=True, wire=wire) as scene:
        scene.mixed = True
        try:
            scene.start()
            scene.flow()
            for chosen in _endless(seed):
                tell(f"mix, fault {count + 1}: {chosen.name}")
                slowest, count = max(slowest, _break(scene, chosen)), count + 1
                if time.monotonic() - began > seconds:
                    break
        except (AssertionError, Failure) as broken:
            scene.notes.append(str(broken))
            scene.restore()
        whole = Promise(f"{count} faults at random in {seconds / 60:g} min (seed {seed})", lambda _: None)
        scene.drain(whole.parked)
        return judge(scene, whole, slowest, began)


def _endless(seed: int) -> Iterator[Promise]:
    """All in random order, then all in another."""
    dice, faults = random.Random(seed), [each for each in promises() if each.mix]
    while True:
        yield from dice.sample(faults, len(faults))


def _break(scene: Scene, chosen: Promise) -> float:
    """Seconds of the recovery."""
    known = len(scene.notes)
    chosen.fault(scene)
    took = scene.recovery(RECOVERY + 10)
    scene.expect(took <= RECOVERY, f"recovery took {took:.1f} s")
    scene.flow()
    scene.notes[known:] = [f"{chosen.name}: {note}" for note in scene.notes[known:]]
    return took
