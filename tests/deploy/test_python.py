"""Which Pythons are promised, and which is in the images: one answer everywhere."""

import re
import subprocess
import tomllib

import pytest
import yaml

from tests.deploy.images import PYTHON, name_of
from tests.processes import ROOT

TAG = PYTHON.partition("@")[0]
DIGEST = f"{TAG}@sha256:{'0' * 64}"
# Files that people copy from or that need a name of their own, beside the Dockerfile.
OTHERS = (".ci/run", "Makefile", "deploy/k8s/README.md", "docs/extending.md")


def _promised() -> list[str]:
    """`3.11`, `3.12` ...: those of the README."""
    ((first, last),) = re.findall(r"Python 3\.(\d+) to 3\.(\d+)", (ROOT / "README.md").read_text())
    return [f"3.{minor}" for minor in range(int(first), int(last) + 1)]


def _make(*words: str) -> str:
    """What `make` would run."""
    command = ["make", "--no-print-directory", "--dry-run", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout


def test_each_python_that_is_promised_is_tested_on_github() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]
    assert jobs["unit"]["strategy"]["matrix"]["python"] == _promised()


def test_the_package_and_the_lock_files_promise_the_same_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if ":: Python :: 3." in each]
    assert named == _promised()
    assert project["requires-python"] == f">={named[0]}"
    assert f"--python-version {named[0]} " in (ROOT / "deploy" / "deploy.mk").read_text()
    assert f"Python {named[0]} to {named[-1]}," in (ROOT / "docs" / "your-service.md").read_text()


def test_the_images_have_the_newest_python_that_is_promised() -> None:
    newest = _promised()[-1]
    assert f"python:{newest}-slim" == TAG


def test_the_base_image_stands_in_one_line_and_each_stage_is_built_on_it() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE)[:3] == [PYTHON, "${PYTHON}", "${PYTHON}"]
    assert re.findall(r"^FROM (\S+)", (ROOT / "docker" / "test.Dockerfile").read_text(), re.MULTILINE) == ["${PYTHON}"]


@pytest.mark.parametrize("file", OTHERS)
def test_no_file_names_another_python_image(file: str) -> None:
    """A package of docs/extending.md that was built for another Python could not be imported in ours."""
    named = {*re.findall(r"python:[\d.]+-slim", (ROOT / file).read_text())}
    assert named == {TAG}


@pytest.mark.parametrize(
    "image", [None, "python:3.13-slim", DIGEST, DIGEST.replace("python", "registry.example.com/python")]
)
def test_images_are_built_and_tested_on_the_base_that_is_asked_for(image: str | None) -> None:
    asked = () if image is None else (f"PYTHON_IMAGE={image}",)
    for target, builds in (("images", 2), ("test-image", 1)):
        printed = _make(target, *asked)
        assert re.findall(r"--build-arg PYTHON=(\S+)", printed) == [image or PYTHON] * builds
        for tag in re.findall(r"--tag (\S+)", printed):
            assert re.fullmatch(r"[a-z-]+:\w[\w.-]{0,127}", tag)
    assert name_of("producer") in _make("images", *asked)
