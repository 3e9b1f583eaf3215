"""What the commands take and say; with a broker they are tested in tests/broker and tests/system."""

import io
import json
import signal
import sys
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from common.amqp.errors import BrokerError, Kind
from common.message import Message
from consumer.dead_letters import commands as module
from consumer.dead_letters.commands import COMMANDS, MAX_LISTED, Commands, confirmed, parse, tell
from consumer.dead_letters.dead_letter import DeadLetter
from consumer.dead_letters.scan import Report, Scan

REPORT = Report("purge", "jobs.dead", 2000, 2000, 1500)
LOST = BrokerError(Kind.CREDENTIALS, "403 ACCESS_REFUSED")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQ_URL", "amqp://user:Zq7Xj9Kv@rabbit/")
    monkeypatch.setenv("MQ_CH", "jobs")
    monkeypatch.setenv("MQ_TOPOLOGY", "create")


@pytest.fixture
def signals() -> Iterator[None]:
    """A command ends as a process does: without its own handlers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_flags_of_a_replay_and_its_queue_are_parsed() -> None:
    parsed, settings = parse(["replay", "--match", "id=a", "--match", "error~x", "--max", "7", "--again", "--dry-run"])
    assert (parsed.command, parsed.max, parsed.again, parsed.dry_run, parsed.json) == ("replay", 7, True, True, False)
    letter = DeadLetter(1, Message(b"", message_id="a"))
    assert [matches(letter) for matches in parsed.match] == [True, False]
    assert settings.mq_ch == "jobs"


def test_a_list_is_bounded_and_a_purge_is_not() -> None:
    """The rows of a list are kept in memory."""
    assert parse(["list"])[0].max == MAX_LISTED
    assert parse(["purge"])[0].max is None
    assert parse(["purge", "--max", "1"])[0].max == 1


def test_commands_declare_no_queues_and_log_only_errors() -> None:
    """Whatever the services are set to."""
    _, settings = parse(["show", "@3", "--mq-ch", "other"])
    assert (settings.mq_topology, settings.log_level, settings.mq_ch) == ("assert", "error", "other")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_the_exit_codes_and_the_syntax_of_expressions(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([command, "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit codes: 0 done; 1 not all of it" in text
    assert "--mq-ch" in text
    assert ("header.NAME=TEXT" in text) is (command != "show")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["drop"], "invalid choice"),
        (["show"], "ID"),
        (["list", "--match", "age>2h"], "'age>2h' is none of"),
        (["list", "--max", "0"], "'0' is no number from 1 on"),
        (["list", "--max", "many"], "'many' is no number"),
        (["list", "--yes"], "--yes"),
        (["purge", "--again"], "--again"),
        (["list", "--mq-ch", "amq.x"], "MQ_CH: "),
        (["list", "--mq-url", "amqp://u:Zq7Xj9Kv@h"], "command line"),
        (["list", "amqp://u:Zq7Xj9Kv@h"], "unrecognized"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_a_line_without_the_password(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert says in error
    assert "Zq7Xj9Kv" not in error


@pytest.mark.usefixtures("signals", "own_metrics")
@pytest.mark.parametrize("arguments", [["list"], ["show", "m1"], ["replay", "--json"], ["purge", "--yes"]])
def test_without_a_broker_each_command_says_so_and_nothing_else(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No number that nobody knows. The exit code is the preflight's."""
    monkeypatch.setenv("MQ_URL", "amqp://127.0.0.1:1")
    with capture_logs():
        assert Commands(*parse(arguments)).run() == 11
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "the broker amqp://guest@127.0.0.1:1/ cannot be used: connection refused: nothing listens there (yet)"
    ]


@pytest.mark.usefixtures("signals", "own_metrics")
@pytest.mark.parametrize(
    ("left_over", "interrupted", "error", "code"),
    [(0, False, None, 0), (1, False, None, 1), (0, True, None, 1), (1, True, LOST, 14)],
)
def test_the_exit_code_is_0_for_all_1_for_a_part_and_the_preflights_for_a_lost_broker(
    left_over: int, interrupted: bool, error: BrokerError | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`left_over` is the exit code of the process, which is 1 after a defect, too."""

    def run(scan: Scan) -> int:
        scan.interrupted, scan.error = interrupted, error
        return left_over

    monkeypatch.setattr(module, "Process", Mock(return_value=Mock(run=run)))
    assert Commands(*parse(["purge", "--yes"])).run() == code


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        """Whether a person can be asked."""
        return True


@pytest.fixture
def parked(monkeypatch: pytest.MonkeyPatch, signals: None, own_metrics: None) -> None:
    """Each scan reads `m1` to `m3`, and what it acknowledges is committed."""

    def run(scan: Scan) -> int:
        browser = scan.browser
        browser.total, browser.finished, tags = 3, True, []
        browser.acknowledge = tags.extend  # type: ignore[method-assign]
        for number in (1, 2, 3):
            browser.seen += 1
            scan.visit(number, Message(b"", message_id=f"m{number}"))
        browser.acknowledged = len(tags)
        return 0

    monkeypatch.setattr(module, "Process", Mock(return_value=Mock(run=run)))


@pytest.mark.usefixtures("parked")
@pytest.mark.parametrize("wanted", ["m2", "@2"])
def test_show_finds_a_message_by_its_id_or_its_position(wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert Commands(*parse(["show", wanted, "--json"])).run() == 0
    [line] = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["position"], json.loads(line)["id"]) == (2, "m2")


@pytest.mark.usefixtures("parked")
def test_a_message_whose_id_looks_like_a_position_does_not_take_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stranger chooses ids: `show @2` is the second message, whatever the first is called."""
    monkeypatch.setattr(Message, "message_id", "@2")
    assert Commands(*parse(["show", "@2", "--json"])).run() == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["position"] == 2


def test_what_is_told_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A broker's words are told."""
    tell("the broker cannot be used: \x1b]0;pwned\x07\u202e")
    assert capsys.readouterr().err == "the broker cannot be used: \\x1b]0;pwned\\x07\\u202e\n"


@pytest.mark.usefixtures("parked")
@pytest.mark.parametrize("wanted", ["m4", "@4", "@x"])
def test_show_of_a_message_that_is_not_parked_says_so_and_exits_with_1(
    wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Commands(*parse(["show", wanted])).run() == 1
    assert capsys.readouterr() == ("", f"no message {wanted} is parked\n")


@pytest.mark.usefixtures("parked")
@pytest.mark.parametrize(
    ("match", "answer", "says", "code"),
    [
        ("id~m", "n\n", "nothing was deleted", 1),
        ("id=m2", "y\n", "purged 1 of 3 parked messages of jobs.dead", 0),
        ("id=m4", "y\n", "nothing was deleted", 0),
    ],
)
def test_purge_asks_at_a_terminal_unless_no_message_matches(
    match: str,
    answer: str,
    says: str,
    *,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert Commands(*parse(["purge", "--match", match])).run() == code
    said = capsys.readouterr().err
    assert said.endswith(f"{says}\n")
    assert ("[y/N]" in said) is (match != "id=m4")


@pytest.mark.parametrize("closed", [False, True])
def test_purge_without_a_terminal_exits_with_2_and_names_yes(
    closed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No broker is asked before."""
    monkeypatch.setattr(sys, "stdin", None if closed else io.StringIO("y\n"))
    with pytest.raises(SystemExit) as caught:
        Commands(*parse(["purge"])).run()
    assert caught.value.code == 2
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "wanted"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_purge_needs_a_yes_and_end_of_input_means_no(
    answer: str, wanted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert confirmed(REPORT) is wanted
    assert capsys.readouterr().err == "Delete 1,500 of 2,000 parked messages of jobs.dead? [y/N] "
