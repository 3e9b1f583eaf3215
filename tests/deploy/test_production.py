"""The production overlay with TLS on a real cluster: three broker nodes, users of little right, nothing lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.cluster import Cluster
from tests.deploy.flow import Pair
from tests.deploy.kustomize import PRODUCTION, Object, kubectl, layer
from tests.processes import output, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

BROKER = "statefulset/rabbitmq"
SERVICES = ("deployment/producer", "deployment/consumer")
# What a cluster has only with other projects in it, or from Kubernetes 1.21 on.
NOT_EVERYWHERE = ("PodMonitor", "PrometheusRule", "PodDisruptionBudget")


def _certificate(folder: Path) -> dict[str, Path]:
    """An authority and the certificate of `rabbitmq-service` that it signed."""
    files = {name: folder / name for name in ("ca.crt", "ca.key", "tls.crt", "tls.key", "request", "names")}
    # Python 3.13 insists on the identifiers and on what the key is for.
    files["names"].write_text("subjectAltName=DNS:rabbitmq-service\nauthorityKeyIdentifier=keyid\n")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")
    sign = ("-CA", files["ca.crt"], "-CAkey", files["ca.key"], "-CAcreateserial", "-extfile", files["names"])
    for command in (
        ("req", "-x509", "-days", "2", "-subj", "/CN=ca", *usage, *key, files["ca.key"], "-out", files["ca.crt"]),
        ("req", "-subj", "/CN=rabbitmq", *key, files["tls.key"], "-out", files["request"]),
        ("x509", "-req", "-days", "2", "-in", files["request"], *sign, "-out", files["tls.crt"]),
    ):
        subprocess.run(["openssl", *command], capture_output=True, timeout=60, check=True)
    return {name: files[name] for name in ("ca.crt", "tls.crt", "tls.key")}


def _credentials(cluster: Cluster, overlay: Path, *options: str) -> str:
    """`make secrets`, or `make rotate`."""
    command = [sys.executable, "-m", "deploy.credentials", "--context", cluster.context, "--overlay", str(overlay)]
    path = os.pathsep.join([str(Path(kubectl()).parent), os.environ["PATH"]])
    return output([*command, *options], os.environ | {"PATH": path}, timeout=400)


@pytest.fixture(scope="module")
def pair(context: str, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("production")
    cluster = Cluster(context, folder)
    try:
        remove: list[Object] = [
            {
                "target": {"kind": kind},
                "patch": json.dumps({"$patch": "delete", "kind": kind, "metadata": {"name": "any"}}),
            }
            for kind in NOT_EVERYWHERE
        ]
        pair = Pair(cluster, PRODUCTION, ("tls",), patches=remove, replicas=[{"name": "producer", "count": 1}])
        _credentials(cluster, pair.kustomization())
        files = [f"--from-file={name}={path}" for name, path in _certificate(folder).items()]
        cluster("create", "secret", "generic", "rabbitmq-tls", *files)
        pair.prepare()
        pair.apply()
        cluster.rolled_out(BROKER, *SERVICES)
        yield pair
    finally:
        cluster.delete()


@pytest.fixture
def cluster(pair: Pair) -> Cluster:
    return pair.cluster


def _members(cluster: Cluster) -> set[str]:
    """The nodes that hold a copy of the queue and are up, as node 0 sees it."""
    text = cluster(
        "exec", "rabbitmq-0", "-c", "rabbitmq", "--",
        *("rabbitmqctl", "-q", "list_queues", "-p", "pair", "name", "online", "--formatter", "json"),
    )  # fmt: skip
    return {node for queue in json.loads(text) if queue["name"] == "greetings" for node in queue["online"]}


def test_three_nodes_hold_the_queue_and_messages_flow(pair: Pair, cluster: Cluster) -> None:
    nodes = {f"rabbit@rabbitmq-{number}.rabbitmq-nodes" for number in range(3)}
    until(lambda: _members(cluster) == nodes, "all three hold the queue", 120)
    pair.flows()
    assert cluster.restarts() == {}


def test_new_passwords_while_messages_flow(pair: Pair, cluster: Cluster) -> None:
    before = cluster.get("secret", "producer-mq")["data"]
    said = _credentials(cluster, pair.kustomization(), "--rotate")
    assert "producer-mq" in said
    assert cluster.get("secret", "producer-mq")["data"] != before
    pair.flows()
    assert cluster.restarts() == {}


def test_passwords_that_nobody_made_are_not_rotated(context: str, tmp_path: Path) -> None:
    """And nothing is changed: neither at the broker nor in the namespace."""
    cluster = Cluster(context, tmp_path)
    overlay = layer(tmp_path / "another", PRODUCTION, namespace=cluster.namespace)
    with pytest.raises(AssertionError, match=r"autoscaler-mq, .* not in mq-test-.*: only what `make secrets` made"):
        _credentials(cluster, overlay, "--rotate")
    assert not cluster("get", "namespace", cluster.namespace, "--ignore-not-found")


def test_a_node_is_killed(pair: Pair, cluster: Cluster) -> None:
    cluster("delete", "pod", "rabbitmq-1", "--force", "--grace-period=0")
    pair.flows()
    cluster.rolled_out(BROKER)
    assert cluster.restarts() == {}


def test_a_node_leaves_in_order_or_with_full_all_do_one_after_the_other(
    request: pytest.FixtureRequest, pair: Pair, cluster: Cluster
) -> None:
    if request.config.getoption("--full"):
        cluster("rollout", "restart", BROKER)
    else:
        cluster("delete", "pod", "rabbitmq-2")
    cluster.rolled_out(BROKER)
    pair.flows()
    assert cluster.restarts() == {}


def test_nothing_was_lost(pair: Pair) -> None:
    confirmed, lost, again = pair.settle()
    print(f"confirmed {confirmed}, lost {lost}, handled again {again}")
    assert confirmed
    assert lost == 0
