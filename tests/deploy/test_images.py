"""The two images: small, not root, and running where nothing can be written."""

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.images import PYTHON, docker
from tests.processes import ROOT, until
from tests.readme.documents import example

pytestmark = pytest.mark.docker

HARDENED = ("--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")
SOURCES = ("common", "producer", "consumer")
LARGEST = 20_000_000  # bytes of our layers


def _inspect(name: str) -> dict[str, Any]:
    return dict(json.loads(docker("image", "inspect", name))[0])


@pytest.fixture(params=["producer", "consumer"])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_is_small_and_both_share_all_but_their_own_code(images: dict[str, str], service: str) -> None:
    base = len(_inspect(PYTHON)["RootFS"]["Layers"])
    layers = {name: _inspect(image)["RootFS"]["Layers"] for name, image in images.items()}
    assert layers["producer"][:-1] == layers["consumer"][:-1]
    assert _inspect(images[service])["Size"] - _inspect(PYTHON)["Size"] < LARGEST
    assert len(layers[service]) - base <= 6


def test_it_runs_as_a_number_that_is_not_root_and_gets_the_signals_itself(images: dict[str, str], service: str) -> None:
    config = _inspect(images[service])["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python", "-m", service]
    assert not config["Cmd"]


def test_nothing_of_the_machine_that_built_it_and_no_secret_is_in_it(images: dict[str, str], service: str) -> None:
    ours = _inspect(images[service])["Config"]["Env"]
    base = _inspect(PYTHON)["Config"]["Env"]
    assert {each.partition("=")[0] for each in ours} - {each.partition("=")[0] for each in base} == {
        "PYTHONSAFEPATH",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "HTTP_HOST",
    }
    files = docker(
        "run", *HARDENED, "--entrypoint=find", images[service], "/app", "-maxdepth", "1", "-printf", "%f %u\n"
    )
    assert set(files.splitlines()) == {
        f"{name} root" for name in ("app", "lib", "common", "healthcheck.py", service)
    }, "only its own code, and the user cannot change it"


def test_it_says_what_is_missing_on_a_root_that_cannot_be_written(images: dict[str, str], service: str) -> None:
    done = subprocess.run(
        ["docker", "run", *HARDENED, images[service]], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "MQ_CH" in done.stderr
    assert "Traceback" not in done.stderr
    assert "--mq-ch" in docker("run", *HARDENED, images[service], "--help")


def test_it_finds_itself_wherever_it_runs(images: dict[str, str], service: str) -> None:
    """In any working folder, and with a PYTHONPATH of the user's."""
    for place in (("--workdir=/tmp",), ("--env=PYTHONPATH=/plugins",), ("--workdir=/", "--env=PYTHONPATH=/usr")):
        assert "--mq-ch" in docker("run", *HARDENED, *place, images[service], "--help")


@pytest.mark.parametrize("name", ["types", "email", "http", "json", "random", "enum", "logging", "consumer", "common"])
def test_a_module_of_the_users_whose_name_is_taken_is_told_in_one_sentence(
    images: dict[str, str], tmp_path: Path, name: str
) -> None:
    """From /app, and from a folder on PYTHONPATH that is mounted: nothing else of ours is in the way."""
    (tmp_path / "mine.py").write_text("def handle(message): ...")
    (tmp_path / "mine.py").chmod(0o644)
    settings = ("--env=MQ_URL=amqp://nowhere.invalid/", "--env=MQ_CH=q", "--workdir=/tmp")
    mount = f"--volume={tmp_path / 'mine.py'}:/app/{name}.py:ro"
    command = ("docker", "run", *HARDENED, *settings, mount, images["consumer"], "--handler", f"{name}:handle")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert f"/app/{name}.py: the name {name} is taken by" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_its_health_check_asks_where_the_service_listens(images: dict[str, str], service: str) -> None:
    """By a flag or by the environment, from any working folder, also beside files of the user's."""
    settings = ("--env=MQ_URL=amqp://127.0.0.1:1/", "--env=MQ_CH=q", "--workdir=/tmp", "--detach", "--init")
    container = docker("run", *HARDENED, *settings, images[service], "--http-port", "9000").strip()
    try:
        check = [*_inspect(images[service])["Config"]["Healthcheck"]["Test"][1:]]
        ask = ["docker", "exec", container, *check]
        until(
            lambda: '"ready": false' in subprocess.run(ask, capture_output=True, text=True, check=False).stderr,
            "it answers, and says why it is not ready",
        )
    finally:
        docker("rm", "--force", container)


def test_the_wait_of_the_init_container_is_in_it(images: dict[str, str], service: str) -> None:
    settings = ("--env=MQ_URL=amqp://u:hidden@nowhere.invalid/", "--env=MQ_CH=q", "--env=PREFLIGHT_TIMEOUT=1s")
    command = ("--entrypoint=python", images[service], "-m", "common.doctor.preflight")
    done = subprocess.run(
        ["docker", "run", *HARDENED, *settings, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 10, done.stderr
    assert "nowhere.invalid" in done.stderr
    assert "hidden" not in done.stderr


def test_all_of_it_is_compiled(images: dict[str, str], service: str) -> None:
    """What is not would be compiled at every start: the root is read-only."""
    code = (
        "import pathlib, importlib.util as u;"
        "print([p for p in map(str, pathlib.Path('/app').rglob('*.py'))"
        " if not pathlib.Path(u.cache_from_source(p)).exists() and p != '/app/healthcheck.py'])"
    )
    assert docker("run", *HARDENED, "--entrypoint=python", images[service], "-c", code).strip() == "[]"


def test_the_http_source_is_in_it_and_opentelemetry_is_not(images: dict[str, str], service: str) -> None:
    """The one is small and no option of the build; the other would double what we add."""
    code = "import importlib.util as u; print([bool(u.find_spec(name)) for name in ('waitress', 'opentelemetry')])"
    assert docker("run", *HARDENED, "--entrypoint=python", images[service], "-c", code).strip() == "[True, False]"


@pytest.mark.usefixtures("images")
def test_one_that_was_built_where_only_the_owner_may_read_runs_for_all(tmp_path: Path) -> None:
    """A checkout's modes, under umask 077, go into the image."""
    for folder in ("common", "producer", "consumer", "docker"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (tmp_path / folder, *(tmp_path / folder).rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
    shutil.copy2(ROOT / "requirements.lock", tmp_path)
    tag = "mq-pair-producer:test-umask"
    build = ("build", "--quiet", "--file", str(tmp_path / "docker" / "Dockerfile"), "--target", "producer")
    docker(*build, "--tag", tag, str(tmp_path), timeout=600)
    assert "--mq-ch" in docker("run", *HARDENED, tag, "--help")


STRANGERS = ("common/.env", "common/settings/.env.local", "producer/id_rsa", "consumer/tls.key", "consumer/notes.txt")


@pytest.mark.usefixtures("docker")
def test_only_what_is_named_goes_into_the_image(tmp_path: Path) -> None:
    """A key or an .env beside the sources does not, nor does it reach the builder."""
    for folder in ("common", "producer", "consumer", "docker"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("requirements.lock", ".dockerignore"):
        shutil.copy2(ROOT / name, tmp_path)
    for name in STRANGERS:
        (tmp_path / name).write_text("secret")
    (tmp_path / "Dockerfile").write_text("FROM busybox:1.37\nCOPY . /context\n")
    tag = f"mq-pair-context:{uuid.uuid4().hex[:8]}"
    docker("build", "--quiet", "--tag", tag, str(tmp_path), timeout=600)
    try:
        found = docker("run", "--rm", tag, "find", "/context", "-type", "f").split()
    finally:
        docker("rmi", tag)
    sources = {str(path.relative_to(ROOT)) for name in SOURCES for path in (ROOT / name).rglob("*.py")}
    assert {each.removeprefix("/context/") for each in found} == {
        *sources,
        "requirements.lock",
        "docker/healthcheck.py",
    }


def test_it_has_no_program_that_makes_root_and_none_that_installs(images: dict[str, str], service: str) -> None:
    """What an intruder would use first."""
    find = ("run", "--rm", "--user=0", "--entrypoint=find", images[service], "/", "-xdev")
    assert docker(*find, "-type", "f", "-perm", "/6000") == ""
    assert docker(*find, "-path", "*/bin/pip*") == ""
    code = "import importlib.util as u; print([name for name in ('pip', 'ensurepip') if u.find_spec(name)])"
    assert docker("run", *HARDENED, "--entrypoint=python", images[service], "-c", code).strip() == "[]"


@pytest.mark.slow
@pytest.mark.usefixtures("docker")
def test_opentelemetry_is_in_it_when_asked_for() -> None:
    """And comes up: an endpoint is not ignored."""
    tag = "mq-pair-producer:test-otel"
    build = ("build", "--quiet", "--file", "docker/Dockerfile", "--build-arg", "REQUIREMENTS=requirements-otel.lock")
    docker(*build, "--target", "producer", "--tag", tag, ".", timeout=600)
    code = (
        "from common.observe.tracing import set_up; set_up('http://127.0.0.1:1', 'producer'); "
        "print(set_up(None, 'producer'))"
    )
    assert docker("run", *HARDENED, "--entrypoint=python", tag, "-c", code).strip() == "True"


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_one_with_a_handler_and_a_package_of_ones_own_is_made_as_extending_says(tmp_path: Path) -> None:
    """And is no less hardened: the handler is found, and says what it lacks."""
    document, tag = ROOT / "docs" / "extending.md", "mq-pair-consumer:test-own"
    (tmp_path / "billing.py").write_text(example(document, "billing"))
    (tmp_path / "Dockerfile").write_text(example(document, "image", "dockerfile"))
    docker("build", "--quiet", "--tag", tag, str(tmp_path), timeout=600)
    assert _inspect(tag)["Config"]["User"] == "10001:10001"
    settings = ("--env=MQ_URL=amqp://nowhere.invalid/", "--env=MQ_CH=q")
    done = subprocess.run(
        ["docker", "run", *HARDENED, *settings, tag], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "BILLING_DB: name the file of the database" in done.stderr
    docker("run", *HARDENED, "--entrypoint=python", tag, "-c", "import psycopg, consumer")


def test_the_dockerfile_has_nothing_that_hadolint_minds(docker: None) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "docker/Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
