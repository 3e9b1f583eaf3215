"""What people and programs read of a trial."""

import json

from consumer.verify.ledger import Ledger
from consumer.verify.report import as_object, progress, rows


def ledger(sent: int, confirmed: int, handled: int) -> Ledger:
    """The message of number n took n + 1 ms."""
    made = Ledger()
    for number in range(sent):
        made.send(10.0)
        if number < confirmed:
            made.confirm(number)
    for number in range(handled):
        made.handle(number, 10.0 + (number + 1) / 1000)
    return made


def test_the_counts_the_latency_and_a_histogram_are_shown() -> None:
    """In a column."""
    lines = rows(ledger(1500, 1200, 1000), blocks=True)
    assert [line.split() for line in lines[:5]] == [
        ["attempted", "1,500"],
        ["confirmed", "1,200"],
        ["handled", "1,000"],
        ["lost", "200"],
        ["duplicates", "0"],
    ]
    assert lines[5].split()[:4] == ["rate", "1,000", "a", "second,"]
    assert "p50 500 ms   p99 990 ms   max 1 s" in lines[6]
    assert any("█" * 40 in line for line in lines)
    assert all(line.isascii() for line in rows(ledger(5, 5, 5), blocks=False))


def test_when_nothing_came_there_are_only_counts() -> None:
    """Nothing is divided by it."""
    assert len(rows(ledger(3, 3, 0), blocks=True)) == 5
    assert as_object(ledger(3, 3, 0))["latency_seconds"] == {}


def test_the_object_is_json() -> None:
    """Without infinity, which JSON does not have."""
    made = ledger(2, 2, 1)
    made.handle(1, 10_000.0)
    made.handle(1, 10_001.0)
    found = json.loads(json.dumps(as_object(made), allow_nan=False))
    assert (found["attempted"], found["lost"], found["duplicates"]) == (2, 0, 1)
    assert found["latency_seconds"] == {"p50": 0.001, "p99": 9990.0, "max": 9990.0}
    assert found["histogram"][-1] == {"over": 630.0, "to": None, "messages": 1}


def test_the_line_that_moves_says_what_it_waits_for() -> None:
    """If there is anything."""
    assert progress(ledger(5, 4, 3), 1000, []) == "confirmed 4 and handled 3 of 1,000"
    assert progress(ledger(0, 0, 0), 5, ["a: connecting", "b"]).endswith("of 5  (a: connecting; b)")
