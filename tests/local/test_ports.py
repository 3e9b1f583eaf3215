"""Ports of this machine."""

import socket

import pytest

from local import ports


def test_each_is_another_and_outside_of_those_of_outgoing_connections() -> None:
    """Which one that polls for a broker uses itself: it could then be its own peer."""
    found = ports.free_ports(50)
    assert len(set(found)) == 50
    assert max(found) < 32_768


def test_one_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert ports.free_port(port) != port
        monkeypatch.setattr(ports, "is_free", lambda each: each == port)
        with pytest.raises(OSError, match="no free port"):
            ports.free_ports(1)
