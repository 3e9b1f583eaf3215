"""Checks, as people and programs read them."""

import json
from pathlib import Path

from common.amqp.errors import BrokerError, Kind
from common.doctor.report import (
    Check,
    Status,
    as_object,
    conclusion,
    exit_code,
    in_force,
    refused,
    row,
    settings_lines,
)
from common.doctor.settings import CheckSettings

OK = Check("tcp", Status.OK, "127.0.0.1 port 5672", seconds=0.0012)
WARNING = Check("alarms", Status.WARNING, "low on memory", "free some")
FAILED = refused("login", BrokerError(Kind.CREDENTIALS, "refused", "look at the password"))


def test_the_first_that_failed_is_the_exit_code() -> None:
    """What comes after it may be its consequence, and warnings keep nobody from working."""
    vhost = refused("virtual host", BrokerError(Kind.VHOST, "no such"))
    queues = refused("queue jobs", BrokerError(Kind.TOPOLOGY, "differs"))
    warning = refused("queue jobs", BrokerError(Kind.PERMISSION, "may not"), fatal=False)
    assert exit_code([OK, warning, vhost, queues]) == 15
    assert exit_code([OK, queues, vhost]) == 17
    assert exit_code([OK, warning]) == exit_code([]) == 0


def test_each_refusal_comes_with_what_to_do() -> None:
    """The broker's own advice first, else that of its kind."""
    assert refused("login", BrokerError(Kind.CREDENTIALS, "no", "look there")).advice == "look there"
    for kind in Kind:
        assert refused("x", BrokerError(kind, "no")).advice
        assert refused("x", BrokerError(kind, "no"), fatal=False) == Check(
            "x", Status.WARNING, "no", refused("x", BrokerError(kind, "no")).advice
        )


def test_a_row_has_a_word_where_there_is_no_terminal() -> None:
    """ASCII alone, and what to do below."""
    assert row(OK, 12, pretty=False) == "  ok      tcp              1.2 ms  127.0.0.1 port 5672"
    first, second = row(FAILED, 12, pretty=False).splitlines()
    assert first.split() == ["FAILED", "login", "refused"]
    assert second.strip() == "-> look at the password"
    assert second.index("->") == first.index("refused")


def test_a_row_has_a_symbol_and_a_colour_on_a_terminal() -> None:
    """In the same columns, where colours are not counted."""
    first, second = (
        row(FAILED, 12, pretty=True, colours=True).replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines()
    )
    assert first.split() == ["✗", "login", "refused"]
    assert second.index("→") == first.index("refused")


def test_what_a_broker_says_of_itself_cannot_act_on_the_terminal() -> None:
    """Nor the name of a queue, or the advice."""
    hostile = "\x1b]0;pwned\x07\x9b\u202e\udcff"
    for colours in (False, True):
        text = row(Check(f"queue {hostile}", Status.NOTE, hostile, hostile), 12, pretty=True, colours=colours)
        text = text.replace("\x1b[90m", "").replace("\x1b[0m", "")
        assert text.replace("\n", "").isprintable()
        assert text.count("\\x1b]0;pwned\\x07\\x9b\\u202e\\udcff") == 3


def test_a_row_without_colours_keeps_its_symbol() -> None:
    assert row(OK, 12, pretty=True, colours=False).startswith("  ✓ tcp")


def test_a_long_text_stays_in_its_column() -> None:
    """Names with dashes are not broken."""
    lines = row(OK._replace(text="x-dead-letter-strategy " * 20), 12, pretty=False).splitlines()
    assert len(lines) > 3
    assert all(len(line) < 130 and line.endswith("strategy") for line in lines)


def test_the_last_line_says_whether_it_can_be_used() -> None:
    """Of each broker the first that failed counts."""
    assert conclusion([("a", [OK])]) == "the broker can be used"
    assert conclusion([("a", [OK, WARNING])]) == "the broker can be used; 1 warning"
    assert conclusion([("a", [OK, FAILED])]) == "the broker cannot be used: exit code 14"
    assert conclusion([("a", [FAILED]), ("b", [WARNING]), ("c", [FAILED])]) == "1 of 3 brokers can be used; 1 warning"


def test_the_settings_in_force_hide_the_password_and_nothing_else(tmp_path: Path) -> None:
    """From the variable and from the file alike."""
    url = "amqp://user:Zq7Xj9Kv@h/v, amqps://h2"
    file = tmp_path / "url"
    file.write_text(url)
    for given in ({"mq_url": url}, {"mq_url_file": file}):
        settings = CheckSettings.model_validate({**given, "mq_ch": "jobs", "mq_heartbeat": "20s"})
        values = in_force(settings)
        assert values["MQ_URL"] == "amqp://user@h:5672/v, amqps://guest@h2:5671/"
        assert values["MQ_HEARTBEAT"] == "20s"
        assert values.keys() == {name.upper() for name in CheckSettings.model_fields}
        lines = settings_lines(settings)
        assert "  MQ_HEARTBEAT         20s" in lines
        assert "  MQ_URL               amqp://user@h:5672/v, amqps://guest@h2:5671/" in lines
        assert not any("MQ_CONNECT_TIMEOUT" in line for line in lines if "by default" not in line and line[2] != " ")
        assert "MQ_CONNECT_TIMEOUT 10s" in " ".join(" ".join(lines).split())
        assert "Zq7Xj9Kv" not in str(values) + str(lines)


def test_a_password_for_the_collector_is_hidden_too() -> None:
    """Or a token: whatever stands before its host, also what should have been encoded."""
    for user in ("me:Zq7Xj9Kv", "Zq7Xj9Kv", "me:a/Zq7Xj9Kv", "me:a@Zq7Xj9Kv"):
        given = {"mq_url": "amqp://h", "mq_ch": "q", "otel_exporter_otlp_endpoint": f"https://{user}@otlp:4318"}
        settings = CheckSettings.model_validate(given)
        assert in_force(settings)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://…@otlp:4318"
        assert "Zq7Xj9Kv" not in str(settings_lines(settings))


def test_the_object_is_json_with_all_of_it() -> None:
    """Times in seconds, null where there are none."""
    settings = CheckSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"})
    found = json.loads(json.dumps(as_object(settings, [("amqp://h", [OK, FAILED])], WARNING, 14)))
    assert found["exit_code"] == found["brokers"][0]["exit_code"] == 14
    assert [check["seconds"] for check in found["brokers"][0]["checks"]] == [0.0012, None]
    assert [check["verdict"] for check in found["brokers"][0]["checks"]] == ["ok", "failed"]
    assert found["clock"]["name"] == "alarms"
    assert found["settings"]["MQ_CH"] == "jobs"
