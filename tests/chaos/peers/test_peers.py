"""The short form: one fault for ours and a peer, and beside them two programs whose lies the account must show."""

import sys

import pytest

from tests.chaos.peers.faults import FAULTS
from tests.chaos.peers.lineup import ADAPTERS, ENTRIES, SCRIPT, Entry, Peer
from tests.chaos.peers.trial import Row, put_to_test
from tests.chaos.rabbit import BROKERS

HONEST, DISHONEST = f"{ADAPTERS}.pika_tutorial", f"{ADAPTERS}.dishonest"
CHEAT = Entry(Peer("cheat", "", HONEST, SCRIPT, "", "", produce=("-m", DISHONEST, "produce")), "hardened")
DROP = Entry(Peer("drop", "", DISHONEST, SCRIPT, "", "", produce=("-m", HONEST, "produce")), "hardened")
pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """By entry. All four at once: it is their messages that are compared, and not their times."""
    fault = next(each for each in FAULTS if each.key == "kill-producer")
    entries = [*(entry for entry in ENTRIES if entry.key in ("ours", "pika-hardened")), CHEAT, DROP]
    with BROKERS["container"]() as rabbit:  # pika is in our own environment, too
        folder, versions = tmp_path_factory.mktemp("peers"), {"broker": "RabbitMQ"}
        found = put_to_test(entries, fault, rabbit, folder, sys.executable, run=1, versions=versions, quiet=3)
    return {row.entry: row for row in found}


@pytest.mark.parametrize("entry", ["ours", "pika-hardened"])
def test_a_killed_producer_loses_nothing_that_it_believed_sent(rows: dict[str, Row], entry: str) -> None:
    row = rows[entry]
    assert (row.lost, row.held, row.stuck) == (0, 0, False)
    assert row.sent > 0
    assert row.starts == 5  # three times the producer, which was started again each time


@pytest.mark.parametrize("entry", ["cheat-hardened", "drop-hardened"])
def test_a_publisher_that_says_sent_before_it_is_and_a_consumer_that_drops_are_caught(
    rows: dict[str, Row], entry: str
) -> None:
    row = rows[entry]
    assert row.lost > row.sent / 10
    assert row.lost <= row.attempted - row.handled, "one may be handled that its publisher never knew to be sent"
