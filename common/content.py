"""Content: puts a message together of its frames, quicker where it is a delivery with its body in one frame.

pika asks for each frame's class three times, goes through two methods for each, and joins the body's frames though
there is one: a tenth of its work on a delivery. `tests/unit/common/test_content.py` holds it against the pika that we
lock. (Deletable: pika's own serves too.)
"""

from typing import TYPE_CHECKING, Any

from pika import frame
from pika.channel import ContentFrameAssembler

from common.deliver import Deliver


class Content(ContentFrameAssembler):
    """Of one channel, in which it takes the places of the assembler and of the method that hands frames to that."""

    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _method_frame: Any
        _header_frame: Any
        _seen_so_far: int

    def __init__(self, channel: Any) -> None:
        """`channel` is pika's."""
        super().__init__()
        self._deliver, self._otherwise = channel._on_deliver, channel._handle_content_frame
        channel._content_assembler, channel._handle_content_frame = self, self.handle

    def handle(self, frame_value: Any) -> None:
        """Hand on what this frame makes whole."""
        kind = type(frame_value)
        if kind is frame.Body:
            header, method = self._header_frame, self._method_frame
            if (
                header
                and not self._seen_so_far
                and len(frame_value.fragment) == header.body_size
                and type(method.method) is Deliver
            ):
                self._method_frame = self._header_frame = None
                self._deliver(method, header, frame_value.fragment)
                return
        elif kind is frame.Header:
            if frame_value.body_size:
                self._header_frame = frame_value
                return
        elif type(frame_value.method) is Deliver:
            self._method_frame = frame_value
            return
        self._otherwise(frame_value)
