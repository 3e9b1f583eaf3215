"""Deliver: the method frame of a delivery, without the exchange and the routing key, which nobody here asks for.

pika decodes and keeps all five fields, which is a tenth of what a delivery costs.
`tests/unit/common/test_deliver.py` holds it against the pika that we lock. (Deletable: pika's own serves too.)
"""

import struct

from pika import spec

_fields = struct.Struct(">Q?")


class Deliver(spec.Basic.Deliver):
    """Its consumer tag, its delivery tag, and whether it was delivered before."""

    __init__ = object.__init__  # without fields: `decode` follows

    def decode(self, encoded: bytes, offset: int = 0) -> "Deliver":
        """Read them."""
        behind = offset + 1 + encoded[offset]
        self.consumer_tag = encoded[offset + 1 : behind].decode()
        self.delivery_tag, self.redelivered = _fields.unpack_from(encoded, behind)
        return self


spec.methods[spec.Basic.Deliver.INDEX] = Deliver
