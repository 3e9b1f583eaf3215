"""What kustomize makes of our manifests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

Object = dict[str, Any]
K8S = ROOT / "deploy" / "k8s"
BASE = K8S / "base"
DEVELOPMENT = K8S / "overlays" / "development"
PRODUCTION = K8S / "overlays" / "production"
COMPONENTS = K8S / "components"
JOBS = K8S / "jobs"


@cache
def kubectl() -> str:
    """The one of the virtual environment, else the machine's."""
    ours = Path(sys.executable).with_name("kubectl")
    found = str(ours) if ours.exists() else shutil.which("kubectl")
    if not found:
        pytest.fail("kubectl is not installed", pytrace=False)
    return found


def load(path: Path) -> Any:
    """A YAML file's only document."""
    return yaml.safe_load(path.read_text())


@cache
def render(folder: Path) -> list[Object]:
    """The objects of a kustomization."""
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    assert not done.stderr, f"{folder}: {done.stderr}"
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def layer(folder: Path, below: Path, components: Sequence[str] = (), **more: Any) -> Path:
    """Write a kustomization over `below` with these of our components; `folder` itself."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "mq-pair",
        "resources": [os.path.relpath(below, folder)],
        "components": [os.path.relpath(COMPONENTS / each, folder) for each in components],
        **more,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def job(folder: Path, name: str, below: Path, **more: Any) -> Path:
    """Write our Job's kustomization with the overlay `below` in the place of its own; `folder` itself."""
    ours = load(JOBS / name / "kustomization.yaml")
    assert ours["resources"] == ["../../overlays/development", "job.yaml"]
    folder.mkdir(parents=True)
    shutil.copy(JOBS / name / "job.yaml", folder)
    components = [os.path.relpath(JOBS / name / each, folder) for each in ours["components"]]
    content = {**ours, "resources": [os.path.relpath(below, folder), "job.yaml"], "components": components, **more}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def of_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    """Those of `kinds`."""
    return [each for each in objects if each["kind"] in kinds]


def workloads(objects: Iterable[Object]) -> dict[str, Object]:
    """Pod templates by the name of their Deployment, StatefulSet or Job."""
    found = of_kind(objects, "Deployment", "StatefulSet", "Job")
    return {each["metadata"]["name"]: each["spec"]["template"] for each in found}


def containers(template: Object) -> list[Object]:
    """All of a pod, the initial ones first."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
