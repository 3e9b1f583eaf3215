"""Properties as they came: by their bytes, or as plain pika has them where there is no fence."""

from importlib.util import find_spec

from pika import BasicProperties

from common.properties import DecodedProperties, Properties

FENCE = find_spec("common.wire") is not None


def received(properties: BasicProperties) -> Properties:
    """Through a frame."""
    encoded = b"".join(properties.encode())
    if not FENCE:
        read = BasicProperties()
        read.decode(encoded)
        return DecodedProperties(read)
    from common.wire.properties import EncodedProperties

    return EncodedProperties(encoded)
