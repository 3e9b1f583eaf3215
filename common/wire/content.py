"""Content: puts a message together of its frames, quicker where it is a delivery with its body in one frame.

pika asks for each frame's class three times, goes through two methods for each, and joins the body's frames though
there is one: a tenth of its work on a delivery. `tests/unit/common/test_content.py` holds it against the pika that we
lock. (Deletable: pika's own serves too.)
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pika.channel import ContentFrameAssembler
from pika.frame import Body, Header, Method

from common.wire.deliver import Deliver


class Content(ContentFrameAssembler):
    """Of one channel, in which it takes the place of pika's."""

    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _method_frame: Any
        _header_frame: Any
        _seen_so_far: int

    def __init__(self, deliver: Callable[[Any, Any, bytes], None]) -> None:
        """`deliver` gets the method, the header and the body of each such delivery."""
        super().__init__()
        self._deliver = deliver

    def take(self, value: Any) -> bool:
        """Whether this frame is one of such a delivery; any other is to go pika's way."""
        kind = type(value)
        if kind is Method:
            if type(value.method) is Deliver:
                self._method_frame = value
                return True
        elif kind is Header:
            if value.body_size:
                self._header_frame = value
                return True
        elif kind is Body:
            header, method = self._header_frame, self._method_frame
            if (
                header
                and not self._seen_so_far
                and len(value.fragment) == header.body_size
                and type(method.method) is Deliver
            ):
                self._method_frame = self._header_frame = None
                self._deliver(method, header, value.fragment)
                return True
        return False
