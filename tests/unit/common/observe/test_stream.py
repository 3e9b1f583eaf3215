"""Logs whose reader stands still, has left, or whose disk is full; each in its own process."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT

PATIENCE = 30.0  # seconds
TOTAL = 20_000  # lines of a test, more than can wait
PROGRAM = """
import os, resource, signal, sys, threading, time
import structlog
from prometheus_client import REGISTRY
from common.observe import logs
from common.observe.stream import MAX_WAITING, STDERR
logs.configure("info", "json")
log = structlog.get_logger()
dropped = lambda: int(REGISTRY.get_sample_value("log_lines_dropped_total"))
begun = time.monotonic()
def write(count):
    for number in range(count):
        log.info("line", number=number, more="x" * 200)
{body}
"""
FLOOD = f"""
write({TOTAL})
print(time.monotonic() - begun, dropped(), STDERR._size < MAX_WAITING + 1000, flush=True)
"""


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """No process outlives its test."""
    yield
    while STARTED:
        STARTED[-1].kill()
        STARTED.pop().communicate()


class Run:
    """A process with a log of its own."""

    def __init__(self, body: str, stderr: Any) -> None:
        words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM.format(body=body)]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        STARTED.append(self.process)

    def said(self) -> list[str]:
        """The words of its next line on standard output."""
        assert self.process.stdout
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], "it stands still"
        return self.process.stdout.readline().split()

    def go_on(self) -> None:
        """Let it read a line."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """The exit code."""
        return self.process.wait(PATIENCE)


def read_all(descriptor: int) -> bytes:
    """Everything up to the end."""
    data = b""
    while select.select([descriptor], [], [], PATIENCE)[0]:
        try:
            chunk = os.read(descriptor, 1 << 20)
        except OSError:  # a terminal's way to say so
            break
        if not chunk:
            break
        data += chunk
    return data


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_reader_that_stands_still_stops_nothing(kind: str) -> None:
    """All lines are given, a bounded part waits, the others are counted; and the exit code is what it would be."""
    reading, writing = os.pipe() if kind == "pipe" else pty.openpty()
    run = Run(f"{FLOOD}\nsys.exit(3)", writing)
    seconds, dropped, bounded = run.said()
    assert float(seconds) < 10
    assert 0 < int(dropped) < TOTAL
    assert bounded == "True"
    assert run.end() == 3
    assert time.monotonic() - run.began < 20
    os.close(writing)
    os.close(reading)


def test_when_the_log_flows_again_it_says_how_many_lines_are_missing() -> None:
    """Every line that is there is whole; with those that are missing they are all."""
    reading, writing = os.pipe()
    run = Run(
        f"{FLOOD}\nsys.stdin.readline()\nSTDERR.drain(20)\nlog.info('flows again')\nSTDERR.drain(20)\nprint(dropped())",
        writing,
    )
    os.close(writing)
    _, dropped, _ = run.said()
    run.go_on()
    lines = list(map(json.loads, read_all(reading).splitlines()))
    os.close(reading)
    assert run.said() == [dropped]
    assert run.end() == 0
    events = [line["event"] for line in lines]
    told = [line for line in lines if "count" in line]
    assert [line["level"] for line in told] == ["warning"]
    assert told[0]["count"] == int(dropped) == TOTAL - events.count("line")
    assert "flows again" in events
    numbers = [line["number"] for line in lines if line["event"] == "line"]
    assert numbers == sorted(numbers)


def test_a_reader_who_left_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = Run(f"{FLOOD}\nSTDERR.drain(20)\nprint(dropped(), flush=True)\nsys.exit(3)", writing)
    os.close(writing)
    run.said()
    assert run.said() == [str(TOTAL)]
    assert run.end() == 3


def test_a_full_disk_costs_lines_and_later_lines_stay_whole(tmp_path: Path) -> None:
    """A limit of the file's size ends a write as a full disk does, in the middle of a line."""
    file = tmp_path / "log"
    body = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, -1))
write(10)
STDERR.drain(20)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
write(1)
"""
    with file.open("wb") as stderr:
        assert Run(body, stderr).end() == 0
    whole, cut = [], 0
    for line in file.read_bytes().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            cut += 1
    events = [line["event"] for line in whole]
    assert cut == 1
    assert [line["count"] for line in whole if "count" in line] == [11 - events.count("line")]
    assert whole[-1]["event"] != "line" or whole[-2]["event"] != "line"


def test_a_descriptor_that_does_not_block_loses_no_line_of_a_slow_reader() -> None:
    """Whoever shares a pipe or a terminal may have set it so."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    run = Run("write(1000)", writing)
    os.close(writing)
    time.sleep(0.5)
    assert len(read_all(reading).splitlines()) == 1000
    assert run.end() == 0
    os.close(reading)


def test_the_last_lines_are_written_before_the_process_ends() -> None:
    """Also for a reader that begins late."""
    reading, writing = os.pipe()
    run = Run("write(2000)\nprint('written', flush=True)", writing)
    os.close(writing)
    assert run.said() == ["written"]
    assert len(read_all(reading).splitlines()) == 2000
    assert run.end() == 0
    os.close(reading)


def test_a_line_is_out_before_a_crash_that_follows_it(tmp_path: Path) -> None:
    """It tells what a handler did when it killed its process."""
    file = tmp_path / "log"
    with file.open("wb") as stderr:
        assert Run("write(1)\nos.kill(os.getpid(), signal.SIGKILL)", stderr).end() == -signal.SIGKILL
    assert json.loads(file.read_text())["number"] == 0


def test_a_forked_child_writes_its_own_lines(tmp_path: Path) -> None:
    """Without the thread of its parent, and none of the parent's lines twice."""
    file = tmp_path / "log"
    body = "write(1)\nif os.fork() == 0:\n    log.info('child')\n    os._exit(0)\nos.wait()\nlog.info('parent')"
    with file.open("wb") as stderr:
        assert Run(body, stderr).end() == 0
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["line", "child", "parent"]


def test_a_child_that_is_forked_while_the_log_stands_still_can_write() -> None:
    """Another thread waits for its line then, with whatever it holds; a lock of that kind would be held for ever."""
    body = """
os.set_blocking(2, False)
try:
    while os.write(2, b"-" * 4096): pass
except BlockingIOError:
    os.set_blocking(2, True)
threading.Thread(target=write, args=(1,)).start()
time.sleep(0.1)
if (child := os.fork()) == 0:
    log.info("child")
    os._exit(5)
deadline = time.monotonic() + 10
while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
    time.sleep(0.05)
if not ended[0]:
    os.kill(child, signal.SIGKILL)
print(os.waitstatus_to_exitcode(ended[1]) if ended[0] else "hangs", flush=True)
"""
    reading, writing = os.pipe()
    run = Run(body, writing)
    os.close(writing)
    assert run.said() == ["5"]
    os.close(reading)
    run.end()


def test_the_last_lines_of_a_forked_child_are_written_before_it_ends() -> None:
    """As those of its parent are, also for a reader that begins late."""
    body = """
from common.process import fork
if (child := os.fork()) == 0:
    write(2000)
    print("written", flush=True)
    fork.end_child(None)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    reading, writing = os.pipe()
    run = Run(body, writing)
    os.close(writing)
    assert run.said() == ["written"]
    time.sleep(0.2)
    assert len(read_all(reading).splitlines()) == 2000
    assert run.said() == ["0"]
    assert run.end() == 0
    os.close(reading)


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    file = tmp_path / "log"
    body = "threads = [threading.Thread(target=write, args=(50,)) for _ in range(20)]\n"
    body += "for each in threads: each.start()\nfor each in threads: each.join()"
    with file.open("wb") as stderr:
        assert Run(body, stderr).end() == 0
    assert len(list(map(json.loads, file.read_text().splitlines()))) == 1000
