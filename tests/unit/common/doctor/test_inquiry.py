"""An inquiry without questions; with a broker that answers it is in tests/broker."""

from collections.abc import Callable
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


def test_what_ends_the_connection_is_no_answer(process: Loop) -> None:
    """It closes the channel of the question too, and nothing can be asked on another."""

    class Gone:
        is_open = True

        def channel(self, on_open_callback: object) -> "Gone":
            assert self.is_open
            return self

        def add_on_close_callback(self, callback: Callable[[object, Exception], None]) -> None:
            self.closed = callback

    def two() -> Questions:
        for _ in range(2):
            replies.append((yield lambda *_: None))

    gone, replies = Gone(), list[object]()
    Inquiry(cast("Connection", gone), process, two(), lambda: None)
    gone.is_open = False
    gone.closed(gone, RuntimeError("lost"))
    assert replies == []
    assert process._defect is None
