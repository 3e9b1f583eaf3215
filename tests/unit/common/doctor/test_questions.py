"""What follows from what a broker answers; that real ones answer so is in tests/broker."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from pika import frame, spec
from pika.channel import Channel

from common.amqp.errors import Kind, Refusal
from common.amqp.topology import Topology
from common.doctor.check import Check, Verdict
from common.doctor.questions import questions

ABSENT = Refusal(
    Kind.TOPOLOGY,
    "404 NOT_FOUND - no queue",
    "MQ_TOPOLOGY=create declares the queue, if the user may; so does `make rotate`",
)
FORBIDDEN = Refusal(Kind.PERMISSION, "403 ACCESS_REFUSED - no")
IMPOSSIBLE = Refusal(Kind.TOPOLOGY, "406 PRECONDITION_FAILED - invalid arg")
DIFFERS = Refusal(Kind.TOPOLOGY, "406 PRECONDITION_FAILED - inequivalent arg")
ALARM = Refusal(Kind.LIMIT, "the broker takes no messages: low on memory")
SAID = "406 PRECONDITION_FAILED - queue jobs: x-delivery-limit is 5 and not 20"
RETURNED = object()
FINE = [IMPOSSIBLE, IMPOSSIBLE, RETURNED, None]  # declare, consume, publish, and a channel


def there(queue: str, messages: int = 0, consumers: int = 0) -> object:
    return frame.Method(1, spec.Queue.DeclareOk(queue, messages, consumers))


def ask(mode: str, *answers: object, needed: Sequence[str] = ("consume", "publish")) -> dict[str, Check]:
    """The checks by their names, when the questions are answered so, in turn and to the last."""
    checks: list[Check] = []
    asked = questions(Topology("jobs"), mode, needed, checks.append)
    next(asked)
    *others, last = answers
    for answer in others:
        asked.send(answer)
    with pytest.raises(StopIteration):
        asked.send(last)
    return {check.name: check for check in checks}


def dead(*answers: object) -> tuple[object, ...]:
    """A dead-letter queue with nothing to say about, then these answers."""
    return there("jobs.dead"), there("jobs.dead"), *answers


def test_what_is_as_wanted_is_shown_with_what_is_in_it() -> None:
    """The arguments too."""
    checks = ask("create", *dead(there("jobs", 3, 1), there("jobs")), *FINE)
    assert checks["queue jobs"].verdict is Verdict.OK
    assert checks["queue jobs"].text.startswith("3 messages, 1 consumer\nas wanted: x-queue-type 'quorum', ")
    assert "x-delivery-limit 20" in checks["queue jobs"].text
    assert checks["permissions"].text == "may declare, consume, publish"
    assert checks["alarms"].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("mode", "answers", "verdict", "code"),
    [
        ("create", (ABSENT, IMPOSSIBLE), Verdict.NOTE, 0),
        ("create", (ABSENT, FORBIDDEN), Verdict.FAILED, 16),
        ("create", (FORBIDDEN,), Verdict.FAILED, 16),
        ("assert", (ABSENT,), Verdict.FAILED, 17),
        ("assert", (FORBIDDEN,), Verdict.FAILED, 16),
        ("none", (ABSENT,), Verdict.WARNING, 0),
        ("create", (there("jobs"), FORBIDDEN), Verdict.FAILED, 16),
        ("assert", (there("jobs"), FORBIDDEN), Verdict.OK, 0),
        ("create", (there("jobs"), DIFFERS, SAID), Verdict.FAILED, 17),
        ("assert", (there("jobs"), DIFFERS, SAID), Verdict.WARNING, 0),
        ("none", (there("jobs"), DIFFERS, SAID), Verdict.WARNING, 0),
    ],
)
def test_what_a_queue_is_depends_on_who_makes_it(
    mode: str, answers: tuple[object, ...], verdict: Verdict, code: int
) -> None:
    """A service that only looks has no need of the right to declare, nor of the arguments."""
    check = ask(mode, *dead(*answers), *FINE)["queue jobs"]
    assert (check.verdict, check.exit_code) == (verdict, code)
    if answers[-1] is SAID:
        assert "x-delivery-limit is 5 and not 20" in check.text
        assert check.text.startswith("0 messages")
        assert check.advice


def test_several_consumers_are_not_taken_for_as_many_processes() -> None:
    """A subscription of ours consumes anew for each step of its prefetch."""
    checks = ask("create", *dead(there("jobs", 0, 3), there("jobs")), *FINE)
    assert checks["queue jobs"].text.startswith("0 messages, 3 consumers (up to three are one process)")


def test_messages_that_nobody_takes_are_a_warning() -> None:
    """Those that wait without a consumer, and those that are parked."""
    checks = ask("create", there("jobs.dead", 2), there("jobs.dead"), there("jobs", 7), there("jobs"), *FINE)
    for name, text in (
        ("queue jobs.dead", "2 messages, 0 consumers, parked"),
        ("queue jobs", "7 messages, 0 consumers"),
    ):
        assert checks[name].verdict is Verdict.WARNING
        assert checks[name].text.startswith(text)
        assert checks[name].advice
        assert checks[name].exit_code == 0


def test_rights_that_are_missing_are_told_by_name() -> None:
    """Those that the service needs are in its way."""
    both = dead(there("jobs"), there("jobs"))
    sends = (*both, FORBIDDEN, FORBIDDEN, RETURNED, None)
    producer = ask("create", *sends, needed=["publish"])["permissions"]
    assert (producer.verdict, producer.text) == (Verdict.OK, "may publish; may not declare, consume")
    consumer = ask("create", *sends)["permissions"]
    assert (consumer.verdict, consumer.exit_code, consumer.text) == (Verdict.FAILED, 16, producer.text)
    assert "read" in consumer.advice
    nobody = ask("create", *both, FORBIDDEN, FORBIDDEN, FORBIDDEN, None, needed=["publish"])["permissions"]
    assert (nobody.verdict, nobody.text) == (Verdict.FAILED, "may not declare, consume, publish")
    assert "amq.default" in nobody.advice
    assert "read" not in nobody.advice


@pytest.mark.parametrize("answers", [[IMPOSSIBLE, IMPOSSIBLE, ALARM], [IMPOSSIBLE, IMPOSSIBLE, RETURNED, ALARM]])
def test_an_alarm_is_told_whether_it_comes_before_the_answer_or_after(answers: list[object]) -> None:
    """And nothing is claimed of what could not be asked."""
    checks = ask("create", *dead(there("jobs"), there("jobs")), *answers)
    assert checks["alarms"].verdict is Verdict.WARNING
    assert "low on memory" in checks["alarms"].text
    assert checks["permissions"].text == (
        "may declare, consume; not known now: publish" if len(answers) == 3 else "may declare, consume, publish"
    )


def test_nothing_that_is_asked_could_make_take_or_leave_anything() -> None:
    """Declarations of what is not there have an argument that no broker takes; so has the subscription."""
    sent: list[tuple[str, dict[str, Any]]] = []

    class Recorder:
        def __getattr__(self, name: str) -> Any:
            return lambda *_, **arguments: sent.append((name, arguments))

    asked = questions(Topology("jobs"), "create", (), lambda _: None)
    question = next(asked)
    for answer in (ABSENT, IMPOSSIBLE, ABSENT, IMPOSSIBLE, *FINE):
        question(cast("Channel", Recorder()), lambda _: None)
        try:
            question = asked.send(answer)
        except StopIteration:
            break
    for name, arguments in sent:
        if name == "queue_declare":
            assert arguments.get("passive") or arguments["arguments"]["x-expires"] == "no number"
        elif name == "basic_consume":
            assert arguments["arguments"] == {"x-priority": "no number"}
        elif name == "basic_publish":
            assert arguments["mandatory"]
        else:
            assert name == "confirm_delivery"
    assert len(sent) == 8
