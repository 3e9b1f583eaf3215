"""What a service says of itself: its pages /metrics and /readyz, and the lines of its JSON log."""

import json
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 2.0


def get(url: str) -> tuple[int, str]:
    """Return status and body of a page, also for an error status; raises OSError when nobody answers."""
    where = urlsplit(url)
    # Not urllib.request, which would ask the proxy that http_proxy names.
    with closing(HTTPConnection(where.netloc, timeout=_SECONDS)) as connection:
        try:
            connection.request("GET", where.path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except HTTPException as broken:
            raise OSError(f"{url}: {broken!r}") from broken


def readiness(base: str) -> tuple[bool, list[str]]:
    """Return whether the service at `base` (http://host:port) is ready and, if not, why; raises OSError."""
    answer = json.loads(get(f"{base}/readyz")[1])
    return bool(answer["ready"]), [str(reason) for reason in answer["reasons"]]


def events(log: Iterable[str], name: str) -> list[dict[str, Any]]:
    """Return the log's JSON lines whose event is `name`; other lines, such as those of a handler, do not count."""
    found = []
    for line in log:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("event") == name:
            found.append(record)
    return found


def connected_seconds(log: list[str]) -> float:
    """Return the seconds from the first `connected` to the last `stopped` of a service's log; 0 without both."""
    first, last = events(log, "connected")[:1], events(log, "stopped")[-1:]
    times = [datetime.fromisoformat(event["timestamp"]) for event in first + last]
    return (times[1] - times[0]).total_seconds() if len(times) > 1 else 0.0
