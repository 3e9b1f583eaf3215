"""The lock files: everything that pyproject.toml asks for, by hash, from whatever index the reader has."""

import json
import os
import re
import sys
import tomllib

import pytest

from tests.processes import ROOT, output

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
RUN = PROJECT["project"]["dependencies"] + EXTRAS["http"]
WANTED = {
    "requirements.lock": RUN,
    "requirements-otel.lock": RUN + EXTRAS["otel"],
    "requirements-tools.lock": PROJECT["dependency-groups"]["tools"],
    "requirements-dev.lock": RUN + EXTRAS["otel"] + PROJECT["dependency-groups"]["dev"],
}


def _locked(file: str) -> dict[str, str]:
    """Version by name, of the lines that name a package."""
    text = (ROOT / file).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("file", WANTED)
def test_it_has_all_that_is_asked_for_by_hash_and_no_address(file: str) -> None:
    """`make lock` brings it up to date."""
    names = {re.split(r"[<>=;\[ ]", each)[0].lower().replace("_", "-") for each in WANTED[file]}
    assert names <= _locked(file).keys()
    text = (ROOT / file).read_text()
    assert "://" not in text
    assert "--index" not in text
    packages = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in each for each in packages)


def test_the_tests_run_on_the_versions_that_are_deployed() -> None:
    deployed = _locked("requirements.lock").items(), _locked("requirements-otel.lock").items()
    assert deployed[0] <= deployed[1] <= _locked("requirements-dev.lock").items()


def test_opentelemetry_is_in_the_images_only_when_asked_for() -> None:
    assert not [name for name in _locked("requirements.lock") if name.startswith("opentelemetry")]


def test_what_make_lock_and_make_sbom_run_is_locked_too() -> None:
    """A program that came as the newest of its day could write anything into the lock files."""
    text = (ROOT / "deploy" / "deploy.mk").read_text()
    assert [line for line in text.splitlines() if "pip install" in line and "--require-hashes" not in line] == []


@pytest.mark.slow
def test_the_sbom_names_all_that_the_image_brings_with_its_hashes() -> None:
    output(["make", "--no-print-directory", "sbom", f"PYTHON={sys.executable}"], os.environ, timeout=300)
    found = json.loads((ROOT / "build" / "sbom.json").read_text())
    assert found["bomFormat"] == "CycloneDX"
    parts = {each["name"]: each for each in found["components"]}
    assert {name: each["version"] for name, each in parts.items()} == _locked("requirements.lock")
    assert all(reference["hashes"] for each in parts.values() for reference in each["externalReferences"])
