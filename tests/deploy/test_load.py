"""`make load` brings images to each kind of cluster in its own way, and says first which it is."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.load import plan, pushing
from tests.processes import ROOT

IMAGES = ["mq-pair-producer:dev", "shop-consumer:1"]


def node(provider: str = "", runtime: str = "containerd://1.7.2", has: tuple[str, ...] = (), **more: Any) -> Any:
    """As the API server shows one."""
    status = {"nodeInfo": {"containerRuntimeVersion": runtime, "bootID": "here"}, "images": [{"names": [*has]}]}
    return {"metadata": more, "spec": {"providerID": provider}, "status": status}


KIND = [node("kind://docker/mq-pair/mq-pair-control-plane"), node("kind://docker/mq-pair/mq-pair-worker")]
K3D = [node("k3s://k3d-my-own-server-0"), node("k3s://k3d-my-own-agent-1")]
MINIKUBE = [node(runtime="docker://27.1", labels={"minikube.k8s.io/name": "m2"})]
INSPECT = ["docker", "image", "inspect"]


@pytest.mark.parametrize(
    ("nodes", "what", "command"),
    [
        (KIND, "the kind cluster mq-pair", "kind load docker-image --name mq-pair"),
        (K3D, "the k3d cluster my-own", "k3d image import --cluster my-own"),
        (MINIKUBE, "the minikube cluster m2", "minikube image load --profile m2"),
    ],
)
def test_each_kind_of_cluster_is_known_by_its_nodes_and_gets_each_image(
    nodes: list[Any], what: str, command: str
) -> None:
    """Whatever the context is called. Minikube's node runs a Docker, too, which is not the one of the machine."""
    said, commands = plan("any", nodes, IMAGES, "here")
    assert said == what
    looks, loads = commands[: len(IMAGES)], commands[len(IMAGES) : 2 * len(IMAGES)]
    assert [each[:3] for each in looks] == [INSPECT] * len(IMAGES)
    assert loads == [[*command.split(), image] for image in IMAGES]


@pytest.mark.parametrize(("context", "boot_id"), [("any", "here"), ("docker-desktop", "")])
def test_a_node_that_runs_what_docker_has_here_needs_no_more_than_that_it_is_there(context: str, boot_id: str) -> None:
    said, commands = plan(context, [node(runtime="docker://20.10.24")], IMAGES, boot_id)
    assert "Docker has here" in said
    assert [each[:3] for each in commands] == [INSPECT] * len(IMAGES)


@pytest.mark.parametrize("runtime", ["containerd://1.7.2", "docker://20.10.24"])
def test_elsewhere_each_node_must_have_the_images_or_a_registry_is_asked_for(runtime: str) -> None:
    """By its whole name: not-shop-consumer:1 is another."""
    full = node(runtime=runtime, has=("docker.io/library/mq-pair-producer:dev", "shop-consumer:1"))
    assert plan("far", [full, full], IMAGES, "away")[1] == []
    for lacks in (node(runtime=runtime), node(runtime=runtime, has=("mq-pair-producer:dev", "not-shop-consumer:1"))):
        with pytest.raises(SystemExit, match=r"nodes lack .*shop-consumer:1: push to a registry"):
            plan("far", [full, lacks], IMAGES, "away")


def test_a_cluster_without_nodes_has_no_images() -> None:
    """As one that adds nodes when pods wait: its contexts may also be called as Docker's are."""
    for context in ("far", "docker-desktop"):
        with pytest.raises(SystemExit, match="REGISTRY="):
            plan(context, [], IMAGES, "")


def test_a_registry_gets_the_images_under_its_own_name() -> None:
    assert pushing("registry.example.com:5000/team/", ["localhost/shop-consumer:1"]) == [
        ["docker", "tag", "localhost/shop-consumer:1", "registry.example.com:5000/team/shop-consumer:1"],
        ["docker", "push", "registry.example.com:5000/team/shop-consumer:1"],
    ]


def _load(folder: Path, *words: str, nodes: list[Any] = KIND, **does: str) -> tuple[int, str, str, list[str]]:
    """Exit code, both outputs, and what the programs in place of the real ones were asked."""
    (folder / "asked").unlink(missing_ok=True)
    (folder / "nodes.json").write_text(json.dumps({"items": nodes}))
    programs = {"kubectl": "cat nodes.json", "minikube": f"echo docker.io/library/{IMAGES[1]}"} | does
    for name in ("docker", "k3d", "kind", "kubectl", "minikube"):
        script = f'#!/bin/sh\ncd {folder}; echo "{name} $@" >> asked\n{programs.get(name, "exit 0")}\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    env = {**os.environ, "PATH": os.pathsep.join([str(folder), os.environ["PATH"]])}
    command = ["make", "--no-print-directory", "load", "CONTEXT=test", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    asked = (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []
    asked = [line for line in asked if not line.startswith("docker image inspect")]
    return done.returncode, done.stdout, done.stderr, asked


def test_make_load_says_which_cluster_it_is_and_then_loads_ours_or_the_named_ones(tmp_path: Path) -> None:
    code, said, _, asked = _load(tmp_path, "IMAGE=shop-consumer:1")
    assert code == 0
    assert said.splitlines()[0] == "to context test: the kind cluster mq-pair"
    load = "kind load docker-image --name mq-pair"
    assert asked == ["kubectl --context test get nodes -o json", f"{load} shop-consumer:1"]
    _, _, _, asked = _load(tmp_path)
    assert asked[1:] == [f"{load} mq-pair-producer:dev", f"{load} mq-pair-consumer:dev"]
    _, _, _, asked = _load(tmp_path, "IMAGE=shop-consumer:1", "REGISTRY=r.example.com/team")
    assert asked == ["docker tag shop-consumer:1 r.example.com/team/shop-consumer:1",
                     "docker push r.example.com/team/shop-consumer:1"]  # fmt: skip


def test_a_load_that_fails_ends_with_the_words_of_its_program(tmp_path: Path) -> None:
    code, _, said, asked = _load(tmp_path, kind="echo not present locally >&2; exit 1")
    assert code
    assert "not present locally" in said
    assert "Traceback" not in said
    assert len([each for each in asked if each.startswith("kind")]) == 1
    code, said, _, asked = _load(tmp_path, "CONTEXT=")
    assert code
    assert "make load CONTEXT=name: one of" in said


@pytest.mark.parametrize(
    ("nodes", "asked"),
    [
        (KIND, ["kind load docker-image --name mq-pair shop-consumer:1"]),
        (K3D, ["k3d image import --cluster my-own shop-consumer:1"]),
        (MINIKUBE, ["minikube image load --profile m2 shop-consumer:1", "minikube image ls --profile m2"]),
    ],
)
def test_an_image_that_docker_lacks_is_said_before_anything_is_loaded(
    nodes: list[Any], asked: list[str], tmp_path: Path
) -> None:
    """Not all of them fail without it: minikube looks for it on the internet, k3d warns."""
    code, said, _, done = _load(tmp_path, "IMAGE=shop-consumer:1", nodes=nodes)
    assert (code, done[1:]) == (0, asked), said
    code, _, said, done = _load(tmp_path, "IMAGE=shop-consumer:1", nodes=nodes, docker="echo No such image >&2; exit 1")
    assert code
    assert "No such image" in said
    assert len(done) == 1


@pytest.mark.parametrize(
    ("nodes", "program", "does", "words"),
    [
        # Coloured wherever it goes (https://github.com/k3d-io/k3d/issues/1484).
        (K3D, "k3d", r"printf '\033[31mERRO\033[0m[0001] failed to import images in node' >&2", "failed to import"),
        # https://github.com/kubernetes/minikube/issues/23471
        (MINIKUBE, "minikube", "echo docker.io/library/not-shop-consumer:1", "shop-consumer:1"),
        (MINIKUBE, "minikube", "exit 0", "shop-consumer:1"),
    ],
)
def test_a_program_that_fails_and_exits_with_0_fails_the_load(
    nodes: list[Any], program: str, does: str, words: str, tmp_path: Path
) -> None:
    code, _, said, _ = _load(tmp_path, "IMAGE=shop-consumer:1", nodes=nodes, **{program: does})
    assert code
    assert words in said
    assert "Traceback" not in said


def test_a_warning_of_a_program_is_shown_and_a_name_without_a_tag_is_latest(tmp_path: Path) -> None:
    does = "echo a warning >&2; echo docker.io/library/shop-consumer:latest"
    code, _, said, asked = _load(tmp_path, "IMAGE=shop-consumer", nodes=MINIKUBE, minikube=does)
    assert code == 0, said
    assert asked[1].endswith(" shop-consumer:latest")
    assert "a warning" in said


def test_who_may_not_see_the_nodes_is_told_of_the_registry(tmp_path: Path) -> None:
    forbidden = "echo 'Error from server (Forbidden): nodes is forbidden' >&2; exit 1"
    code, _, said, _ = _load(tmp_path, kubectl=forbidden)
    assert code
    assert "nodes is forbidden" in said
    assert "REGISTRY=" in said
