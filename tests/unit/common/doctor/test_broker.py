"""What is asked, and what follows from what a broker answers; that real ones answer so is in tests/broker."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import pytest
from pika import frame, spec
from pika.channel import Channel
from pika.connection import Connection

from common.amqp.errors import ADVICE, BrokerError, Kind
from common.amqp.topology import Topology
from common.doctor.broker import (
    INEQUIVALENT,
    Requester,
    Requests,
    check_broker,
    check_consumer_timeout,
    difference,
    first_missing,
    may_consume,
    may_declare,
    may_publish,
    parse_value,
)
from common.doctor.report import Check, Status, exit_code
from tests.unit.conftest import Loop

T = TypeVar("T")
SAYS = "PRECONDITION_FAILED - inequivalent arg '{}' for queue '{}' in vhost '{}': received {} but current is {}"


def differs(argument: str, wanted: str, found: str, queue: str = "jobs", vhost: str = "/") -> BrokerError:
    return BrokerError(Kind.TOPOLOGY, f"406 {SAYS.format(argument, queue, vhost, wanted, found)}", "run `doctor`")


ABSENT = BrokerError(
    Kind.TOPOLOGY,
    "404 NOT_FOUND - no queue",
    "MQ_TOPOLOGY=create declares the queue, if the user may; so does `make rotate`",
)
FORBIDDEN = BrokerError(Kind.PERMISSION, "403 ACCESS_REFUSED - no")
IMPOSSIBLE = BrokerError(Kind.TOPOLOGY, "406 PRECONDITION_FAILED - invalid arg")
DIFFERS = differs("x-delivery-limit", "the value '20' of type 'signedint'", "the value '5' of type 'signedint'")
ALARM = BrokerError(Kind.LIMIT, "the broker takes no messages: low on memory")
RETURNED = object()
SAME = object()
FINE = [IMPOSSIBLE, IMPOSSIBLE, RETURNED, None]  # declare, consume, publish, and a channel


def returned(requests: Requests[T], *replies: object) -> T:
    """What comes of `requests`, when they are answered so, in turn and to the last."""
    *others, last = (None, *replies)
    for reply in others:
        requests.send(reply)
    with pytest.raises(StopIteration) as ended:
        requests.send(last)
    return cast("T", ended.value.value)


def there(queue: str, messages: int = 0, consumers: int = 0) -> object:
    return frame.Method(1, spec.Queue.DeclareOk(queue, messages, consumers))


class Recorder:
    """A channel that writes down what it is asked for."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **arguments: self.sent.append((name, given, arguments))


def ask(mode: str, *answers: object, needed: Sequence[str] = ("consume", "publish")) -> dict[str, Check]:
    """The checks by their names, when the requests are answered so, in turn and to the last."""
    checks: list[Check] = []
    returned(check_broker(Topology("jobs"), mode, needed, checks.append), *answers)
    return {check.name: check for check in checks}


def dead(*answers: object) -> tuple[object, ...]:
    """A dead-letter queue with nothing to say about, then these answers."""
    return there("jobs.dead"), there("jobs.dead"), *answers


def test_what_is_as_wanted_is_shown_with_what_is_in_it() -> None:
    """The arguments too."""
    checks = ask("create", *dead(there("jobs", 3, 1), there("jobs")), *FINE)
    assert checks["queue jobs"].status is Status.OK
    assert checks["queue jobs"].text.startswith("3 messages, 1 consumer\nas wanted: x-queue-type 'quorum', ")
    assert "x-delivery-limit 20" in checks["queue jobs"].text
    assert checks["permissions"].text == "may declare, consume, publish"
    assert checks["alarms"].status is Status.OK


@pytest.mark.parametrize(
    ("mode", "answers", "status", "code"),
    [
        ("create", (ABSENT, IMPOSSIBLE), Status.NOTE, 0),
        ("create", (ABSENT, FORBIDDEN), Status.FAILED, 16),
        ("create", (FORBIDDEN,), Status.FAILED, 16),
        ("assert", (ABSENT,), Status.FAILED, 17),
        ("assert", (FORBIDDEN,), Status.FAILED, 16),
        ("none", (ABSENT,), Status.WARNING, 0),
        ("create", (there("jobs"), FORBIDDEN), Status.FAILED, 16),
        ("assert", (there("jobs"), FORBIDDEN), Status.OK, 0),
        ("create", (there("jobs"), DIFFERS, SAME), Status.FAILED, 17),
        ("assert", (there("jobs"), DIFFERS, SAME), Status.WARNING, 0),
        ("none", (there("jobs"), DIFFERS, SAME), Status.WARNING, 0),
    ],
)
def test_what_a_queue_is_depends_on_who_makes_it(
    mode: str, answers: tuple[object, ...], status: Status, code: int
) -> None:
    """A service that only looks has no need of the right to declare, nor of the arguments."""
    check = ask(mode, *dead(*answers), *FINE)["queue jobs"]
    assert (check.status, check.exit_code) == (status, code)
    if answers[-1] is SAME:
        assert (
            check.text
            == "0 messages, 0 consumers\n406 PRECONDITION_FAILED - queue jobs: x-delivery-limit is 5 and not 20"
        )
        assert check.advice == ADVICE[Kind.TOPOLOGY]


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
        assert checks[name].status is Status.WARNING
        assert checks[name].text.startswith(text)
        assert checks[name].advice
        assert checks[name].exit_code == 0


def test_rights_that_are_missing_are_told_by_name() -> None:
    """Those that the service needs are in its way."""
    both = dead(there("jobs"), there("jobs"))
    sends = (*both, FORBIDDEN, FORBIDDEN, RETURNED, None)
    producer = ask("create", *sends, needed=["publish"])["permissions"]
    assert (producer.status, producer.text) == (Status.OK, "may publish; may not declare, consume")
    consumer = ask("create", *sends)["permissions"]
    assert (consumer.status, consumer.exit_code, consumer.text) == (Status.FAILED, 16, producer.text)
    assert "read" in consumer.advice
    nobody = ask("create", *both, FORBIDDEN, FORBIDDEN, FORBIDDEN, None, needed=["publish"])["permissions"]
    assert (nobody.status, nobody.text) == (Status.FAILED, "may not declare, consume, publish")
    assert "amq.default" in nobody.advice
    assert "read" not in nobody.advice


@pytest.mark.parametrize("answers", [[IMPOSSIBLE, IMPOSSIBLE, ALARM], [IMPOSSIBLE, IMPOSSIBLE, RETURNED, ALARM]])
def test_an_alarm_is_told_whether_it_comes_before_the_answer_or_after(answers: list[object]) -> None:
    """And nothing is claimed of what could not be asked."""
    checks = ask("create", *dead(there("jobs"), there("jobs")), *answers)
    assert checks["alarms"].status is Status.WARNING
    assert "low on memory" in checks["alarms"].text
    assert checks["permissions"].text == (
        "may declare, consume; not known now: publish" if len(answers) == 3 else "may declare, consume, publish"
    )


def test_nothing_that_is_asked_could_make_take_or_leave_anything() -> None:
    """Declarations of what is not there have an argument that no broker takes; so has the subscription."""
    recorder = Recorder()
    requests = check_broker(Topology("jobs"), "create", (), lambda _: None)
    request = next(requests)
    for reply in (ABSENT, IMPOSSIBLE, ABSENT, IMPOSSIBLE, *FINE):
        request(cast("Channel", recorder), lambda _: None)
        try:
            request = requests.send(reply)
        except StopIteration:
            break
    for name, _, arguments in recorder.sent:
        if name == "queue_declare":
            assert arguments.get("passive") or arguments["arguments"]["x-expires"] == "no number"
        elif name == "basic_consume":
            assert arguments["arguments"] == {"x-priority": "no number"}
        elif name == "basic_publish":
            assert arguments["mandatory"]
        else:
            assert name == "confirm_delivery"
    assert len(recorder.sent) == 8


def test_none_of_them_could_make_take_or_leave_anything() -> None:
    """Each has an argument that no broker takes, or goes to a queue that nobody has."""
    recorder = Recorder()
    queue = Topology("jobs").queues[1]
    for request in (may_declare(queue), may_consume("jobs"), may_publish, may_publish):
        request(cast("Channel", recorder), lambda _: None)
    declare, consume, confirm, publish, _, again = recorder.sent
    assert (declare[0], declare[2]["arguments"]["x-expires"]) == ("queue_declare", "no number")
    assert (consume[0], consume[2]["arguments"]) == ("basic_consume", {"x-priority": "no number"})
    assert confirm[0] == "confirm_delivery"
    assert publish[2]["mandatory"]
    assert publish[1][1] != again[1][1], "the name could be taken by then"


def test_the_first_permission_that_is_missing_is_the_last_that_is_asked_for() -> None:
    """Any other error says that it is there."""
    both = ["consume", "publish"]
    assert returned(first_missing(both, "jobs"), FORBIDDEN) is FORBIDDEN
    assert returned(first_missing(both, "jobs"), IMPOSSIBLE, FORBIDDEN) is FORBIDDEN
    assert returned(first_missing(both, "jobs"), IMPOSSIBLE, RETURNED) is None
    assert returned(first_missing([], "jobs")) is None


def test_a_producer_is_told_of_a_stream_where_it_may_look() -> None:
    """It needs no right to consume, and without that right nothing tells."""
    stream = BrokerError(Kind.TOPOLOGY, "540 NOT_IMPLEMENTED - rabbit_stream_queue")
    assert returned(first_missing(["publish"], "jobs"), stream) is stream
    assert returned(first_missing(["publish"], "jobs"), FORBIDDEN, RETURNED) is None
    checks = ask("assert", *dead(there("jobs"), FORBIDDEN), FORBIDDEN, stream, RETURNED, None, needed=["publish"])
    assert (checks["stream"].status, checks["stream"].exit_code) == (Status.FAILED, 17)


def none() -> Requests[None]:
    yield from ()


def test_without_a_request_it_ends_at_once_and_takes_no_late_answer(process: Loop) -> None:
    """An alarm may come when nothing is asked any more."""
    ended: list[str] = []
    requester = Requester(cast("Connection", None), process, none(), lambda: ended.append("ended"))
    assert ended == ["ended"]
    requester.answer("late")
    assert ended == ["ended"]


def test_what_ends_the_connection_is_no_answer(process: Loop) -> None:
    """It closes the channel of the request too, and nothing can be asked on another."""

    class Gone:
        is_open = True

        def channel(self, on_open_callback: object) -> "Gone":
            assert self.is_open
            return self

        def add_on_close_callback(self, callback: Callable[[object, Exception], None]) -> None:
            self.closed = callback

    def two() -> Requests[None]:
        for _ in range(2):
            replies.append((yield lambda *_: None))

    gone, replies = Gone(), list[object]()
    Requester(cast("Connection", gone), process, two(), lambda: None)
    gone.is_open = False
    gone.closed(gone, RuntimeError("lost"))
    assert replies == []
    assert process._defect is None


TEXTS = [
    ("x-queue-type", "the value 'quorum' of type 'longstr'", "none", None),
    ("x-queue-type", "'quorum'", "'classic'", "classic"),
    ("x-message-ttl", "the value '5000' of type 'signedint'", "the value '6000' of type 'signedint'", 6000),
    ("x-delivery-limit", "the value '20' of type 'signedint'", "none", None),
    ("x-delivery-limit", "none", "the value '5' of type 'long'", 5),
    ("x-dead-letter-exchange", "the value '' of type 'longstr'", "the value 'dlx' of type 'longstr'", "dlx"),
    ("x-dead-letter-routing-key", "none", "the value '42' of type 'longstr'", "42"),
    ("durable", "'true'", "'false'", "false"),
    ("x-single-active-consumer", "none", "the value 'true' of type 'bool'", "true"),
]


@pytest.mark.parametrize(("argument", "wanted", "found", "value"), TEXTS)
@pytest.mark.parametrize("vhost", ["/", "a 'b'"])
def test_the_brokers_words_are_taken_apart(argument: str, wanted: str, found: str, value: object, vhost: str) -> None:
    """Argument, queue, and the value that is there, of its type."""
    match = INEQUIVALENT.search(SAYS.format(argument, "jobs.retry.5s", vhost, wanted, found))
    assert match
    assert match["argument"] == argument
    assert match["queue"] == "jobs.retry.5s"
    assert match["wanted"] == wanted
    assert parse_value(match["found"]) == value


@pytest.mark.parametrize("queue", ["a'b", "with space", "ünïcode", "in vhost"])
def test_queue_names_may_hold_anything(queue: str) -> None:
    """Quotes too."""
    text = SAYS.format("x-message-ttl", queue, "/", "none", "the value '1' of type 'signedint'")
    match = INEQUIVALENT.search(text)
    assert match
    assert match["queue"] == queue


@pytest.mark.parametrize(
    "broker_error",
    [
        ABSENT,
        FORBIDDEN,
        differs("x-message-ttl", "none", "'1'", "of somebody else"),
        differs("durable", "'true'", "'false'"),
    ],
)
def test_words_that_tell_no_argument_of_ours_are_handed_on_and_nothing_is_asked(broker_error: BrokerError) -> None:
    """`durable` is no argument of the table. Whoever asks is the doctor, and is not sent there."""
    told = returned(difference(Topology("jobs").queues, broker_error))
    assert told == (
        broker_error if broker_error in (ABSENT, FORBIDDEN) else broker_error._replace(advice=ADVICE[Kind.TOPOLOGY])
    )


def test_each_argument_that_differs_is_told_as_the_broker_names_it() -> None:
    """It is asked again with what was found, until the queue agrees, or it is another matter."""
    limit = differs("x-delivery-limit", "the value '20' of type 'signedint'", "the value '7' of type 'signedint'")
    target = differs("x-dead-letter-routing-key", "the value 'jobs.dead' of type 'longstr'", "none")
    text = "406 PRECONDITION_FAILED - queue jobs: x-delivery-limit is 7 and not 20"
    both = f"{text}; x-dead-letter-routing-key is None and not 'jobs.dead'"
    for replies, said in (((target, SAME), both), ((target, ABSENT), both), ((limit,), text), ((ABSENT,), text)):
        assert returned(difference(Topology("jobs").queues, limit), *replies) == BrokerError(
            Kind.TOPOLOGY, said, ADVICE[Kind.TOPOLOGY]
        )


def test_it_is_asked_with_what_was_found_and_only_of_a_queue_that_is_there() -> None:
    """An argument that the queue has not is left out."""
    recorder = Recorder()
    requests = difference(
        Topology("jobs").queues, differs("x-overflow", "the value 'reject-publish' of type 'x'", "none")
    )
    next(requests)(cast("Channel", recorder), lambda _: None)
    passive, declared = recorder.sent
    assert (passive[0], passive[2]) == ("queue_declare", {"passive": True})
    (real,) = (queue for queue in Topology("jobs").queues if queue.name == "jobs")
    wanted = {name: value for name, value in real.all_arguments.items() if name != "x-overflow"}
    assert (declared[1], declared[2]["durable"], declared[2]["arguments"]) == (("jobs",), True, wanted)


@pytest.mark.parametrize(
    ("version", "seconds", "status", "said"),
    [
        ("4.3.0", 300.0, Status.OK, "asks for 30m; CONSUMER_HANDLER_TIMEOUT is 5m"),
        ("4.10.1", 3600.0, Status.OK, "asks for 125m; CONSUMER_HANDLER_TIMEOUT is 1h"),
        ("5.0", 300.0, Status.OK, "asks for 30m"),
        ("4.2.9", 300.0, Status.OK, "by default 30m; handlers need up to 30m"),
        ("3.10.8", 3600.0, Status.WARNING, "RabbitMQ 3.10.8 waits for its own consumer_timeout, by default 30m; "),
        ("?", 3600.0, Status.WARNING, "handlers need up to 125m"),
    ],
)
def test_the_brokers_consumer_timeout_is_compared_with_the_handlers(
    version: str, seconds: float, status: Status, said: str
) -> None:
    """Only brokers from 4.3 on go by what a consumer asks for."""
    check = check_consumer_timeout(version, seconds)
    assert (check.name, check.status) == ("handlers", status)
    assert said in check.text
    assert ("raise the broker's consumer_timeout" in check.advice) == (status is Status.WARNING)


LONG = "ü" * 100  # 200 bytes: with the words around, more than the 255 of a refusal


def test_a_queue_that_the_broker_cannot_refuse_by_name_is_not_asked_about() -> None:
    """Its refusal would not fit, and would end the connection (541)."""
    requests = first_missing(("consume", "publish"), LONG)
    assert next(requests) is may_publish, "of the rest it is asked"
    assert next(first_missing(("consume",), LONG[:70])) is not may_publish
    assert next(first_missing(("consume",), "a" * 235)) is not may_publish
    checks: list[Check] = []
    there_is = [each for queue in Topology(LONG).queues for each in (there(queue.name), there(queue.name))]
    returned(check_broker(Topology(LONG), "create", ("consume",), checks.append), *there_is, RETURNED, None)
    assert checks[-2].text == "may publish; not known now: declare, consume"
    absent = [ABSENT for _ in Topology(LONG).queues]
    returned(check_broker(Topology(LONG), "create", ("consume",), checks.append), *absent, RETURNED, None)
    assert checks[-3].status is Status.NOTE


def test_a_queue_whose_absence_the_broker_cannot_tell_is_not_asked_for() -> None:
    """Its name and the words around have over 255 bytes, so that the answer would end the connection."""
    name, checks = "ü" * 110, list[Check]()
    returned(check_broker(Topology(name), "create", ("consume",), checks.append), RETURNED, None)
    assert [check.status for check in checks[:2]] == [Status.NOTE, Status.NOTE]
    assert exit_code(checks) == 0


def test_a_limit_that_keeps_a_queue_from_being_made_is_in_the_way() -> None:
    full = BrokerError(Kind.LIMIT, "406 PRECONDITION_FAILED - queue limit in vhost 'v' (0) is reached")
    check = ask("create", *dead(ABSENT, full), *FINE)["queue jobs"]
    assert (check.status, check.exit_code) == (Status.FAILED, 18)
