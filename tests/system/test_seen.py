"""What probes and scrapers see of a service."""

import re
import shutil
import subprocess
import time
from pathlib import Path

from local.reports import get
from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import PLUGINS, QUICK, Start

BOTH = {"mq_ready", "mq_connected", "mq_blocked", "mq_reconnects_total"}
METRICS = {
    "producer": BOTH
    | {f"producer_{name}_total" for name in ("published", "confirmed", "returned", "nacked", "refused")}
    | {"producer_unconfirmed", "producer_confirm_seconds"},
    "consumer": BOTH
    | {"consumer_delivered_total", "consumer_settled_total", "consumer_unsettled"}
    | {"consumer_workers", "consumer_handler_timeout_seconds", "consumer_handler_running_seconds"}
    | {"consumer_oldest_message_seconds", "consumer_handler_seconds", "consumer_message_age_seconds"},
}
HISTOGRAMS = {"producer_confirm_seconds", "consumer_handler_seconds", "consumer_message_age_seconds"}


def test_an_outage_shows_in_readiness_and_never_in_liveness(start: Start, broker: Broker) -> None:
    """/livez stays 200, /readyz is 503 with the reason within 5 s and 200 again without a restart."""
    services = [start("producer", **QUICK).wait_ready(), start("consumer", **QUICK).wait_ready()]
    broker.kill()
    down = time.monotonic()
    for process in services:
        until(process.reasons, f"{process.service} is not ready", timeout=max(1.0, down + 5.0 - time.monotonic()))
        code, page = get(f"{process.address}/readyz")
        assert code == 503
        assert process.metric("mq_ready") == 0
        assert process.service in page
        assert re.search("refused|resolve|backing off|connecting|closed|lost|reset", page)
    until(lambda: not all(process.live() for process in services) or time.monotonic() > down + 3, "three seconds")
    assert all(process.live() for process in services)
    broker.start()
    for process in services:
        process.wait_ready()
        assert get(f"{process.address}/readyz")[0] == 200
        assert process.metric("mq_ready") == 1
        assert process.metric(f'mq_reconnects_total{{connection="{process.service}"}}') >= 1
        assert process.code() is None


def test_each_metric_has_its_help_and_follows_the_conventions(start: Start, mq_ch: str) -> None:
    """The names that dashboards build on; promtool agrees where it is installed."""
    for process in (start("producer"), start("consumer")):
        process.wait_ready()
        page = get(f"{process.address}/metrics")[1]
        helped = dict(re.findall(r"^# HELP (\S+) (.+)$", page, re.MULTILINE))
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
        assert METRICS[process.service] <= helped.keys()
        for name in METRICS[process.service]:
            assert len(helped[name]) > 10
            assert (types[name] == "counter") == name.endswith("_total")
            assert (types[name] == "histogram") == (name in HISTOGRAMS)
        if promtool := shutil.which("promtool"):
            subprocess.run([promtool, "check", "metrics"], input=page, text=True, check=True, timeout=20)


def test_a_handler_over_its_time_makes_the_process_not_live(start: Start, tmp_path: Path) -> None:
    """Only a new process ends it; what it is, the page says."""
    record = tmp_path / "record"
    settings = {"CONSUMER_HANDLER_TIMEOUT": "300ms", "CONSUMER_HANDLER": f"{PLUGINS}:hold", "RECORD": record}
    consumer = start("consumer", **settings).wait_ready()
    assert consumer.live()
    start("producer", "--count", "1")
    until(lambda: not consumer.live(), "it is not live")
    assert consumer.metric("consumer_handler_running_seconds") > consumer.metric("consumer_handler_timeout_seconds")
    assert "CONSUMER_HANDLER_TIMEOUT" in get(f"{consumer.address}/livez")[1]
    Path(f"{record}.go").touch()
    until(consumer.live, "it is live when the handler came back after all")


def test_a_page_that_is_not_there_is_a_404(start: Start) -> None:
    """And names those that are."""
    producer = start("producer").wait_ready()
    assert get(f"{producer.address}/health") == (404, "/livez /readyz /metrics\n")
