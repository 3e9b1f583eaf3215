"""One peer and one fault, and two programs whose lies the account must show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.environment import UnpreparedError
from tests.chaos.peers import environment
from tests.chaos.peers.faults import FAULTS, Fault
from tests.chaos.peers.lineup import ADAPTERS, ENTRIES, SCRIPT, Entry, Peer
from tests.chaos.peers.trial import Row, put_to_test
from tests.chaos.rabbit import BROKERS, Rabbit

HONEST, DISHONEST = f"{ADAPTERS}.pika_tutorial", f"{ADAPTERS}.dishonest"
CHEAT = Entry(Peer("cheat", "", HONEST, SCRIPT, "", "", produce=("-m", DISHONEST, "produce")), "hardened")
DROP = Entry(Peer("drop", "", DISHONEST, SCRIPT, "", "", produce=("-m", HONEST, "produce")), "hardened")
NOTHING = Fault("nothing", "nothing breaks", lambda _all, _broker: None)


@pytest.fixture(scope="module")
def python() -> str:
    try:
        return environment.python()
    except UnpreparedError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    with BROKERS["container"]() as running:
        yield running


@pytest.mark.docker
@pytest.mark.slow
def test_a_publisher_that_says_sent_before_it_is_and_a_consumer_that_drops_are_caught(
    python: str, rabbit: Rabbit, tmp_path: Path
) -> None:
    honest = next(entry for entry in ENTRIES if entry.key == "pika-hardened")
    rows = _run([honest, CHEAT, DROP], NOTHING, rabbit, python, tmp_path)
    assert rows["pika-hardened"].lost == 0
    for liar in (rows["cheat-hardened"], rows["drop-hardened"]):
        assert liar.lost > liar.sent / 10


@pytest.mark.docker
@pytest.mark.slow
def test_ours_and_a_peer_are_put_to_the_same_test(python: str, rabbit: Rabbit, tmp_path: Path) -> None:
    fault = next(each for each in FAULTS if each.key == "kill-producer")
    entries = [entry for entry in ENTRIES if entry.key in ("ours", "pika-first")]
    rows = _run(entries, fault, rabbit, python, tmp_path)
    assert (rows["ours"].lost, rows["ours"].held, rows["ours"].stuck) == (0, 0, False)
    assert all(row.starts >= 5 and row.sent > 0 for row in rows.values())


def _run(entries: list[Entry], fault: Fault, rabbit: Rabbit, python: str, folder: Path) -> dict[str, Row]:
    rows = put_to_test(entries, fault, rabbit, folder, python, run=1, versions={"broker": "RabbitMQ"})
    return {row.entry: row for row in rows}
