"""What is optional can be deleted: without it the rest imports, passes its tests, and runs."""

import json
from pathlib import Path

import pytest

from tests.architecture.copies import copy_without, deletions, run, stop_without_a_broker, succeed
from tests.architecture.modules import OPTIONAL

AMQP, CONSUMER, PRODUCER, SETTINGS = (
    f"tests/unit/{folder}" for folder in ("common/amqp", "consumer", "producer", "common/settings")
)
# The unit tests that may notice.
NOTICE = {
    "wire": [AMQP, "tests/unit/common/test_message.py", CONSUMER, PRODUCER],
    "doctor": [SETTINGS, "tests/unit/common/process/test_exit.py"],
    "dead_letters": [SETTINGS, CONSUMER],
    "verify": [SETTINGS, CONSUMER],
    "http": [SETTINGS, PRODUCER],
    "tracing": [SETTINGS, CONSUMER, PRODUCER, "tests/unit/common/observe"],
    "all": [SETTINGS, AMQP, CONSUMER, PRODUCER],
}
COMMANDS = {"dead_letters": "dead-letters", "verify": "verify"}
IMPORT_ALL = "import importlib, sys, json; [importlib.import_module(name) for name in json.loads(sys.argv[1])]"


@pytest.mark.slow
@pytest.mark.parametrize("what", deletions())
def test_without_it_the_rest_imports_passes_its_tests_and_runs(what: str, tmp_path: Path) -> None:
    left = copy_without(deletions()[what], tmp_path)
    succeed(tmp_path, "-c", IMPORT_ALL, json.dumps(left))
    succeed(tmp_path, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *NOTICE[what])
    for service, code in (("consumer", 0), ("producer", 1)):
        assert f"usage: {service}" in succeed(tmp_path, "-m", service, "--help")
        assert stop_without_a_broker(tmp_path, service)[0] == code, "messages of the producer are left"


@pytest.mark.parametrize("what", COMMANDS)
def test_a_command_that_was_deleted_is_a_wrong_setting(what: str, tmp_path: Path) -> None:
    copy_without(OPTIONAL[what], tmp_path)
    done = run(tmp_path, "-m", "consumer", COMMANDS[what], "--help")
    says = f"{COMMANDS[what]} needs the package consumer.{what}, which this installation does not have\n"
    assert (done.returncode, done.stderr) == (2, says)


def test_a_source_that_was_deleted_is_a_wrong_setting(tmp_path: Path) -> None:
    copy_without(OPTIONAL["http"], tmp_path)
    words = ("--source", "http", "--mq-url", "amqp://127.0.0.1:1", "--mq-ch", "jobs")
    done = run(tmp_path, "-m", "producer", *words)
    says = "PRODUCER_SOURCE: http needs the package producer.http, which this installation does not have\n"
    assert (done.returncode, done.stderr) == (2, says)
