"""Each alert fires on what it is for and not before; evaluated by Prometheus' own promtool."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.kustomize import load
from tests.deploy.test_monitoring import ALERTS, FOLDER

# Each series at a minute's distance; before the first number of minutes the alert must be silent, at the second fire.
POD = 'namespace="mq-pair",pod="p-0"'
CASES: dict[str, tuple[dict[str, str], int, int]] = {
    "MqPairNotConnected": ({f'mq_connected{{{POD},connection="a"}}': "0x60"}, 4, 6),
    "MqPairBlocked": ({f'mq_blocked{{{POD},connection="a"}}': "1x60"}, 4, 6),
    "MqPairFlapping": ({f'mq_reconnects_total{{{POD},connection="a"}}': "0x20 1+1x40"}, 20, 30),
    "MqPairMessagesParked": ({f'consumer_settled_total{{{POD},outcome="reject"}}': "0x20 1x40"}, 20, 22),
    "MqPairMessagesReturned": ({f"producer_returned_total{{{POD}}}": "0x20 1x40"}, 20, 22),
    "MqPairNothingHandled": (
        {
            f"producer_confirmed_total{{{POD}}}": "0+100x60",
            f'consumer_settled_total{{{POD},outcome="ack"}}': "0+100x10 1000x50",
        },
        25,
        35,
    ),
    "MqPairMessagesOld": (
        {
            f'consumer_message_age_seconds_bucket{{{POD},le="300"}}': "0x60",
            f'consumer_message_age_seconds_bucket{{{POD},le="1800"}}': "0+9x60",
            f'consumer_message_age_seconds_bucket{{{POD},le="+Inf"}}': "0+9x60",
        },
        8,
        15,
    ),
    "MqPairBrokerNodeDown": ({f'up{{{POD},job="rabbitmq"}}': "1x10 0x50"}, 14, 17),
    "MqPairBrokerAlarm": (
        {
            f"rabbitmq_alarms_memory_used_watermark{{{POD}}}": "0x60",
            f"rabbitmq_alarms_free_disk_space_watermark{{{POD}}}": "0x10 1x50",
        },
        10,
        13,
    ),
}


@pytest.fixture(scope="session")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The machine's, or the one of Debian's package, unpacked and not installed: installing starts a server."""
    if found := shutil.which("promtool"):
        return found
    folder = tmp_path_factory.mktemp("prometheus")
    # apt downloads as a user of its own.
    folder.chmod(0o777)
    subprocess.run(
        ["apt-get", "download", "-qq", "prometheus"], cwd=folder, capture_output=True, timeout=300, check=True
    )
    (package,) = folder.glob("prometheus_*.deb")
    subprocess.run(["dpkg", "-x", package, folder], timeout=60, check=True)
    return str(folder / "usr" / "bin" / "promtool")


def test_every_alert_has_a_case() -> None:
    assert CASES.keys() == ALERTS.keys()


@pytest.mark.promtool
def test_alerts_fire_on_what_they_are_for_and_not_before(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(load(FOLDER / "alerts.yaml")["spec"]))
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}],
        }
        for alert, (series, silent, fires) in CASES.items()
        for minute in (silent, fires)
    ]
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
    done = subprocess.run(
        [promtool, "test", "rules", "tests.yaml"],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    fired = re.findall(r"alertname: (\w+), time: (\d+)m", done.stdout + done.stderr)
    assert fired == [(alert, str(fires)) for alert, (_, _, fires) in CASES.items()], done.stderr
