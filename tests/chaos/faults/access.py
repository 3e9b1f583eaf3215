"""Users and permissions change under the services."""

from functools import partial

from tests.chaos.promise import promise
from tests.chaos.rabbit import ADDRESS, url
from tests.chaos.scene import Scene
from tests.processes import Process


def _refused(scene: Scene, word: str, *processes: Process) -> None:
    for process in processes or (scene.pair.producer, scene.pair.consumer):
        says = partial(_says, process, word)
        scene.wait(says, f"the {process.service} says {word}", 15)
        scene.expect(process.live(), f"the {process.service} wants to be restarted")


def _says(process: Process, word: str) -> bool:
    return word in str(process.reasons())


@promise("a deleted user is waited for", mix=True)
def user_deleted(scene: Scene) -> None:
    scene.rabbit.rabbitmqctl("delete_user", scene.user)
    scene.rabbit.expel(scene.user)
    _refused(scene, "ACCESS_REFUSED")
    scene.hold(3)
    scene.rabbit.add_user(scene.user, scene.password)


@promise("a rotated password is read again without a restart", mix=True)
def password_rotated(scene: Scene) -> None:
    scene.password += "-new"
    scene.rabbit.rabbitmqctl("change_password", scene.user, scene.password)
    scene.rabbit.expel(scene.user)
    _refused(scene, "ACCESS_REFUSED")
    scene.hold(2)
    scene.write_url()


@promise("a write permission that is revoked and given back loses nothing", mix=True)
def permission_revoked(scene: Scene) -> None:
    scene.rabbit.permit(scene.user, write="^$")
    scene.rabbit.expel(scene.user)
    _refused(scene, "ACCESS_REFUSED", scene.pair.producer)
    scene.hold(3)
    scene.rabbit.permit(scene.user)


@promise("a name that does not resolve is tried again", cold=True)
def name_unknown(scene: Scene) -> None:
    scene.write_url(url(scene.user, scene.password, scene.rabbit.ports()).replace(ADDRESS, "rabbit.invalid"))
    scene.start()
    _refused(scene, "resolve")
    scene.hold(5)
    scene.write_url()
