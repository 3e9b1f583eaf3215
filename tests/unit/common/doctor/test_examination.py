"""An examination where no broker is; with one it is in tests/broker."""

import time

from common.doctor.check import Check, Verdict
from common.doctor.examination import Examination, undeclared
from common.doctor.settings import Needs
from common.settings.broker_url import parse_urls
from tests.unit.conftest import Loop

URL = "amqp://user:Zq7Xj9Kv@127.0.0.1:1/"


def examination(process: Loop, told: list[Check]) -> Examination:
    settings = Needs.model_validate({"mq_url": URL, "mq_ch": "jobs", "mq_connect_timeout": "1s"})
    return Examination(process, settings, parse_urls(URL)[0], told.append)


def test_it_tries_once_and_tells_why_it_came_to_nothing(process: Loop) -> None:
    """Without the password."""
    told: list[Check] = []
    made = examination(process, told)
    made.start()
    process.turn(made.done, "the refusal")
    made.close()
    assert [(check.name, check.verdict, check.exit_code) for check in told] == [("login", Verdict.FAILED, 11)]
    assert not made.passed
    assert "Zq7Xj9Kv" not in str(told)


def test_it_gives_up_in_time_and_says_so(process: Loop) -> None:
    """Whatever the broker does."""
    told: list[Check] = []
    made = examination(process, told)
    now = time.monotonic()
    made.tick(now)
    assert not made.done()
    made.tick(now + 60)
    assert made.done()
    made.close()
    assert [check.exit_code for check in told] == [19]


def test_one_who_is_interrupted_tells_nothing(process: Loop) -> None:
    """It is not known."""
    told: list[Check] = []
    made = examination(process, told)
    made.stop()
    made.close()
    assert made.interrupted
    assert told == []


def test_it_logs_in_without_making_queues() -> None:
    """Nothing else of the settings changes."""
    settings = Needs.model_validate({"mq_url": URL, "mq_ch": "jobs"})
    assert settings.mq_topology == "create"
    assert undeclared(settings).mq_topology == "none"
    assert undeclared(settings).broker_urls() == settings.broker_urls()
