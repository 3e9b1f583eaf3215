"""Trace context: the W3C headers `traceparent` and `tracestate` of a message, and whether to make spans.

See https://www.w3.org/TR/trace-context/. The headers come from outside: a malformed or too long header counts as
absent. Needs no OpenTelemetry.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
# Version, trace id, span id, flags; an id of zeros is invalid. Compiled when the first trace comes.
_PARENT = r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_STATE = r"[ -~]{1,512}"  # characters; the specification has everybody pass on so many


def trace_context(headers: Mapping[str, Any]) -> dict[str, str]:
    """The valid ones of the two headers, `tracestate` only with a `traceparent`. Empty: there is no context."""
    if not _matched(_PARENT, headers.get(TRACEPARENT)):
        return {}
    names = (TRACEPARENT, TRACESTATE) if _matched(_STATE, headers.get(TRACESTATE)) else (TRACEPARENT,)
    return {name: headers[name] for name in names}


def trace_id(headers: Mapping[str, Any]) -> str | None:
    """The 32 hexadecimal digits of the trace; None if `headers` have no valid `traceparent`."""
    found = _matched(_PARENT, headers.get(TRACEPARENT))
    return found[1] if found else None


def spans_wanted(endpoint: str | None) -> bool:
    """Whether to load OpenTelemetry: for a collector at `endpoint`, or because user code has loaded it."""
    return bool(endpoint) or "opentelemetry.trace" in sys.modules


@contextmanager
def no_spans_if_missing() -> Iterator[None]:
    """Log a warning if an import inside fails (not installed, deleted): messages matter more than spans."""
    try:
        yield
    except ImportError as missing:
        structlog.get_logger().warning("no spans: the extra `otel` is not installed", missing=missing.name)


def _matched(pattern: str, value: object) -> re.Match[str] | None:
    return re.fullmatch(pattern, value) if isinstance(value, str) else None
