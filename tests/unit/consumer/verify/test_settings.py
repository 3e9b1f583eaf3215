"""What may be asked of a verification, and its temporary queue."""

import re
import secrets

import pytest

from common.amqp.topology import Topology
from common.settings import flags as cli
from common.settings.types import check_queue_name
from consumer.verify.settings import EXPIRES_MS, TemporaryTopology, VerifySettings, pattern
from deploy.definitions import users


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


def test_it_is_one_queue_with_the_arguments_of_the_real_one_that_does_not_stay() -> None:
    """It stands for that."""
    made = TemporaryTopology("jobs.verify.0a1b")
    (queue,) = made.queues
    real = next(each for each in Topology("jobs.verify.0a1b").queues if each.name == made.name)
    assert queue.name == made.name == "jobs.verify.0a1b"
    assert queue.all_arguments == real.all_arguments | {"x-expires": EXPIRES_MS}


@pytest.mark.parametrize("name", ["jobs", "a.b", "a+b(c)", "x" * 235])
def test_rights_by_the_pattern_are_for_its_temporary_queues_alone(name: str) -> None:
    """Not for the queue itself, and not for another's."""
    allowed = re.compile(f"^{pattern(name)}$")
    made = f"{name}.verify.{secrets.token_hex(4)}"
    assert allowed.search(made)
    assert len(made) <= 255
    for other in (name, f"{name}.dead", f"{name}.verify.", f"{made}.dead", f"x{made}", made.replace(".", "-")):
        assert not allowed.search(other)


def test_the_consumers_user_of_production_may_make_the_temporary_queues() -> None:
    """`deploy` writes the pattern itself, since it must work where this package is left out."""
    (user,) = (user for user in users(Topology("a.b")) if user.name == "consumer")
    assert user.configure == f"^{pattern('a.b')}$"
    assert pattern("a.b") in user.read


def test_the_longest_name_leaves_room_for_it() -> None:
    """As for the retry queues."""
    check_queue_name("x" * 235)
    with pytest.raises(ValueError, match="longer"):
        check_queue_name("x" * 236)
