"""A copy of the pair without the fence, `common/wire`, on a real broker."""

from pathlib import Path

from tests.architecture.copies import copy_without
from tests.architecture.modules import OPTIONAL
from tests.brokers import Broker
from tests.processes import Process, until


def test_without_the_fence_the_pair_carries_every_line(broker: Broker, mq_ch: str, tmp_path: Path) -> None:
    """By what pika makes public; slower, and nothing is lost."""
    code, source, out = tmp_path / "code", tmp_path / "source", tmp_path / "out"
    copy_without(OPTIONAL["wire"], code)
    lines = [f"line {number}" for number in range(100)]
    source.write_text("".join(f"{line}\n" for line in lines))
    settings = {"MQ_URL": broker.url, "MQ_CH": mq_ch, "CONSUMER_HANDLER": f"append:{out}"}
    consumer = Process("consumer", settings, tmp_path, root=code)
    producer = Process("producer", settings, tmp_path, ["--source", f"lines:{source}"], root=code)
    try:
        assert producer.wait() == 0, producer.stderr.read_text()
        until(lambda: out.exists() and len(out.read_text().splitlines()) >= len(lines), "all are handled")
        consumer.terminate()
        assert consumer.wait() == 0, consumer.stderr.read_text()
    finally:
        producer.close()
        consumer.close()
    assert sorted(out.read_text().splitlines()) == sorted(lines)
    assert consumer.event("stopped")["left"] == 0
