"""Ports of this machine."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import ports
from tests.processes import ROOT


def test_each_is_another_and_outside_of_those_of_outgoing_connections() -> None:
    """Which one that polls for a broker uses itself: it could then be its own peer."""
    found = ports.free_ports(50)
    assert len(set(found)) == 50
    assert max(found) < 32_768


def test_no_other_process_is_given_the_same_one() -> None:
    """Between the answer and the bind seconds may pass: a broker starts."""
    mine = set(ports.free_ports(150))
    code = "import random; from local import ports; random.sample = lambda *_: {}; print(ports.free_ports({}))"
    asked = [sys.executable, "-c", code.format([*mine, *range(19_000, 19_100)], 50)]
    others = json.loads(subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert len(others) == 50
    assert not mine & {*others}


def test_a_process_holds_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each claim is an open file."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(ports, "_MOST_CLAIMS", len(ports._claims) + 5)
    ports.free_ports(50)
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 5


def test_one_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert ports.free_port(port) != port
        monkeypatch.setattr(ports, "is_free", lambda each: each == port)
        with pytest.raises(OSError, match="no free port"):
            ports.free_ports(1)
