"""A cluster of three loses a node, and its majority."""

from tests.chaos.promise import promise
from tests.chaos.scene import RECOVERY, Scene


@promise("a cluster goes on without the node that led the queue", broker="cluster")
def node_lost(scene: Scene) -> None:
    leader = scene.cluster.leader(scene.queue)
    scene.cluster.kill(leader)
    took = scene.recovery(RECOVERY + 10)
    scene.expect(took <= RECOVERY, f"without the node, recovery took {took:.1f} s")
    scene.hold(5)
    scene.cluster.start(leader)


@promise("a cluster that loses its majority and gets it back loses nothing", broker="cluster")
def majority_lost(scene: Scene) -> None:
    leader = scene.cluster.leader(scene.queue)
    others = [number for number in range(3) if number != leader]
    scene.cluster.kill(leader, others[0])
    scene.wait(scene.pair.producer.reasons, "the producer says that something is wrong", 15)
    scene.hold(8)
    scene.cluster.start(leader, others[0])
