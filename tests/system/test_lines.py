"""Lines of a file through producer, broker and consumer, into a file: all of them, byte for byte, whatever breaks."""

import random
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Broker, outlive_a_kill
from tests.processes import Process, until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, compare, numbered

WINDOW, PREFETCH = 200, 100
SMALL = {"PRODUCER_WINDOW": WINDOW, "CONSUMER_PREFETCH": PREFETCH, **QUICK}
REAL = Path("/var/lib/dpkg/status")  # on Debian and Ubuntu; lines that nobody here wrote


def lines() -> list[bytes]:
    """20,000 lines: real ones, and ones of any bytes but the newline; some empty."""
    dice = random.Random(20)
    drawn = [dice.randbytes(dice.choice([0, 1, 80, 3000])).replace(b"\n", b"\r") for _ in range(4000)]
    real = REAL.read_bytes().split(b"\n") if REAL.exists() else []
    return [*drawn, b"", b"\x00", b"\xff\xfe", b" \r", "ü€".encode(), *real, *numbered(20_000)][:20_000]


def write(path: Path, content: list[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in content))
    return path


def read(path: Path) -> list[bytes]:
    """The lines that a consumer appended."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def peak(process: Process) -> float:
    """Its largest resident memory so far, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def consume(start: Start, out: Path, **settings: Any) -> Process:
    return start("consumer", "--handler", f"append:{out}", **SMALL, **settings)


def drained(start: Start, out: Path) -> list[bytes]:
    """What is in the file when nothing more comes."""
    assert consume(start, out, CONSUMER_IDLE_EXIT="1s").wait() == 0
    return read(out)


@pytest.mark.every_broker
def test_every_line_arrives_byte_for_byte_in_under_100_mib(start: Start, tmp_path: Path) -> None:
    """Piped in, as a user does it: nothing lost, nothing twice, and the memory of both is bounded."""
    out = tmp_path / "out"
    sent = lines()
    consumer = start("consumer", "--handler", f"append:{out}")
    producer = start("producer", "--source", "lines", stdin=subprocess.PIPE).wait_ready()
    producer.stdin.writelines(line + b"\n" for line in sent)
    producer.stdin.flush()
    until(lambda: producer.metric("producer_confirmed_total") == len(sent), "all is confirmed")
    until(lambda: consumer.metric('consumer_settled_total{outcome="ack"}') == len(sent), "all is handled")
    assert peak(producer) < 100
    assert peak(consumer) < 100
    producer.stdin.close()
    assert producer.wait() == 0
    consumer.terminate()
    assert consumer.wait() == 0
    compare(sent, read(out))


def test_a_producer_that_ends_before_the_consumer_starts_loses_nothing(start: Start, tmp_path: Path) -> None:
    """The queue is there for both, whoever comes first (the other order is in the test above)."""
    out, sent = tmp_path / "out", numbered(2000)
    assert start("producer", "--source", f"lines:{write(tmp_path / 'in', sent)}").wait() == 0
    compare(sent, drained(start, out))


@pytest.mark.every_broker
def test_a_broker_killed_in_the_middle_loses_nothing(start: Start, tmp_path: Path, broker: Broker) -> None:
    """SIGKILL, and started again on its data; duplicates are at most what was in flight."""
    out, sent = tmp_path / "out", numbered(20_000)
    consumer = consume(start, out)
    producer = start("producer", "--source", f"lines:{write(tmp_path / 'in', sent)}", "--rate", "4000", **SMALL)
    until(lambda: read(out), "it flows")
    outlive_a_kill(time.monotonic())
    assert len(read(out)) < len(sent), "it still flows"
    broker.kill()
    broker.start()
    assert producer.wait() == 0
    until(lambda: len(read(out)) >= len(sent), "the consumer goes on by itself")
    consumer.terminate()
    assert consumer.wait() == 0
    compare(sent, drained(start, out), duplicates=WINDOW + PREFETCH)


def test_a_producer_killed_in_the_middle_goes_on_from_its_checkpoint(start: Start, tmp_path: Path) -> None:
    """SIGKILL, and started again: every line at least once, and not all of them again."""
    out, sent = tmp_path / "out", numbered(10_000)
    arguments = ("--source", f"lines:{write(tmp_path / 'in', sent)}", "--checkpoint", str(tmp_path / "checkpoint"))
    producer = start("producer", *arguments, "--rate", "3000", **SMALL).wait_ready()
    until(lambda: producer.metric("producer_confirmed_total") > 5000, "it flows")
    producer.kill()
    assert start("producer", *arguments).wait() == 0
    again = start("producer", *arguments)
    assert again.wait() == 0
    assert again.event("stopped")["confirmed"] == 0
    # 0.5 s of 3000 a second, the catching up of one second, and a slow machine.
    compare(sent, drained(start, out), duplicates=5000)


def test_a_file_that_is_rotated_and_compressed_under_a_consumer_loses_nothing(start: Start, tmp_path: Path) -> None:
    """Renamed, then deleted as `gzip` does: what is handled later is in the file that bears the name."""
    out, sent = tmp_path / "out", numbered(4)
    consumer = consume(start, out).wait_ready()
    kept: list[bytes] = []

    def handle(number: int) -> None:
        file = write(tmp_path / f"in{number}", [sent[number]])
        assert start("producer", "--source", f"lines:{file}").wait() == 0
        until(lambda: len(kept) + len(read(out)) > number, "it is handled")

    for number in (0, 1):
        handle(number)
        rotated = out.rename(tmp_path / f"out.{number}")
        kept += read(rotated)
        rotated.unlink()
    for number in (2, 3):
        handle(number)
    consumer.terminate()
    assert consumer.wait() == 0
    compare(sent, kept + read(out))


def test_a_file_replaced_behind_its_checkpoint_is_refused_and_no_line_is_skipped(start: Start, tmp_path: Path) -> None:
    """Its first 4,096 bytes are those of the old one."""
    file, header = tmp_path / "in", [b"header"] * 1000
    arguments = ("--source", f"lines:{file}", "--checkpoint", str(tmp_path / "checkpoint"))
    write(file, [*header, *numbered(100)])
    assert start("producer", *arguments).wait() == 0
    write(file, [*header, *reversed(numbered(200))])
    again = start("producer", *arguments)
    assert again.wait() == 2
    assert "begins otherwise" in again.stderr.read_text()


def test_a_consumer_killed_in_the_middle_loses_nothing(start: Start, tmp_path: Path) -> None:
    """SIGKILL, with messages in its hands, and started again: what it had not acknowledged comes again."""
    record = tmp_path / "record"
    sent = [b"%d" % number for number in range(1, 2001)]
    settings = {"RECORD": record, **SMALL}
    first = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:slow", **settings)
    producer = start("producer", "--source", f"{PLUGINS}:numbers", "--count", str(len(sent)), **SMALL)
    until(lambda: len(bodies(record)) > 100, "it flows")
    first.kill()
    assert producer.wait() == 0
    assert start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", CONSUMER_IDLE_EXIT="1s", **settings).wait() == 0
    compare(sent, [body.encode() for body in bodies(record)], duplicates=PREFETCH)
