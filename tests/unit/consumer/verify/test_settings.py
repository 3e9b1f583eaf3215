"""What may be asked of a verification."""

import pytest

from common.settings import flags as cli
from consumer.verify.settings import VerifySettings


def load(*arguments: str) -> VerifySettings:
    return cli.load(VerifySettings, "consumer verify", ["--mq-url", "amqp://h", "--mq-ch", "jobs", *arguments])


def test_the_flags_are_short_and_the_consumers_work_too() -> None:
    """So that it runs by the settings of what it stands for."""
    given = load("--count", "5", "--size", "0", "--rate", "2", "--timeout", "3s", "--json", "--workers", "4")
    assert (given.verify_count, given.verify_size, given.verify_rate, given.verify_timeout) == (5, 0, 2, 3)
    assert (given.verify_json, given.consumer_workers) == (True, 4)


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        (["--count", "0"], "VERIFY_COUNT"),
        (["--rate", "-1"], "VERIFY_RATE"),
        (["--size", "11", "--mq-max-body", "10"], "VERIFY_SIZE"),
        (["--count", "100", "--rate", "10", "--timeout", "10s"], "VERIFY_TIMEOUT"),
        (["--timeout", "soon"], "VERIFY_TIMEOUT"),
    ],
)
def test_what_cannot_be_is_refused_before_it_begins(
    arguments: list[str], variable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2 and a line."""
    with pytest.raises(SystemExit) as caught:
        load(*arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{variable}: ")
