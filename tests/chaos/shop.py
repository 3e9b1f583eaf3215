"""The outbox of docs/outbox.md under faults: its source with an end, for the service; and a shop that fills it."""

import time
from pathlib import Path
from threading import Thread
from types import ModuleType

import psycopg

from tests.chaos.ledger import recorder
from tests.processes import ROOT
from tests.readme.documents import example

DOCUMENT = ROOT / "docs" / "outbox.md"
END = "end"
ROWS, SECONDS = 10, 1 / 30  # in a transaction, and between two
ORDERS = "CREATE TABLE orders (id integer PRIMARY KEY)"
# A commit whose answer was lost is tried again, and does nothing where it was one.
WRITE = """
    WITH new AS (
        INSERT INTO orders SELECT generate_series(%s::integer, %s::integer) ON CONFLICT DO NOTHING RETURNING id
    ) INSERT INTO outbox (body) SELECT '1-' || id || ' some text' FROM new ORDER BY id
"""


def rows() -> object:
    """The source, of the database SHOP_DSN."""
    document = ModuleType("pg_outbox")
    exec(example(DOCUMENT, "pg_outbox"), document.__dict__)

    class Rows(document.Outbox):  # type: ignore[name-defined]
        """It ends where the shop ended."""

        def __iter__(self) -> object:
            for message in super().__iter__():
                if message.text == END:
                    return
                yield message

    return Rows()


class Shop:
    """Writes rows until the file `stop` is there, and the names of those that are committed into the file `ledger`."""

    def __init__(self, dsn: str, ledger: Path, stop: Path) -> None:
        self._dsn, self._record, self._stop = dsn, recorder(ledger), stop
        self._execute(ORDERS)
        self._execute(example(DOCUMENT, "schema", "sql"))
        Thread(target=self._run, name="shop", daemon=True).start()

    def _execute(self, *statement: object) -> None:
        with psycopg.connect(self._dsn) as connection:
            connection.execute(*statement)  # type: ignore[arg-type]

    def _run(self) -> None:
        first = 1
        while not self._stop.exists():
            self._committed(WRITE, [first, first + ROWS - 1])
            for number in range(first, first + ROWS):
                self._record(f"1-{number}")
            first += ROWS
            time.sleep(SECONDS)
        self._committed("INSERT INTO outbox (body) VALUES (%s)", [END])

    def _committed(self, *statement: object) -> None:
        while True:
            try:
                return self._execute(*statement)
            except psycopg.OperationalError:  # it is being killed, or not there yet
                time.sleep(0.1)
