"""The queue is deleted, full, or its leader is silent."""

import signal

from tests.chaos.promise import promise
from tests.chaos.scene import Scene


def _still(scene: Scene) -> None:
    """Stop the producer where it is, and let the queue run dry: what is deleted with a queue is nobody's loss."""
    scene.pair.producer.signal(signal.SIGSTOP)
    consumer = scene.pair.consumer
    dry = "the queue runs dry"
    scene.wait(lambda: scene.queues.waiting() == 0 and consumer.metric("consumer_unsettled") == 0, dry)
    names = set(scene.pair.handled.read().names)
    scene.hold(0.5)
    scene.wait(lambda: scene.queues.waiting() == 0 and consumer.metric("consumer_unsettled") == 0, dry)
    scene.expect(set(scene.pair.handled.read().names) >= names, "the record shrank")


@promise("a queue deleted under the consumer is declared and consumed again", mix=True)
def deleted_under_consumer(scene: Scene) -> None:
    _still(scene)
    scene.queues.delete()
    scene.wait(lambda: scene.pair.consumer.reasons() == [], "the consumer consumes again")
    scene.pair.producer.signal(signal.SIGCONT)


@promise("a queue deleted under the producer loses nothing: what is returned is sent again", short=True, mix=True)
def deleted_under_producer(scene: Scene) -> None:
    _still(scene)
    # Stopped, so that it does not declare the queue before the producer meets its absence.
    scene.pair.consumer.signal(signal.SIGSTOP)
    scene.queues.delete()
    before = scene.pair.attempted()
    scene.pair.producer.signal(signal.SIGCONT)
    scene.wait(lambda: len(scene.pair.attempted()) > len(before) + 100, "the producer goes on", 20)
    # On a machine so slow that the stop outlived the heartbeat, the producer came back and declared the queue itself.
    seen = scene.pair.producer.metrics
    names = ("producer_returned_total", 'mq_reconnects_total{connection="producer"}')
    scene.wait(lambda: any(map(seen().get, names)), "a message is returned: mandatory is not used")
    scene.pair.consumer.signal(signal.SIGCONT)


@promise("a full queue that rejects publishes slows the producer down and loses nothing", mix=True)
def full(scene: Scene) -> None:
    policy = ("set_policy", "--apply-to", "queues", "--priority", "9", f"{scene.queue}-full", f"^{scene.queue}$")
    scene.pair.consumer.signal(signal.SIGSTOP)
    scene.rabbit.rabbitmqctl(*policy, '{"max-length": 50, "overflow": "reject-publish"}')
    producer = scene.pair.producer
    scene.wait(lambda: producer.metric("producer_nacked_total"), "the producer counts refusals")
    scene.wait(lambda: "the queue is full" in (producer.reasons() or ()), "the producer says why it waits")
    scene.hold(5)
    scene.pair.consumer.signal(signal.SIGCONT)
    scene.hold(2)
    scene.rabbit.rabbitmqctl("clear_policy", f"{scene.queue}-full")


@promise("confirms that stop while the connection lives lose nothing", mix=True)
def leader_suspended(scene: Scene) -> None:
    scene.rabbit.leader(scene.queue, "suspend")
    scene.wait(scene.pair.producer.reasons, "the producer says that something is wrong", 15)
    scene.hold(6)
    scene.rabbit.leader(scene.queue, "resume")
