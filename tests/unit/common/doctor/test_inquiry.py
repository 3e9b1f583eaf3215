"""An inquiry without questions; with a broker that answers it is in tests/broker."""

from typing import cast

from pika.connection import Connection

from common.doctor.inquiry import Inquiry, Questions
from tests.unit.conftest import Loop


def none() -> Questions:
    yield from ()


def test_without_a_question_it_ends_at_once_and_takes_no_late_answer(process: Loop) -> None:
    """An alarm may come when nothing is asked any more."""
    ended: list[str] = []
    inquiry = Inquiry(cast("Connection", None), process, none(), lambda: ended.append("ended"))
    assert ended == ["ended"]
    inquiry.answer("late")
    assert ended == ["ended"]
