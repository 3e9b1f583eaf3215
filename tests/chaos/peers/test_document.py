"""Document and picture say what the rows say, and of what was not run that it was not."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from benchmarks.environment import ROOT
from tests.chaos.peers import results
from tests.chaos.peers.document import document
from tests.chaos.peers.faults import FAULTS
from tests.chaos.peers.lineup import ENTRIES
from tests.chaos.peers.picture import kind, picture
from tests.chaos.peers.trial import Row

WELL = Row(
    entry="ours",
    fault="kill-broker",
    run=1,
    attempted=100,
    sent=99,
    handled=99,
    lost=0,
    duplicated=3,
    unclear=1,
    kept=0,
    held=0,
    stuck=False,
    recovery=1.5,
    starts=2,
    beside=1,
    rate=50.0,
    load=0.3,
    limit=60.0,
    version="",
    broker="RabbitMQ 4.3.0",
    date="2026-11-30",
)
LOSES = replace(WELL, entry="pika-first", lost=7, version="1.4.4")
STUCK = replace(WELL, entry="kombu-first", stuck=True, recovery=60.0)
DRAWN = ROOT / "docs" / "loss-table.json"


def test_a_loss_is_in_its_fault_and_at_a_glance() -> None:
    text = document([WELL, LOSES], "a machine")
    assert "| pika, first page | 99 | **7** | 3 | 1 | 0 | no | 1.5 | 1 |" in text
    assert f"| pika, first page | 1 of {len(FAULTS)} | 1 | 7 | 0 |" in text
    assert "pika 1.4.4" in text


def test_with_more_runs_the_worst_and_the_median_are_shown() -> None:
    rows = [LOSES, replace(LOSES, run=2, lost=0), replace(LOSES, run=3, lost=1)]
    assert "**7 (1)**" in document(rows, "a machine")


def test_what_needed_a_person_has_no_recovery() -> None:
    line = next(line for line in document([STUCK], "m").splitlines() if line.startswith("| kombu, first page | 99"))
    assert line.endswith("| no flow | over 60 | 1 |")


def test_what_was_not_run_says_so() -> None:
    text = document([WELL], "a machine")
    assert "- pika, first page: everything" in text
    assert "| pika, first page | not run |" in text
    assert text.count("\nNot run.\n") == len(FAULTS) - 1


def test_with_no_rows_there_are_no_figures() -> None:
    assert "Nothing was run yet." in document([], "a machine")


@pytest.mark.parametrize(("row", "word"), [(None, "none"), (WELL, "well"), (STUCK, "stuck"), (LOSES, "lost")])
def test_a_square_has_the_colour_of_its_worst_run(row: Row | None, word: str) -> None:
    assert kind(results.Cell((WELL, row)) if row else None) == word


def test_the_picture_has_a_square_for_each_cell_and_the_number_that_is_lost() -> None:
    root = ET.fromstring(picture(results.cells([WELL, LOSES])))
    squares = [each for each in root.iter() if each.tag.endswith("rect")]
    assert len(squares) == len(ENTRIES) * len(FAULTS) + 4  # and the legend's
    assert [each.text for each in root.iter() if each.get("class") == "in"] == ["7"]


def test_a_run_made_again_takes_the_place_of_its_old_row() -> None:
    again = replace(LOSES, lost=8)
    assert results.merge([WELL, LOSES], [again]) == [WELL, again]


def test_the_documents_are_what_the_command_drew() -> None:
    rows = results.read(DRAWN)
    written = DRAWN.with_suffix(".md").read_text()
    machine = written.partition("**Machine**: ")[2].partition("; load average")[0]
    assert written == document(rows, machine)
    assert DRAWN.with_suffix(".svg").read_text() == picture(results.cells(rows))
