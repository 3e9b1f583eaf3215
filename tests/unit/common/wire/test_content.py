"""What is put together quicker, held against the pika that we lock."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec
from pika.channel import Channel, ContentFrameAssembler
from pika.exceptions import BodyTooLongError

from common.wire.content import Content
from common.wire.deliver import Deliver


def deliver(tag: int) -> Any:
    return Deliver().decode(b"".join(spec.Basic.Deliver("c", tag, False, "", "jobs").encode()))


METHODS = {"delivery": deliver, "return": lambda _: spec.Basic.Return(312), "get": spec.Basic.GetOk}


class Hearing(Channel):
    """pika's channel, of which only what handles frames is there; it writes down what they brought."""

    def __init__(self, *, ours: bool) -> None:
        self.ours = ours
        self._content_assembler: Any = Content(self._on_deliver) if ours else ContentFrameAssembler()
        self.heard: list[tuple[Any, ...]] = []

    def hear(self, value: Any) -> None:
        """As a connection hands it on: to what is quicker first."""
        if not (self.ours and self._content_assembler.take(value)):
            self._handle_content_frame(value)

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
    return Hearing(ours=request.param)


def frames(method: Any, parts: list[bytes]) -> list[Any]:
    """Those of one message."""
    header = frame.Header(1, sum(map(len, parts)), BasicProperties())
    return [frame.Method(1, method), header, *(frame.Body(1, part) for part in parts)]


@given(st.lists(st.tuples(st.sampled_from(list(METHODS)), st.lists(st.binary(min_size=1, max_size=9), max_size=3))))
def test_messages_are_what_pika_makes_of_their_frames(messages: list[tuple[str, list[bytes]]]) -> None:
    """One after another, each as soon as it is whole: without a body, with one in one frame, and in several."""
    ours, pikas = Hearing(ours=True), Hearing(ours=False)
    for tag, (kind, parts) in enumerate(messages, 1):
        for each in frames(METHODS[kind](tag), parts):
            ours.hear(each)
            pikas.hear(each)
            assert ours.heard == pikas.heard
    assert len(ours.heard) == len(messages)
    plain = vars(pikas._content_assembler)
    assert {name: getattr(ours._content_assembler, name) for name in plain} == plain


@pytest.mark.parametrize("parts", [[b"abcd"], [b"a", b"abc"]])
def test_a_body_that_is_too_long_is_refused(channel: Any, parts: list[bytes]) -> None:
    """Also where the last frame alone has the length of all."""
    channel.hear(frame.Method(1, deliver(1)))
    channel.hear(frame.Header(1, 3, BasicProperties()))
    *most, last = parts
    for part in most:
        channel.hear(frame.Body(1, part))
    with pytest.raises(BodyTooLongError):
        channel.hear(frame.Body(1, last))


def test_a_frame_that_brings_no_message_is_unexpected(channel: Any) -> None:
    """And the channel hears of it."""
    wrong = frame.Method(1, spec.Basic.Ack(1))
    channel.hear(wrong)
    assert channel.heard == [("unexpected", wrong)]


def test_only_frames_of_deliveries_with_a_body_in_one_are_taken() -> None:
    """The others are pika's, whatever they follow."""
    content = Content(lambda *_: None)
    taken = {
        kind: [content.take(each) for each in frames(METHODS[kind](1), parts)]
        for kind, parts in (("delivery", [b"a"]), ("get", [b"a", b"b"]))
    }
    assert taken == {"delivery": [True, True, True], "get": [False, True, False, False]}
    assert not content.take(frame.Heartbeat())
