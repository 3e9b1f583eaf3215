"""`python -m producer`: the only wiring of the producer."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import common.startup
from common.observe import logs, tracing
from common.plugins import SeamError
from common.process.program import serve
from common.process.run import Process
from common.settings import flags as cli
from producer.checkpoint import new_name, open_checkpoint
from producer.service import ProducerService
from producer.settings import ProducerSettings
from producer.source import Follower, Item, open_source

if TYPE_CHECKING:
    from producer.http.server import HttpSource

common.startup.loaded()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until the source ends, a signal comes, or a defect."""
    settings = cli.load(ProducerSettings, "producer", arguments)
    logs.configure(settings.log_level, settings.log_format)
    try:
        file = Path(settings.producer_source.removeprefix("lines:"))
        checkpoint = open_checkpoint(settings.producer_checkpoint, file)
    except SeamError as error:
        cli.fail([f"PRODUCER_CHECKPOINT: {error}"])
    process = Process(settings.shutdown_grace)
    name = checkpoint.name if checkpoint else new_name()
    followers: list[Follower] = [checkpoint] if checkpoint else []
    source: Callable[[], Iterable[Item]]
    stop = None
    try:
        if settings.producer_source == "http":
            http_source = open_http_source(settings, lambda: process.reasons(service))
            source, stop = http_source.items, http_source.pending.stop
            followers.append(http_source.pending)
        else:
            source = open_source(settings, checkpoint.position if checkpoint else 0)
    except SeamError as error:
        cli.fail([f"PRODUCER_SOURCE: {error}"])
    if tracing.wanted(settings, "producer"):
        from producer.tracing import Spans  # noqa: PLC0415 - loads OpenTelemetry

        spans = Spans(source, settings.mq_ch, name)
        source = spans.items
        followers.append(spans)
    service = ProducerService(process, settings, source, followers, name=name, stop=stop)
    sys.exit(serve(process, service, settings))


def open_http_source(settings: ProducerSettings, reasons: Callable[[], list[str]]) -> "HttpSource":
    """The source `http`. Raises SeamError."""
    try:
        from producer.http.server import HttpSource  # noqa: PLC0415 - loads waitress
    except ImportError:
        raise SeamError("http needs the extra `http`: pip install 'mq-pair[http]'") from None
    return HttpSource(settings, reasons)


if __name__ == "__main__":
    main()
