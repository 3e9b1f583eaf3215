"""The Jobs run as the consumer does, over whatever overlay, and leave what is deployed alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.amqp.topology import Topology
from common.doctor.settings import DoctorSettings
from common.settings import flags as cli
from consumer.verify.settings import VerifySettings
from deploy.credentials import contents
from tests.deploy.kustomize import DEVELOPMENT, JOBS, PRODUCTION, job, layer, of_kind, render, workloads


def dead_letters() -> Any:
    """The module of the commands; whoever deletes that package skips what needs it."""
    return pytest.importorskip("consumer.dead_letters.commands")


# What it calls, and how many seconds that may take, or stand still, by the words behind it.
COMMANDS: dict[str, tuple[list[str], Callable[[list[str]], float]]] = {
    "verify": (["verify"], lambda words: cli.load(VerifySettings, "verify", words).verify_timeout),
    "doctor": (["python", "-m", "common.doctor"], lambda words: cli.load(DoctorSettings, "doctor", words).doctor_wait),
    "dead-letters": (["dead-letters"], lambda words: dead_letters().parse(words)[1].mq_blocked_timeout),
}
OVERLAYS = {
    "development": (DEVELOPMENT, ()),
    "production": (PRODUCTION, ()),
    "production, TLS": (PRODUCTION, ("tls", "tls/cert-manager", "autoscaling")),
    "another broker": (DEVELOPMENT, ("external-rabbitmq",)),
    "operator": (DEVELOPMENT, ("cluster-operator",)),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_runs_as_the_consumer_does_and_nothing_of_the_rest_is_applied(
    overlay: str, name: str, tmp_path: Path
) -> None:
    """Settings, secrets by their names with their hashes, certificates, limits, user and security."""
    below = layer(tmp_path / "deployed", *OVERLAYS[overlay])
    deployed, rendered = render(below), render(job(tmp_path / "job", name, below))
    consumer, ours = workloads(deployed)["consumer"]["spec"], workloads(rendered)[name]["spec"]
    for part in ("securityContext", "volumes", "serviceAccountName", "automountServiceAccountToken"):
        assert ours[part] == consumer[part]
    for part in ("image", "envFrom", "env", "securityContext", "resources", "volumeMounts"):
        assert ours["containers"][0][part] == consumer["containers"][0][part]
    (only,) = of_kind(rendered, "Job")
    others = [each for each in rendered if each is not only]
    assert {each["kind"] for each in others} <= {"Namespace", "ConfigMap", "Secret", "ServiceAccount"}
    assert all(each in deployed for each in others)


@pytest.mark.parametrize("name", COMMANDS)
def test_over_the_wrong_overlay_it_changes_nothing_that_was_made_for_another(name: str) -> None:
    """Else development's users, with the password that everybody knows, would become those of production's broker."""
    made = contents("mq-pair", Topology("jobs"), tls=False)
    assert "rabbitmq-definitions" in made
    assert not {each["metadata"]["name"] for each in of_kind(render(JOBS / name), "Secret")} & made.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_told_what_its_program_understands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends by itself, once, within its time."""
    spec = of_kind(render(JOBS / name), "Job")[0]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    words = [*container.get("command", []), *container.get("args", [])]
    begin, seconds_of = COMMANDS[name]
    assert words[: len(begin)] == begin
    monkeypatch.setenv("MQ_URL", "amqp://h")
    monkeypatch.setenv("MQ_CH", "jobs")
    seconds = seconds_of(words[len(begin) :])
    assert 0 < seconds < spec["activeDeadlineSeconds"]
    assert spec["backoffLimit"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_broker_lets_jobs_in_and_no_service_takes_them_for_its_own() -> None:
    """Their pods have a name of their own, which no Deployment selects, and are what policies choose by."""
    labels = workloads(render(JOBS / "verify"))["verify"]["metadata"]["labels"]
    name, component = labels["app.kubernetes.io/name"], labels["app.kubernetes.io/component"]
    objects = render(PRODUCTION)
    for each in of_kind(objects, "Deployment", "PodDisruptionBudget"):
        assert each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] != name
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "NetworkPolicy")}
    (rule,) = policies["services"]["podSelector"]["matchExpressions"]
    assert component in rule["values"]
    peer = policies["rabbitmq"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]
    assert component in peer["values"]


def test_the_readme_lists_each_and_each_is_tested_here() -> None:
    text = (JOBS / "README.md").read_text()
    for folder in (path.parent for path in JOBS.glob("*/job.yaml")):
        assert f"`{folder.name}`" in text
        assert folder.name in COMMANDS
