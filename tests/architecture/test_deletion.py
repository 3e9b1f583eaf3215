"""What is optional can be deleted: without it the rest imports, passes its tests, and runs."""

import json
from pathlib import Path

import pytest

from tests.architecture.copies import (
    copy_without,
    deletions,
    run,
    stop_without_a_broker,
    succeed,
    unit_tests_that_reach,
)
from tests.architecture.modules import OPTIONAL

COMMANDS = {"dead_letters": "dead-letters", "verify": "verify"}
IMPORT_ALL = "import importlib, sys, json; [importlib.import_module(name) for name in json.loads(sys.argv[1])]"


@pytest.mark.slow
@pytest.mark.parametrize("what", deletions())
def test_without_it_the_rest_imports_passes_its_tests_and_runs(what: str, tmp_path: Path) -> None:
    left = copy_without(deletions()[what], tmp_path)
    succeed(tmp_path, "-c", IMPORT_ALL, json.dumps(left))
    pytest = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
    succeed(tmp_path, *pytest, "--collect-only", "tests/unit")
    if chosen := unit_tests_that_reach(deletions()[what], tmp_path):
        succeed(tmp_path, *pytest, *chosen)
    for service, code in (("consumer", 0), ("producer", 1)):
        assert f"usage: {service}" in succeed(tmp_path, "-m", service, "--help")
        assert stop_without_a_broker(tmp_path, service)[0] == code, "messages of the producer are left"


def test_of_unit_tests_those_are_run_that_reach_what_names_the_deleted(tmp_path: Path) -> None:
    """By imports and through fixtures; all that a test can notice of a deletion is behind such a name."""
    for name, text in {
        "common/other.py": "",
        "common/wired.py": "def connection():\n    from common.wire.connection import WireConnection\n",
        "producer/sender.py": "from common import wired\n",
        "tests/unit/test_other.py": "from common import other\n",
        "tests/unit/test_sender.py": "from producer.sender import wired\n",
        "tests/unit/test_words.py": "COMMAND = 'python -m common.wire'\n",
        "tests/unit/consumer/conftest.py": "import producer.sender\n",
        "tests/unit/consumer/test_fixture.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    reached = unit_tests_that_reach(["common.wire"], tmp_path)
    assert reached == ["tests/unit/consumer", "tests/unit/test_sender.py", "tests/unit/test_words.py"]


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
