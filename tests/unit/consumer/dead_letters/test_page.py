"""All of one message, for people."""

from pika import BasicProperties

from common.message import Message
from consumer.dead_letters.page import page
from consumer.dead_letters.parked import Parked


def shown(body: bytes) -> list[str]:
    headers = {"mq-last-error": "Error: \x1b[2J", "tenant": "a"}
    properties = BasicProperties(message_id="m1", headers=headers, priority=3)
    return list(page(Parked(2, Message(body, properties=properties)).whole))


def test_everything_is_on_the_page_and_nothing_moves_the_cursor() -> None:
    """A text keeps its lines."""
    lines = shown(b"line 1\nline\t2 \x1b")
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


def test_a_body_that_is_no_text_is_in_hexadecimal_digits() -> None:
    """16 bytes a line."""
    assert shown(b"\xff" * 17)[-2:] == ["  " + " ".join(["ff"] * 16), "  ff"]
