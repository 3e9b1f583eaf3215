"""Tracing: whether anybody wants spans. OpenTelemetry is loaded only then."""

import sys

import structlog

from common.settings.shared import Settings

log = structlog.get_logger()


def wanted(settings: Settings, service: str) -> bool:
    """Whether spans are to be made, after setting up their way to OTEL_EXPORTER_OTLP_ENDPOINT in the name of `service`.

    What was set up before, by `opentelemetry-instrument` or by the user's own module, is left as it is.
    """
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint and "opentelemetry.trace" not in sys.modules:
        return False
    try:
        from common.observe.spans import is_set_up, set_up  # noqa: PLC0415 - loads OpenTelemetry

        if not is_set_up() and endpoint:
            set_up(endpoint, service)
        return is_set_up()
    except ImportError as missing:
        log.warning("no spans: the extra `otel` is not installed", missing=missing.name)
        return False
