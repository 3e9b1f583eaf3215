"""The Jobs run as the consumer does, over whatever overlay, and leave what is deployed alone."""

import shutil
from pathlib import Path

import pytest
import yaml

from common import cli
from common.doctor.settings import DoctorSettings
from common.settings import Settings
from consumer.verify.settings import VerifySettings
from tests.deploy.kustomize import DEVELOPMENT, JOBS, PRODUCTION, Object, layer, of_kind, render, workloads

# What it calls, and whose flags that takes.
COMMANDS: dict[str, tuple[list[str], type[Settings]]] = {
    "verify": (["verify"], VerifySettings),
    "doctor": (["python", "-m", "common.doctor"], DoctorSettings),
}
OVERLAYS = {
    "development": (DEVELOPMENT, ()),
    "production": (PRODUCTION, ()),
    "production, TLS": (PRODUCTION, ("tls", "tls/cert-manager", "autoscaling")),
    "another broker": (DEVELOPMENT, ("external-rabbitmq",)),
    "operator": (DEVELOPMENT, ("cluster-operator",)),
}


def _over(overlay: str, job: str, folder: Path) -> tuple[list[Object], list[Object]]:
    """What is deployed, and what the job's kustomization makes of it with that overlay in its place."""
    below = layer(folder / "deployed", *OVERLAYS[overlay])
    written = yaml.safe_load((JOBS / job / "kustomization.yaml").read_text())
    (folder / "jobs").mkdir()
    shutil.copy(JOBS / job / "job.yaml", folder / "jobs")
    shutil.copytree(JOBS / "job", folder / "job")
    assert written["resources"] == ["../../overlays/development", "job.yaml"]
    written["resources"][0] = "../deployed"
    (folder / "jobs" / "kustomization.yaml").write_text(yaml.safe_dump(written))
    return render(below), render(folder / "jobs")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_runs_as_the_consumer_does_and_nothing_of_the_rest_is_applied(overlay: str, tmp_path: Path) -> None:
    """Settings, secrets by their names with their hashes, certificates, limits, user and security."""
    deployed, rendered = _over(overlay, "verify", tmp_path)
    consumer, job = workloads(deployed)["consumer"]["spec"], workloads(rendered)["verify"]["spec"]
    for part in ("securityContext", "volumes", "serviceAccountName", "automountServiceAccountToken"):
        assert job[part] == consumer[part]
    for part in ("image", "envFrom", "env", "securityContext", "resources", "volumeMounts"):
        assert job["containers"][0][part] == consumer["containers"][0][part]
    (only,) = of_kind(rendered, "Job")
    others = [each for each in rendered if each is not only]
    assert {each["kind"] for each in others} <= {"Namespace", "ConfigMap", "Secret", "ServiceAccount"}
    assert all(each in deployed for each in others)


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_told_what_its_program_understands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends by itself, once, within its time."""
    (job,) = of_kind(render(JOBS / name), "Job")
    container = job["spec"]["template"]["spec"]["containers"][0]
    words = [*container.get("command", []), *container.get("args", [])]
    begin, settings = COMMANDS[name]
    assert words[: len(begin)] == begin
    monkeypatch.setenv("MQ_URL", "amqp://h")
    loaded = cli.load(settings, name, ["--mq-ch", "jobs", *words[len(begin) :]])
    seconds = getattr(loaded, "verify_timeout", 0.0) + getattr(loaded, "doctor_wait", 0.0)
    assert 0 < seconds < job["spec"]["activeDeadlineSeconds"]
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_the_broker_lets_jobs_in_and_no_service_takes_them_for_its_own() -> None:
    """Their pods have a name of their own, which policies know and selectors of Deployments do not."""
    (job,) = of_kind(render(JOBS / "verify"), "Job")
    name = job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
    objects = render(PRODUCTION)
    for each in of_kind(objects, "Deployment", "PodDisruptionBudget"):
        assert each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] != name
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "NetworkPolicy")}
    (rule,) = policies["services"]["podSelector"]["matchExpressions"]
    assert name in rule["values"]
    peer = policies["rabbitmq"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]
    assert name in peer["values"]


def test_the_readme_lists_each_and_each_is_tested_here() -> None:
    text = (JOBS / "README.md").read_text()
    for folder in (path.parent for path in JOBS.glob("*/job.yaml")):
        assert f"`{folder.name}`" in text
        assert folder.name in COMMANDS
