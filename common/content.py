"""Content: puts a message together of its frames, quicker where it is a delivery with its body in one frame.

pika looks at each frame's class three times, and joins the body's frames though there is one: a sixteenth of its
work on a delivery. `tests/unit/common/test_content.py` holds it against the pika that we lock. (Deletable: pika's own
serves too.)
"""

from typing import TYPE_CHECKING, Any

from pika import frame
from pika.channel import ContentFrameAssembler

from common.deliver import Deliver


class Content(ContentFrameAssembler):
    """Of one channel."""

    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _method_frame: Any
        _header_frame: Any
        _seen_so_far: int

    def process(self, frame_value: Any) -> Any:
        """The method frame, the header frame and the body when all have come, else None."""
        kind = type(frame_value)
        if kind is frame.Body:
            header = self._header_frame
            if header and not self._seen_so_far and len(frame_value.fragment) == header.body_size:
                method, self._method_frame, self._header_frame = self._method_frame, None, None
                return method, header, frame_value.fragment
        elif kind is frame.Header:
            if frame_value.body_size:
                self._header_frame = frame_value
                return None
        elif type(frame_value.method) is Deliver:
            self._method_frame = frame_value
            return None
        return super().process(frame_value)
