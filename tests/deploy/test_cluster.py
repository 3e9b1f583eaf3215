"""The pair on a real cluster, through what happens to pods there, while messages flow: nothing is lost."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import mistakes
from tests.deploy.cluster import Cluster
from tests.deploy.flow import Pair
from tests.deploy.kustomize import DEVELOPMENT, job, of_kind, render
from tests.deploy.test_another_consumer import another
from tests.processes import until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

BROKER = "statefulset/rabbitmq"
OF_A_CONSUMER = ("Deployment", "ServiceAccount", "ConfigMap")
SERVICES = ("deployment/producer", "deployment/consumer")


def _ready(cluster: Cluster, name: str, count: int = 1) -> bool:
    conditions = [pod["status"].get("conditions", []) for pod in cluster.pods(name)]
    ready = [any(each["type"] == "Ready" and each["status"] == "True" for each in found) for found in conditions]
    return len(ready) == count and all(ready)


def _generations(cluster: Cluster) -> dict[str, int]:
    objects = cluster.get("deployments,statefulsets")["items"]
    return {each["metadata"]["name"]: each["metadata"]["generation"] for each in objects}


def _init_log(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    text = cluster("logs", f"deployment/{name}", "--container", "wait-for-rabbitmq", check=False)
    return [json.loads(line) for line in text.splitlines()]


def _ended(cluster: Cluster, job: str) -> str:
    status = cluster.get("job", job)["status"]
    return next((each for each in ("succeeded", "failed") if status.get(each)), "")


def _evict(cluster: Cluster, pod: str) -> None:
    """As `kubectl drain` does of each pod on a node."""
    [version] = [
        each["version"]
        for each in json.loads(cluster("get", "--raw", "/api/v1"))["resources"]
        if each["name"] == "pods/eviction"
    ]
    body = {
        "apiVersion": f"policy/{version}",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": cluster.namespace},
    }
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction"
    cluster("create", "--raw", path, "--filename", "-", text=json.dumps(body))


@pytest.fixture(scope="module")
def pair(context: str, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The development overlay in a namespace of its own, with the broker still absent."""
    cluster = Cluster(context, tmp_path_factory.mktemp("cluster"))
    try:
        pair = Pair(cluster, DEVELOPMENT)
        pair.prepare()
        none = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "rabbitmq"},
            "spec": {"replicas": 0},
        }
        pair.apply(none)
        yield pair
    finally:
        cluster.delete()


@pytest.fixture
def cluster(pair: Pair) -> Cluster:
    return pair.cluster


def test_the_init_containers_hold_the_services_until_the_broker_is_there(pair: Pair, cluster: Cluster) -> None:
    for name in ("producer", "consumer"):
        until(partial(_init_log, cluster, name), f"the init container of the {name} says something", 60)
        assert any(
            "rabbitmq-service:5672" in line.get("broker", "") and line["reason"] for line in _init_log(cluster, name)
        )
        assert not _ready(cluster, name)
    pair.apply()
    cluster.rolled_out(BROKER, *SERVICES)
    pair.flows()
    assert cluster.restarts() == {}
    mistakes.make(cluster)


@pytest.mark.parametrize("name", mistakes.MISTAKES)
def test_a_mistake_is_seen_for_what_it_is(cluster: Cluster, name: str) -> None:
    """In what `kubectl get pods` and `kubectl logs` show of a pod that was started with it."""
    _, expected, words = mistakes.MISTAKES[name]

    def shown() -> str:
        """The pod's state and what explains it, once it is the one we expect: the container is started again."""
        state, message = mistakes.state(cluster, name)
        if state.startswith("exit"):
            message = cluster("logs", name, "--container", "wait-for-rabbitmq")
            assert "Traceback" not in message
            assert mistakes.PASSWORD not in message
        right = re.search(expected, state) and all(word in message for word in words)
        return f"{state}: {message.splitlines()[-1]}" if right else ""

    print(name, until(shown, f"{name} is in {expected}, with {words}", 120))


def test_no_other_pod_reaches_the_port_mapper_and_the_distribution_of_a_single_node(cluster: Cluster) -> None:
    """Where the cookie could be guessed, whoever reaches both runs code in the broker."""
    found = {}
    for port in (5672, 4369, 25672):
        probe = f"nc -z -w 3 rabbitmq-nodes {port} && echo open || echo closed"
        found[port] = cluster("exec", "reader", "--", "sh", "-c", probe).strip()
    assert found == {5672: "open", 4369: "closed", 25672: "closed"}
    assert "greetings" in cluster("exec", "rabbitmq-0", "--", "rabbitmqctl", "-q", "list_queues", "-p", "pair")


def test_applying_again_changes_nothing(pair: Pair, cluster: Cluster) -> None:
    before = _generations(cluster)
    assert cluster("diff", "--kustomize", str(pair.kustomization())) == ""
    pair.apply()
    assert _generations(cluster) == before


def test_the_jobs_find_all_well_and_leave_it_alone(pair: Pair, cluster: Cluster) -> None:
    """They run in the cluster as the consumer does, beside it."""
    before = _generations(cluster)
    expected = {
        "doctor": "the broker can be used",
        "verify": "verified: nothing is lost",
        "dead-letters": '"exit_code": 0',
    }
    below = pair.kustomization()
    for name in expected:
        folder = job(cluster.folder / f"job-{name}", name, below, namespace=cluster.namespace)
        cluster("apply", "--kustomize", str(folder))
    for name, words in expected.items():
        ended = until(partial(_ended, cluster, name), f"the job {name} ends", 90)
        log = cluster("logs", f"job/{name}")
        print(log)
        assert ended == "succeeded", log
        assert words in log
    assert _generations(cluster) == before


def test_all_three_are_restarted_at_once(pair: Pair, cluster: Cluster) -> None:
    cluster("rollout", "restart", BROKER, *SERVICES)
    cluster.rolled_out(BROKER, *SERVICES)
    pair.flows()
    assert cluster.restarts() == {}


def test_more_and_fewer_consumers_and_none(pair: Pair, cluster: Cluster) -> None:
    for count in (5, 0, 2):
        cluster("scale", "deployment/consumer", f"--replicas={count}")
        until(partial(_ready, cluster, "consumer", count), f"{count} consumers", 90)
    pair.flows()
    assert cluster.restarts() == {}


def test_pods_of_both_services_are_deleted(pair: Pair, cluster: Cluster) -> None:
    cluster("delete", "pods", *(cluster.pods(name)[0]["metadata"]["name"] for name in ("producer", "consumer")))
    cluster.rolled_out(*SERVICES)
    pair.flows()
    assert cluster.restarts() == {}


def test_all_pods_are_evicted_as_from_a_node_that_is_drained(pair: Pair, cluster: Cluster) -> None:
    names = ("consumer", "producer", "rabbitmq")
    evicted = [pod["metadata"] for name in names for pod in cluster.pods(name)]
    for each in evicted:
        _evict(cluster, each["name"])

    def all_are_new() -> bool:
        pods = {pod["metadata"]["uid"] for name in names for pod in cluster.pods(name)}
        return len(pods) == len(evicted) and pods.isdisjoint(each["uid"] for each in evicted)

    until(all_are_new, "each pod has a successor", 90)
    cluster.rolled_out(BROKER, *SERVICES)
    pair.flows()
    assert cluster.restarts() == {}


def test_all_pods_are_killed_and_messages_stay_on_the_claim(pair: Pair, cluster: Cluster) -> None:
    cluster("delete", "pods", "--selector", "app.kubernetes.io/part-of=mq-pair", "--force", "--grace-period=0")
    cluster.rolled_out(BROKER, *SERVICES)
    pair.flows()


def test_a_changed_config_map_rolls_out_by_itself(pair: Pair, cluster: Cluster) -> None:
    changed = {"name": "mq-config", "behavior": "merge", "literals": ["LOG_LEVEL=warning"]}
    pair.apply(configMapGenerator=[changed])
    cluster.rolled_out(*SERVICES)
    for name in ("producer", "consumer"):
        source = cluster.pods(name)[0]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
        assert cluster.get("configmap", source)["data"]["LOG_LEVEL"] == "warning"
    pair.flows()
    assert cluster.restarts() == {}


def test_another_consumer_handles_the_messages_of_its_own_queue(
    pair: Pair, cluster: Cluster, images: dict[str, str], tmp_path: Path
) -> None:
    """Beside the first, which goes on."""
    name, _, tag = images["consumer"].rpartition(":")
    image = {"name": "consumer", "newName": name, "newTag": tag}
    config = {"name": "consumer-config", "literals": ["MQ_CH=invoices", "CONSUMER_HANDLER=log"]}
    below = pair.kustomization()
    objects = render(another(tmp_path, below, cluster.namespace, images=[image], configMapGenerator=[config]))
    # This cluster may be too old for the budget.
    chosen = [each for each in of_kind(objects, *OF_A_CONSUMER) if "-invoices" in each["metadata"]["name"]]
    assert len(chosen) == len(OF_A_CONSUMER)
    cluster("apply", "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": chosen}))
    cluster.rolled_out("deployment/consumer-invoices")
    sent = ("MQ_CH=invoices", "PRODUCER_SOURCE=heartbeat", "PRODUCER_CHECKPOINT=", "HTTP_PORT=0", "PRODUCER_COUNT=3")
    cluster("exec", "deployment/producer", "--", "env", *sent, "python", "-m", "producer")

    def got() -> int:
        lines = cluster("logs", "deployment/consumer-invoices", "--container", "consumer").splitlines()
        return sum(json.loads(line)["event"] == "message" for line in lines)

    until(lambda: got() == 3, "the messages of its queue are handled", 60)
    pair.flows()
    cluster("delete", "deployment/consumer-invoices")


def test_nothing_was_lost(pair: Pair, cluster: Cluster) -> None:
    confirmed, lost, again = pair.settle()
    print(f"confirmed {confirmed}, lost {lost}, handled again {again}")
    assert confirmed
    assert lost == 0
    queues = cluster("exec", "rabbitmq-0", "--", "rabbitmqctl", "-qs", "list_queues", "-p", "pair", "name", "messages")
    assert dict(line.split() for line in queues.splitlines())["greetings.dead"] == "0"


def test_deleting_all_leaves_the_claim_of_the_broker(cluster: Cluster) -> None:
    kinds = "deployment,statefulset,service,serviceaccount,configmap,secret"
    cluster("delete", kinds, "--selector", "app.kubernetes.io/part-of=mq-pair")
    found = cluster.get("deployment,statefulset,service,configmap,secret,pvc")["items"]
    left = {(each["kind"], each["metadata"]["name"]) for each in found if each["kind"] == "PersistentVolumeClaim"}
    assert left == {("PersistentVolumeClaim", "data-rabbitmq-0"), ("PersistentVolumeClaim", "data")}
    assert not [each for each in found if "app.kubernetes.io/part-of" in each["metadata"].get("labels", {})]
