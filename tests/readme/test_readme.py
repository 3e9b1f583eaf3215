"""The README says what is so: its examples run, its numbers and its map are true; the settings are generated."""

import re
from pathlib import Path

from common.amqp.topology import DELIVERY_LIMIT
from tests.conftest import Start
from tests.processes import ROOT
from tests.readme.documents import DOCUMENTS, example
from tests.readme.settings_table import DOCUMENT, renewed

README = ROOT / "README.md"
TEXT = README.read_text()
MOST_WORDS = 1000
PIKAS = {"BasicProperties", "SelectConnection"}


def test_the_tables_of_settings_and_exit_codes_are_those_of_the_code() -> None:
    """`python -m tests.readme.settings_table` writes them."""
    text = DOCUMENT.read_text()
    for name in ("settings", "exit codes"):
        assert text.count(f"<!-- {name} -->\n|") == text.count(f"<!-- /{name} -->") == 1
    assert renewed(text) == text


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(TEXT.split()) <= MOST_WORDS


def test_the_index_of_documents_names_each() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    named = {(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)\)", index)}
    assert {*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")} - {ROOT / "docs" / "README.md"} <= named


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
    table, sums, after = (README.parent / "docs" / "chaos.md").read_text().partition("\nIn all ")
    rows = re.findall(r"^\| ([^|]+) \| [\d,]+ \|", table, re.MULTILINE)
    faults = [row for row in rows if "at random" not in row]
    assert f"Tested with {len(faults)} faults" in TEXT
    (messages,) = re.findall(r"^\nIn all \d+ rows and ([\d,]+) messages: lost 0", sums + after)
    assert f"{messages} messages, **lost 0**" in TEXT
    assert f"after {DELIVERY_LIMIT + 1} deliveries" in TEXT


def test_the_map_names_folders_and_files_that_are_there() -> None:
    """A line for each room: its folder, and the files where a change begins."""
    rooms = re.findall(
        r"^- (`.+?`(?:, `.+?`)*): (.+(?:\n  .+)*)", TEXT.partition("## Where things are")[2], re.MULTILINE
    )
    assert len(rooms) > 10
    for folders, files in rooms:
        named = [README.parent / folder for folder in re.findall("`(.+?)`", folders)]
        assert [folder for folder in named if not folder.is_dir()] == []
        assert [file for file in re.findall(r"`(\w+\.py|\w+/)`", files) if not (named[0] / file).exists()] == []


def test_files_that_documents_name_are_there() -> None:
    """As a path from the root, which a rename of a module must change too."""
    for document in DOCUMENTS:
        for path in re.findall(
            r"`((?:common|consumer|producer|tests|deploy|docs|docker)/[\w./-]+)`", document.read_text()
        ):
            assert (README.parent / path).exists(), f"{document.name}: {path}"


def test_classes_that_the_way_of_a_message_names_are_in_the_code() -> None:
    """In the picture and in the text."""
    text = (README.parent / "docs" / "how-it-works.md").read_text()
    code = "".join(
        path.read_text() for room in ("common", "consumer", "producer") for path in (README.parent / room).rglob("*.py")
    )
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", text)) - PIKAS
    assert len(named) > 15
    assert [name for name in sorted(named) if not re.search(rf"\b(class {name}\b|def {name.lower()}\b)", code)] == []
