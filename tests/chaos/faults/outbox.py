"""A producer that reads a transactional outbox dies, and the broker and the database with it."""

from contextlib import ExitStack

from tests.chaos.promise import promise
from tests.chaos.scene import Scene
from tests.postgres import Postgres


@promise(
    "a killed producer, broker and database lose no row of a transactional outbox",
    cold=True,
    settings={
        "PRODUCER_SOURCE": "tests.chaos.shop:rows",
        "PRODUCER_RATE": "500",
        "CHAOS_INPUT": "{folder}/committed",
        "SHOP_DSN": "service=shop",
        "PGSERVICEFILE": "{folder}/services",
    },
)
def outbox(scene: Scene) -> None:
    from tests.chaos.shop import Shop  # psycopg is of the tests' environment alone

    pair = scene.pair
    assert pair.lines
    stack = ExitStack()
    scene.afterwards(stack.close)
    database = stack.enter_context(Postgres())
    (pair.folder / "services").write_text("[shop]\n" + database.dsn.replace(" ", "\n") + "\n")
    Shop(database.dsn, pair.lines, pair.folder / "stop")
    scene.start()
    for _ in range(3):
        scene.flow()
        scene.rabbit.freeze()
        scene.hold(1)  # the producer holds rows without a confirm
        pair.producer.kill()
        scene.rabbit.thaw()
        pair.produce()
        scene.flow()
        scene.rabbit.kill()
        scene.rabbit.start()
        scene.flow()
        database.kill()
        scene.expect(pair.producer.wait(30) == 1, "the producer did not end with 1")
        database.start()
        pair.produce()
