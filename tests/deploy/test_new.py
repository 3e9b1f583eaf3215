"""`make new`: a repository that uses this one, whose tests, run, images and overlay work as made."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.new import TEMPLATE, refusal
from tests.deploy.kustomize import Object, kubectl, of_kind, render, workloads
from tests.processes import OURS, ROOT, until

SHIPPED = re.compile(r"^handled +20$.*^lost +0  every", re.MULTILINE | re.DOTALL)


class Repository(NamedTuple):
    """A new one."""

    name: str
    folder: Path

    def make(self, *words: str, where: Path | None = None, timeout: float = 400) -> tuple[int, str]:
        """Exit code, and all that `make words` says, in it or in another folder."""
        taken = (*OURS, "MAKE", "MFLAGS", "PYTHON", "COMPOSE_")
        env = {key: value for key, value in os.environ.items() if not key.startswith(taken)}
        path = os.pathsep.join([str(Path(kubectl()).parent), env["PATH"]])
        command = ["make", *words, f"PYTHON={sys.executable}"]
        done = subprocess.run(
            command, cwd=where or self.folder, env=env | {"PATH": path}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Made by `make new`, in a folder with a space in its name."""
    made = Repository(f"shop{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("my work") / "shop")
    code, said = made.make("new", f"NAME={made.name}", f"DIR={made.folder}", where=ROOT)
    assert code == 0, said
    return made


@pytest.mark.parametrize(
    "name",
    ["", "Shop", "my-shop", "1shop", "shop;ls", "types", "email", "consumer", "local", "pika", "pytest", "a" * 41],
)
def test_a_name_that_python_the_pair_or_a_cluster_would_not_take_is_refused(name: str, tmp_path: Path) -> None:
    """A package of that name would stand before Python's, ours or one that we need."""
    assert f"NAME={name}: " in refusal(name, tmp_path / "new")


def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").write_text("kept")
    for folder in (tmp_path / "mine", tmp_path / "mine" / "kept"):
        code, said = Repository("", folder).make("new", "NAME=shop", f"DIR={folder}", where=ROOT)
        assert code
        assert "nothing was written" in said
        assert "Traceback" not in said
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["kept"]
    (tmp_path / "empty").mkdir()
    assert refusal("shop", tmp_path / "empty") == ""


def test_it_copies_nothing_of_this_repository(shop: Repository) -> None:
    """But the template, in which its name has taken the place of the template's."""
    files = [path.relative_to(shop.folder) for path in shop.folder.rglob("*") if path.is_file()]
    assert {Path("Makefile"), Path(f"{shop.name}/handler.py"), Path(".github/workflows/test.yml")} <= {*files}
    ours = {path.read_bytes() for room in ("common", "consumer", "producer", "deploy", "docker", "local")
            for path in (ROOT / room).rglob("*") if path.is_file()} - {b""}  # fmt: skip
    for path in files:
        assert (shop.folder / path).read_bytes() not in ours
        assert "acme" not in str(path) + (shop.folder / path).read_text()


def _named(objects: list[Object], kind: str) -> list[str]:
    return [each["metadata"]["name"] for each in of_kind(objects, kind)]


def test_its_overlay_has_its_images_and_a_namespace_of_its_own(shop: Repository) -> None:
    objects = render(shop.folder / "k8s" / "development")
    assert _named(objects, "Namespace") == [shop.name]
    for service in ("producer", "consumer"):
        assert workloads(objects)[service]["spec"]["containers"][0]["image"] == f"{shop.name}-{service}:dev"


def test_its_workflow_has_the_actions_of_ours() -> None:
    """Which are renewed by Dependabot."""
    uses = re.compile(r"uses: (\S+ # \S+)")
    ours = {each for path in (ROOT / ".github" / "workflows").glob("*.yml") for each in uses.findall(path.read_text())}
    theirs = {*uses.findall((TEMPLATE / ".github" / "workflows" / "test.yml").read_text())}
    assert theirs
    assert theirs <= ours


@pytest.mark.slow
def test_its_tests_pass_as_made(shop: Repository) -> None:
    code, said = shop.make("test")
    assert code == 0, said
    assert "5 passed" in said
    (handler := shop.folder / shop.name / "handler.py").write_text(handler.read_text().replace("< 0", "> 0"))
    code, said = shop.make("test")
    handler.write_text(handler.read_text().replace("> 0", "< 0"))
    assert code, "a broken handler is seen"


@pytest.mark.slow
@pytest.mark.parametrize("docker", ["no", pytest.param("auto", marks=pytest.mark.docker)])
def test_it_runs_as_made_with_docker_and_without(docker: str, shop: Repository, request: pytest.FixtureRequest) -> None:
    if docker == "auto":
        request.getfixturevalue("docker")
    try:
        code, said = shop.make("run", "COUNT=20", "RATE=20", f"DOCKER={docker}")
        assert code == 0, said
        assert ("building the images" in said) == (docker == "auto")
        assert SHIPPED.search(said), said
    finally:
        _remove(shop.name, "latest")
        subprocess.run(["docker", "volume", "rm", f"{shop.name}_rabbitmq"], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.docker
def test_make_watch_restarts_its_services_when_its_code_changes(shop: Repository, docker: None, tmp_path: Path) -> None:
    handler, said = shop.folder / shop.name / "handler.py", tmp_path / "said"
    env = {key: value for key, value in os.environ.items() if not key.startswith((*OURS, "MAKE", "MFLAGS", "COMPOSE_"))}
    with said.open("wb") as out:
        watching = subprocess.Popen(
            ["make", "watch", "RATE=5"], cwd=shop.folder, env=env | {"MQ_GUI_PORT": "0"}, stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    before = handler.read_text()
    try:
        until(lambda: "shipped 3" in said.read_text(), "orders are shipped", 120)
        changed = before.replace('"shipped"', '"sent out"')
        deadline, told = time.monotonic() + 120, 0
        while "sent out" not in said.read_text():  # what is written before it looks is no change
            assert time.monotonic() < deadline, "the changed handler gets no orders"
            handler.write_text(f"{changed}# {(told := told + 1)}\n")
            time.sleep(10)
    finally:
        handler.write_text(before)
        os.killpg(watching.pid, signal.SIGINT)
        watching.wait(60)
        down = ["docker", "compose", "--project-name", shop.name, "down", "--volumes", "--rmi=local", "--timeout=5"]
        subprocess.run(down, capture_output=True, check=False)


def _remove(name: str, tag: str) -> None:
    names = [f"{name}-{service}:{tag}" for service in ("producer", "consumer")]
    subprocess.run(["docker", "rmi", "--force", *names], capture_output=True, check=False)


@pytest.fixture
def deployed(context: str, images: dict[str, str], shop: Repository) -> Iterator[list[str]]:
    """The words of kubectl in its namespace, which is removed."""
    there = [kubectl(), "--context", context, "--namespace", shop.name]
    yield there
    subprocess.run([*there, "delete", "namespace", shop.name, "--ignore-not-found", "--wait=false"], check=False)
    _remove(shop.name, "dev")


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.docker
def test_its_consumer_handles_messages_of_its_producer_on_a_cluster(
    deployed: list[str], context: str, shop: Repository
) -> None:
    """In a namespace of its own, beside whatever pairs there are."""
    code, said = shop.make("images", "deploy", f"CONTEXT={context}", timeout=900)
    assert code == 0, said
    logs = [*deployed, "logs", "deployment/consumer"]

    def handled() -> bool:
        return "shipped 3\n" in subprocess.run(logs, capture_output=True, text=True, check=False).stdout

    until(handled, "the consumer ships orders")
    code, said = shop.make("undeploy", f"CONTEXT={context}")
    assert code == 0, said
    left = subprocess.run([*deployed, "get", "deployments", "-o", "name"], capture_output=True, text=True, check=True)
    assert left.stdout == ""
