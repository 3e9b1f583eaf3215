"""docker-compose.yml: the pair runs hardened, and messages outlive it."""

import json
import re
import time
from pathlib import Path

import pytest

from consumer.settings import ConsumerSettings
from local.reports import readiness
from producer.settings import ProducerSettings
from tests.deploy.compose import Project
from tests.processes import ROOT, until
from tests.readme.documents import example

pytestmark = [pytest.mark.docker, pytest.mark.slow]

COUNT = 300
SETTINGS = {
    "MQ_GUI_PORT": "0",
    "PRODUCER_COUNT": str(COUNT),
    "PRODUCER_RATE": "1000",
    "CONSUMER_IDLE_EXIT": "2s",
    "LOG_FORMAT": "json",
}


@pytest.fixture(scope="module")
def project(compose: Project) -> Project:
    compose.settings = SETTINGS
    return compose


def test_messages_outlive_down_and_up(project: Project) -> None:
    project("up", "--detach", "--build", "rabbitmq", "producer")
    until(lambda: project.ended("producer") is not None, "the producer has sent all", 90)
    assert project.ended("producer") == 0, project("logs", "producer")
    project("down")
    assert project("ps", "--all", "--quiet") == ""
    project("up", "--detach", "rabbitmq", "consumer")
    until(lambda: project.ended("consumer") is not None, "the consumer has handled all", 90)
    assert project.ended("consumer") == 0
    lines = project("logs", "--no-log-prefix", "consumer").splitlines()
    bodies = {json.loads(line).get("body") for line in lines if line.startswith("{")}
    assert {f"Hello World {number}!" for number in range(1, COUNT + 1)} <= bodies


def test_its_images_may_have_spans(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/traces.md says; without a word they have not."""
    for requirements in ("requirements.lock", "requirements-otel.lock"):
        services = json.loads(project("config", "--format=json"))["services"]
        for service in ("producer", "consumer"):
            assert services[service]["build"]["args"] == {"REQUIREMENTS": requirements}
        assert (ROOT / requirements).exists()
        monkeypatch.setitem(project.settings, "REQUIREMENTS", "requirements-otel.lock")


def test_the_broker_may_be_of_an_image_by_its_digest(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    image = f"rabbitmq:4-management@sha256:{'0' * 64}"
    monkeypatch.setitem(project.settings, "RABBITMQ_IMAGE", image)
    assert json.loads(project("config", "--format=json"))["services"]["rabbitmq"]["image"] == image


def test_all_three_run_hardened_and_are_seen_from_this_machine_only(project: Project) -> None:
    project("up", "--detach", "--no-recreate")
    for service in ("rabbitmq", "producer", "consumer"):
        found = project.inspect(service)
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["Memory"], service
        assert host["PidsLimit"], service
        assert found["Config"]["User"] in {"999:999", "10001:10001"}, service
        assert {each["HostIp"] for ports in host["PortBindings"].values() for each in ports} == {"127.0.0.1"}
        assert "5672/tcp" not in host["PortBindings"]
    _await_broker(project)


def _await_broker(project: Project) -> None:
    until(lambda: project.inspect("rabbitmq")["State"]["Health"]["Status"] == "healthy", "the broker is healthy", 60)


def test_the_broker_listens_for_no_peer_and_no_process_has_the_password_in_its_environment(project: Project) -> None:
    """Neither the port mapper (4369) nor the distribution (25672) but on loopback; IPv6 too."""
    project("up", "--detach", "--no-recreate")

    def inner() -> dict[int, str]:
        sockets = project("exec", "-T", "rabbitmq", "cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()
        listening = [fields[1].split(":") for fields in map(str.split, sockets) if fields[3] == "0A"]
        return {int(port, 16): address for address, port in listening if int(port, 16) in {4369, 25672}}

    until(lambda: len(inner()) == 2, "the node has started", 90)
    assert set(inner().values()) <= {"0100007F", "00000000000000000000000001000000"}
    command = ("run", "--rm", "--no-deps", "--entrypoint", "cat", "consumer", "/proc/self/environ")
    assert "development" not in project(*command)


def test_a_handler_of_ones_own_is_put_in_as_extending_says(project: Project, tmp_path: Path) -> None:
    """And gets what the producer sends: the example's handler parks what is no order."""
    module, override = tmp_path / "shipping.py", tmp_path / "docker-compose.override.yml"
    module.write_text(example(ROOT / "README.md", "handler"))
    written = example(ROOT / "docs" / "extending.md", "compose", "yaml")
    override.write_text(written.replace("./shipping.py", str(module)))
    project.files = [override]
    try:
        project.settings = {**SETTINGS, "CONSUMER_RETRY_DELAYS": "off", "PRODUCER_COUNT": "2", "MQ_CH": "orders"}
        project("up", "--detach", "producer")
        until(lambda: project.ended("producer") is not None, "both are in the queue", 90)
        project("up", "--detach", "consumer")
        until(lambda: project.ended("consumer") is not None, "the consumer has seen both", 90)
        assert '"parked": 2' in project("logs", "--no-log-prefix", "consumer")
    finally:
        project.files, project.settings = [], SETTINGS


def test_a_changed_handler_restarts_the_consumer_under_watch(project: Project, tmp_path: Path) -> None:
    """As docs/extending.md shows it; the container stays, and has the new file."""
    module, override = tmp_path / "shipping.py", tmp_path / "docker-compose.override.yml"
    handler = example(ROOT / "README.md", "handler")
    module.write_text(handler)
    written = example(ROOT / "docs" / "extending.md", "compose", "yaml")
    override.write_text(written.replace("./shipping.py", str(module)))
    project.files = [override]
    # Not the queue of the others: where their consumer went before all was handled, this handler would park the rest.
    project.settings = {**SETTINGS, "CONSUMER_IDLE_EXIT": "off", "MQ_CH": "orders"}
    try:
        project("up", "--detach", "--build", "consumer")
        before = project.inspect("consumer")
        with project.running("watch", "--no-up", "consumer") as watching:
            until(lambda: "atch" in watching.read_text(), "it watches", 30)
            # Not at once: what is written before it looks is no change.
            until(
                lambda: _rewritten(module, handler) and "new version" in project("logs", "consumer"), "it restarts", 60
            )
        after = project.inspect("consumer")
        assert before["Id"] == after["Id"]
        assert before["State"]["StartedAt"] < after["State"]["StartedAt"]
    finally:
        project.files, project.settings = [], SETTINGS


def _rewritten(module: Path, handler: str) -> bool:
    time.sleep(2)
    module.write_text(f'print("new version")\n{handler}')
    return True


def test_the_example_of_an_environment_file_names_what_compose_hands_on(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its default, as a comment; without it, it is handed on."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
    values = dict(re.findall(r"^#([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))
    assert len(values) > 10
    monkeypatch.setattr(project, "settings", {})
    given = tmp_path / "given"
    given.write_text("".join(f"{name}={value or 'given'}\n" for name, value in values.items()))
    services = json.loads(project(f"--env-file={given}", "--profile=*", "config", "--format=json"))["services"]
    handed_on = services["producer"]["environment"] | services["consumer"]["environment"]
    ports = {"MQ_GUI_PORT": "rabbitmq", "MQ_PROMETHEUS_PORT": "prometheus", "MQ_GRAFANA_PORT": "grafana"}
    for name, value in values.items():
        if name in ports:
            assert services[ports[name]]["ports"][0]["published"] == value
        elif name == "RABBITMQ_IMAGE":
            assert services["rabbitmq"]["image"] == value
        else:
            assert handed_on[name] == (value or "given"), name
    known = {
        name.upper(): field
        for each in (ProducerSettings, ConsumerSettings)
        for name, field in each.model_fields.items()
    }
    assert values.keys() - ports - {"RABBITMQ_IMAGE"} <= known.keys()


def test_what_the_documents_say_of_compose_does_it(project: Project) -> None:
    """On the pair that is up: more consumers, one started anew, a look at what is parked, an address to ask."""
    project.settings = {**SETTINGS, "CONSUMER_IDLE_EXIT": "off"}

    def consumers() -> int:
        return len(project("ps", "--quiet", "consumer").split())

    project("up", "--detach", "--scale", "consumer=3")
    _await_broker(project)
    assert consumers() == 3
    project("restart", "consumer")
    assert consumers() == 3
    assert project("run", "--rm", "consumer", "dead-letters", "list") == "", "it ends with 0, and nothing is parked"
    address = project("port", "consumer", "8080").strip()
    until(lambda: readiness(f"http://{address}") == (True, []), "it is ready again", 30)
    project("stop", "producer")
    assert project.ended("producer") == 0
