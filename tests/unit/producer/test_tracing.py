"""The spans between a source and the broker's confirm."""

from collections.abc import Callable, Iterable

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from pika import BasicProperties

from common.message import Message
from common.observe.trace_context import trace_context
from producer.source import Item
from producer.tracing import Spans

Ended = Callable[[], tuple[ReadableSpan, ...]]
CONTEXT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def begin(*values: object) -> tuple[Spans, list[Item]]:
    """Spans of these values, each an Item or to be one, and what the reader gets."""
    items = [value if isinstance(value, Item) else Item(value, number) for number, value in enumerate(values, 1)]
    spans = Spans(lambda: items, "jobs", "run")
    return spans, list(spans.items())


def sent(items: Iterable[Item]) -> list[Message]:
    """As the reader makes them."""
    return [Message.of(item.value, "reader") for item in items if not isinstance(item.value, Exception)]


@pytest.mark.parametrize("value", [b"bytes", "text", {"json": 1}, Message(b"own"), Item(b"line", 40)])
def test_a_message_carries_the_context_of_its_span_which_ends_with_the_confirm(ended: Ended, value: object) -> None:
    """Of whatever the source gives."""
    spans, items = begin(value)
    (message,) = sent(items)
    assert ended() == ()
    position = items[0].position
    assert position == (40 if isinstance(value, Item) else 1)
    spans.confirmed(position)
    (span,) = ended()
    assert span.context
    expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"
    assert trace_context(message.headers) == {"traceparent": expected}
    assert (span.name, span.kind, span.parent) == ("send jobs", SpanKind.PRODUCER, None)
    assert (span.attributes or {})["messaging.message.id"] == message.message_id == f"run-{position}"
    assert span.status.status_code is StatusCode.UNSET


def test_an_item_that_cannot_be_a_message_is_left_to_the_reader(ended: Ended) -> None:
    """Which says what is done about it; the others have their spans."""
    spans, items = begin(1, {2}, 3)
    assert [item.value for item in items if not isinstance(item.value, Message)] == [{2}]
    spans.refused(2)
    for position in (1, 3):
        spans.confirmed(position)
    assert len(ended()) == 2


def test_a_context_that_the_source_gave_is_not_changed(ended: Ended) -> None:
    """It is the message's own; the span is below it."""
    spans, items = begin(Message(b"x", headers={**CONTEXT, "tenant": "a"}))
    (message,) = sent(items)
    assert message.headers.items() >= {**CONTEXT, "tenant": "a"}.items()
    spans.confirmed(1)
    (span,) = ended()
    assert span.parent
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.kind is SpanKind.CLIENT


def test_a_malformed_context_is_replaced_and_all_other_properties_stay(ended: Ended) -> None:
    """The message that the source holds is not changed."""
    properties = BasicProperties(headers={"traceparent": "made up", "tenant": "a"}, priority=3, message_id="m")
    given = Message(b"x", properties=properties)
    _, items = begin(given)
    (message,) = sent(items)
    assert trace_context(message.headers)
    assert message.headers["tenant"] == "a"
    assert (message.properties.priority, message.message_id) == (3, "m")
    assert given.headers["traceparent"] == "made up"


@pytest.mark.parametrize(("value", "date"), [(b"x", None), (Message(b"x", properties=BasicProperties(timestamp=7)), 7)])
@pytest.mark.parametrize("headers", [{}, CONTEXT])
def test_only_its_source_dates_a_message_before_the_reader_does(
    ended: Ended, value: object, date: int | None, headers: dict[str, str]
) -> None:
    """Or the wait for PRODUCER_RATE would count in its age."""
    if headers:
        value = Message(b"x", properties=BasicProperties(timestamp=date, headers=dict(headers)))
    _, [item] = begin(value)
    assert isinstance(item.value, Message)
    assert item.value.properties.timestamp == date
    assert ended() == ()


def test_the_span_of_a_refused_or_unconfirmed_message_is_an_error(ended: Ended) -> None:
    """An error in a message's place has no span, and keeps its place."""
    too_long = ValueError("a line of 9 bytes")
    spans, items = begin(b"refused", too_long, b"confirmed", b"left")
    assert (items[1].value, items[1].position) == (too_long, 2)
    for position in (1, 2, 3, 4):
        spans.taken(position)
    spans.refused(1)
    spans.refused(2)
    spans.confirmed(3)
    spans.tick(0.0)
    spans.close()
    kinds = [(span.attributes or {}).get("error.type") for span in ended()]
    assert kinds == ["refused", None, "unconfirmed"]
