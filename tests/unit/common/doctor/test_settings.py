"""What a person may ask the doctor for."""

import pytest

from common import cli
from common.doctor.settings import DoctorSettings


def load(*arguments: str) -> DoctorSettings:
    return cli.load(DoctorSettings, "doctor", ["--mq-url", "amqp://h", "--mq-ch", "jobs", *arguments])


def test_it_looks_at_once_and_asks_no_page_unless_told() -> None:
    """And each has its flag."""
    assert (load().doctor_wait, load().mq_management_url, load().doctor_json) == (0, None, False)
    given = load("--wait", "5s", "--json", "--mq-management-url", "https://h:15671/x")
    assert (given.doctor_wait, given.mq_management_url, given.doctor_json) == (5, "https://h:15671/x", True)


@pytest.mark.parametrize("page", ["h:15672", "amqp://h", "http://", "https://operator:Zq7Xj9Kv@h", "http://Zq7Xj9Kv@h"])
def test_a_page_is_an_address_without_a_user(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its clock is all that is looked at, and a password would be seen by everybody."""
    with pytest.raises(SystemExit) as caught:
        load("--mq-management-url", page)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("MQ_MANAGEMENT_URL: ")
    assert "Zq7Xj9Kv" not in said
