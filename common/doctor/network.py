"""The way to a broker as far as it goes without a user: name, TCP, TLS, AMQP's greeting; and its machine's clock."""

import re
import socket
import ssl
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

from pika import frame, spec
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout
from pika.exceptions import AMQPError, IncompatibleProtocolError

from common.amqp.errors import explain
from common.doctor.report import Check, Status, refused
from common.settings.broker_url import BrokerUrl
from common.settings.shared import Settings

DAY = 24 * 3600.0
RENEW_BEFORE = 14  # days that a certificate is still good for
GREETING = 64 * 1024  # bytes; the broker's has some hundred
TOLERATED = 1.0  # seconds between the clocks
HOW = "not asked: AMQP tells no time; name the management page, --mq-management-url http://HOST:15672"
ENCRYPT = "use amqps:// and MQ_TLS_CA_FILE: whoever is on the way can read the password and the messages"
BOTH = "let both machines follow NTP: the ages of messages are measured by two clocks"


def check_network(url: BrokerUrl, settings: Settings) -> Iterator[Check]:
    """Each step as it is done, up to the first that fails; an address that fails is none while another is left.

    Each takes MQ_CONNECT_TIMEOUT at most, but the first as long as the system's resolver.
    """
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except OSError as error:
        yield refused("name", explain(error), time.monotonic() - began)
        return
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    text = f"{url.host} is {', '.join(addresses)}"
    yield Check("name", Status.OK, text, seconds=time.monotonic() - began)
    # The resolver's whole name of `rabbitmq-service.mq-pair` in a pod is that of a Service.
    if not url.tls and not any(stays_near(name, addresses) for name in (url.host, found[0][3])):
        yield Check("password", Status.WARNING, f"amqp:// sends it in the clear to {url.host}", ENCRYPT)
    names = ("tcp", "tls", "amqp") if url.tls else ("tcp", "amqp")
    furthest = (
        -1,
        Check("", Status.FAILED, ""),
    )  # the step that failed, by its place, at the address that got that far
    for number, address in enumerate(addresses, 1):
        with closing(_steps(url, settings, address)) as steps:
            for place, name in enumerate(names):
                began = time.monotonic()
                try:
                    check = next(steps)
                except (OSError, AMQPError, AMQPConnectorStackTimeout) as error:
                    why, seconds, last = explain(error), time.monotonic() - began, number == len(addresses)
                    if last and furthest[0] <= place:
                        yield refused(name, why, seconds)
                        return
                    named = why._replace(text=f"{address}: {why.text}")
                    furthest = max(furthest, (place, refused(name, named, seconds)), key=itemgetter(0))
                    text = f"{named.text}; {'none is left' if last else 'the next address is tried'}"
                    check = refused(name, why._replace(text=text), seconds, fatal=False)
                    # As of `localhost`, whose ::1 is often refused: that costs the services no time.
                    yield check if place else check._replace(status=Status.NOTE, advice="")
                    break
                yield check._replace(name=name, seconds=time.monotonic() - began)
            else:
                return
    yield furthest[1]


def stays_near(host: str, addresses: Sequence[str]) -> bool:
    """Whether what is sent to `host` stays on this machine, or in its cluster or Compose project."""
    in_cluster = re.fullmatch(r"[^.:]+|[^.]+\.[^.]+\.svc(\..+)?", host)
    return bool(in_cluster) or all(ip_address(each).is_loopback for each in addresses)


def _steps(url: BrokerUrl, settings: Settings, address: str) -> Generator[Check]:
    with ExitStack() as stack:
        peer = stack.enter_context(socket.create_connection((address, url.port), settings.mq_connect_timeout))
        yield Check("", Status.OK, f"{address} port {url.port}")
        if url.tls:
            try:
                secure = settings.tls_context().wrap_socket(peer, server_hostname=url.host)
            except TimeoutError:
                raise AMQPConnectorStackTimeout from None
            peer = stack.enter_context(secure)
            yield _check_certificate(secure)
        properties: dict[str, Any] = _greeting(peer, settings.mq_connect_timeout).server_properties  # type: ignore[assignment]
        product, version, cluster = (properties.get(key, "?") for key in ("product", "version", "cluster_name"))
        yield Check("", Status.OK, f"{product} {version}, cluster {cluster}")


def _check_certificate(peer: ssl.SSLSocket) -> Check:
    certificate: dict[str, Any] = peer.getpeercert() or {}
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / DAY
    text = f"{peer.version()}, the broker's certificate is valid for {days:.0f} more days"
    if days < RENEW_BEFORE:
        return Check("", Status.WARNING, text, "renew it, or see why it is not renewed by itself")
    return Check("", Status.OK, text)


def _greeting(peer: socket.socket, timeout: float) -> spec.Connection.Start:
    """What the broker says before anybody logs in. Raises AMQPError when it is no broker."""
    received, deadline = b"", time.monotonic() + timeout
    try:
        peer.sendall(frame.ProtocolHeader().marshal())
        while time.monotonic() < deadline:
            chunk = peer.recv(4096)
            received += chunk
            if start := _start(received):
                return start
            if not chunk or len(received) > GREETING:
                raise IncompatibleProtocolError
    except TimeoutError:
        pass
    except ConnectionError:
        raise IncompatibleProtocolError from None
    raise AMQPConnectorStackTimeout


def _start(received: bytes) -> spec.Connection.Start | None:
    """The greeting, or None when more must come. Raises IncompatibleProtocolError."""
    try:
        _, decoded = frame.decode_frame(received)
        method = decoded and decoded.method  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001 - whatever pika makes of bytes that are not AMQP
        raise IncompatibleProtocolError from None
    if method is None or isinstance(method, spec.Connection.Start):
        return method
    raise IncompatibleProtocolError


def check_clock(page: str | None, settings: Settings) -> Check:
    """How far the broker's clock is from ours, by the date that its management page (http or https) sends.

    A page that does not answer is no failure of the broker's.
    """
    if not page:
        return Check("clock", Status.NOTE, HOW)
    before = time.time()
    try:
        theirs = parsedate_to_datetime(_date(page, settings)).timestamp()
    except (OSError, HTTPException, ValueError) as error:
        return Check("clock", Status.WARNING, f"not known: {page}: {reason(error)}", "is it the management page?")
    return compare_clocks(theirs, before, time.time())


def compare_clocks(theirs: float, before: float, after: float) -> Check:
    """`theirs` was sent between our `before` and `after`: a date in whole seconds, renewed once a second."""
    apart = theirs + 1.0 - (before + after) / 2
    unsure = 1.0 + (after - before) / 2
    text = f"{abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} ours, give or take {unsure:.1f} s"
    if abs(apart) - unsure > TOLERATED:
        return Check("clock", Status.WARNING, text, BOTH)
    return Check("clock", Status.OK, text, seconds=after - before)


def reason(error: Exception) -> str:
    """Why a page did not answer."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def page_connection(page: str, settings: Settings) -> HTTPConnection:
    """To the host of `page`; nothing is sent yet."""
    parts, timeout = urlsplit(page), settings.mq_connect_timeout
    if parts.scheme == "https":
        return HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=settings.tls_context())
    return HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)


def _date(page: str, settings: Settings) -> str:
    with closing(page_connection(page, settings)) as connection:
        connection.request("HEAD", urlsplit(page).path or "/")
        # Every answer has a date, that to somebody without a user too.
        return connection.getresponse().headers["Date"] or ""
