"""Tracing: what OpenTelemetry is told of a message, by its conventions for RabbitMQ, and where it goes.

See https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/. Loads OpenTelemetry: `trace_context.py` says when.
Everything else works without this module.
"""

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common.message import Message
from common.observe.trace_context import trace_context

EXPORT_TIMEOUT = 2.0  # seconds
BATCH = 2048  # spans of an export; twice as many are held, so a silent collector adds three timeouts to a stop at most
PROPAGATOR = TraceContextTextMapPropagator()


def set_up(endpoint: str | None, service: str) -> bool:
    """Whether somebody takes spans, after sending them to the OTLP collector at `endpoint`, a base URL, if it is given.

    What was set up before, by `opentelemetry-instrument` or by the user's own module, is left as it is. The other OTEL_
    variables are the SDK's own to read. Raises ImportError without the SDK and its exporter.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return True
    if not endpoint:
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - the API may be
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - installed alone
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
    resource = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2 * BATCH, max_export_batch_size=BATCH))
    trace.set_tracer_provider(provider)
    return True


def start(operation: str, kind: SpanKind, queue: str, message: Message) -> Span:
    """A span `OPERATION QUEUE`: child of the context that came with the message, if one did, and linked to it."""
    carrier = trace_context(message.headers)
    context = PROPAGATOR.extract(carrier) if carrier else None
    attributes = {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "messaging.message.id": message.message_id,
        "messaging.message.conversation_id": message.properties.correlation_id,
        "messaging.message.body.size": len(message.body),
    }
    return trace.get_tracer("mq-pair").start_span(
        f"{operation} {queue}",
        context=context,
        kind=kind,
        attributes={name: value for name, value in attributes.items() if value is not None},
        links=[Link(trace.get_current_span(context).get_span_context())] if carrier else (),
    )


def fail(span: Span, error_type: str) -> None:
    """Say that what the span stands for failed, and why."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
