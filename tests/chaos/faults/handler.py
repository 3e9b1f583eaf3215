"""Handlers that raise, hang, are slow, or end their process."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.load import is_poison, is_single_poison
from tests.chaos.promise import promise
from tests.chaos.queues import RETRIES
from tests.chaos.scene import ATTEMPTS, Scene

DELIVERIES = 21  # the delivery limit of 20, and the last


@promise(
    "a handler that raises gets each poison message exactly as often as there are attempts",
    short=True,
    parked=is_poison,
    settings={"CONSUMER_HANDLER": "tests.chaos.load:raising"},
)
def raises(scene: Scene) -> None:
    scene.hold(5)
    tried = scene.pair.tried
    first = [name for name in tried.read().names if tried.names.count(name) > ATTEMPTS]
    scene.expect(not first, f"tried too often: {first[:3]}")
    scene.expect(scene.queues.parked(), "nothing is parked")


@promise(
    "async handlers lose nothing when broker and consumer are killed, and the consumer is stopped",
    short=True,
    parked=is_poison,
    settings={"CONSUMER_HANDLER": "tests.chaos.load:coroutine", "CONSUMER_WORKERS": "200"},
)
def async_handlers(scene: Scene) -> None:
    """The faults of plain handlers, one after the other."""
    scene.hold(2)
    scene.pair.consumer.kill()
    scene.pair.consume()
    scene.pair.consumer.wait_ready()
    scene.hold(1)
    scene.rabbit.kill()
    scene.rabbit.start()
    scene.wait(lambda: scene.pair.consumer.reasons() == [], "the consumer is ready again")
    scene.hold(1)
    scene.pair.consumer.terminate()
    scene.expect(scene.pair.consumer.wait(20) == 0, "the consumer did not exit with 0")
    scene.pair.consume()


DEPENDING = {"CONSUMER_HANDLER": "tests.chaos.load:depending", "CHAOS_AWAY": "{folder}/away"}


@promise("an outage of what handlers need parks nothing but poison", short=True, parked=is_poison, settings=DEPENDING)
def outage(scene: Scene) -> None:
    """Longer than all retries."""
    with _away(scene):
        scene.hold(5)


@promise(
    "a broker and a consumer killed in an outage of what handlers need lose and park nothing but poison",
    parked=is_poison,
    settings=DEPENDING,
)
def outage_while_both_die(scene: Scene) -> None:
    with _away(scene):
        scene.pair.consumer.kill()
        scene.pair.consume()
        scene.rabbit.kill()
        scene.rabbit.start()
        scene.hold(3)


@contextmanager
def _away(scene: Scene) -> Iterator[None]:
    """What handlers need is away, which the consumer has noticed."""
    away = scene.folder / "away"
    away.touch()
    scene.wait(lambda: scene.pair.consumer.metric("consumer_breaker_open") == 1, "the breaker opens")
    yield
    away.unlink()


@promise(
    "a broker and a consumer killed together lose no message that was to be tried again",
    parked=is_poison,
    settings={"CONSUMER_HANDLER": "tests.chaos.load:raising"},
)
def raises_while_both_die(scene: Scene) -> None:
    scene.wait(lambda: len(scene.pair.tried.read().names) > 20, "messages are tried again")
    # Copies to it are taken in and not confirmed, while acknowledgements of the originals would go through.
    scene.rabbit.leader(f"{scene.queue}.retry.{RETRIES[0]}", "suspend")
    scene.hold(2)
    scene.pair.consumer.kill()
    scene.rabbit.kill()
    scene.rabbit.start()
    scene.pair.consume()


@promise(
    "a handler longer than the heartbeat costs no connection",
    settings={"CONSUMER_HANDLER": "tests.chaos.load:slow", "CONSUMER_PREFETCH": "20"},
)
def slow(scene: Scene) -> None:
    before = scene.pair.connects()
    scene.wait(lambda: scene.pair.tried.read().names, "the slow message comes", 30)
    scene.hold(9)
    scene.expect(scene.pair.connects() == before, "a connection was lost")
    scene.expect(len(scene.pair.tried.read().names) == 1, "the slow message came more than once")


@promise(
    "a handler that kills its process gets a bounded number of tries, and no neighbour is parked",
    parked=is_single_poison,
    settings={"CONSUMER_HANDLER": "tests.chaos.load:killing", "PRODUCER_RATE": "150"},
)
def kills(scene: Scene) -> None:
    _supervised(scene)


@promise(
    "a handler that hangs gets a bounded number of tries, and no neighbour is parked",
    parked=is_single_poison,
    settings={
        "CONSUMER_HANDLER": "tests.chaos.load:hanging",
        "CONSUMER_HANDLER_TIMEOUT": "500ms",
        "PRODUCER_RATE": "150",
    },
)
def hangs(scene: Scene) -> None:
    _supervised(scene)


def _supervised(scene: Scene) -> None:
    with scene.pair.supervised():
        scene.wait(scene.queues.parked, "the poison message is parked", 120)
        scene.wait(lambda: scene.pair.consumer.reasons() == [], "the consumer is ready again")
    tries = len(scene.pair.tried.read().names)
    scene.expect(2 <= tries <= DELIVERIES, f"the poison message was tried {tries} times")
