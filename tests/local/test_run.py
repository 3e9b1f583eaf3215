"""`make run` without Docker, as a person starts it: the node, the two services, the line that flows, the summary."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import PATIENCE, ROOT, until

pytestmark = pytest.mark.slow

START = 90.0  # seconds in which a node starts on a busy machine
LOST = re.compile(r"^lost\s+0  every confirmed message was handled or parked$", re.MULTILINE)


class Run:
    """`python -m local --docker no arguments`, its output in a file, its folders in `folder`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._said, self._folder = folder / "said", folder / "tmp"
        self._folder.mkdir()
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local", "--docker", "no", *arguments],
                cwd=ROOT,
                env={**_inherited(), "TMPDIR": str(self._folder)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """What it printed so far."""
        return self._said.read_text()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(START + PATIENCE)

    def left(self) -> list[Path]:
        """Files that it should have taken away."""
        return list(self._folder.iterdir())

    def close(self) -> None:
        """Twice asked it leaves at once, and takes its broker with it."""
        for _ in range(2):
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)


def _inherited() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("MQ_", "PRODUCER_", "CONSUMER_"))}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a node's sockets are below it."""
    with tempfile.TemporaryDirectory(prefix="run-") as name:
        yield Path(name)


def test_with_a_count_it_ends_by_itself_though_the_usual_ports_are_taken(folder: Path) -> None:
    """Nothing is lost, and the management page goes where there is room."""
    with ExitStack() as stack:
        for port in (5672, 8080, 15672):
            try:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue  # somebody else has it, which is as good
        run = Run(folder, "--count", "50", "--rate", "100")
        stack.callback(run.close)
        assert run.wait() == 0, run.said()
    said = run.said()
    assert LOST.search(said), said
    assert re.search(r"^confirmed +50$", said, re.MULTILINE)
    assert re.search(r"^handled +50$", said, re.MULTILINE)
    duration = re.search(r"^duration +([\d.]+) s ", said, re.MULTILINE)
    assert duration
    assert float(duration[1]) >= 0.5, "50 at 100 a second, whatever was seen of it"
    assert re.search(r"port 15672 is taken: the management page goes to \d+", said)
    assert run.left() == []


def test_ctrl_c_while_messages_flow_ends_with_a_summary_and_nothing_is_lost(folder: Path) -> None:
    """And with exit code 0: to stop is no failure."""
    run = Run(folder, "--rate", "200")
    try:
        until(lambda: re.search(r"handled [1-9]", run.said()), "messages flow", START)
        run.interrupt()
        assert run.wait() == 0, run.said()
    finally:
        run.close()
    said = run.said()
    assert "stopping ... (Ctrl-C again leaves at once)" in said
    assert LOST.search(said), said
    confirmed, handled = (re.search(rf"^{name} +([\d,]+)$", said, re.MULTILINE) for name in ("confirmed", "handled"))
    assert confirmed
    assert handled
    assert confirmed[1] == handled[1] != "0"
    assert "Traceback" not in said
    assert run.left() == []
