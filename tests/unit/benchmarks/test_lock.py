"""The peers are locked."""

import re

from benchmarks.environment import ROOT

LOCK = (ROOT / "benchmarks" / "requirements.lock").read_text()
WANTED = (ROOT / "benchmarks" / "requirements.in").read_text()


def test_every_peer_is_locked_with_hashes() -> None:
    packages = re.findall(r"^([a-z0-9-]+)==[^\s]+ \\\n    --hash=sha256:", LOCK, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z]", LOCK, re.MULTILINE))
    assert {re.split(r"[\[><=]", line)[0] for line in WANTED.split()} <= set(packages)


def test_the_lock_names_no_place() -> None:
    assert not re.search(r"https?:|file:|--index|--find-links", LOCK)


def test_pika_is_the_one_that_the_services_use() -> None:
    ours = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"^pika==\S+", LOCK, re.MULTILINE) == re.findall(r"^pika==\S+", ours, re.MULTILINE)
