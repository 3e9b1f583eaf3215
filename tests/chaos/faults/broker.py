"""The broker dies, stops, freezes, or is in alarm."""

from tests.chaos.promise import promise
from tests.chaos.scene import NOTICE, Scene


@promise("a broker killed with SIGKILL loses nothing", short=True, mix=True)
def killed(scene: Scene) -> None:
    scene.rabbit.kill()
    scene.hold(2)
    scene.rabbit.start()


@promise("a broker that freezes and is then killed loses nothing", mix=True)
def frozen_and_killed(scene: Scene) -> None:
    scene.rabbit.freeze()
    scene.hold(1)
    scene.rabbit.kill()
    scene.rabbit.start()


@promise("stop_app and start_app lose nothing", mix=True)
def application_stopped(scene: Scene) -> None:
    scene.rabbit.rabbitmqctl("stop_app")
    scene.hold(3)
    scene.rabbit.rabbitmqctl("start_app")


@promise("close_all_connections loses nothing", mix=True)
def connections_closed(scene: Scene) -> None:
    for _ in range(3):
        scene.rabbit.rabbitmqctl("close_all_connections", "-p", "/", "closed by the test")
        scene.hold(1)


@promise("a frozen broker loses nothing, and is noticed", mix=True)
def frozen(scene: Scene) -> None:
    scene.rabbit.freeze()
    for process in (scene.pair.producer, scene.pair.consumer):
        scene.wait(process.reasons, f"the {process.service} notices", NOTICE)
    scene.hold(30, short=0)
    scene.expect(scene.pair.producer.live() and scene.pair.consumer.live(), "a service wants to be restarted")
    scene.rabbit.thaw()


@promise("a memory alarm blocks the producer, is seen, and loses nothing", short=True, mix=True)
def memory_alarm(scene: Scene) -> None:
    scene.rabbit.rabbitmqctl("set_vm_memory_high_watermark", "0.00001")
    _blocked(scene)
    scene.hold(8, short=5)
    scene.rabbit.rabbitmqctl("set_vm_memory_high_watermark", "0.6")


@promise("a disk alarm blocks the producer, is seen, and loses nothing", mix=True)
def disk_alarm(scene: Scene) -> None:
    scene.rabbit.rabbitmqctl("set_disk_free_limit", "100000GB")
    _blocked(scene)
    scene.hold(8)
    scene.rabbit.rabbitmqctl("set_disk_free_limit", "50MB")


def _blocked(scene: Scene) -> None:
    producer = scene.pair.producer
    scene.wait(lambda: "producer: blocked" in (producer.reasons() or ()), "the producer says that it is blocked", 15)


@promise("a broker that comes late is waited for", cold=True)
def late(scene: Scene) -> None:
    scene.rabbit.stop()
    scene.start()
    scene.wait(lambda: scene.pair.producer.reasons() and scene.pair.consumer.reasons(), "both say that they wait")
    scene.hold(15, short=5)
    scene.expect(scene.pair.producer.live() and scene.pair.consumer.live(), "a service wants to be restarted")
    scene.rabbit.start()
