"""Our images, under the names that the manifests have for them."""

import re
from collections.abc import Mapping
from typing import Any

from tests.deploy.kustomize import BASE, load
from tests.processes import ROOT, output

# The base of our images; it may have a digest behind its tag.
(PYTHON,) = re.findall(r"^FROM (python:\S+) AS python$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)


def name_of(image: str) -> str:
    """`mq-pair-producer:dev` of `producer`, from the one place where images are named."""
    entry: dict[str, Any] = next(each for each in load(BASE / "kustomization.yaml")["images"] if each["name"] == image)
    return f"{entry['newName']}:{entry['newTag']}"


def docker(*args: str, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> str:
    """What it prints; fails with its standard error."""
    return output(["docker", *args], env, timeout)


def build(service: str) -> str:
    """Build it; its name."""
    name = name_of(service)
    docker("build", "--quiet", "--file", "docker/Dockerfile", "--target", service, "--tag", name, ".", timeout=600)
    return name
