"""Which of these tests this machine can run. What is missing is said; in CI it is a failure."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container import docker_works
from tests.deploy.compose import Project
from tests.deploy.prometheus import programs

HERE = Path(__file__).parent
HINTS = {
    "docker": "no Docker daemon answers",
    "promtool": "neither promtool nor apt-get is here: install Prometheus",
    "cluster": "no cluster was named: `make test-cluster CONTEXT=name`, or CLUSTER_CONTEXT=name",
}


def _missing(marker: str) -> bool:
    if marker == "docker":
        return not docker_works()
    if marker == "promtool":
        return not (shutil.which("promtool") or shutil.which("apt-get"))
    return not os.environ.get("CLUSTER_CONTEXT")


def pytest_configure(config: pytest.Config) -> None:
    """The one marker that only these tests have."""
    config.addinivalue_line("markers", "promtool: needs Prometheus' promtool")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine lacks the means for; in CI nothing is skipped, and the test's fixture fails."""
    if os.environ.get("CI") == "true":
        return
    for marker, hint in HINTS.items():
        mine = [item for item in items if item.path.is_relative_to(HERE) and item.get_closest_marker(marker)]
        if mine and _missing(marker):
            for item in mine:
                item.add_marker(pytest.mark.skip(reason=hint))


@pytest.fixture(scope="session")
def docker() -> None:
    """Docker, which these tests need."""
    if not docker_works():
        pytest.fail(HINTS["docker"], pytrace=False)


@pytest.fixture(scope="session")
def compose(docker: None) -> Iterator[Project]:
    """One project for all tests, since a broker is slow to start; each test says what is up."""
    project = Project()
    yield project
    project.remove()


@pytest.fixture(scope="session")
def prometheus_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `prometheus` and `promtool`."""
    return programs(tmp_path_factory.mktemp("prometheus"))


@pytest.fixture(scope="session")
def promtool(prometheus_programs: Path) -> str:
    """Prometheus' own judge of rules and configurations."""
    return str(prometheus_programs / "promtool")


@pytest.fixture(scope="session")
def images(docker: None) -> dict[str, str]:
    """Our images, built as `make images` does: service to name. By one worker after the other, as the tags are one."""
    from tests.deploy.images import build

    with (Path(tempfile.gettempdir()) / "mq-test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {service: build(service) for service in ("producer", "consumer")}


@pytest.fixture(scope="session")
def context() -> str:
    """The kubectl context that was given; never one that nobody gave."""
    name = os.environ.get("CLUSTER_CONTEXT")
    if not name:
        pytest.fail(HINTS["cluster"], pytrace=False)
    return name
