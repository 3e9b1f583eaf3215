"""Ports of this machine."""

import os
import random
import socket
from collections import deque
from itertools import islice

# Below the range that Linux gives to outgoing connections and to Kubernetes' node ports: a broker that is restarted
# finds its port still free.
_RANGE = range(20_000, 30_000)
# Held so that no other process is given a port that is not bound yet; 1,024 files may be open in a process.
_claims: deque[int] = deque()
_MOST_CLAIMS = 256


def is_free(port: int) -> bool:
    """Tell whether 127.0.0.1:port can be bound now."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):
        return False
    return True


def _claim(port: int) -> bool:
    """Claim it among all that ask here, in whatever process, until this one ends: by the same port of UDP."""
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    _claims.append(claim.detach())
    if len(_claims) > _MOST_CLAIMS:
        os.close(_claims.popleft())
    return True


def free_port(preferred: int | None = None) -> int:
    """Return the preferred port if it is free, else another that nobody else is given; raises OSError without any."""
    return preferred if preferred and is_free(preferred) else free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many different ones; raises OSError when there are fewer."""
    found = list(islice((port for port in random.sample(_RANGE, 200) if is_free(port) and _claim(port)), count))
    if len(found) < count:
        raise OSError(f"no free port between {_RANGE.start} and {_RANGE.stop}")
    return found


def speaks_amqp(port: int) -> bool:
    """Tell whether a broker answers the AMQP 0-9-1 header: a port may accept connections long before that."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as stream:
            stream.sendall(b"AMQP\x00\x00\x09\x01")
            # The first frame is connection.start: a method frame (1) on channel 0.
            return stream.recv(3) == b"\x01\x00\x00"
    except OSError:
        return False
