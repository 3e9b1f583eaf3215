"""The producer's service while there is no broker; with one it is tested in tests/broker and tests/system."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pika import spec
from structlog.testing import capture_logs

from common.amqp.connection import State
from producer.checkpoint import open_checkpoint
from producer.service import ProducerService
from producer.settings import ProducerSettings
from producer.source import Item, open_source
from tests.unit.conftest import Loop
from tests.unit.peer import Peer

pytestmark = pytest.mark.usefixtures("own_metrics")


def make(**values: object) -> ProducerSettings:
    return ProducerSettings.model_validate(
        {"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "mq_backoff_max": "50ms", "producer_source": "m:s", **values}
    )


def three() -> Iterator[Item]:
    return (Item(number, number + 1) for number in range(3))


def test_without_a_broker_nothing_is_lost_and_all_is_counted_as_left(process: Loop) -> None:
    """It is not done at the source's end, only when it must stop and a try has failed; the exit code tells."""
    service = ProducerService(process, make(), three, name="n")
    service.start()
    process.turn(lambda: service.summary()[0] == 3, "three messages")
    service.tick(time.monotonic())
    assert not service.done()
    process.stopping = True
    service.stop()
    assert not service.done()
    process.turn(service.done, "the first try came to nothing")
    service.close()
    assert service.closed()
    left, totals = service.summary()
    assert left == 3
    assert (totals["confirmed"], totals["published"], totals["refused"]) == (0, 0, 0)


def test_it_lives_and_is_not_ready_without_a_broker(process: Loop) -> None:
    """An outage must not restart a pod."""
    service = ProducerService(process, make(), three, name="n")
    service.start()
    process.turn(lambda: service.publisher.connection.state is State.BACKING_OFF, "a refusal")
    assert service.problems() == []
    assert "nothing listens there" in json.dumps(service.reasons())
    service.close()


def test_a_source_that_fails_is_left_over(process: Loop) -> None:
    """Exit code 1, though nothing is unconfirmed; and it is told once, with where it was."""

    def failing() -> Iterator[Item]:
        raise RuntimeError("the disk is gone")
        yield Item(1, 1)

    service = ProducerService(process, make(), failing, name="n")
    with capture_logs() as lines:
        service.start()
        process.turn(service.done, "the source's end")
        assert service.summary()[0] == 1
        service.close()
    (told,) = [line["exc_info"] for line in lines if line["event"] == "the source failed"]
    assert str(told) == "the disk is gone"
    assert told.__traceback__


def test_an_unconfirmed_line_does_not_move_the_checkpoint(process: Loop, tmp_path: Path) -> None:
    """It is sent again by the next run."""
    file, checkpoint = tmp_path / "input", tmp_path / "checkpoint"
    file.write_text("one\ntwo\n")
    checkpoint.write_text("4 name\n")
    settings = make(producer_source=f"lines:{file}", producer_checkpoint=checkpoint)
    opened = open_checkpoint(checkpoint, Path("none"))
    assert opened
    service = ProducerService(process, settings, open_source(settings, 4), [opened], name="n")
    service.start()
    process.turn(lambda: service.summary()[0] == 1, "the second line")
    service.tick(time.monotonic())
    service.close()
    assert checkpoint.read_text() == "4 name\n"


def test_a_stop_while_the_connection_is_being_made_anew_sends_what_was_taken(process: Loop, peer: Peer) -> None:
    """It was cut a moment ago, and the broker is there: what was taken would be lost for a short cut."""
    peer.on_publish = lambda visit, tag: visit.say(spec.Basic.Ack(tag)) if visit.number else None
    service = ProducerService(process, make(mq_url=peer.url, mq_backoff_max="1s"), three, name="n")
    service.start()
    process.turn(lambda: peer.visits and peer.visits[0].published, "the first message is on its way")
    peer.visits[0].cut()
    process.turn(
        lambda: service.publisher.connection.state is State.BACKING_OFF or len(peer.visits) > 1,
        "the loss, and maybe more",
    )
    process.stopping = True
    service.stop()
    process.turn(service.done, "the end")
    assert service.summary()[0] == 0
    service.close()
    process.turn(service.closed, "the answer")
