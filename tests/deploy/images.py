"""Our images, under the names that the manifests have for them."""

import subprocess
from typing import Any

from tests.deploy.kustomize import BASE, load
from tests.processes import ROOT


def name_of(image: str) -> str:
    """`mq-pair-producer:dev` of `producer`, from the one place where images are named."""
    entry: dict[str, Any] = next(each for each in load(BASE / "kustomization.yaml")["images"] if each["name"] == image)
    return f"{entry['newName']}:{entry['newTag']}"


def docker(*args: str, timeout: float = 120.0) -> str:
    """What it prints; fails with its standard error."""
    done = subprocess.run(["docker", *args], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"docker {' '.join(args)}: {done.stderr[-2000:]}"
    return done.stdout


def build(service: str) -> str:
    """Build it; its name."""
    name = name_of(service)
    docker("build", "--quiet", "--file", "docker/Dockerfile", "--target", service, "--tag", name, ".", timeout=600)
    return name
