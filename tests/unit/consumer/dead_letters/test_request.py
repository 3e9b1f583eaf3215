"""The command line."""

import pytest

from common.message import Message
from consumer.dead_letters.parked import Parked
from consumer.dead_letters.request import COMMANDS, LISTED, parse


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQ_URL", "amqp://user:Zq7Xj9Kv@rabbit/")
    monkeypatch.setenv("MQ_CH", "jobs")
    monkeypatch.setenv("MQ_TOPOLOGY", "create")


def test_what_is_asked_for_and_where() -> None:
    """All of it."""
    asked, settings = parse(["replay", "--match", "id=a", "--match", "error~x", "--max", "7", "--again", "--dry-run"])
    assert (asked.command, asked.max, asked.again, asked.dry_run, asked.json) == ("replay", 7, True, True, False)
    assert [match(Parked(1, Message(b"", message_id="a"))) for match in asked.match] == [True, False]
    assert settings.mq_ch == "jobs"


def test_a_list_is_bounded_and_the_others_are_not() -> None:
    """Its rows are kept in memory."""
    assert parse(["list"])[0].max == LISTED
    assert parse(["purge"])[0].max is None


def test_a_look_makes_no_queues_and_says_only_what_is_wrong() -> None:
    """Whatever the services are set to."""
    _, settings = parse(["show", "@3", "--mq-ch", "other"])
    assert (settings.mq_topology, settings.log_level, settings.mq_ch) == ("assert", "error", "other")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_the_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And how to match."""
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
def test_a_mistake_is_exit_2_and_a_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the password."""
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert says in error
    assert "Zq7Xj9Kv" not in error
