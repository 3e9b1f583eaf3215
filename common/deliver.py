"""Deliver: the method frame of a delivery, with what few ask for decoded when they do.

pika decodes and keeps five fields, which is a tenth of what a delivery costs; a consumer needs the two tags.
`tests/unit/common/test_deliver.py` holds it against the pika that we lock. (Deletable: pika's own serves too.)
"""

import struct
from typing import Any

from pika import spec

_LATER = frozenset(("redelivered", "exchange", "routing_key"))
_number = struct.Struct(">Q")


class Deliver(spec.Basic.Deliver):
    """As it came."""

    __init__ = object.__init__  # without fields: `decode` follows

    def decode(self, encoded: bytes, offset: int = 0) -> "Deliver":
        """Read the two tags."""
        behind = offset + 1 + encoded[offset]
        self.consumer_tag = encoded[offset + 1 : behind].decode()
        self.delivery_tag = _number.unpack_from(encoded, behind)[0]
        self._encoded, self._offset = encoded, offset
        return self

    def __getattr__(self, name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(name)
        super().decode(self._encoded, self._offset)
        return self.__dict__[name]


spec.methods[spec.Basic.Deliver.INDEX] = Deliver
