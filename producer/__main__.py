"""`python -m producer`: the only wiring of the producer. It imports inside main(), while a signal ends it at once."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.process.exit import loading

if TYPE_CHECKING:
    from producer.follower import Follower, Item


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until the source ends, a signal comes, or a defect. Main thread only."""
    with loading():
        from common.observe import logs
        from common.observe.trace_context import no_spans_if_missing, spans_wanted
        from common.plugins import ConfigError
        from common.process.run import Process, serve
        from common.settings import flags
        from producer.checkpoint import new_name, open_checkpoint
        from producer.service import ProducerService
        from producer.settings import ProducerSettings
        from producer.source import open_source

    settings = flags.load(ProducerSettings, "producer", arguments)
    logs.configure(settings.log_level, settings.log_format)
    try:
        file = Path(settings.producer_source.removeprefix("lines:"))
        checkpoint = open_checkpoint(settings.producer_checkpoint, file)
    except ConfigError as error:
        flags.fail([f"PRODUCER_CHECKPOINT: {error}"])
    process = Process(settings.shutdown_grace)
    name = checkpoint.name if checkpoint else new_name()
    followers: list[Follower] = [checkpoint] if checkpoint else []
    source: Callable[[], Iterable[Item]]
    stop: Callable[[], bool | None] | None
    try:
        if settings.producer_source == "http":
            try:
                from producer.http.server import HttpSource
            except ImportError as missing:
                needs = "the extra `http`: pip install 'mq-pair[http]'"
                if missing.name == "producer.http":
                    needs = "the package producer.http, which this installation does not have"
                raise ConfigError(f"http needs {needs}") from None
            http_source = HttpSource(settings, lambda: process.reasons(service))
            source, stop = http_source.items, http_source.pending.stop
            followers.append(http_source.pending)
        else:
            source = open_source(
                settings,
                *((checkpoint.position, checkpoint.descriptor) if checkpoint else (0, None)),
                follow=followers.append,
            )
            stop = getattr(source, "stop", None)
    except ConfigError as error:
        flags.fail([f"PRODUCER_SOURCE: {error}"])
    if spans_wanted(endpoint := settings.otel_exporter_otlp_endpoint):
        with no_spans_if_missing():
            from common.observe import tracing
            from producer.tracing import Spans

            if tracing.set_up(endpoint, "producer"):
                spans = Spans(source, settings.mq_ch, name)
                source = spans.items
                followers.append(spans)
    service = ProducerService(process, settings, source, followers, name=name, stop=stop)
    sys.exit(serve(process, service, settings))


if __name__ == "__main__":
    main()
