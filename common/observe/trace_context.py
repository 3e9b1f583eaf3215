"""Trace context: the W3C headers `traceparent` and `tracestate` of a message, as far as they can be believed. Pure.

See https://www.w3.org/TR/trace-context/. They come from outside: what is malformed or too long is as if it were absent.
"""

import re
from collections.abc import Mapping
from typing import Any

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
# Version, trace id, span id, flags. Ids of zeros alone are none. (Compiled when the first trace comes.)
_PARENT = r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_STATE = r"[ -~]{1,512}"  # as many characters as everybody must be able to hand on


def trace_context(headers: Mapping[str, Any]) -> dict[str, str]:
    """Those of the two that are valid in `headers`; `tracestate` means nothing alone. Empty: there is no context."""
    if not _matched(_PARENT, headers.get(TRACEPARENT)):
        return {}
    names = (TRACEPARENT, TRACESTATE) if _matched(_STATE, headers.get(TRACESTATE)) else (TRACEPARENT,)
    return {name: headers[name] for name in names}


def trace_id(headers: Mapping[str, Any]) -> str | None:
    """The 32 digits by which a trace is found; None when `headers` have no valid `traceparent`."""
    found = _matched(_PARENT, headers.get(TRACEPARENT))
    return found[1] if found else None


def _matched(pattern: str, value: object) -> re.Match[str] | None:
    return re.fullmatch(pattern, value) if isinstance(value, str) else None
