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
INSPECT = ("docker", "image", "inspect", "--format", "{{.Id}}")
INSTEAD = "push to a registry that it reaches, with REGISTRY=registry.example.com/team"


def plan(context: str, nodes: list[Node], images: list[str], boot_id: str) -> tuple[str, list[list[str]]]:
    """What the cluster is, and the commands that bring the images to it. Pure; exits when it has no way of its own."""
    looks = [[*INSPECT, image] for image in images]  # minikube looks for one that is not here on the internet
    for kind, (pattern, command) in WAYS.items():
        names = {found[1] for found in (re.fullmatch(pattern, _says(node)) for node in nodes) if found}
        if len(names) == 1:
            (name,) = names
            commands = looks + [shlex.split(command.format(name, image)) for image in images]
            listed = [["minikube", "image", "ls", "--profile", name]] if kind == "minikube" else []
            return f"the {kind} cluster {name}", commands + listed
    infos = [node["status"]["nodeInfo"] for node in nodes]
    docker = infos and all(info["containerRuntimeVersion"].startswith("docker://") for info in infos)
    if docker and (context in DESKTOPS or {info["bootID"] for info in infos} == {boot_id}):
        return "a cluster whose node runs what Docker has here", looks
    lacking = [image for image in images if not nodes or any(lacks(_names(node), [image]) for node in nodes)]
    if not lacking:
        return "a cluster whose nodes have these images already; a new build needs a new tag", []
    sys.exit(
        f"{context} is no cluster of kind, k3d, minikube or this machine's Docker, and its nodes lack "
        f"{', '.join(lacking)}: {INSTEAD}"
    )


def _says(node: Node) -> str:
    profile = node["metadata"].get("labels", {}).get("minikube.k8s.io/name")
    return f"minikube://{profile}" if profile else str(node["spec"].get("providerID", ""))


def _names(node: Node) -> list[str]:
    return [name for each in node["status"].get("images", []) for name in each.get("names") or []]


def lacks(names: list[str], images: list[str]) -> list[str]:
    """The images that have none of these names, which may begin with a registry."""
    return [image for image in images if not any(f"/{name}".endswith(f"/{image}") for name in names)]


def failure(words: list[str], images: list[str], out: str, err: str) -> str:
    """What a command that exits with 0 failed to do; empty if nothing. Pure."""
    # https://github.com/k3d-io/k3d/issues/1484, https://github.com/kubernetes/minikube/issues/23471
    if words[0] == "k3d" and "ERRO" in err:
        return f"`{shlex.join(words)}` failed"
    if words[:3] == ["minikube", "image", "ls"] and (lacking := lacks(out.split(), images)):
        return f"minikube does not have {', '.join(lacking)} after it was loaded"
    return ""


def tagged(image: str) -> str:
    """The image's whole name: without a tag it is `latest`."""
    return image if re.search(r"[:@][^/]*$", image) else f"{image}:latest"


def pushing(registry: str, images: list[str]) -> list[list[str]]:
    """The commands that publish the images under the registry's name."""
    there = {image: f"{registry.rstrip('/')}/{image.rpartition('/')[2]}" for image in images}
    commands = [[["docker", "tag", image, name], ["docker", "push", name]] for image, name in there.items()]
    return [each for pair in commands for each in pair]


def run(words: list[str], images: list[str], instead: str = "") -> str:
    """Its standard output; exits with its own words when it fails, and when it is not installed."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603
    except FileNotFoundError:
        sys.exit(f"{words[0]} is not installed")
    except subprocess.TimeoutExpired:
        sys.exit(f"`{shlex.join(words)}` did not end within {TIMEOUT:.0f} s")
    sys.stderr.write(done.stderr)
    failed = f"`{shlex.join(words)}` failed" if done.returncode else failure(words, images, done.stdout, done.stderr)
    if failed:
        sys.exit(failed + instead)
    return done.stdout


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Say what the cluster is, and load."""
    parser = argparse.ArgumentParser("deploy.load", description=__doc__, allow_abbrev=False)
    parser.add_argument("images", nargs="+", type=tagged, help="names, as Docker has them here")
    parser.add_argument("--context", required=True, help="the kubectl context of the cluster")
    parser.add_argument("--registry", default="", help="push there, for example registry.example.com/team")
    asked = parser.parse_args()
    if asked.registry:
        what, commands = (
            f"the registry {asked.registry}, for an overlay's `images`",
            pushing(asked.registry, asked.images),
        )
    else:
        words = ["kubectl", "--context", asked.context, "get", "nodes", "-o", "json"]
        nodes = json.loads(run(words, asked.images, f"; if you may not look at its nodes, {INSTEAD}"))["items"]
        boot_id = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
        what, commands = plan(asked.context, nodes, asked.images, boot_id)
    _say(f"to context {asked.context}: {what}")
    for words in commands:
        _say(f"$ {shlex.join(words)}")
        sys.stdout.write(run(words, asked.images))


if __name__ == "__main__":
    main()
