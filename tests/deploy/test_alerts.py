"""Each alert fires on what it is for and not before; evaluated by Prometheus' own promtool."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.metrics import AGE_SECONDS
from tests.deploy.monitoring import ALERTS, EXPRESSIONS, RULES

# Each series at a minute's distance; before the first number of minutes the alert must be silent, at the second fire.
POD = 'namespace="mq-pair",pod="p-0"'
OURS = f'{POD},part_of="mq-pair"'
SETTLED = f"consumer_settled_total{{{POD},outcome="
CASES: dict[str, tuple[dict[str, str], int, int]] = {
    "MqPairTargetDown": ({f'up{{{OURS},job="producer"}}': "1x10 0x50"}, 14, 17),
    "MqPairNotReady": ({f"mq_ready{{{POD}}}": "1x10 0x50"}, 14, 17),
    "MqPairReconnecting": ({f'mq_reconnects_total{{{POD},connection="a"}}': "0x20 1+1x40"}, 20, 30),
    "MqPairBlocked": ({f'mq_blocked{{{POD},connection="a"}}': "1x60", f"mq_ready{{{POD}}}": "0x60"}, 4, 6),
    "MqPairBrokerAlarm": (
        {
            f"rabbitmq_alarms_memory_used_watermark{{{OURS}}}": "0x60",
            f"rabbitmq_alarms_free_disk_space_watermark{{{OURS}}}": "0x10 1x50",
        },
        10,
        13,
    ),
    "MqPairNoConfirms": (
        {f"producer_unconfirmed{{{POD}}}": "5x60", f"producer_confirmed_total{{{POD}}}": "0+100x10 1000x50"},
        18,
        22,
    ),
    "MqPairMessagesReturned": ({f"producer_returned_total{{{POD}}}": "0x20 1x40"}, 20, 22),
    "MqPairMessagesRefused": ({f"producer_refused_total{{{POD}}}": "0x20 1x40"}, 20, 22),
    "MqPairMessagesParked": ({f'{SETTLED}"parked"}}': "0x20 1x40"}, 20, 22),
    "MqPairRetriesGrow": (
        {f'{SETTLED}"ack"}}': "0+80x60", f'{SETTLED}"retry"}}': "0+8x20 160+20x40"},
        30,
        45,
    ),
    "MqPairBreakerOpen": ({f"consumer_breaker_open{{{POD}}}": "0x10 1x50"}, 11, 13),
    "MqPairMessagesOld": (
        {
            f'consumer_message_age_seconds_bucket{{{POD},le="600"}}': "0x60",
            f'consumer_message_age_seconds_bucket{{{POD},le="1800"}}': "0+9x60",
            f'consumer_message_age_seconds_bucket{{{POD},le="+Inf"}}': "0+9x60",
        },
        8,
        15,
    ),
    "MqPairNothingHandled": (
        {f"producer_confirmed_total{{{POD}}}": "0+100x60", f'{SETTLED}"ack"}}': "0+100x10 1000x50"},
        19,
        21,
    ),
    "MqPairHandlerSlow": (
        {f"consumer_handler_seconds_sum{{{POD}}}": "0+30x20 600+119x40", f"consumer_workers{{{POD}}}": "2x60"},
        30,
        45,
    ),
    "MqPairHandlerHangs": (
        {
            f"consumer_handler_running_seconds{{{POD}}}": "0x10 60+60x4 300x45",
            f"consumer_handler_timeout_seconds{{{POD}}}": "300x60",
        },
        13,
        15,
    ),
}
# Others that must fire, and those that must not, by the same rule: (alert, series, minute, fires).
DEAD = f'rabbitmq_detailed_queue_messages{{{OURS},queue="jobs.dead"}}'
READY = DEAD.replace("_messages{", "_messages_ready{")
# Two consumers of one namespace, and what the first says; the second's numbers must not make up for it.
FIRST, SECOND = (f'namespace="mq-pair",pod="{pod}",job="{pod}"' for pod in ("consumer", "consumer-invoices"))
BUCKET = "consumer_message_age_seconds_bucket"
MORE: list[tuple[str, dict[str, str], int, bool]] = [
    ("MqPairMessagesParked", {DEAD: "7x20 8x40"}, 19, False),
    ("MqPairMessagesParked", {DEAD: "7x20 8x40"}, 25, True),
    ("MqPairMessagesParked", {DEAD: "7x20 0x40"}, 25, False),
    ("MqPairMessagesParked", {DEAD: "7x60", READY: "7x20 0x2 7x40"}, 36, False),  # somebody looked at them
    ("MqPairMessagesParked", {DEAD.replace(".dead", ""): "7x20 8x40"}, 25, False),
    ("MqPairMessagesParked", {DEAD.replace(',part_of="mq-pair"', ""): "7x20 8x40"}, 25, False),
    ("MqPairMessagesOld", {f"consumer_oldest_message_seconds{{{POD}}}": "0+60x60"}, 19, False),
    (  # five to ten minutes old, as after the last of the default retries
        "MqPairMessagesOld",
        {
            f'consumer_message_age_seconds_bucket{{{POD},le="300"}}': "0x60",
            f'consumer_message_age_seconds_bucket{{{POD},le="600"}}': "0+9x60",
            f'consumer_message_age_seconds_bucket{{{POD},le="1800"}}': "0+9x60",
            f'consumer_message_age_seconds_bucket{{{POD},le="+Inf"}}': "0+9x60",
        },
        30,
        False,
    ),
    ("MqPairMessagesOld", {f"consumer_oldest_message_seconds{{{POD}}}": "0+60x60"}, 22, True),
    (  # the other handles its own
        "MqPairNothingHandled",
        {
            f"producer_confirmed_total{{{POD}}}": "0+100x60",
            f'consumer_settled_total{{{FIRST},outcome="ack"}}': "0+100x10 1000x50",
            f'consumer_settled_total{{{SECOND},outcome="ack"}}': "0+100x60",
        },
        21,
        True,
    ),
    (  # the other has nothing to do
        "MqPairNothingHandled",
        {
            f"producer_confirmed_total{{{POD}}}": "0+100x60",
            f'consumer_settled_total{{{FIRST},outcome="ack"}}': "0+100x60",
            f'consumer_settled_total{{{SECOND},outcome="ack"}}': "0x60",
        },
        30,
        False,
    ),
    (
        "MqPairRetriesGrow",
        {
            f'consumer_settled_total{{{FIRST},outcome="ack"}}': "0+9000x60",
            f'consumer_settled_total{{{SECOND},outcome="ack"}}': "0+80x60",
            f'consumer_settled_total{{{SECOND},outcome="retry"}}': "0+20x60",
        },
        45,
        True,
    ),
    (
        "MqPairMessagesOld",
        {
            **{f'{BUCKET}{{{FIRST},le="{le}"}}': "0+9000x60" for le in ("600", "1800", "+Inf")},
            f'{BUCKET}{{{SECOND},le="600"}}': "0x60",
            **{f'{BUCKET}{{{SECOND},le="{le}"}}': "0+9x60" for le in ("1800", "+Inf")},
        },
        15,
        True,
    ),
    (
        "MqPairHandlerSlow",
        {
            f"consumer_handler_seconds_sum{{{FIRST}}}": "0x60",
            f"consumer_workers{{{FIRST}}}": "16x60",
            f"consumer_handler_seconds_sum{{{SECOND}}}": "0+119x60",
            f"consumer_workers{{{SECOND}}}": "2x60",
        },
        45,
        True,
    ),
    (  # those of the other were replayed meanwhile
        "MqPairMessagesParked",
        {DEAD: "7x20 8x40", DEAD.replace("jobs", "invoices"): "9x20 0x40"},
        25,
        True,
    ),
    (
        "MqPairTargetDown",
        {f'up{{{SECOND},part_of="mq-pair"}}': "0x60"},
        17,
        True,
    ),
    ("MqPairNotReady", {f"mq_ready{{{POD}}}": "0x60", f'mq_blocked{{{POD},connection="a"}}': "1x60"}, 30, False),
    ("MqPairTargetDown", {f'up{{{POD},job="producer"}}': "0x60"}, 30, False),
    ("MqPairNoConfirms", {f"producer_unconfirmed{{{POD}}}": "0x60"}, 30, False),
    (  # one scrape of the counter says nothing about its rate
        "MqPairNoConfirms",
        {f"producer_unconfirmed{{{POD}}}": "3x60", f"producer_confirmed_total{{{POD}}}": "_x20 7 _x40"},
        24,
        False,
    ),
]


def test_an_age_that_is_asked_for_is_a_bucket_of_its_own() -> None:
    """Inside of one Prometheus takes ages to lie evenly, and says 1,785 s of messages that are 330 s old."""
    asked = [text for text in EXPRESSIONS.values() if "consumer_message_age_seconds_bucket" in text]
    thresholds = [float(number) for text in asked for number in re.findall(r"> (\d+)", text)]
    assert thresholds
    assert {*thresholds} <= {*AGE_SECONDS.bounds}


def test_every_alert_has_a_case() -> None:
    assert CASES.keys() == ALERTS.keys()


def _test(alert: str, series: dict[str, str], minute: int) -> dict[str, Any]:
    """One that expects silence; what promtool says against it is what fired."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}],
    }


@pytest.mark.promtool
def test_alerts_fire_on_what_they_are_for_and_not_before(promtool: str, tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, str], int, bool]] = []
    for alert, (series, silent, fires) in CASES.items():
        cases += [(alert, series, silent, False), (alert, series, fires, True)]
    cases += MORE
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    tests = [_test(alert, series, minute) for alert, series, minute, _ in cases]
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
    assert fired == [(alert, str(minute)) for alert, _, minute, fires in cases if fires], done.stderr
