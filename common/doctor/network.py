"""The way to a broker as far as it goes without a user: name, TCP, TLS, and AMQP's greeting."""

import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

from pika import frame, spec
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout
from pika.exceptions import AMQPError, IncompatibleProtocolError

from common.amqp.errors import explain
from common.doctor.check import Check, Verdict, refused
from common.settings.broker_url import BrokerUrl
from common.settings.shared import Settings

DAY = 24 * 3600.0
RENEW_BEFORE = 14  # days that a certificate is still good for
GREETING = 64 * 1024  # bytes; the broker's has some hundred


def look(url: BrokerUrl, settings: Settings) -> Iterator[Check]:
    """Each step as it is done, up to the first that fails.

    Each takes MQ_CONNECT_TIMEOUT at most, but the first as long as the system's resolver.
    """
    way = _Way(url, settings)
    steps = {"name": way.name, "tcp": way.tcp, "tls": way.tls, "amqp": way.amqp}
    if not url.tls:
        del steps["tls"]
    try:
        for name, step in steps.items():
            began = time.monotonic()
            try:
                check = step()
            except (OSError, AMQPError, AMQPConnectorStackTimeout) as error:
                yield refused(name, explain(error), time.monotonic() - began)
                return
            yield check._replace(name=name, seconds=time.monotonic() - began)
    finally:
        way.close()


class _Way:
    """Each step needs those before it."""

    def __init__(self, url: BrokerUrl, settings: Settings) -> None:
        self._url, self._settings = url, settings
        self._socket: socket.socket | None = None

    def close(self) -> None:
        if self._socket:
            self._socket.close()

    def name(self) -> Check:
        found = socket.getaddrinfo(self._url.host, self._url.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        return Check("", Verdict.OK, f"{self._url.host} is {', '.join(addresses)}")

    def tcp(self) -> Check:
        timeout = self._settings.mq_connect_timeout
        self._socket = socket.create_connection((self._url.host, self._url.port), timeout)
        host, port, *_ = self._socket.getpeername()
        return Check("", Verdict.OK, f"{host} port {port}")

    def tls(self) -> Check:
        assert self._socket  # noqa: S101 - `tcp` was before
        try:
            secure = self._settings.tls_context().wrap_socket(self._socket, server_hostname=self._url.host)
        except TimeoutError:
            raise AMQPConnectorStackTimeout from None
        self._socket = secure
        certificate: dict[str, Any] = secure.getpeercert() or {}
        days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / DAY
        text = f"{secure.version()}, the broker's certificate is valid for {days:.0f} more days"
        if days < RENEW_BEFORE:
            return Check("", Verdict.WARNING, text, "renew it, or see why it is not renewed by itself")
        return Check("", Verdict.OK, text)

    def amqp(self) -> Check:
        properties: dict[str, Any] = self._greeting().server_properties  # type: ignore[assignment]
        product, version, cluster = (properties.get(key, "?") for key in ("product", "version", "cluster_name"))
        return Check("", Verdict.OK, f"{product} {version}, cluster {cluster}")

    def _greeting(self) -> spec.Connection.Start:
        """What the broker says before anybody logs in. Raises AMQPError when it is no broker."""
        assert self._socket  # noqa: S101 - `tcp` was before
        received = b""
        deadline = time.monotonic() + self._settings.mq_connect_timeout
        try:
            self._socket.sendall(frame.ProtocolHeader().marshal())
            while time.monotonic() < deadline:
                chunk = self._socket.recv(4096)
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
