"""What people read at a terminal."""

import pytest
from pika import BasicProperties

from common.amqp.errors import BrokerError, Kind
from common.message import Message
from common.terminal import columns, cut
from consumer.dead_letters.dead_letter import DeadLetter, Row
from consumer.dead_letters.render import broker_error, page, sentence, short_age, table
from consumer.dead_letters.scan import Report

ROWS = [
    Row(9, "order-1", 4000.0, 4, 0, 120, "ValueError: no such customer"),
    Row(10, None, None, 1, 2, 7, ""),
]
REPORT = Report("replay", "jobs.dead", 2000, 2000, 1500)
LEFT_OVER = {
    "replayed_too_often": "3 were replayed twice already",
    "unpublishable": "3 can not be published",
    "unconfirmed": "3 were sent and not confirmed",
    "elsewhere": "3 did not come",
    "interrupted": "interrupted",
}
REFUSED = BrokerError(Kind.CREDENTIALS, "403 ACCESS_REFUSED", "look at the password")


def page_of(body: bytes) -> list[str]:
    headers = {"mq-last-error": "Error: \x1b[2J", "tenant": "a"}
    properties = BasicProperties(message_id="m1", headers=headers, priority=3)
    return list(page(DeadLetter(2, Message(body, properties=properties)).details))


def test_a_table_aligns_numbers_at_the_right_and_words_at_the_left() -> None:
    """Nothing stands behind the last column."""
    assert list(table(ROWS, None)) == [
        " #  ID       AGE  ATTEMPT  REPLAYS  BYTES  ERROR",
        " 9  order-1   1h        4        0    120  ValueError: no such customer",
        "10  -          -        1        2      7  -",
    ]


def test_a_table_without_rows_has_no_lines() -> None:
    assert list(table([], 80)) == []


def test_lines_of_a_table_are_at_most_as_wide_as_the_terminal() -> None:
    """Also with characters of two columns."""
    wide = [*ROWS, Row(11, "日本語" * 5, 1.0, 1, 0, 1, "語" * 50)]
    lines = list(table(wide, 50))
    assert all(columns(line) <= 50 for line in lines)
    assert lines[3].endswith("…")


@pytest.mark.parametrize("character", ["x", "語", "\x1b"])
def test_a_long_id_hides_no_other_column(character: str) -> None:
    """An id has up to 255 bytes, and a terminal often 80 columns."""
    heads, row = table([Row(1, character * 63, 60.0, 3, 1, 70000, "ValueError: no such customer")], 80)
    assert heads == cut(heads, 80)
    assert "1m        3        1  70000  ValueError: no" in row
    assert columns(row) <= 80
    assert [line for line in table(ROWS, None) if "…" in line] == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (86400, "1d"), (1e7, "115d"), (None, "-")],
)
def test_an_age_is_one_number_in_the_largest_unit_that_fits(seconds: float | None, text: str) -> None:
    assert short_age(seconds) == text


def test_a_page_shows_everything_and_writes_control_characters_out() -> None:
    """A body that is text keeps its lines and tabs."""
    lines = page_of(b"line 1\nline\t2 \x1b")
    assert lines[:5] == [
        "position    2",
        "id          m1",
        "age         -",
        "attempt     1, replayed 0 times",
        "error       Error: \\x1b[2J",
    ]
    assert "  priority = 3" in lines
    assert "  tenant = a" in lines
    assert lines[-2:] == ["body        15 bytes", "line 1\nline\t2 \\x1b"]


def test_a_page_shows_a_binary_body_in_hexadecimal_digits_16_bytes_a_line() -> None:
    assert page_of(b"\xff" * 17)[-2:] == ["  " + " ".join(["ff"] * 16), "  ff"]


def test_a_sentence_says_how_many_of_how_many_messages() -> None:
    """And mentions only what happened."""
    assert sentence(REPORT) == "replayed 1,500 of 2,000 parked messages of jobs.dead"
    assert sentence(Report("list", "q.dead", 0, 0, 0)) == "nothing is parked in q.dead"
    assert sentence(Report("list", "q.dead", 0, 0, 0, interrupted=True)) == "interrupted"
    assert sentence(Report("list", "q.dead", 9, 5, 5, more=True)).endswith("; no more were asked for (--max)")


@pytest.mark.parametrize("field", LEFT_OVER)
def test_a_sentence_says_why_messages_are_left_over(field: str) -> None:
    assert LEFT_OVER[field] in sentence(REPORT._replace(**{field: 3}))


def test_a_broker_error_is_told_in_the_words_of_the_services() -> None:
    text = broker_error(REFUSED, "amqp://u@h", begun=False)
    assert text == "the broker amqp://u@h cannot be used: 403 ACCESS_REFUSED; look at the password"
    assert "cannot be used any more: " in broker_error(REFUSED, "amqp://u@h", begun=True)


def test_the_advice_for_a_missing_queue_is_not_to_declare_it() -> None:
    """A command that only reads must not make queues: the name is wrong, or no service has started yet."""
    advice = "MQ_TOPOLOGY=create declares the queue, if the user may; so does `make rotate`"
    missing = BrokerError(Kind.TOPOLOGY, "404 NOT_FOUND - no queue 'x.dead'", advice)
    text = broker_error(missing, "b", begun=False)
    assert "no queue 'x.dead'; is MQ_CH right?" in text
    assert "MQ_TOPOLOGY" not in text
