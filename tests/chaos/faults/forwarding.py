"""A consumer that forwards to a second one, under the faults of either side; what the second handles counts."""

import signal

from tests.chaos.promise import promise
from tests.chaos.scene import Scene

FORWARDING = {"CONSUMER_HANDLER": "tests.chaos.load:forwarding"}
SLOWLY = FORWARDING | {"CHAOS_SECONDS": "0.0025"}


def _chain(scene: Scene) -> None:
    scene.pair.consume_forwarded().wait_ready()  # it declares the destination
    scene.afterwards(scene.queues.delete_forwarded)
    scene.start()
    scene.flow()


@promise("a broker killed while a consumer forwards loses nothing", cold=True, short=True, settings=FORWARDING)
def broker_killed(scene: Scene) -> None:
    _chain(scene)
    scene.rabbit.kill()
    scene.hold(2)
    scene.rabbit.start()


@promise(
    "a consumer killed while it forwards loses nothing, and repeats under the same ids", cold=True, settings=SLOWLY
)
def consumer_killed(scene: Scene) -> None:
    _chain(scene)
    for _ in range(3):
        scene.pair.consumer.kill()
        scene.pair.consume()
        scene.pair.consumer.wait_ready()


@promise("a full destination that rejects publishes parks nothing and loses nothing", cold=True, settings=FORWARDING)
def destination_full(scene: Scene) -> None:
    _chain(scene)
    queue, consumer = scene.queues.forwarded, scene.pair.consumer
    policy = ("set_policy", "--apply-to", "queues", "--priority", "9", queue, f"^{queue}$")
    scene.pair.next.signal(signal.SIGSTOP)
    scene.rabbit.rabbitmqctl(*policy, '{"max-length": 50, "overflow": "reject-publish"}')
    scene.wait(lambda: consumer.metric("consumer_retry_nacked_total"), "the destination refuses")
    scene.wait(lambda: consumer.metric("consumer_breaker_open") == 1, "the breaker opens")
    scene.hold(5)
    scene.pair.next.signal(signal.SIGCONT)
    scene.hold(2)
    scene.rabbit.rabbitmqctl("clear_policy", queue)


@promise("a destination that is deleted and comes back parks nothing and loses nothing", cold=True, settings=FORWARDING)
def destination_deleted(scene: Scene) -> None:
    _chain(scene)
    producer, consumer, last = scene.pair.producer, scene.pair.consumer, scene.pair.next
    producer.signal(signal.SIGSTOP)  # what is deleted with a queue is nobody's loss

    def dry() -> bool:
        held = consumer.metric("consumer_unsettled") + last.metric("consumer_unsettled")
        return held + scene.queues.waiting() + scene.queues.depth(scene.queues.forwarded) == 0

    for _ in range(2):
        scene.wait(dry, "all queues run dry")
        scene.hold(0.5)
    last.signal(signal.SIGSTOP)  # so that it does not declare its queue anew at once
    scene.queues.delete_forwarded()
    producer.signal(signal.SIGCONT)
    scene.wait(lambda: consumer.metric("consumer_retry_returned_total"), "what is forwarded is returned")
    scene.hold(5)
    scene.expect(consumer.metric('mq_reconnects_total{connection="consumer_retry"}') == 0, "a connection was lost")
    last.signal(signal.SIGCONT)
