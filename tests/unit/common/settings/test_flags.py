"""Settings of the command line and the environment, or exit code 2."""

import io
import os
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import Field

from common.settings.flags import default_of, fail, flag_of, load, say, unknown, utf8, written
from common.settings.shared import Settings
from consumer.settings import ConsumerSettings
from producer.settings import ProducerSettings

URL = "amqp://user:Zq7Xj9Kv@rabbit/"
SERVICES: list[type[Settings]] = [ProducerSettings, ConsumerSettings]
# Of packages that can be deleted.
for module, name in (("common.doctor", "DoctorSettings"), ("consumer.verify", "VerifySettings")):
    if find_spec(module):
        SERVICES.append(getattr(import_module(f"{module}.settings"), name))
BAD = {
    "MQ_URL": "http://x",
    "MQ_URL_FILE": "/nowhere/at/all",
    "MQ_CH": "amq.x",
    "MQ_TOPOLOGY": "make",
    "MQ_HEARTBEAT": "500ms",
    "MQ_CONNECT_TIMEOUT": "0s",
    "MQ_BLOCKED_TIMEOUT": "soon",
    "MQ_CONFIRM_TIMEOUT": "10",
    "MQ_BACKOFF_MAX": "-1s",
    "MQ_MAX_BODY": "16MB",
    "MQ_WIRE": "quick",
    "MQ_TLS_CA_FILE": "/nowhere/at/all",
    "HTTP_PORT": "65536",
    "SHUTDOWN_GRACE": "20",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
}
BAD_PRODUCER = {
    "PRODUCER_RATE": "0",
    "PRODUCER_COUNT": "0",
    "PRODUCER_WINDOW": "65536",
    "PRODUCER_CHECKPOINT": "/tmp/x",
}
BAD_CONSUMER = {
    "CONSUMER_WORKERS": "0",
    "CONSUMER_PREFETCH": "many",
    "CONSUMER_HANDLER_TIMEOUT": "0s",
    "CONSUMER_RETRY_DELAYS": "5s,,5m",
    "CONSUMER_IDLE_EXIT": "soon",
}


@pytest.fixture(autouse=True)
def enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQ_URL", URL)
    monkeypatch.setenv("MQ_CH", "jobs")


def refused(capsys: pytest.CaptureFixture[str], settings: type[Settings], *arguments: str) -> list[str]:
    """The lines on standard error of a start that must exit with 2."""
    with pytest.raises(SystemExit) as caught:
        load(settings, "program", arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.splitlines()


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [(ProducerSettings, *item) for item in (BAD | BAD_PRODUCER).items()]
    + [(ConsumerSettings, *item) for item in BAD_CONSUMER.items()],
)
def test_a_wrong_setting_is_one_line_with_the_name_of_its_variable(
    settings: type[Settings], name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a variable and as a flag; exit code 2."""
    by_flag = refused(capsys, settings, f"{flag_of(name.lower())}={value}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        by_variable = refused(capsys, settings)
    assert by_flag == by_variable
    (line,) = by_flag
    assert line.startswith(f"{name}: ")
    assert "Zq7Xj9Kv" not in line


def test_all_wrong_settings_are_reported_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("HTTP_PORT", "x")
    lines = refused(capsys, ProducerSettings, "--window=0")
    assert [line.split(":")[0] for line in lines] == ["HTTP_PORT", "LOG_LEVEL", "PRODUCER_WINDOW"]
    assert all("for example" in line for line in lines)


def test_a_missing_setting_is_reported_with_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty variable counts as missing."""
    monkeypatch.setenv("MQ_CH", "")
    assert refused(capsys, ProducerSettings) == ["MQ_CH: is required, for example jobs"]
    monkeypatch.setenv("MQ_CH", "jobs")
    monkeypatch.delenv("MQ_URL")
    (line,) = refused(capsys, ProducerSettings)
    assert line.startswith("MQ_URL: is required, or MQ_URL_FILE, for example amqp://")
    monkeypatch.delenv("MQ_CH")
    assert {each.partition(":")[0] for each in refused(capsys, ProducerSettings)} == {"MQ_URL", "MQ_CH"}


@pytest.mark.parametrize(
    "arguments", [["--url=" + URL], [URL], ["--mq-ch", "jobs", "--broker", URL], [URL.replace("@", "/#?@")]]
)
def test_a_password_in_an_unknown_argument_is_not_shown(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Zq7Xj9Kv" not in "".join(refused(capsys, ProducerSettings, *arguments))


@pytest.mark.parametrize("url", [URL, "amqp://user:a/Zq7Xj9Kv@h", "amqps://a,amqp://user:Zq7Xj9Kv@h", "x:Zq7Xj9Kv@h"])
@pytest.mark.parametrize("user", ["user:", ""])
def test_a_url_with_a_password_or_token_is_refused_as_a_flag_and_not_shown(
    url: str, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every user of the machine sees command lines, and a user name that stands alone may be a token."""
    url = url.replace("user:", user)
    lines = refused(capsys, ProducerSettings, "--mq-url", url)
    assert lines[0].startswith("MQ_URL: ")
    assert "Zq7Xj9Kv" not in "".join(lines)


@pytest.mark.parametrize("user", ["me:Zq7Xj9Kv", "Zq7Xj9Kv"])
def test_an_otlp_url_with_a_password_or_token_is_refused_as_a_flag(
    user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = refused(capsys, ProducerSettings, "--otel-exporter-otlp-endpoint", f"https://{user}@otlp:4318")
    assert line.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: a password or token on a command line")
    assert "Zq7Xj9Kv" not in line


def test_a_url_without_a_user_may_be_a_flag() -> None:
    loaded = load(ProducerSettings, "program", ["--mq-url", "amqp://rabbit/v"])
    assert [str(url) for url in loaded.broker_urls()] == ["amqp://guest@rabbit:5672/v"]


@pytest.mark.parametrize("settings", SERVICES)
def test_help_shows_each_setting_with_its_variable_and_default(
    settings: type[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody needs to read anything else to run a program."""
    with pytest.raises(SystemExit) as caught:
        load(settings, "program", ["--help"])
    assert caught.value.code == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for name, info in settings.model_fields.items():
        assert flag_of(name) in shown
        assert f"{name.upper()}: {info.description} (default: {default_of(info)})" in shown
    assert "Zq7Xj9Kv" not in shown


@pytest.mark.parametrize("settings", SERVICES)
def test_each_setting_has_an_example_that_is_accepted(settings: type[Settings]) -> None:
    """Errors show the example."""
    for name, info in settings.model_fields.items():
        assert info.examples
        source = ["--source=lines:/x"] if name == "producer_checkpoint" else []
        if not name.endswith("_file") and name != "mq_url":  # those files need not be here, and a URL has a password
            load(settings, "program", [f"{flag_of(name)}={info.examples[0]}", *source])


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a single run can differ."""
    monkeypatch.setenv("MQ_HEARTBEAT", "20s")
    assert load(ProducerSettings, "program", []).mq_heartbeat == 20
    assert load(ProducerSettings, "program", ["--mq-heartbeat", "30s"]).mq_heartbeat == 30


def test_an_unknown_or_abbreviated_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """An abbreviation would change its meaning with the next flag that is added."""
    assert "--sourc" in refused(capsys, ProducerSettings, "--sourc", "lines")[-1]
    assert refused(capsys, ProducerSettings, "--workers", "2")


@pytest.mark.parametrize(
    ("field", "flag"),
    [
        ("mq_ch", "--mq-ch"),
        ("producer_source", "--source"),
        ("consumer_idle_exit", "--idle-exit"),
        ("doctor_wait", "--wait"),
        ("verify_count", "--count"),
        ("http_port", "--http-port"),
    ],
)
def test_a_flag_is_its_variable_without_the_programs_name(field: str, flag: str) -> None:
    """In lower case, with dashes."""
    assert flag_of(field) == flag


@pytest.mark.parametrize("settings", SERVICES)
def test_no_two_settings_share_a_flag(settings: type[Settings]) -> None:
    """Flags have no prefix that would tell them apart."""
    flags = [flag_of(name) for name in settings.model_fields]
    assert len(flags) == len(set(flags))


def test_fail_writes_each_line_to_standard_error_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fail(["A: wrong", "B: wrong"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "A: wrong\nB: wrong\n"


HOSTILE = "\x1b]0;pwned\x07\x9b\u202e\udcff"
ESCAPED = "\\x1b]0;pwned\\x07\\x9b\\u202e\\udcff"


def test_sentences_and_reports_write_foreign_control_characters_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A plugin's error, the broker's words, a flag. Lines and tabs of a report stay."""
    with pytest.raises(SystemExit):
        fail([f"A: {HOSTILE}\n"])
    assert capsys.readouterr().err == f"A: {ESCAPED}\\n\n"
    with pytest.raises(SystemExit):
        load(Settings, "program", [HOSTILE])
    assert ESCAPED in capsys.readouterr().err
    say(f"a\tb\n{HOSTILE}")
    assert capsys.readouterr().out == f"a\tb\n{ESCAPED}\n"


def test_a_switch_needs_no_value_and_may_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a variable it needs a value."""

    class Switch(Settings):
        doctor_json: bool = Field(False, description="print JSON", examples=["true"])

    given: list[list[str]] = [[], ["--json"], ["--json=false"]]
    assert [load(Switch, "program", each).doctor_json for each in given] == [False, True, False]
    monkeypatch.setenv("DOCTOR_JSON", "true")
    assert load(Switch, "program", []).doctor_json


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "on"), (False, "off"), (0.25, "250ms"), ((5.0, 60.0), "5s,1m"), (None, "-"), (7, "7"), ("x", "x")],
)
def test_values_are_written_as_people_write_them(value: object, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("encoding", "shown", "symbols"), [("ascii", b"? \n", False), ("utf-8", b"\xe2\x9c\x93 \n", True)]
)
def test_characters_that_standard_output_lacks_are_replaced(
    encoding: str, shown: bytes, symbols: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report with a mark is better than no report."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    say("✓ ")
    assert out.getvalue() == shown
    assert utf8() is symbols


def test_a_reader_who_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`| head` has read enough, and the exit code still counts."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        for _ in range(3):
            say("more")
        assert Path(f"/proc/self/fd/{writing}").readlink() == Path(os.devnull)


PRODUCERS = ["mq_url", "mq_ch", "producer_source", "http_port", "log_level"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("PRODUCER_SORCE", "PRODUCER_SOURCE"), ("producer_surce", "PRODUCER_SOURCE"), ("MQ_URI", "MQ_URL"), ("MQ_X", "")],
)
def test_a_misspelled_setting_is_named_with_the_one_that_is_meant(name: str, meant: str) -> None:
    """If one is similar."""
    assert unknown(PRODUCERS, [name, "PATH"]) == {name: meant}


@pytest.mark.parametrize(
    "name", ["MQ_URL", "mq_url", "CONSUMER_WORKRS", "HTTP_PROXY", "LOG_DIR", "MQ_SERVICE_HOST", "MQ_PORT_5672_TCP"]
)
def test_settings_and_variables_of_others_are_not_misspelled(name: str) -> None:
    """Variables of the other service, of other programs, and of Kubernetes for a Service."""
    assert unknown(PRODUCERS, [name]) == {}
