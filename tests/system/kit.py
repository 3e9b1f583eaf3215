"""What the tests of whole services share."""

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel

from tests.processes import PATIENCE, Process

Start = Callable[..., Process]
QUICK = {"MQ_BACKOFF_MAX": "500ms"}  # for tests with an outage
PLUGINS = "tests.system.plugins"


def handled(record: Path) -> list[dict[str, Any]]:
    """What the handlers of `plugins` wrote down, in order."""
    lines = record.read_text().splitlines(keepends=True) if record.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def bodies(record: Path) -> list[str]:
    """The bodies of `handled`."""
    return [row["body"] for row in handled(record)]


def peak(process: Process) -> int:
    """Its largest resident memory so far, in MiB; 0 when it has ended."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(found[1]) // 1024 if found else 0


def take(channel: BlockingChannel, queue: str, count: int) -> list[tuple[Any, bytes]]:
    """Properties and bodies of exactly `count` messages of `queue`, which must be all it holds."""
    got: list[tuple[Any, bytes]] = []
    deadline = time.monotonic() + PATIENCE
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method:
            got.append((properties, body or b""))
        elif len(got) >= count or time.monotonic() > deadline:
            assert len(got) == count, f"{queue} held {len(got)} messages: {[body[:40] for _, body in got[:5]]}"
            return got
        else:
            channel.connection.sleep(0.05)


def compare(expected: Iterable[bytes], found: Iterable[bytes], duplicates: int = 0) -> None:
    """Nothing lost, nothing that nobody sent, and at most so many duplicates."""
    wanted, came = Counter(expected), Counter(found)
    lost, more = wanted - came, came - wanted
    assert not lost, f"{lost.total()} lost, such as {list(lost)[:3]}"
    unexpected = [body for body in more if body not in wanted]
    assert not unexpected, f"{len(unexpected)} unexpected, such as {unexpected[:3]}"
    assert more.total() <= duplicates, f"{more.total()} duplicates, more than {duplicates}"


def numbered(count: int) -> list[bytes]:
    """So many lines, each unique and with bytes that a careless program would change."""
    return [b"%d \r\x00\xff\xfe\t\xc3" % number for number in range(count)]


class Mute:
    """A peer that accepts a connection and never speaks."""

    def __enter__(self) -> "Mute":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
