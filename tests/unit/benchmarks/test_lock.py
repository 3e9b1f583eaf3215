"""The peers are locked: those that speed is measured against, and those that faults are injected into."""

import re

import pytest

from benchmarks.environment import ROOT

FOLDERS = ("benchmarks", "tests/chaos/peers")
every_lock = pytest.mark.parametrize("folder", FOLDERS)


def lock(folder: str) -> str:
    return (ROOT / folder / "requirements.lock").read_text()


@every_lock
def test_every_peer_is_locked_with_hashes(folder: str) -> None:
    packages = re.findall(r"^([a-z0-9-]+)==[^\s]+ \\\n    --hash=sha256:", lock(folder), re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z]", lock(folder), re.MULTILINE))
    wanted = (ROOT / folder / "requirements.in").read_text()
    assert {re.split(r"[\[><=]", line)[0] for line in wanted.split()} <= set(packages)


@every_lock
def test_a_lock_names_no_place(folder: str) -> None:
    assert not re.search(r"https?:|file:|--index|--find-links", lock(folder))


@every_lock
def test_pika_is_the_one_that_the_services_use(folder: str) -> None:
    ours = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"^pika==\S+", lock(folder), re.MULTILINE) == re.findall(r"^pika==\S+", ours, re.MULTILINE)
