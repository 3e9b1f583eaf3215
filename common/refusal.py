"""Why a connection did not come, or went: one sentence for people out of whatever pika hands over."""

import socket
import ssl

from pika import exceptions
from pika.adapters.utils.connection_workflow import (
    AMQPConnectorException,
    AMQPConnectorStackTimeout,
)

ADVICE = {
    "ACCESS_REFUSED": "look at the user, its password and its permissions",
    "NOT_ALLOWED": "look at the virtual host, its limits, and the user's permission for it",
    "NOT_FOUND": "the queue is not there: MQ_TOPOLOGY=create declares it",
    "PRECONDITION_FAILED": "delete the queue, or set MQ_TOPOLOGY=assert to use it as it is",
    "RESOURCE_LOCKED": "another connection holds the queue for itself",
    "RESOURCE_ERROR": "the broker is at a limit of its own",
    "INTERNAL_ERROR": "the broker's log says more",
}

SENTENCES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (socket.gaierror, "the host name does not resolve"),
    (ConnectionRefusedError, "connection refused: nothing listens there (yet)"),
    (exceptions.IncompatibleProtocolError, "the peer does not speak AMQP 0-9-1"),
    (exceptions.AMQPHeartbeatTimeout, "no heartbeat from the broker"),
    (exceptions.ConnectionBlockedTimeout, "the broker stayed in memory or disk alarm for MQ_BLOCKED_TIMEOUT"),
    ((TimeoutError, AMQPConnectorStackTimeout), "no answer in MQ_CONNECT_TIMEOUT"),
)


def root_cause(error: BaseException | None) -> BaseException | None:
    """The first error of the chain that pika wraps, and wraps again."""
    while True:
        inner: BaseException | None = None
        if isinstance(error, AMQPConnectorException) and hasattr(error, "exceptions"):
            inner = error.exceptions[-1]
        elif isinstance(error, AMQPConnectorException) and hasattr(error, "exception"):
            inner = error.exception
        elif isinstance(error, exceptions.AMQPConnectionError) and error.args:
            inner = error.args[0] if isinstance(error.args[0], BaseException) else None
        if inner is None:
            return error
        error = inner


def explain(error: BaseException | None) -> str:
    """One line: what happened and, where we know, what to do. Never holds a password."""
    cause = root_cause(error)
    text = _sentence(cause)
    for code, advice in ADVICE.items():
        if code in text:
            return f"{text}; {advice}"
    return text


def _sentence(cause: BaseException | None) -> str:
    for kinds, sentence in SENTENCES:
        if isinstance(cause, kinds):
            return sentence
    if isinstance(cause, exceptions.ChannelClosedByBroker | exceptions.ConnectionClosedByBroker):
        return f"{cause.reply_code} {cause.reply_text}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {cause.verify_message}; look at MQ_TLS_CA_FILE"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}; is the port the broker's TLS port?"
    # pika puts the broker's words, `ConnectionClosedByBroker: (403) "ACCESS_REFUSED - ..."`, into its own guess.
    text = str(cause).removeprefix("ConnectionClosedByBroker: ").replace('"', "").strip("' ")
    return text or type(cause).__name__
