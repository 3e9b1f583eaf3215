"""The pair on a cluster, working on a file that is checked at the end."""

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.deploy.cluster import PATIENCE, Cluster
from tests.deploy.kustomize import Object, layer
from tests.processes import until

LINES = 1_000_000
RATE = 250
HARDENED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


class Pair:
    """The pair reading `/data/input.txt` and appending to `/data/out-POD.txt`, on a claim that a third pod reads."""

    def __init__(self, cluster: Cluster, below: Path, components: Sequence[str] = (), **more: Any) -> None:
        self.cluster = cluster
        self._below, self._components, self._more = below, components, more

    def kustomization(self, *patches: Object, **more: Any) -> Path:
        """The folder, with these patches too."""
        ours = [_service("producer", PRODUCER), _service("consumer", CONSUMER), *patches]
        merged = {**self._more, **more}
        return layer(
            self.cluster.folder / uuid.uuid4().hex[:8],
            self._below,
            self._components,
            **merged
            | {"namespace": self.cluster.namespace}
            | {"patches": [*merged.get("patches", []), *({"patch": json.dumps(each)} for each in ours)]},
        )

    def prepare(self) -> None:
        """The claim with the input on it, and the pod that reads it."""
        if not self.cluster("get", "namespace", self.cluster.namespace, "--ignore-not-found"):
            self.cluster("create", "namespace", self.cluster.namespace)
        self.cluster("apply", "--filename", "-", text=json.dumps(_data()))
        self.cluster("wait", "pod/reader", "--for=condition=Ready", f"--timeout={PATIENCE:.0f}s")
        self._read(f"seq 1 {LINES} > /data/new && mv /data/new /data/input.txt")

    def _read(self, script: str) -> str:
        return self.cluster("exec", "reader", "--", "sh", "-c", script)

    def apply(self, *patches: Object, **more: Any) -> str:
        """What kubectl says of each object."""
        return self.cluster("apply", "--kustomize", str(self.kustomization(*patches, **more)))

    def handled(self) -> int:
        """Lines handled so far, twice handled ones twice."""
        return int(self._read("cat /data/out-* 2>/dev/null | wc -l"))

    def flows(self, messages: int = RATE) -> None:
        """Wait until so many more are handled."""
        before = self.handled()
        until(lambda: self.handled() >= before + messages, f"{messages} more messages are handled", PATIENCE)

    def settle(self) -> tuple[int, int, int]:
        """Stop the producer, and wait for the rest; how many lines were confirmed, lost, handled more than once."""
        self.cluster("scale", "deployment/producer", "--replicas=0")
        producers = ("pods", "-l", "app.kubernetes.io/name=producer")
        until(lambda: not any(map(_runs, self.cluster.get(*producers)["items"])), "no producer runs", PATIENCE)
        confirmed = self._read("read bytes _ < /data/checkpoint && head -c $bytes /data/input.txt").split()
        seen: Counter[str] = Counter()

        def missing() -> set[str]:
            seen.clear()
            seen.update(self._read("cat /data/out-*").split())
            return set(confirmed) - seen.keys()

        try:
            until(lambda: not missing(), "all confirmed lines are handled", 60)
        except AssertionError:
            return len(confirmed), len(missing()), seen.total() - len(seen)
        return len(confirmed), 0, seen.total() - len(seen)


PRODUCER = {
    "PRODUCER_SOURCE": "lines:/data/input.txt",
    "PRODUCER_CHECKPOINT": "/data/checkpoint",
    "PRODUCER_RATE": str(RATE),
}
CONSUMER = {"CONSUMER_HANDLER": "append:/data/out-$(POD_NAME).txt"}


def _runs(pod: Object) -> bool:
    """Whether it may still do something. One that has ended can stay for minutes, until the cluster forgets it."""
    states = [each["state"] for each in pod["status"].get("containerStatuses", [])]
    return not ("deletionTimestamp" in pod["metadata"] and states and all("terminated" in state for state in states))


def _service(name: str, env: dict[str, str]) -> Object:
    pod_name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    template = {
        "spec": {
            "containers": [
                {
                    "name": name,
                    "env": [pod_name, *({"name": key, "value": value} for key, value in env.items())],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }
            ],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        }
    }
    spec: Object = {"template": template}
    if name == "producer":
        # Two of them would read the same file.
        spec |= {"replicas": 1, "strategy": {"type": "Recreate", "rollingUpdate": None}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _data() -> Object:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    reader = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "reader",
                "image": "busybox:1.37",
                "command": ["sleep", "3600"],
                "securityContext": HARDENED,
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    items = [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"}, "spec": reader},
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
