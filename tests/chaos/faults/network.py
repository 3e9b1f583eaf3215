"""The network between the services and the broker: cut, half open, slow, silent."""

from functools import partial

from tests.chaos.promise import promise
from tests.chaos.rabbit import Cable, ContainerRabbit, url
from tests.chaos.scene import NOTICE, Scene
from tests.processes import Process


@promise("a half-open connection is noticed, and loses nothing", proxied=True, short=True, mix=True)
def half_open(scene: Scene) -> None:
    scene.proxy.swallow("up", "down")
    for process in (scene.pair.producer, scene.pair.consumer):
        scene.wait(process.reasons, f"the {process.service} notices", NOTICE)
    scene.proxy.heal()


@promise(
    "packets that vanish, and a broker that comes back under another address, lose nothing",
    cold=True,
    broker="container",
)
def cable_pulled(scene: Scene) -> None:
    assert isinstance(scene.rabbit, ContainerRabbit)
    cable = Cable(scene.rabbit)
    scene.afterwards(cable.remove)
    scene.write_url(url(scene.user, scene.password, [5672], cable.plug()))
    scene.start()
    scene.flow()
    cable.pull()
    for process in (scene.pair.producer, scene.pair.consumer):
        scene.wait(process.reasons, f"the {process.service} notices", NOTICE)
    scene.hold(3)
    scene.write_url(url(scene.user, scene.password, [5672], cable.plug()))


@promise("confirms lost on their way back lose nothing", proxied=True, mix=True)
def deaf(scene: Scene) -> None:
    scene.proxy.swallow("down")
    scene.hold(8)
    scene.proxy.heal()


@promise("publishes and acknowledgements lost on their way lose nothing", proxied=True, mix=True)
def unheard(scene: Scene) -> None:
    scene.proxy.swallow("up")
    scene.hold(8)
    scene.proxy.heal()


@promise("connections that are reset lose nothing", proxied=True, mix=True)
def reset(scene: Scene) -> None:
    for _ in range(5):
        scene.proxy.reset()
        scene.hold(1)


@promise("a latency of a second costs time and no message", proxied=True, mix=True)
def latency(scene: Scene) -> None:
    scene.proxy.latency = 1.0
    scene.hold(10)
    scene.proxy.heal()


@promise("10 KB a second cost time and no message", proxied=True, mix=True)
def narrow(scene: Scene) -> None:
    scene.proxy.rate = 10_000
    scene.hold(10)
    scene.proxy.heal()


@promise("frames sliced into a few bytes are put together again", proxied=True, mix=True)
def sliced(scene: Scene) -> None:
    scene.proxy.chunk = 3
    scene.hold(8)
    scene.proxy.heal()


@promise("a peer that accepts and never speaks is given up in time", proxied=True, cold=True)
def mute(scene: Scene) -> None:
    scene.proxy.mute = True
    scene.start()
    for process in (scene.pair.producer, scene.pair.consumer):
        scene.wait(partial(_timed_out, process), f"the {process.service} says MQ_CONNECT_TIMEOUT", 15)
    scene.hold(3)
    scene.proxy.heal()


def _timed_out(process: Process) -> bool:
    return "MQ_CONNECT_TIMEOUT" in str(process.reasons())
