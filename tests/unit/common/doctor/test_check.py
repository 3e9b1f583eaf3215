"""What a check says, and what the exit code is."""

from common.amqp.errors import Kind, Refusal
from common.doctor.check import Check, Verdict, exit_code, refused

OK = Check("name", Verdict.OK, "found")


def test_the_first_that_failed_is_the_exit_code() -> None:
    """What comes after it may be its consequence, and warnings keep nobody from working."""
    vhost = refused("virtual host", Refusal(Kind.VHOST, "no such"))
    queues = refused("queue jobs", Refusal(Kind.TOPOLOGY, "differs"))
    warning = refused("queue jobs", Refusal(Kind.PERMISSION, "may not"), fatal=False)
    assert exit_code([OK, warning, vhost, queues]) == 15
    assert exit_code([OK, queues, vhost]) == 17
    assert exit_code([OK, warning]) == exit_code([]) == 0


def test_each_refusal_comes_with_what_to_do() -> None:
    """The broker's own advice first, else that of its kind."""
    assert refused("login", Refusal(Kind.CREDENTIALS, "no", "look there")).advice == "look there"
    for kind in Kind:
        assert refused("x", Refusal(kind, "no")).advice
        assert refused("x", Refusal(kind, "no"), fatal=False) == Check(
            "x", Verdict.WARNING, "no", refused("x", Refusal(kind, "no")).advice
        )
