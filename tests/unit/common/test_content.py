"""What is put together quicker, held against the pika that we lock."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec
from pika.channel import Channel, ContentFrameAssembler
from pika.exceptions import BodyTooLongError

from common.content import Content
from common.deliver import Deliver


def deliver(tag: int) -> Any:
    return Deliver().decode(b"".join(spec.Basic.Deliver("c", tag, False, "", "jobs").encode()))


METHODS = {"delivery": deliver, "return": lambda _: spec.Basic.Return(312), "get": spec.Basic.GetOk}


class Hearing(Channel):
    """pika's channel, of which only what handles frames is there; it writes down what they brought."""

    def __init__(self) -> None:
        self._content_assembler: Any = ContentFrameAssembler()
        self.heard: list[tuple[Any, ...]] = []

    def _on_deliver(self, *parts: Any) -> None:
        self.heard.append(("delivery", *parts))

    def _on_return(self, *parts: Any) -> None:
        self.heard.append(("return", *parts))

    def _on_getok(self, *parts: Any) -> None:
        self.heard.append(("get", *parts))

    def _on_unexpected_frame(self, *parts: Any) -> None:
        self.heard.append(("unexpected", *parts))


@pytest.fixture(params=[False, True], ids=["pika", "ours"])
def channel(request: pytest.FixtureRequest) -> Any:
    """As it is, and with a Content in it."""
    made = Hearing()
    if request.param:
        Content(made)
    return made


def frames(method: Any, parts: list[bytes]) -> list[Any]:
    """Those of one message."""
    header = frame.Header(1, sum(map(len, parts)), BasicProperties())
    return [frame.Method(1, method), header, *(frame.Body(1, part) for part in parts)]


@given(st.lists(st.tuples(st.sampled_from(list(METHODS)), st.lists(st.binary(min_size=1, max_size=9), max_size=3))))
def test_messages_are_what_pika_makes_of_their_frames(messages: list[tuple[str, list[bytes]]]) -> None:
    """One after another, each as soon as it is whole: without a body, with one in one frame, and in several."""
    ours: Any = Hearing()
    pikas: Any = Hearing()
    content = Content(ours)
    for tag, (kind, parts) in enumerate(messages, 1):
        for each in frames(METHODS[kind](tag), parts):
            ours._handle_content_frame(each)
            pikas._handle_content_frame(each)
            assert ours.heard == pikas.heard
    assert len(ours.heard) == len(messages)
    plain = vars(pikas._content_assembler)
    assert {name: getattr(content, name) for name in plain} == plain


@pytest.mark.parametrize("parts", [[b"abcd"], [b"a", b"abc"]])
def test_a_body_that_is_too_long_is_refused(channel: Any, parts: list[bytes]) -> None:
    """Also where the last frame alone has the length of all."""
    channel._handle_content_frame(frame.Method(1, deliver(1)))
    channel._handle_content_frame(frame.Header(1, 3, BasicProperties()))
    *most, last = parts
    for part in most:
        channel._handle_content_frame(frame.Body(1, part))
    with pytest.raises(BodyTooLongError):
        channel._handle_content_frame(frame.Body(1, last))


def test_a_frame_that_brings_no_message_is_unexpected(channel: Any) -> None:
    """And the channel hears of it."""
    wrong = frame.Method(1, spec.Basic.Ack(1))
    channel._handle_content_frame(wrong)
    assert channel.heard == [("unexpected", wrong)]
