"""docs/outbox.md: its files as they stand there, on a real PostgreSQL that is killed."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from local import Failure
from tests.conftest import Start
from tests.postgres import Postgres
from tests.processes import ROOT, Process, until
from tests.readme.documents import example

DOCUMENT = ROOT / "docs" / "outbox.md"
HANDLER = "tests.system.plugins:record"
POLL = 5.0  # the document's
SETTINGS = {"PRODUCER_SOURCE": "pg_outbox:Outbox", "PRODUCER_WINDOW": "50"}
# What is in flight: a window, as much in the reader's buffer, and what is confirmed and not deleted yet.
IN_FLIGHT = 200


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A test may kill and start it. In CI it must be there."""
    try:
        with Postgres() as running:
            yield running
    except Failure as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


class Shop:
    """Its database, with the document's table, and what consumers handled."""

    def __init__(self, postgres: Postgres, record: Path) -> None:
        self.postgres, self._record = postgres, record

    def execute(self, *statement: object) -> list[tuple[object, ...]]:
        """In a transaction of its own."""
        with psycopg.connect(self.postgres.dsn) as connection:
            done = connection.execute(*statement)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []

    def order(self, *numbers: int) -> None:
        """As the document does, several in one transaction."""
        names = {"os": os, "json": json, "psycopg": psycopg}
        for number in numbers:
            code = example(DOCUMENT, "order")
            exec(code, {**names, "order": {"id": number, "customer": "ann"}})

    def insert(self, first: int, last: int) -> None:
        """Many rows in one transaction."""
        self.execute("INSERT INTO outbox (body) SELECT generate_series(%s::int, %s::int)::text", [first, last])

    def left(self) -> list[int]:
        """The ids of the rows that are there."""
        return [int(str(number)) for (number,) in self.execute("SELECT id FROM outbox ORDER BY id")]

    def takers(self) -> list[object]:
        """Who has taken each row, None: nobody."""
        return [number for (number,) in self.execute("SELECT taken_by FROM outbox")]

    def handled(self) -> list[tuple[str, str]]:
        """Body and message id, in order."""
        text = self._record.read_text() if self._record.exists() else ""
        rows = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [(row["body"], row["message_id"]) for row in rows]


Produce = Callable[..., Process]


@pytest.fixture
def shop(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """With empty tables."""
    (tmp_path / "pg_outbox.py").write_text(example(DOCUMENT, "pg_outbox"))
    made = Shop(postgres, tmp_path / "record")
    made.execute(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE orders (id int PRIMARY KEY, customer text)"
    )
    made.execute(example(DOCUMENT, "schema", "sql"))
    monkeypatch.setenv("SHOP_DSN", postgres.dsn)
    return made


@pytest.fixture
def produce(start: Start, shop: Shop, tmp_path: Path) -> Produce:
    """Start a producer with the document's source, and at first a consumer that writes down what comes."""
    start("consumer", "--handler", HANDLER, RECORD=tmp_path / "record").wait_ready()
    return lambda **settings: start(
        "producer", **{**SETTINGS, "PYTHONPATH": tmp_path, "SHOP_DSN": shop.postgres.dsn, **settings}
    ).wait_ready()


def all_there(shop: Shop, count: int) -> None:
    """So many rows were published, and are deleted; each id is that of its row."""
    until(lambda: len(set(shop.handled())) >= count and not shop.left(), "all is handled and deleted")
    handled = Counter(shop.handled())
    assert len(handled) == count
    assert {message_id for _, message_id in handled} == {f"order-{number}" for number in range(1, count + 1)}
    assert sum(handled.values()) - count <= IN_FLIGHT


def test_an_order_is_published_when_its_transaction_is_committed_and_its_row_deleted(
    shop: Shop, produce: Produce
) -> None:
    """At once, by NOTIFY; one that is rolled back never; what was there before the start, first."""
    shop.order(1, 2)
    producer = produce()
    all_there(shop, 2)
    time.sleep(0.5)  # it waits for a NOTIFY
    began = time.monotonic()
    shop.order(3)
    until(lambda: len(shop.handled()) == 3, "the third")
    assert time.monotonic() - began < POLL / 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        shop.order(3)
    shop.order(4)
    until(lambda: len(shop.handled()) == 4 and not shop.left(), "the fourth")
    assert [json.loads(body)["id"] for body, _ in shop.handled()] == [1, 2, 3, 4]
    assert len(shop.execute("SELECT * FROM orders")) == 4
    producer.terminate()
    assert producer.wait() == 0
    assert producer.event("stopped")["left"] == 0


def test_rows_are_found_without_a_notify(shop: Shop, produce: Produce) -> None:
    shop.execute("DROP TRIGGER wake ON outbox")
    produce()
    shop.insert(1, 3)
    all_there(shop, 3)


def test_rows_go_in_the_order_of_their_ids(shop: Shop, produce: Produce) -> None:
    shop.insert(1, 2000)
    produce()
    all_there(shop, 2000)
    assert [int(body) for body, _ in shop.handled()] == [*range(1, 2001)]


@pytest.mark.slow
def test_two_producers_never_send_the_same_row_and_one_takes_over_from_another_that_died(
    shop: Shop, produce: Produce
) -> None:
    """One is stopped in the middle, with rows that it has taken; they wait for it until it is dead."""
    first, second = produce(PRODUCER_RATE=500), produce(PRODUCER_RATE=500)
    shop.insert(1, 5000)
    until(lambda: {*shop.takers()} >= {1, 2}, "both have taken some")
    until(lambda: len(shop.handled()) > 300, "it flows")
    second.signal(signal.SIGSTOP)
    until(lambda: {*shop.takers()} == {2}, "the first has published all that it could take")
    assert 0 < len(shop.left()) <= 500
    twice = len(shop.handled()) - len(set(shop.handled()))
    assert not twice
    second.kill()
    all_there(shop, 5000)
    first.terminate()
    assert first.wait() == 0


@pytest.mark.slow
def test_a_producer_and_a_database_that_are_killed_lose_no_row_and_change_no_id(shop: Shop, produce: Produce) -> None:
    """What comes twice was in flight. A producer that lost its database, or one connection to it, ends with 1."""
    shop.insert(1, 6000)
    for kill in ("producer", "database", "connection", "producer", "database"):
        producer = produce(PRODUCER_RATE=1500)
        seen = len(set(shop.handled()))
        until(lambda seen=seen: len(set(shop.handled())) > seen + 300, "it flows")
        if kill == "producer":
            producer.kill()
        elif kill == "database":
            shop.postgres.kill()
            shop.postgres.start()
        else:
            shop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DELETE%'")
        if kill != "producer":
            assert producer.wait() == 1
            assert producer.event("the source failed") or producer.event("the source's confirmed() failed")
        assert shop.left(), "it was in the middle"
    produce()
    until(lambda: not shop.left(), "all is deleted")
    until(lambda: len(set(shop.handled())) == 6000, "all is handled, though it came twice", 30)
    handled = Counter(shop.handled())
    assert handled.keys() == {(str(number), f"order-{number}") for number in range(1, 6001)}
    assert handled.total() - len(handled) <= 5 * IN_FLIGHT


def test_a_row_that_can_never_be_sent_stays_and_the_others_go(shop: Shop, produce: Produce) -> None:
    shop.insert(1, 10)
    shop.execute("UPDATE outbox SET body = repeat('x', 2000) WHERE id = 5")
    producer = produce(MQ_MAX_BODY=1000)
    until(lambda: shop.left() == [5], "the others are deleted")
    assert producer.event("refused")["message_id"] == "order-5"
    producer.terminate()
    assert producer.wait() == 1


def test_a_missing_address_is_said_in_a_line(shop: Shop, start: Start, tmp_path: Path) -> None:
    producer = start("producer", **{**SETTINGS, "PYTHONPATH": tmp_path, "SHOP_DSN": ""})
    assert producer.wait() == 2
    assert producer.stderr.read_text().startswith("PRODUCER_SOURCE: SHOP_DSN: name the database")
