"""How far the broker's clock is from ours, by the date that its management page sends. AMQP tells no time."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import SSLContext
from urllib.parse import urlsplit

from common.doctor.check import Check, Verdict

TOLERATED = 1.0  # seconds
HOW = "not asked: AMQP tells no time; name the management page, --mq-management-url http://HOST:15672"
BOTH = "let both machines follow NTP: the ages of messages are measured by two clocks"


def look(page: str | None, tls: Callable[[], SSLContext], timeout: float) -> Check:
    """Ask `page` (http or https) once. A page that does not answer is no failure of the broker's."""
    if not page:
        return Check("clock", Verdict.NOTE, HOW)
    before = time.time()
    try:
        date = _date(page, tls, timeout)
        theirs = parsedate_to_datetime(date).timestamp()
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Check("clock", Verdict.WARNING, f"not known: {page}: {reason}", "is it the management page?")
    return compare(theirs, before, time.time())


def compare(theirs: float, before: float, after: float) -> Check:
    """`theirs` was sent between our `before` and `after`: a date in whole seconds, renewed once a second."""
    apart = theirs + 1.0 - (before + after) / 2
    unsure = 1.0 + (after - before) / 2
    text = f"{abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} ours, give or take {unsure:.1f} s"
    if abs(apart) - unsure > TOLERATED:
        return Check("clock", Verdict.WARNING, text, BOTH)
    return Check("clock", Verdict.OK, text, seconds=after - before)


def _date(page: str, tls: Callable[[], SSLContext], timeout: float) -> str:
    parts = urlsplit(page)
    host = parts.hostname or ""
    connection = (
        HTTPSConnection(host, parts.port, timeout=timeout, context=tls())
        if parts.scheme == "https"
        else HTTPConnection(host, parts.port, timeout=timeout)
    )
    try:
        connection.request("HEAD", parts.path or "/")
        # Every answer has a date, that to somebody without a user too.
        return connection.getresponse().headers["Date"] or ""
    finally:
        connection.close()
