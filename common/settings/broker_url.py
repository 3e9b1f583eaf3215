"""BrokerUrl: the address of a broker, as written in MQ_URL."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

PORTS = {"amqp": 5672, "amqps": 5671}
EXAMPLE = "amqp://user:password@rabbitmq-service:5672/"


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """One broker. `str()` has no password, and no user name without a password, which may be a token: log that."""

    host: str
    port: int
    vhost: str
    username: str = field(repr=False)
    password: str = field(repr=False)
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "amqps" if self.tls else "amqp"
        return f"{scheme}://{self.user}@{host}:{self.port}/{'' if self.vhost == '/' else self.vhost}"

    @property
    def user(self) -> str:
        """The user's name as it may be shown."""
        return self.username if self.username == "guest" or self.password not in ("", "guest") else "…"

    def hide(self, text: str) -> str:
        """`text` of a broker, which quotes the name, as it may be shown."""
        return text.replace(f"'{self.username}'", f"'{self.user}'")


def parse_urls(text: str) -> tuple[BrokerUrl, ...]:
    """The brokers of a comma-separated list of URLs, in its order.

    Raises ValueError, whose message holds no part of the text, because any part may be the password.
    """
    parts = [part.strip() for part in text.strip().split(",")]
    return tuple(_parse_url(part, f"URL {i} of {len(parts)}: " * (len(parts) > 1)) for i, part in enumerate(parts, 1))


def _parse_url(text: str, which: str) -> BrokerUrl:
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError(f"{which}white space or a control character inside; percent-encode it")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(f"{which}host or port cannot be read; percent-encode / : @ # [ ] in the password") from None
    if url.scheme not in PORTS:
        raise ValueError(f"{which}must start with amqp:// or amqps:// (a comma in a password is written %2C)")
    if not url.hostname:
        raise ValueError(f"{which}no host name")
    check_host(url.hostname, which)
    if port == 0:
        raise ValueError(f"{which}port 0 is none")
    if url.query or url.fragment:
        raise ValueError(f"{which}a ? or # part is not understood; use the MQ_ settings, percent-encode the password")
    if "/" in url.path[1:] or "@" in url.path:  # a path with an @ is the rest of a password, which must not be shown
        raise ValueError(f"{which}a / inside the password or the virtual host is written %2F, an @ %40")
    return BrokerUrl(
        host=url.hostname,
        port=port or PORTS[url.scheme],
        # By the URI specification a final "/" alone is the virtual host "", which nobody has: people mean "/".
        vhost=_decoded(url.path[1:], which) or "/",
        username=_decoded(url.username, which) if url.username is not None else "guest",
        password=_decoded(url.password, which) if url.password is not None else "guest",
        tls=url.scheme == "amqps",
    )


def _decoded(text: str, which: str) -> str:
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise ValueError(f"{which}a percent sign is written %25")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"{which}percent escapes that are no UTF-8; an ä is written %C3%A4") from None


def check_host(host: str, which: str = "") -> str:
    """`host` if it can be looked up. Raises ValueError; `getaddrinfo` would raise an error that is no OSError."""
    try:  # only for international names: their codec takes milliseconds to load
        *labels, last = host.split(".") if host.isascii() else host.encode("idna").decode().split(".")
        fits = all(0 < len(label) < 64 for label in labels) and len(last) < 64
    except UnicodeError:
        fits = False
    if not fits:
        raise ValueError(f"{which}no host name: each part between dots has 1 to 63 characters")
    return host
