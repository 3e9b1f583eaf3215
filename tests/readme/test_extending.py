"""docs/extending.md: its files as they stand there, fed real duplicates, and killed."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pika
import pytest

from common.doctor.settings import DoctorSettings, PreflightSettings
from consumer.settings import ConsumerSettings
from consumer.verify.settings import VerifySettings
from local.reports import get
from producer.settings import ProducerSettings
from tests.brokers import Broker
from tests.conftest import Start
from tests.processes import ROOT, until
from tests.readme.documents import example

DOCUMENT = ROOT / "docs" / "extending.md"
ORDERS = [(f"customer-{number % 7}", number) for number in range(1, 301)]
# A row whose insert takes a second: whoever is killed then is killed in the middle of a transaction.
SLOW_ROW = """
    CREATE TRIGGER slow AFTER INSERT ON book WHEN (SELECT count(*) FROM book) = 150 BEGIN
        SELECT count(*) FROM (
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000) SELECT i FROM n
        );
    END
"""


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Path]:
    """The example's files, a table of orders, and the variables that name all that."""
    for name in ("outbox", "cleared", "billing", "bulk", "ledger", "pages", "ticks"):
        (tmp_path / f"{name}.py").write_text(example(DOCUMENT, name))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.execute("CREATE TABLE outbox (number INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        rows = [(json.dumps({"customer": customer, "cents": cents}),) for customer, cents in ORDERS]
        database.executemany("INSERT INTO outbox (body) VALUES (?)", rows)
    return {"PYTHONPATH": tmp_path, "SHOP_DB": tmp_path / "shop.db", "BILLING_DB": tmp_path / "billing.db"}


@pytest.mark.parametrize(("handler", "workers"), [("billing", 1), ("bulk", 8)])
def test_every_order_is_booked_once_though_it_comes_twice_and_the_consumer_is_killed(
    handler: str, workers: int, start: Start, shop: dict[str, Path]
) -> None:
    """The source runs twice, and SIGKILL comes while a transaction is open."""
    settings = {"CONSUMER_HANDLER": f"{handler}:handle", "CONSUMER_WORKERS": workers, **shop}
    consumer = start("consumer", **settings).wait_ready()
    with closing(sqlite3.connect(shop["BILLING_DB"], timeout=30)) as database:
        with database:
            database.execute(SLOW_ROW)
        for _ in range(2):
            producer = start("producer", "--source", "outbox:orders", **shop)
            assert producer.wait() == 0
            assert producer.event("stopped")["confirmed"] == len(ORDERS)
        until(lambda: consumer.metric("consumer_handler_running_seconds") > 0.3, "it is in the middle of a transaction")
        consumer.kill()
        with database:
            database.execute("DROP TRIGGER slow")
        written = database.execute("SELECT count(*) FROM book").fetchone()[0]
        assert 0 < written < 150, "what was not committed is gone"
        again = start("consumer", CONSUMER_IDLE_EXIT="1s", CONSUMER_RETRY_DELAYS="off", **settings)
        assert again.wait() == 0
        totals = again.event("stopped")
        assert totals["handled"] >= 2 * len(ORDERS) - written, "so many came again"
        assert (totals["parked"], totals["left"]) == (0, 0)
        assert sorted(database.execute("SELECT customer, cents FROM book")) == sorted(ORDERS)


def test_an_order_is_forwarded_to_its_queue_and_to_the_exchange(
    start: Start, broker: Broker, mq_ch: str, tmp_path: Path
) -> None:
    (tmp_path / "invoicing.py").write_text(example(DOCUMENT, "invoicing"))
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.queue_declare("invoices", durable=True)
        events = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(events, "amq.topic", "invoice.*")
        assert start("consumer", CONSUMER_IDLE_EXIT="1ms").wait() == 0, "the queue is there"
        channel.basic_publish("", mq_ch, b'{"customer": "ada", "cents": 995}')
        consumer = start("consumer", "--handler", "invoicing:handle", CONSUMER_IDLE_EXIT="1s", PYTHONPATH=tmp_path)
        assert consumer.wait() == 0
        assert consumer.event("stopped")["handled"] == 1
        got = [channel.basic_get(queue, auto_ack=True) for queue in ("invoices", events)]
        assert [json.loads(body or b"") for _, _, body in got] == [{"customer": "ada", "cents": 995}] * 2
        assert [properties.type for _, properties, _ in got if properties] == [None, "Invoice"]
        channel.queue_delete("invoices")


def test_a_source_that_hears_of_confirms_loses_no_order_when_its_producer_is_killed(
    start: Start, shop: dict[str, Path]
) -> None:
    """What is confirmed is deleted, and what is deleted is in the queue: all are booked, though none comes twice."""
    settings = {"PRODUCER_SOURCE": "cleared:Orders", "PRODUCER_WINDOW": 20, **shop}
    with closing(sqlite3.connect(shop["SHOP_DB"], timeout=30)) as database:

        def left() -> int:
            return int(database.execute("SELECT count(*) FROM outbox").fetchone()[0])

        killed = start("producer", "--rate", "200", **settings)
        until(lambda: left() < len(ORDERS) - 50, "some are deleted")
        killed.kill()
        assert left() > 0
        assert start("producer", **settings).wait() == 0
        assert left() == 0
    consumer = start("consumer", CONSUMER_HANDLER="billing:handle", CONSUMER_IDLE_EXIT="1s", **shop)
    assert consumer.wait() == 0
    assert len(ORDERS) <= consumer.event("stopped")["handled"] <= len(ORDERS) + 2 * 20
    with closing(sqlite3.connect(shop["BILLING_DB"])) as database:
        assert sorted(database.execute("SELECT customer, cents FROM book")) == sorted(ORDERS)


def test_the_handler_that_a_context_manager_opens_books_every_order(start: Start, shop: dict[str, Path]) -> None:
    """Its database is closed at the end: no journal is left beside it."""
    assert start("producer", "--source", "outbox:orders", **shop).wait() == 0
    consumer = start("consumer", "--handler", "ledger:opened", CONSUMER_IDLE_EXIT="1s", **shop)
    assert consumer.wait() == 0
    with closing(sqlite3.connect(shop["BILLING_DB"])) as database:
        assert sorted(database.execute("SELECT customer, cents FROM book")) == sorted(ORDERS)


def test_the_async_handler_and_source_of_the_document_work_together(
    start: Start, shop: dict[str, Path], tmp_path: Path
) -> None:
    """The source's lines are addresses of the consumer's own health page, which the handlers ask for."""
    pages = tmp_path / "pages"
    consumer = start("consumer", "--handler", "pages:opened", CONSUMER_WORKERS=20, PAGES=pages, **shop).wait_ready()
    urls = [f"{consumer.address}/livez?{number}" for number in range(40)]
    program = " ".join(["printf '%s\\n'", *(f"'{url}'" for url in urls)])
    producer = start("producer", "--source", "ticks:ticks", PROGRAM=program, **shop)
    assert producer.wait() == 0
    assert producer.event("stopped")["confirmed"] == len(urls)
    until(lambda: consumer.metric('consumer_settled_total{outcome="ack"}') == len(urls), "all are handled")
    size = len(get(urls[0])[1])
    assert sorted(pages.read_text().splitlines()) == sorted(f"{url} {size}" for url in urls)


def test_what_a_person_can_mend_is_said_in_a_line(start: Start, shop: dict[str, Path]) -> None:
    """As the document shows it."""
    said = example(DOCUMENT, "without BILLING_DB", "console")
    consumer = start("consumer", "--handler", "billing:handle", **{**shop, "BILLING_DB": ""})
    assert consumer.wait() == 2
    assert said == f"$ consumer --handler billing:handle\n{consumer.stderr.read_text()}"


def test_the_prefixes_that_are_ours_are_listed() -> None:
    """A setting of one's own with one of them could become ours."""
    ours = (ProducerSettings, ConsumerSettings, PreflightSettings, DoctorSettings, VerifySettings)
    prefixes = {name.partition("_")[0].upper() for settings in ours for name in settings.model_fields}
    section = DOCUMENT.read_text().partition("## Settings of your own")[2]
    assert prefixes == set(re.findall(r"`([A-Z]+)_`", section))
