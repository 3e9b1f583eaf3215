"""What deploy/prometheus and deploy/grafana hold, and where the runbooks are."""

import json
from typing import Any

from tests.deploy.kustomize import load
from tests.processes import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "operating.md"
GRAFANA = ROOT / "deploy" / "grafana"
RULES: dict[str, Any] = load(PROMETHEUS / "alerts.yaml")["spec"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in RULES["groups"][0]["rules"]}
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


def filled(expression: str, namespace: str, interval: str = "1m") -> str:
    """With what Grafana puts in place of its variables."""
    return expression.replace("$__rate_interval", interval).replace("$namespace", namespace)


EXPRESSIONS = {name: rule["expr"] for name, rule in ALERTS.items()} | {
    f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}
