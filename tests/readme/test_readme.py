"""The README says what is so: its table is generated, and its examples run."""

import re
from pathlib import Path

from common.amqp.topology import DELIVERY_LIMIT
from local.settings_table import README, renewed
from tests.conftest import Start
from tests.readme.documents import example

TEXT = README.read_text()


def test_the_tables_of_settings_and_exit_codes_are_those_of_the_code() -> None:
    """`python -m local.settings_table` writes them."""
    for name in ("settings", "exit codes"):
        assert TEXT.count(f"<!-- {name} -->\n|") == TEXT.count(f"<!-- /{name} -->") == 1
    assert renewed(TEXT) == TEXT


def test_the_examples_are_ten_lines_and_work_together(start: Start, tmp_path: Path) -> None:
    """What the example source yields reaches the example handler: one shipped, two that are no orders parked."""
    for name, module in (("source", "orders"), ("handler", "shipping")):
        code = example(README, name)
        assert len(code.splitlines()) <= 14
        (tmp_path / f"{module}.py").write_text(code)
    producer = start("producer", "--source", "orders:pending", PYTHONPATH=tmp_path)
    assert producer.wait() == 0
    assert producer.event("stopped")["confirmed"] == 3
    consumer = start(
        "consumer",
        "--handler",
        "shipping:handle",
        PYTHONPATH=tmp_path,
        CONSUMER_IDLE_EXIT="3s",
        CONSUMER_RETRY_DELAYS="off",
    )
    assert consumer.wait() == 0
    totals = consumer.event("stopped")
    assert (totals["handled"], totals["parked"], totals["left"]) == (1, 2, 0)
    assert consumer.stdout.read_text().startswith("shipped 1 ")


def test_its_numbers_are_those_of_the_table_of_faults_and_of_the_queue() -> None:
    """The random mix is a row of the table, and no fault more."""
    table = (README.parent / "docs" / "chaos.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [\d,]+ \|", table, re.MULTILINE)
    faults = [row for row in rows if "at random" not in row]
    assert f"Tested with {len(faults)} faults" in TEXT
    (messages,) = re.findall(r"^In all \d+ rows and ([\d,]+) messages: lost 0", table, re.MULTILINE)
    assert f"{messages} messages, **lost 0**" in TEXT
    assert f"after {DELIVERY_LIMIT + 1} deliveries" in TEXT
