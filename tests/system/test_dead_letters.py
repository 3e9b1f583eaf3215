"""`consumer dead-letters` as people use it: what it says, what it asks, how it ends."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from local.ports import free_port
from tests.brokers import Broker
from tests.conftest import Start
from tests.parking import drain, ids, names, park, ready, rows, run
from tests.processes import ROOT, until
from tests.system.kit import PLUGINS, peak
from tests.system.manage import add_user, permit, policy

WIDTH = 60  # columns
MOST = 80  # MiB, half of them Python's own
REFUSALS = {
    "nobody listens": (11, "connection refused"),
    "wrong password": (14, "look at the user and the password"),
    "no right": (16, "give the user this permission"),
    "no queue": (17, "is MQ_CH right?"),
}

Terminal = Callable[..., tuple[int, str]]


@pytest.fixture
def terminal(broker: Broker, mq_ch: str) -> Terminal:
    """`terminal("purge", answer="y")`: exit code and all that a terminal of WIDTH columns showed.

    `before` is called when the question stands.
    """

    def run_on_terminal(
        *arguments: str, answer: str = "", before: Callable[[], None] = lambda: None
    ) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer", "dead-letters", *arguments],
            env=environment | {"MQ_URL": broker.url, "MQ_CH": mq_ch},
            cwd=ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
                if answer and b"[y/N]" in shown:
                    before()
                    os.write(ours, f"{answer}\n".encode())
                    answer = ""
        except OSError:  # what Linux says at the end of a terminal
            pass
        os.close(ours)
        return process.wait(30), shown.decode().replace("\r\n", "\n")

    return run_on_terminal


def test_a_table_is_as_wide_as_the_terminal_and_moves_no_cursor(
    terminal: Terminal, channel: BlockingChannel, mq_ch: str
) -> None:
    """Long lines are cut; what a stranger put into an error is shown, not obeyed."""
    park(channel, mq_ch, 3, **{"mq-last-error": "\x1b[2J" + "long " * 40})
    code, shown = terminal("list")
    lines = shown.splitlines()
    assert code == 0
    assert [len(line) for line in lines[1:4]] == [WIDTH] * 3
    assert lines[0].split() == ["#", "ID", "AGE", "ATTEMPT", "REPLAYS", "BYTES", "ERROR"]
    assert r"\x1b[2Jlong" in lines[1]
    assert lines[-1] == f"3 of 3 parked messages of {mq_ch}.dead"
    assert "\x1b" not in shown


def test_a_purge_asks_a_person_first(terminal: Terminal, channel: BlockingChannel, mq_ch: str) -> None:
    """How many of how many; without a yes nothing is deleted."""
    park(channel, mq_ch, 4)
    code, shown = terminal("purge", "--match", "error~Time", answer="n")
    assert f"Delete 2 of 4 parked messages of {mq_ch}.dead? [y/N]" in shown
    assert code == 1
    until(lambda: ready(channel, f"{mq_ch}.dead") == 4, "all are still there")
    assert terminal("purge", "--match", "error~Time", answer="y")[0] == 0
    assert ids(channel, f"{mq_ch}.dead", 2) == ["m1", "m3"]


def test_a_purge_deletes_only_what_its_person_was_asked_about(
    terminal: Terminal, start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """Somebody replays the first ones while the question stands, and others would be the first then."""
    park(channel, mq_ch, 4)

    def replay() -> None:
        run(start, "replay", "--max", "1")
        until(lambda: ready(channel, f"{mq_ch}.dead") == 3, "the others are back")

    code, shown = terminal("purge", "--max", "2", answer="y", before=replay)
    assert f"Delete 2 of 4 parked messages of {mq_ch}.dead? [y/N]" in shown
    assert f"purged 1 of 3 parked messages of {mq_ch}.dead" in shown
    assert code == 0
    assert ids(channel, f"{mq_ch}.dead", 2) == ["m2", "m3"]


def test_a_purge_without_a_person_needs_yes(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """It deletes what matches, and says how many."""
    park(channel, mq_ch, 100)
    assert "--yes" in run(start, "purge", code=2).stderr.read_text()
    [report] = rows(run(start, "purge", "--yes", "--json", "--match", "error~Time"))
    assert (report["parked"], report["done"], report["exit_code"]) == (100, 50, 0)
    assert ids(channel, f"{mq_ch}.dead", 50) == names(100)[1::2]


def test_what_was_replayed_twice_goes_a_third_time_only_when_asked(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """It stays, is counted, and the exit code says that not all was done. A dry run does nothing."""
    park(channel, mq_ch, 2, **{"mq-replays": 2})
    park(channel, mq_ch, 1, **{"mq-replays": 1})
    dead = f"{mq_ch}.dead"
    assert [row["replays"] for row in rows(run(start, "replay", "--dry-run", "--json", code=1))] == [1]
    until(lambda: ready(channel, dead) == 3, "all are still there")
    refused = run(start, "replay", code=1)
    until(lambda: ready(channel, dead) == 2, "one is gone")
    assert "2 were replayed twice already" in refused.stderr.read_text()
    [report] = rows(run(start, "replay", "--again", "--json"))
    assert (report["parked"], report["done"], report["exit_code"]) == (2, 2, 0)
    assert [properties.headers["mq-replays"] for properties, _ in drain(channel, mq_ch, 3)] == [2, 3, 3]


def test_a_replay_ends_while_its_messages_are_parked_again(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """It goes to what was the end of the queue when it began, so that each message goes once."""
    park(channel, mq_ch, 3000, size=0)
    consumer = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:fail", CONSUMER_RETRY_DELAYS="off", RECORD="/dev/null")
    consumer.wait_ready()
    [report] = rows(run(start, "replay", "--json"))
    assert (report["parked"], report["done"]) == (3000, 3000)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 3000, "all are parked again")
    again = drain(channel, f"{mq_ch}.dead", 3000)
    assert [properties.message_id for properties, _ in again] == names(3000)
    assert {properties.headers["mq-replays"] for properties, _ in again} == {1}


def test_a_replay_interrupted_by_its_person_says_what_was_done(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """The queue is full, and it waits: what has no confirm stays parked, in its order."""
    park(channel, mq_ch, 2000)
    with policy(broker, mq_ch, {"max-length": 100}):
        process = start("consumer", "dead-letters", "replay", "--json", SHUTDOWN_GRACE="500ms")
        until(lambda: ready(channel, mq_ch) >= 100, "the queue is full")
        process.signal(signal.SIGINT)
        assert process.wait() == 1
    [report] = rows(process)
    assert report["interrupted"]
    until(lambda: ready(channel, f"{mq_ch}.dead") == 2000 - report["done"], "what is done left the queue, and no other")
    came = ids(channel, mq_ch, ready(channel, mq_ch))
    assert names(2000)[: report["done"]] == came[: report["done"]]
    assert len(came) <= report["done"] + report["unconfirmed"]


@pytest.mark.parametrize("what", REFUSALS)
def test_a_broker_that_refuses_is_explained_at_once(
    what: str, start: Start, channel: BlockingChannel, broker: Broker, mq_ch: str
) -> None:
    """In the words of the preflight, with its exit codes; and never the password."""
    with add_user(broker, mq_ch) as address:
        if what == "no right":
            park(channel, mq_ch, 1)
            permit(broker, mq_ch, read="^$")
        if what == "no right":
            start("producer", "--count", "1").wait()
        host = f"127.0.0.1:{free_port()}" if what == "nobody listens" else address
        word = "S3cret" if what == "wrong password" else "pass"
        code, says = REFUSALS[what]
        process = run(start, "list", code=code, MQ_URL=f"amqp://{mq_ch}:{word}@{host}")
    said = process.stderr.read_text()
    assert says in said
    assert len(said.splitlines()) == 1
    assert f":{word}@" not in said


def test_a_plain_start_imports_none_of_it() -> None:
    """The service pays nothing for it."""
    code = "import sys, consumer.__main__; print([name for name in sys.modules if 'dead_letters' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


def test_a_list_keeps_no_bodies(start: Start, channel: BlockingChannel, mq_ch: str) -> None:
    """Of 48 MB."""
    park(channel, mq_ch, 4000, size=12_000)
    process = start("consumer", "dead-letters", "list", "--max", "4000")
    seen = 0
    while process.code() is None:
        seen = peak(process) or seen
    assert 0 < seen < MOST


def test_a_replay_keeps_what_it_may_publish_soon(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """Of 64 MB, when the queue takes nothing."""
    park(channel, mq_ch, 1000, size=64_000)
    with policy(broker, mq_ch, {"max-length": 1}):
        process = start("consumer", "dead-letters", "replay")
        until(lambda: ready(channel, f"{mq_ch}.dead") < 1000, "it holds some")
        time.sleep(3)  # how much it is depends on when the first is refused
        assert peak(process) < MOST
        assert ready(channel, f"{mq_ch}.dead") > 0
