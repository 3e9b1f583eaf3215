"""A namespace of one's own on a cluster that was named."""

import json
import subprocess
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from tests.deploy.kustomize import Object, kubectl

PATIENCE = 180.0  # seconds


class Cluster:
    """kubectl on one context and namespace; `folder` takes the kustomizations."""

    def __init__(self, context: str, folder: Path) -> None:
        self.context, self.folder = context, folder
        self.namespace = f"mq-test-{uuid.uuid4().hex[:8]}"

    def __call__(self, *args: str, text: str | None = None, check: bool = True, timeout: float = PATIENCE) -> str:
        """What kubectl prints; fails with its standard error."""
        command = [kubectl(), "--context", self.context, "--namespace", self.namespace, *args]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout

    def get(self, *args: str) -> Any:
        """The JSON of `kubectl get args`."""
        return json.loads(self("get", *args, "--output", "json"))

    def pods(self, name: str) -> list[Object]:
        """Those of a Deployment or the broker that are not being deleted."""
        found = self.get("pods", "--selector", f"app.kubernetes.io/name={name}")["items"]
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def rolled_out(self, *what: str) -> None:
        """Wait for Deployments and StatefulSets, `kind/name`; fails with what their pods say."""
        for each in what:
            try:
                self("rollout", "status", each, f"--timeout={PATIENCE:.0f}s", timeout=PATIENCE + 10)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.situation()}") from None

    def situation(self) -> str:
        """The pods, the last events, and the end of each container's log: why something did not come up."""
        said = [self("get", "pods", "--output", "wide", check=False)]
        said.append("\n".join(self("get", "events", "--sort-by=.lastTimestamp", check=False).splitlines()[-40:]))
        for name in ("rabbitmq", "producer", "consumer"):
            log = ("logs", "--selector", f"app.kubernetes.io/name={name}", "--all-containers", "--prefix", "--tail=25")
            said.append(self(*log, check=False))
        return "\n\n".join(said)

    def restarts(self) -> dict[str, int]:
        """How often the containers of our pods were restarted, by pod; only those that were."""
        counts: Counter[str] = Counter()
        for pod in [*self.pods("producer"), *self.pods("consumer")]:
            status = pod["status"]
            for each in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
                counts[pod["metadata"]["name"]] += each["restartCount"]
        return dict(+counts)

    def delete(self) -> None:
        """The namespace and all in it."""
        # A broker node would wait for the others, which go too; and a namespace with pods in it is looked at again
        # only after half of their grace. So the pods go first, by force, and nobody makes them anew.
        self("delete", "deployments,statefulsets,replicasets", "--all", "--cascade=orphan", check=False)
        self("delete", "pods", "--all", "--force", "--grace-period=0", check=False)
        self("delete", "namespace", self.namespace, "--ignore-not-found", timeout=PATIENCE)
