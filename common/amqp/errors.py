"""BrokerError: why a connection failed or was lost, in words for people, made of the errors that pika hands over."""

import re
import socket
import ssl
from enum import IntEnum
from typing import NamedTuple

from pika import exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorSocketConnectError, AMQPConnectorStackTimeout

from common.process.exit import ExitCode


class Kind(IntEnum):
    """How far the connection came. The numbers are the exit codes of the preflight and the doctor."""

    DNS = ExitCode.DNS
    TCP = ExitCode.TCP
    TLS = ExitCode.TLS
    HANDSHAKE = ExitCode.HANDSHAKE
    CREDENTIALS = ExitCode.CREDENTIALS
    VHOST = ExitCode.VHOST
    PERMISSION = ExitCode.PERMISSION
    TOPOLOGY = ExitCode.TOPOLOGY
    LIMIT = ExitCode.LIMIT
    OTHER = ExitCode.OTHER


# Waiting helps against none of these: `dead-letters` and `verify` give up at once; a service still tries again.
FINAL = {Kind.CREDENTIALS, Kind.VHOST, Kind.PERMISSION}
ADVICE = {
    Kind.DNS: "is the name right, and does the resolver of this machine or pod know it?",
    Kind.TCP: "does the broker run, is it the right port, does a firewall or a network policy stand between?",
    Kind.TLS: "MQ_TLS_CA_FILE names who signed the certificate, and the host in MQ_URL is one of its names",
    Kind.HANDSHAKE: "AMQP is on port 5672, and with amqps:// on 5671; 15672 is the management page",
    Kind.CREDENTIALS: "look at the user and the password in MQ_URL",
    Kind.VHOST: "create the virtual host at the end of MQ_URL, and give the user permission for it",
    Kind.PERMISSION: "give the user this permission; to configure is needed only with MQ_TOPOLOGY=create",
    Kind.TOPOLOGY: "delete the queue, take another MQ_CH, or set MQ_TOPOLOGY=assert",
    Kind.LIMIT: "raise the limit that the broker names, or free what takes it up; it is tried again",
    Kind.OTHER: "look at the broker's log, and at the load of its machine",
}


class BrokerError(NamedTuple):
    """What happened and, if known, what to do about it. A value that is returned and logged, not an exception.

    Its text is one line and never holds a password.
    """

    kind: Kind
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}" if self.advice else self.text


STREAM = "rabbit_stream_queue"  # how the broker names one that refuses an argument
NO_STREAM = "a stream skips what came before its consumer: take a quorum queue as MQ_CH"
# Searched in this order in the broker's words.
BROKER_SAYS = (
    ("Login was refused", Kind.CREDENTIALS, ADVICE[Kind.CREDENTIALS]),
    ("ACCESS_REFUSED", Kind.PERMISSION, ADVICE[Kind.PERMISSION]),
    # connection limit (0) · queue limit in vhost 'v' (0) · has reached the maximum allowed user limit of 0
    ("limit (", Kind.LIMIT, ADVICE[Kind.LIMIT]),
    ("limit in ", Kind.LIMIT, ADVICE[Kind.LIMIT]),
    ("has reached the ", Kind.LIMIT, ADVICE[Kind.LIMIT]),
    ("RESOURCE_ERROR", Kind.LIMIT, ADVICE[Kind.LIMIT]),
    ("NOT_ALLOWED", Kind.VHOST, ADVICE[Kind.VHOST]),
    ("no exchange '", Kind.TOPOLOGY, "declare the exchange that the handler forwards to"),
    ("NOT_FOUND", Kind.TOPOLOGY, "MQ_TOPOLOGY=create declares the queue, if the user may; so does `make rotate`"),
    ("transient_nonexcl_queues", Kind.TOPOLOGY, "this broker refuses transient queues: delete the old queue"),
    ("inequivalent arg", Kind.TOPOLOGY, f"run `doctor`, which lists every difference; then {ADVICE[Kind.TOPOLOGY]}"),
    ("delivery acknowledgement", Kind.OTHER, "let handlers take less time than the broker's consumer_timeout"),
    (STREAM, Kind.TOPOLOGY, NO_STREAM),
    ("PRECONDITION_FAILED", Kind.TOPOLOGY, "change what the broker names"),
    ("RESOURCE_LOCKED", Kind.TOPOLOGY, "another connection holds the queue for itself"),
    # RabbitMQ's refusal names the queue, in at most 255 bytes; a longer one that is not ASCII ends its connection.
    ("INTERNAL_ERROR", Kind.OTHER, "look at the broker's log; is MQ_CH long and not ASCII? take a shorter one"),
)
ERRORS = (
    (socket.gaierror, Kind.DNS, "the host name does not resolve"),
    (ConnectionRefusedError, Kind.TCP, "connection refused: nothing listens there (yet)"),
    (ssl.SSLCertVerificationError, Kind.TLS, "the broker's certificate is not trusted"),
    (ssl.SSLError, Kind.TLS, "TLS failed: is it the broker's TLS port?"),
    (
        exceptions.IncompatibleProtocolError,
        Kind.HANDSHAKE,
        "the peer does not speak AMQP 0-9-1 (yet; or is it the TLS port?)",
    ),
    (exceptions.AMQPHeartbeatTimeout, Kind.TCP, "no heartbeat from the broker"),
    (exceptions.ConnectionBlockedTimeout, Kind.LIMIT, "the broker stayed in alarm for MQ_BLOCKED_TIMEOUT"),
    (exceptions.ConnectionOpenAborted, Kind.HANDSHAKE, "no AMQP answer in MQ_CONNECT_TIMEOUT"),
    (AMQPConnectorStackTimeout, Kind.HANDSHAKE, "no AMQP answer in MQ_CONNECT_TIMEOUT"),
    (AMQPConnectorSocketConnectError, Kind.TCP, "no answer in MQ_CONNECT_TIMEOUT"),
    (TimeoutError, Kind.TCP, "no answer in MQ_CONNECT_TIMEOUT"),
    (OSError, Kind.TCP, "cannot connect"),
    (exceptions.StreamLostError, Kind.HANDSHAKE, "the connection was lost"),
)
BROKERS_WORDS = r"""(?s)^['"]?ConnectionClosedByBroker: \((\d+)\) (['"])(.*)\2['"]?$"""
# What OpenSSL says of the peer's alert: "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (".
TLS_ALERT = re.compile(r"\] \S+ alert ([a-z ]+?) \(")
ABOUT_OUR_CERTIFICATE = re.compile("certificate|unknown ca|handshake failure")
NEEDS_CERTIFICATE = "the broker wants a certificate that it trusts: MQ_TLS_CERT_FILE, and its key in MQ_TLS_KEY_FILE"
DETAILED = (ssl.SSLCertVerificationError, ssl.SSLError, OSError)


def root_cause(error: BaseException | None) -> BaseException | None:
    """The innermost of the errors that pika wrapped around each other.

    A host may have several addresses, each with its error: that of the one that got furthest, and of these the last.
    """
    while True:
        each = getattr(error, "exceptions", None) or [getattr(error, "exception", None)]
        inner = max(reversed(each), key=_progress) if len(each) > 1 else each[0]
        if inner is None and isinstance(error, exceptions.AMQPConnectionError):
            inner = next((each for each in error.args if isinstance(each, BaseException)), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _progress(error: BaseException) -> int:
    kind = explain(error).kind
    return -1 if kind is Kind.OTHER else kind


def broker_said(words: str) -> BrokerError | None:
    """What these words of the broker mean; None for words that are not listed."""
    return next((BrokerError(kind, words, advice) for says, kind, advice in BROKER_SAYS if says in words), None)


def explain(error: BaseException | None) -> BrokerError:
    """The BrokerError for any error that pika hands over."""
    cause = root_cause(error)
    if isinstance(cause, exceptions.ChannelClosedByBroker | exceptions.ConnectionClosedByBroker):
        words = f"{cause.reply_code} {cause.reply_text}"
    else:  # pika may put the broker's words into a text: ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - ...'
        words = re.sub(BROKERS_WORDS, r"\1 \3", str(cause))
    if said := broker_said(words):
        return said
    # Of TLS 1.3 an alert comes behind the handshake, and pika takes it for another protocol.
    if alert := TLS_ALERT.search(words):
        advice = NEEDS_CERTIFICATE if ABOUT_OUR_CERTIFICATE.search(alert[1]) else ""
        return BrokerError(Kind.TLS, f"the broker ended TLS: {alert[1]}", advice)
    for types, kind, sentence in ERRORS:
        if isinstance(cause, types):
            detail = getattr(cause, "verify_message", "") or getattr(cause, "strerror", "")
            return BrokerError(kind, f"{sentence} ({detail})" if detail and types in DETAILED else sentence)
    return BrokerError(Kind.OTHER, words or type(cause).__name__)
