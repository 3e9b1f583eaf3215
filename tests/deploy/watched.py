"""The pair under Compose, watched by a real Prometheus: load, failures, an outage, an alarm."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.deploy.compose import Project
from tests.deploy.monitoring import PROMETHEUS
from tests.deploy.prometheus import Prometheus, stand_in
from tests.processes import until

TARGETS = 4
SETTINGS = {
    "MQ_GUI_PORT": "0",
    "MQ_PROMETHEUS_PORT": "0",
    "MQ_CH": "watched",
    "MQ_BACKOFF_MAX": "1s",
    "PRODUCER_RATE": "50",
    "CONSUMER_HANDLER": "plugins:moody",
    "CONSUMER_RETRY_DELAYS": "1s,2s",
}


class Phase(NamedTuple):
    """What was done, and when (seconds since 1970)."""

    name: str
    start: float
    end: float


class Watched:
    """Only Prometheus' programs and how often it looks are not those of docker-compose.yml."""

    def __init__(self, project: Project, programs: Path, folder: Path) -> None:
        """`programs` are those of Prometheus; `folder` takes files that Compose reads."""
        self.phases: list[Phase] = []
        self._project = project
        often, more = folder / "prometheus.yml", folder / "more.json"
        often.write_text((PROMETHEUS / "prometheus.yml").read_text().replace("interval: 5s", "interval: 1s"))
        plugins = f"{Path(__file__).with_name('plugins.py')}:/app/plugins.py:ro"
        (folder / "image").mkdir()
        prometheus = stand_in(folder / "image", programs)
        prometheus["volumes"].append(f"{often}:/etc/prometheus/prometheus.yml:ro")
        more.write_text(json.dumps({"services": {"consumer": {"volumes": [plugins]}, "prometheus": prometheus}}))
        project.settings, project.files = SETTINGS, [more]

    def start(self) -> None:
        """Until all is up and messages flow, and no alert is left from before."""
        services = ("rabbitmq", "producer", "consumer", "prometheus")
        self._project("--profile=monitoring", "up", "--detach", "--build", *services)
        self.prometheus = Prometheus(f"http://{self._project('port', 'prometheus', '9090').strip()}")
        self._flows()
        fresh = time.time() + 2  # an evaluation that is under way may still write of the time before
        until(lambda: time.time() > fresh and not self.prometheus.query("ALERTS"), "no alert is left from the start")

    def play(self, step: float) -> None:
        """Each phase takes at least `step` seconds, and until Prometheus has the alerts that belong to it."""
        with self._phase("all well", step):
            pass
        with self._phase("handler fails", step, "MqPairMessagesParked", "MqPairRetriesGrow"):
            self._project("exec", "consumer", "touch", "/tmp/moody")
        self._project("exec", "consumer", "rm", "/tmp/moody")
        with self._phase("all well", step):
            pass
        with self._phase("broker away", step, "MqPairTargetDown", "MqPairNotReady"):
            self._project("kill", "rabbitmq")
        self._project("start", "rabbitmq")
        self._flows()
        with self._phase("memory alarm", step, "MqPairBlocked", "MqPairBrokerAlarm"):
            self._watermark("64MB")
        self._watermark("600MiB")
        self._flows()
        with self._phase("all well", step):
            pass

    @contextmanager
    def _phase(self, name: str, seconds: float, *alerts: str) -> Iterator[None]:
        start = time.time()
        yield
        for alert in alerts:
            until(lambda alert=alert: self.prometheus.query(f'ALERTS{{alertname="{alert}"}}'), alert)
        time.sleep(max(0.0, start + seconds - time.time()))
        self.phases.append(Phase(name, start, time.time()))

    def _watermark(self, size: str) -> None:
        self._project("exec", "rabbitmq", "rabbitmqctl", "-q", "set_vm_memory_high_watermark", "absolute", size)

    def _flows(self) -> None:
        until(self._well, "all is up and ready, and messages are handled", 90)

    def _well(self) -> bool:
        value = self.prometheus.value
        try:
            settled = value('sum(rate(consumer_settled_total{outcome="ack"}[5s]))') or 0
            return value("sum(up)") == TARGETS and value("min(mq_ready)") == 1 and settled > 10
        except OSError:  # Prometheus itself is starting
            return False
