"""The errors that pika hands over, in words for people."""

import socket
import ssl

import pytest
from pika import exceptions
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorAMQPHandshakeError,
    AMQPConnectorSocketConnectError,
    AMQPConnectorStackTimeout,
    AMQPConnectorTransportSetupError,
)

from common.amqp.errors import ADVICE, BrokerError, Kind, broker_said, explain, root_cause


def certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


CASES: list[tuple[BaseException, Kind, str]] = [
    (socket.gaierror(-2, "Name or service not known"), Kind.DNS, "does not resolve"),
    (ConnectionRefusedError(111, "Connection refused"), Kind.TCP, "nothing listens there"),
    (OSError(113, "No route to host"), Kind.TCP, "cannot connect (No route to host)"),
    (TimeoutError(), Kind.TCP, "no answer in MQ_CONNECT_TIMEOUT"),
    (certificate(), Kind.TLS, "not trusted (self-signed certificate)"),
    (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), Kind.TLS, "is it the broker's TLS port?"),
    (exceptions.IncompatibleProtocolError("x"), Kind.HANDSHAKE, "does not speak AMQP 0-9-1 (yet;"),
    (exceptions.ConnectionOpenAborted("x"), Kind.HANDSHAKE, "no AMQP answer"),
    (AMQPConnectorStackTimeout("x"), Kind.HANDSHAKE, "no AMQP answer"),
    (exceptions.StreamLostError("x"), Kind.HANDSHAKE, "the connection was lost"),
    (exceptions.AMQPHeartbeatTimeout("x"), Kind.TCP, "no heartbeat"),
    (exceptions.ConnectionBlockedTimeout("x"), Kind.LIMIT, "MQ_BLOCKED_TIMEOUT"),
    (RuntimeError("odd"), Kind.OTHER, "odd"),
    (RuntimeError(), Kind.OTHER, "RuntimeError"),
]
WORDS = [
    (403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.", Kind.CREDENTIALS),
    (403, "ACCESS_REFUSED - configure access to queue 'jobs' in vhost '/' refused for user 'bob'", Kind.PERMISSION),
    (530, "NOT_ALLOWED - vhost nowhere not found", Kind.VHOST),
    (530, "NOT_ALLOWED - access to vhost 'v' refused for user 'bob'", Kind.VHOST),
    (530, "NOT_ALLOWED - access to vhost 'v' refused for user 'bob': connection limit (1) is reached", Kind.LIMIT),
    (
        530,
        "NOT_ALLOWED - number of channels opened for user 'u' has reached the maximum allowed user limit of 0",
        Kind.LIMIT,
    ),
    (530, "NOT_ALLOWED - number of channels opened (9) has reached the negotiated channel_max (8)", Kind.LIMIT),
    (
        406,
        "PRECONDITION_FAILED - cannot declare queue 'jobs.dead': queue limit in vhost 'v' (0) is reached",
        Kind.LIMIT,
    ),
    (406, "PRECONDITION_FAILED - cannot declare queue 'jobs': queue limit in cluster (9) is reached", Kind.LIMIT),
    (541, "INTERNAL_ERROR", Kind.OTHER),
    (506, "RESOURCE_ERROR - no more channels", Kind.LIMIT),
    (404, "NOT_FOUND - no queue 'jobs' in vhost '/'", Kind.TOPOLOGY),
    (406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'jobs' in vhost '/'", Kind.TOPOLOGY),
    (406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", Kind.OTHER),
    (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'jobs'", Kind.TOPOLOGY),
    (541, "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.", Kind.TOPOLOGY),
]


def wrapped(error: BaseException) -> list[BaseException]:
    """The error alone, and in each wrapper of pika's."""
    failed = AMQPConnectionWorkflowFailed([RuntimeError("an older try"), AMQPConnectorSocketConnectError(error)])
    return [
        error,
        AMQPConnectorAMQPHandshakeError(error),
        AMQPConnectorTransportSetupError(error),
        failed,
        exceptions.AMQPConnectionError(failed),
        exceptions.AMQPConnectionError("a text", error),
    ]


@pytest.mark.parametrize(("error", "kind", "sentence"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_each_error_has_its_kind_and_its_sentence(error: BaseException, kind: Kind, sentence: str) -> None:
    """However often pika wraps it."""
    for each in wrapped(error):
        assert root_cause(each) is error
        broker_error = explain(each)
        assert broker_error.kind is kind
        assert sentence in str(broker_error)


def test_of_several_addresses_the_error_is_of_the_one_that_got_furthest() -> None:
    """In a container without IPv6 the last address of `localhost` may be ::1, which says nothing of the broker."""
    untrusted = AMQPConnectorTransportSetupError(ssl.SSLCertVerificationError("self-signed certificate"))
    away = AMQPConnectorSocketConnectError(OSError(99, "Cannot assign requested address"))
    refused = AMQPConnectorSocketConnectError(ConnectionRefusedError(111, "Connection refused"))
    for several, kind in (([untrusted, away], Kind.TLS), ([away, untrusted, refused], Kind.TLS), ([away], Kind.TCP)):
        assert explain(exceptions.AMQPConnectionError(AMQPConnectionWorkflowFailed(several))).kind is kind
    assert "nothing listens" in str(explain(AMQPConnectionWorkflowFailed([away, refused])))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(113, "No route to host"), "cannot connect (No route to host)"),
        (OSError(), "cannot connect"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused: nothing listens there (yet)"),
    ],
)
def test_the_words_of_the_system_follow_where_they_say_more(error: OSError, text: str) -> None:
    assert explain(error) == BrokerError(Kind.TCP, text)


def test_a_broker_error_without_advice_is_its_text() -> None:
    assert str(BrokerError(Kind.OTHER, "gone")) == "gone"


@pytest.mark.parametrize(("code", "words", "kind"), WORDS)
def test_the_brokers_own_words_are_kept_and_advice_follows(code: int, words: str, kind: Kind) -> None:
    """From a closed channel, a closed connection, and the text that pika makes of one while it connects."""
    authentication = exceptions.ProbableAuthenticationError(f"ConnectionClosedByBroker: ({code}) {words!r}")
    for error in (
        exceptions.ChannelClosedByBroker(code, words),
        exceptions.ConnectionClosedByBroker(code, words),
        AMQPConnectorAMQPHandshakeError(exceptions.ConnectionClosedByBroker(code, words)),
        authentication,
    ):
        broker_error = explain(error)
        assert broker_error.kind is kind
        assert words in broker_error.text
        assert broker_error.advice
        assert str(broker_error) == f"{broker_error.text}; {broker_error.advice}"
    assert broker_said(words) == BrokerError(kind, words, broker_error.advice)


@pytest.mark.parametrize(("code", "words", "_kind"), [case for case in WORDS if case[0] == 406])
def test_only_a_queue_that_differs_is_advised_to_be_deleted(code: int, words: str, _kind: Kind) -> None:
    """Any other 406 is about a message or an acknowledgement: deleting the queue would lose every waiting message."""
    advice = explain(exceptions.ChannelClosedByBroker(code, words)).advice
    assert ("delete the queue" in advice) == ("inequivalent" in words)
    for other in ("invalid expiration 'x'", "message size 9 is larger than configured max size 8", "user_id property"):
        assert "delete" not in explain(exceptions.ChannelClosedByBroker(406, f"PRECONDITION_FAILED - {other}")).advice


def test_unknown_words_of_the_broker_are_shown_without_advice() -> None:
    assert broker_said("something new") is None
    assert explain(exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED - shutdown")) == BrokerError(
        Kind.OTHER, "320 CONNECTION_FORCED - shutdown"
    )


def test_a_missing_error_is_of_kind_other() -> None:
    """Some callbacks of pika get None."""
    assert explain(None).kind is Kind.OTHER


def test_every_kind_has_its_own_exit_code() -> None:
    """No exit code that programs or shells use."""
    assert sorted(Kind) == list(range(10, 20))


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_line_of_advice(kind: Kind) -> None:
    """Short enough for a terminal."""
    assert 20 < len(ADVICE[kind]) < 110
    assert "\n" not in ADVICE[kind]


ALERTS = {
    "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)": "certificate required",
    "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure (_ssl.c:1006)": "handshake failure",
    "[SSL: SSLV3_ALERT_BAD_CERTIFICATE] ssl/tls alert bad certificate (_ssl.c:1006)": "",
    "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:1006)": "unknown ca",
    "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:1006)": "protocol version",
}


@pytest.mark.parametrize("text", ALERTS)
def test_a_broker_that_wants_our_certificate_is_12_and_names_its_variable(text: str) -> None:
    """With TLS 1.3 the alert comes behind the handshake, and pika makes of it that the protocol is another."""
    alert, lost = ssl.SSLError(1, text), f"StreamLostError: ('Stream connection lost: {ssl.SSLError(1, text)!r}',)"
    for error in (
        alert,
        AMQPConnectorTransportSetupError(alert),
        AMQPConnectorAMQPHandshakeError(exceptions.IncompatibleProtocolError(lost)),
        AMQPConnectorAMQPHandshakeError(exceptions.ProbableAuthenticationError(lost)),
    ):
        broker_error = explain(error)
        assert broker_error.kind is Kind.TLS
        assert ALERTS[text] in broker_error.text
        assert ("MQ_TLS_CERT_FILE" in broker_error.advice) == ("PROTOCOL" not in text)


def test_a_long_name_is_thought_of_where_the_broker_fails_to_refuse() -> None:
    assert "MQ_CH" in explain(exceptions.ConnectionClosedByBroker(541, "INTERNAL_ERROR")).advice
