"""Bodies that are empty, large, too large, or no text."""

from tests.chaos.load import LIMIT
from tests.chaos.promise import promise
from tests.chaos.scene import Scene


@promise(
    "bodies of 0 bytes, 1 MiB, over the limit and not UTF-8 arrive whole or are refused, and the stream goes on",
    settings={"PRODUCER_SOURCE": "tests.chaos.load:bodies", "PRODUCER_RATE": "60", "MQ_MAX_BODY": str(LIMIT)},
)
def bodies(scene: Scene) -> None:
    scene.hold(5)
    refused = scene.pair.producer.metric("producer_refused_total")
    scene.expect(refused, "no body over the limit was refused")
