"""What is put together quicker, held against the pika that we lock."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec
from pika.channel import ContentFrameAssembler
from pika.exceptions import BodyTooLongError, UnexpectedFrameError

from common.content import Content
from common.deliver import Deliver


def deliver(tag: int) -> Any:
    return Deliver().decode(b"".join(spec.Basic.Deliver("c", tag, False, "", "jobs").encode()))


METHODS = {"delivery": deliver, "return": lambda _: spec.Basic.Return(312), "get": spec.Basic.GetOk}


def whole(assembler: ContentFrameAssembler, method: Any, parts: list[bytes]) -> list[Any]:
    """What each frame of one message brings."""
    frames = [frame.Method(1, method), frame.Header(1, sum(map(len, parts)), BasicProperties())]
    frames += [frame.Body(1, part) for part in parts]
    answers = [assembler.process(each) for each in frames]
    return [answer and (answer[0].method, answer[1].body_size, answer[2]) for answer in answers]


@given(st.lists(st.tuples(st.sampled_from(list(METHODS)), st.lists(st.binary(min_size=1, max_size=9), max_size=3))))
def test_messages_are_what_pika_makes_of_their_frames(messages: list[tuple[str, list[bytes]]]) -> None:
    """One after another: without a body, with one in one frame, and in several."""
    ours, pikas = Content(), ContentFrameAssembler()
    for tag, (kind, parts) in enumerate(messages, 1):
        method = METHODS[kind](tag)
        assert whole(ours, method, parts) == whole(pikas, method, parts)
        assert vars(ours) == vars(pikas)


@pytest.mark.parametrize("parts", [[b"abcd"], [b"a", b"abc"]])
def test_a_body_that_is_too_long_is_refused(parts: list[bytes]) -> None:
    """As pika does, also where the last frame alone has the length of all."""
    for assembler in (Content(), ContentFrameAssembler()):
        assembler.process(frame.Method(1, deliver(1)))
        assembler.process(frame.Header(1, 3, BasicProperties()))
        *most, last = parts
        for part in most:
            assembler.process(frame.Body(1, part))
        with pytest.raises(BodyTooLongError):
            assembler.process(frame.Body(1, last))


def test_a_frame_that_brings_no_message_is_refused() -> None:
    """As pika does."""
    with pytest.raises(UnexpectedFrameError):
        Content().process(frame.Method(1, spec.Basic.Ack(1)))
