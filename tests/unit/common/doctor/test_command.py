"""The doctor where no broker is; with one it is in tests/broker."""

import time

from common.amqp.errors import BrokerError, Kind
from common.doctor.command import Doctor
from common.doctor.report import Check, Status
from common.doctor.settings import CheckSettings
from common.settings.broker_url import parse_urls
from tests.unit.conftest import Loop

URL = "amqp://user:Zq7Xj9Kv@127.0.0.1:1/"


def doctor(process: Loop, told: list[Check], url: str = URL) -> Doctor:
    settings = CheckSettings.model_validate({"mq_url": url, "mq_ch": "jobs", "mq_connect_timeout": "1s"})
    return Doctor(process, settings, parse_urls(url)[0], told.append)


def test_it_tries_once_and_tells_why_it_came_to_nothing(process: Loop) -> None:
    """Without the password."""
    told: list[Check] = []
    made = doctor(process, told)
    made.start()
    process.turn(made.done, "the broker_error")
    made.close()
    assert [(check.name, check.status, check.exit_code) for check in told] == [("login", Status.FAILED, 11)]
    assert not made.passed
    assert "Zq7Xj9Kv" not in str(told)


def test_a_user_name_that_is_a_token_is_not_told(process: Loop) -> None:
    """Of a user with a password the name is."""
    told: list[Check] = []
    made = doctor(process, told, "amqp://Zq7Xj9Kv@127.0.0.1:1/")
    made.connection.broker_error = BrokerError(Kind.VHOST, "refused for user 'Zq7Xj9Kv'")
    made.close()
    assert [check.text for check in told] == ["user …", "refused for user '…'"]
    assert doctor(process, told)._login.text == "user user"


def test_it_gives_up_in_time_and_says_so(process: Loop) -> None:
    """Whatever the broker does."""
    told: list[Check] = []
    made = doctor(process, told)
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
    made = doctor(process, told)
    made.stop()
    made.close()
    assert made.interrupted
    assert told == []
