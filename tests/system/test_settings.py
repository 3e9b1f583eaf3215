"""Mistakes in the configuration: exit 2 at once, a line that names the variable, and never the password."""

import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.ports import free_port
from tests.processes import OURS, ROOT
from tests.system.kit import Start

SECRET = "S3cr:t@/#x"
HOST = "localhost:5672"
URLS = {
    "empty": "",
    "blank": "   ",
    "no scheme": f"user:{SECRET}@{HOST}",
    "http": f"http://user:{SECRET}@{HOST}",
    "unescaped": f"amqp://user:{SECRET}@{HOST}/",
    "bad port": "amqp://user:S3crtx@localhost:port/",
    "port 0": "amqp://user:S3crtx@localhost:0/",
    "port too large": "amqp://user:S3crtx@localhost:70000/",
    "no host": "amqp://user:S3crtx@/",
    "query": "amqp://user:S3crtx@localhost/?heartbeat=0",
    "slashes": "amqp://user:S3crtx@localhost/a/b",
    "newline": "amqp://user:S3crtx@localhost/\n/",
    "half a bracket": "amqp://user:S3crtx@[::1/",
    "one bad of two": "amqp://localhost/,amqp://user:S3crtx@localhost:port/",
    "trailing comma": "amqp://user:S3crtx@localhost/,",
}
BOTH = {
    "MQ_CH": ["", "amq.x", "a\nb", "x" * 256, "ü" * 128, "a\x7fb", '"jobs"', "jobs ", "jobs\u00a0", "\ufeffjobs"],
    "MQ_TOPOLOGY": ["destroy", "create\r"],
    "MQ_HEARTBEAT": ["0", "5", "-1s", "0s", "11m"],
    "MQ_CONNECT_TIMEOUT": ["soon", "0s"],
    "MQ_BLOCKED_TIMEOUT": ["0s"],
    "MQ_CONFIRM_TIMEOUT": ["1 day"],
    "MQ_BACKOFF_MAX": ["nan", "inf"],
    "MQ_MAX_BODY": ["0", "16MB", "-1"],
    "MQ_TLS_CA_FILE": ["/no/such/file", "/"],
    "HTTP_PORT": ["-1", "65536", "http", "8080\r"],
    "SHUTDOWN_GRACE": ["20", "20s\r"],
    "LOG_LEVEL": ["loud", "info\u00a0"],
    "LOG_FORMAT": ["xml"],
    "MQ_URL_FILE": ["/no/such/file"],
    "MQ_TLS_CERT_FILE": ["/no/such/file"],
    "MQ_TLS_KEY_FILE": ["/no/such/file"],
}
PRODUCER = {
    "PRODUCER_RATE": ["0", "-1", "fast", "nan"],
    "PRODUCER_COUNT": ["0", "1.5"],
    "PRODUCER_WINDOW": ["0", "70000"],
    "PRODUCER_HTTP_PORT": ["0", "65536"],
    "PRODUCER_HTTP_REQUESTS": ["0", "257"],
    "PRODUCER_HTTP_MAX_BODY": ["0", "1MB"],
    "PRODUCER_HTTP_TIMEOUT": ["0s", "10"],
    "PRODUCER_HTTP_HOSTS": ["http://queue", "queue:8000"],
    "PRODUCER_HTTP_TOKEN_FILE": ["/no/such/file", "/dev/null"],
    "PRODUCER_CHECKPOINT": ["checkpoint\r", "checkpoint\u200b", '"checkpoint"'],
}
CONSUMER = {
    "CONSUMER_WORKERS": ["0", "1001"],
    "CONSUMER_PREFETCH": ["0", "2001"],
    "CONSUMER_HANDLER_TIMEOUT": ["0s"],
    "CONSUMER_IDLE_EXIT": ["later"],
    "CONSUMER_RETRY_DELAYS": ["5", "5s,,30s", "0s"],
}
PLUGINS = {
    ("producer", "PRODUCER_SOURCE"): [
        *(
            "line",
            "lines:/no/such/file",
            "lines:/",
            "lines:in\r",
            "nowhere:source",
            "no.where:source",
            "os:nothing",
            "os:sep",
            "os:",
        ),
    ],
    ("consumer", "CONSUMER_HANDLER"): [
        *(
            "logg",
            "append:/no/such/folder/file",
            "append:/",
            "append:",
            "append:x\r",
            "append:x\u200b",
            'append:"x"',
            "nowhere:handler",
            "os:nothing",
            ":handler",
        ),
    ],
}
TOGETHER = {
    "MQ_URL_FILE": {"MQ_URL_FILE": "/etc/hostname", "MQ_URL": "amqp://127.0.0.1/"},
    "MQ_TLS_CERT_FILE": {"MQ_TLS_KEY_FILE": "/etc/hostname"},
    "MQ_TLS_CA_FILE": {"MQ_TLS_CA_FILE": "/etc/hostname", "MQ_URL": "amqps://127.0.0.1/"},
    "PRODUCER_CHECKPOINT": {"PRODUCER_CHECKPOINT": "/tmp/checkpoint"},
    "MQ_URL": {"MQ_URL": ""},
}
SECOND = 1.0  # of the machine's time; by the clock it may be longer while others work


def run(service: str, *arguments: str, **env: str) -> tuple[int, list[str]]:
    """Run a service to its end with only these settings; its exit code and lines. Without a password in them."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    good = {"MQ_URL": "amqp://127.0.0.1:1/", "MQ_CH": "jobs", "HTTP_PORT": "0"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", service, *arguments],
        env=inherited | good | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECOND
    said = done.stdout + done.stderr
    assert "S3c" not in said
    assert "Traceback" not in said
    return done.returncode, said.splitlines()


def refused(service: str, variables: set[str], *arguments: str, example: bool = False, **env: str) -> None:
    """It ends with 2 and exactly one line for each of these variables: its name, what is wrong, and an `example`."""
    code, lines = run(service, *arguments, **env)
    assert code == 2, lines
    assert sorted(line.partition(":")[0] for line in lines) == sorted(variables), lines
    assert all(len(line.partition(":")[2]) > 10 for line in lines), lines
    assert not example or all(re.search(r"for example \S", line) for line in lines), lines


@pytest.mark.parametrize("kind", URLS)
def test_a_wrong_url_is_refused_without_a_part_of_it(kind: str) -> None:
    """Any part of a URL may be the password."""
    refused("producer", {"MQ_URL"}, example=True, MQ_URL=URLS[kind])


@pytest.mark.parametrize("kind", ["unescaped", "bad port", "empty"])
def test_a_wrong_url_in_a_file_is_refused_as_well(kind: str, tmp_path: Path) -> None:
    """And the file is named."""
    file = tmp_path / "url"
    file.write_text(URLS[kind])
    refused("consumer", {"MQ_URL_FILE"}, MQ_URL="", MQ_URL_FILE=str(file))


@pytest.mark.parametrize("number", range(max(map(len, (BOTH | PRODUCER | CONSUMER).values()))))
@pytest.mark.parametrize(
    ("service", "own"), [("producer", PRODUCER), ("consumer", CONSUMER)], ids=["producer", "consumer"]
)
def test_every_wrong_value_is_named_all_at_once(service: str, own: dict[str, list[str]], number: int) -> None:
    """One line for each variable, so that nobody mends them one by one."""
    wrong = {name: values[number] for name, values in (BOTH | own).items() if number < len(values)}
    refused(service, set(wrong), example=True, **wrong)


@pytest.mark.parametrize(("who", "name"), [(who, name) for who, names in PLUGINS.items() for name in names])
def test_a_source_or_handler_that_is_not_there_is_named(who: tuple[str, str], name: str) -> None:
    """A sentence, and no traceback."""
    service, variable = who
    refused(service, {variable}, **{variable: name})


@pytest.mark.parametrize("variable", TOGETHER)
def test_settings_that_contradict_each_other_are_named(variable: str) -> None:
    """Each of them is right alone."""
    refused("producer", {variable}, **TOGETHER[variable])


@pytest.mark.parametrize("path", ["/no/such/folder/file", "/", "/etc/hostname"])
def test_a_checkpoint_that_cannot_be_kept_is_named(path: str) -> None:
    """No folder, a folder, and a file of somebody else's."""
    refused("producer", {"PRODUCER_CHECKPOINT"}, PRODUCER_SOURCE="lines:/etc/hostname", PRODUCER_CHECKPOINT=path)


@pytest.mark.parametrize("service", ["producer", "consumer"])
def test_a_port_in_use_or_a_host_that_is_not_ours_is_named_with_the_way_out(service: str) -> None:
    """Rather than a traceback of the server."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused(service, {"HTTP_PORT"}, example=True, HTTP_PORT=str(other.getsockname()[1]))
    refused(service, {"HTTP_HOST"}, example=True, HTTP_HOST="nowhere.invalid", HTTP_PORT=str(free_port()))


def test_the_http_source_names_a_port_in_use_and_a_package_that_is_not_installed(tmp_path: Path) -> None:
    """With the way out of both."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refused("producer", {"PRODUCER_SOURCE"}, PRODUCER_SOURCE="http", PRODUCER_HTTP_PORT=port)
    (tmp_path / "waitress.py").write_text("raise ImportError")
    code, lines = run("producer", PRODUCER_SOURCE="http", PYTHONPATH=str(tmp_path))
    assert (code, lines) == (2, ["PRODUCER_SOURCE: http needs the extra `http`: pip install 'mq-pair[http]'"])


def test_a_url_with_a_password_is_refused_on_the_command_line_and_not_repeated() -> None:
    """Every user of the machine sees command lines."""
    url = "amqp://user:S3crtx@localhost/"
    refused("producer", {"MQ_URL"}, "--mq-url", url, MQ_URL="")
    for wrong in ([url], ["--mq-url", "amqp://localhost/", url], [f"--url={url}"]):
        code, lines = run("producer", *wrong, MQ_URL="")
        assert code == 2, lines


@pytest.mark.parametrize("service", ["producer", "consumer"])
def test_help_shows_each_variable_with_its_flag_and_default(service: str) -> None:
    """And exits 0."""
    code, lines = run(service, "--help", MQ_URL="", MQ_CH="")
    text = " ".join(" ".join(lines).split())
    assert code == 0
    own = PRODUCER | {"PRODUCER_SOURCE": []} if service == "producer" else CONSUMER | {"CONSUMER_HANDLER": []}
    for name in [*BOTH, *own, "MQ_URL", "HTTP_HOST", "MQ_TLS_KEY_FILE"]:
        assert re.search(rf"{name}: .+?\(default: [^)]+\)", text), name
        flag = "--" + re.sub("^(PRODUCER|CONSUMER)_(?!HTTP_)", "", name).lower().replace("_", "-")
        assert f"{flag} " in text, flag


def test_a_variable_that_is_no_setting_is_told_and_stops_nothing(start: Start) -> None:
    """Misspelled, it would go unnoticed, and the default handle what is in the queue."""
    said = start("consumer", CONSUMER_HANDLR="append:x").wait_ready().event("a variable that is no setting")
    assert (said["name"], said["meant"]) == ("CONSUMER_HANDLR", "CONSUMER_HANDLER")


def test_a_wrong_setting_is_exit_code_2_though_nobody_hears_why() -> None:
    """With standard error closed."""
    for words in (["--source", "nonsense"], ["--rate", "x"]):
        command = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "producer", *words]
        env = os.environ | {"MQ_URL": "amqp://127.0.0.1/", "MQ_CH": "jobs"}
        assert subprocess.run(command, cwd=ROOT, env=env, timeout=20, check=False).returncode == 2
