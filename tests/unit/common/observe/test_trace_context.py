"""Trace contexts from outside."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from common.observe.trace_context import no_spans_if_missing, spans_wanted, trace_context, trace_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize("parent", [PARENT, f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-ff"])
def test_a_valid_context_is_taken(parent: str) -> None:
    """Of any version."""
    headers = {"traceparent": parent, "tracestate": "vendor=1,other=2", "tenant": "a"}
    assert trace_context(headers) == {"traceparent": parent, "tracestate": "vendor=1,other=2"}
    assert trace_id(headers) == TRACE


BAD = {
    "absent": None,
    "a number": 7,
    "bytes": PARENT.encode(),
    "empty": "",
    "upper case": PARENT.upper(),
    "version ff": f"ff-{TRACE}-{SPAN}-01",
    "no trace": f"00-{'0' * 32}-{SPAN}-01",
    "no span": f"00-{TRACE}-{'0' * 16}-01",
    "short": PARENT[:-1],
    "long": PARENT + "0",
    "a newline": PARENT + "\n",
    "two": f"{PARENT}, {PARENT}",
    "very long": PARENT + "-" + "x" * 100_000,
    "a log line of its own": f'{PARENT}\n{{"event": "all is well"}}',
}


@pytest.mark.parametrize("kind", BAD)
def test_a_malformed_parent_is_as_if_it_were_absent(kind: str) -> None:
    """A state means nothing without a parent."""
    headers = {"traceparent": BAD[kind], "tracestate": "vendor=1"}
    assert trace_context(headers) == {}
    assert trace_id(headers) is None


@pytest.mark.parametrize("state", [None, 7, "", "x" * 513, "a=1\n", "ü=1", b"a=1"])
def test_a_malformed_state_is_left_out_alone(state: object) -> None:
    """The parent is valid without a state."""
    assert trace_context({"traceparent": PARENT, "tracestate": state}) == {"traceparent": PARENT}


values = st.none() | st.text() | st.binary() | st.integers() | st.lists(st.text()) | st.from_regex(r"00-[0-9a-f-]{52}")


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate"]), values))
def test_nothing_raises_and_what_is_taken_is_short_and_printable(headers: dict[str, Any]) -> None:
    """Whatever stands in the headers."""
    for value in trace_context(headers).values():
        assert len(value) <= 512
        assert value.isascii()
        assert value.isprintable()


def test_spans_are_wanted_for_a_collector_or_where_opentelemetry_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every service without a collector would warn."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    assert [spans_wanted(endpoint) for endpoint in (None, "", "http://collector:4318")] == [False, False, True]
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", sys)
    assert spans_wanted(None)


def test_a_missing_package_is_a_warning_and_any_other_error_passes() -> None:
    with capture_logs() as lines, no_spans_if_missing():
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    event = "no spans: the extra `otel` is not installed"
    assert lines == [{"event": event, "missing": "no_such_package", "log_level": "warning"}]
    with pytest.raises(KeyError), no_spans_if_missing():
        raise KeyError
