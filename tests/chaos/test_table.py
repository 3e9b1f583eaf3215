"""The table says what was lost, and by which promise."""

from dataclasses import asdict

from tests.chaos.checker import account
from tests.chaos.table import closing, head, line
from tests.chaos.trial import Row

WELL = Row("a promise that holds", account(["a"], {"a"}, ["a"]), 1.25, 40.0, 12.0, 9.0, ())
BADLY = Row("one that does not", account(["a", "b"], {"a", "b"}, ["a", "a", "c"]), 1.0, 40.0, 12.0, 9.0, ("1 lost: b",))


def test_every_row_has_a_cell_under_each_name() -> None:
    assert len(line(WELL)) == len(head("direct"))


def test_the_head_says_which_wire_the_rows_are_of() -> None:
    assert head("pika").startswith("fault (MQ_WIRE=pika) ")
    assert len(head("pika")) == len(head("direct"))


def test_a_broken_promise_says_why_below_its_row() -> None:
    first, second = line(BADLY).splitlines()
    assert first.split()[-7:] == ["1", "1", "1", "0", "1.0", "40", "12"]
    assert second.strip() == "BROKEN: 1 lost: b"


def test_the_last_line_counts() -> None:
    text = closing([WELL, BADLY])
    assert "2 faults, 3 messages: lost 1, unexpected 1" in text
    assert text.endswith("1 promises broken")
    assert closing([WELL]).endswith("every promise held")


def test_a_row_comes_whole_from_the_process_that_ran_the_test() -> None:
    assert [Row.of(asdict(row)) for row in (WELL, BADLY)] == [WELL, BADLY]
