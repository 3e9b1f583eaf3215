"""Bring images to the nodes of a cluster, in the way of its kind. Needs nothing but Python."""

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

Node = dict[str, Any]
TIMEOUT = 600.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Their nodes run what their Docker has; where it is in a virtual machine, its kernel is not the one of this machine.
DESKTOPS = {"colima", "docker-desktop", "orbstack", "rancher-desktop"}
WAYS = {  # where a node says its kind: a command for each image
    "kind": (r"kind://[^/]+/([^/]+)/.*", "kind load docker-image --name {} {}"),
    "k3d": (r"k3s://k3d-(.+)-(?:server|agent)-\d+", "k3d image import --cluster {} {}"),
    "minikube": (r"minikube://(.+)", "minikube image load --profile {} {}"),
}


def plan(context: str, nodes: list[Node], images: list[str], boot_id: str) -> tuple[str, list[list[str]]]:
    """What the cluster is, and the commands that bring the images to it. Pure; exits when it has no way of its own."""
    for kind, (pattern, command) in WAYS.items():
        names = {found[1] for found in (re.fullmatch(pattern, _says(node)) for node in nodes) if found}
        if len(names) == 1:
            (name,) = names
            return f"the {kind} cluster {name}", [shlex.split(command.format(name, image)) for image in images]
    infos = [node["status"]["nodeInfo"] for node in nodes]
    docker = all(info["containerRuntimeVersion"].startswith("docker://") for info in infos)
    if docker and (context in DESKTOPS or {info["bootID"] for info in infos} == {boot_id}):
        looked = ["docker", "image", "inspect", "--format", "{{.Id}}"]
        return "a cluster whose node runs what Docker has here", [[*looked, image] for image in images]
    lacking = [image for image in images if not all(_has(node, image) for node in nodes)]
    if not lacking:
        return "a cluster whose nodes have these images already; a new build needs a new tag", []
    sys.exit(
        f"{context} is no cluster of kind, k3d, minikube or this machine's Docker, and its nodes lack "
        f"{', '.join(lacking)}: push to a registry that it reaches, with REGISTRY=registry.example.com/team"
    )


def _says(node: Node) -> str:
    profile = node["metadata"].get("labels", {}).get("minikube.k8s.io/name")
    return f"minikube://{profile}" if profile else str(node["spec"].get("providerID", ""))


def _has(node: Node, image: str) -> bool:
    names = [name for each in node["status"].get("images", []) for name in each.get("names") or []]
    return any(name == image or name.endswith(f"/{image}") for name in names)


def pushing(registry: str, images: list[str]) -> list[list[str]]:
    """The commands that publish the images under the registry's name."""
    there = {image: f"{registry.rstrip('/')}/{image.rpartition('/')[2]}" for image in images}
    commands = [[["docker", "tag", image, name], ["docker", "push", name]] for image, name in there.items()]
    return [each for pair in commands for each in pair]


def run(*words: str) -> str:
    """Its standard output; exits with its own words when it fails, and when it is not installed."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603
    except FileNotFoundError:
        sys.exit(f"{words[0]} is not installed")
    except subprocess.TimeoutExpired:
        sys.exit(f"`{shlex.join(words)}` did not end within {TIMEOUT:.0f} s")
    if done.returncode:
        sys.exit(done.stderr.strip() or f"`{shlex.join(words)}` failed")
    return done.stdout


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Say what the cluster is, and load."""
    parser = argparse.ArgumentParser("deploy.load", description=__doc__, allow_abbrev=False)
    parser.add_argument("images", nargs="+", help="names with tags, as Docker has them here")
    parser.add_argument("--context", required=True, help="the kubectl context of the cluster")
    parser.add_argument("--registry", default="", help="push there, for example registry.example.com/team")
    asked = parser.parse_args()
    if asked.registry:
        what, commands = (
            f"the registry {asked.registry}, for an overlay's `images`",
            pushing(asked.registry, asked.images),
        )
    else:
        nodes = json.loads(run("kubectl", "--context", asked.context, "get", "nodes", "-o", "json"))["items"]
        boot_id = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
        what, commands = plan(asked.context, nodes, asked.images, boot_id)
    _say(f"to context {asked.context}: {what}")
    for words in commands:
        _say(f"$ {shlex.join(words)}")
        sys.stdout.write(run(*words))


if __name__ == "__main__":
    main()
