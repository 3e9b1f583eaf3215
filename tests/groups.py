"""Which tests run one after the other when workers run them side by side, and in which order they begin.

A group is run by one worker: its tests share a broker, a cluster or Docker's caches. A test of no group runs anywhere.
"""

import pytest

from tests.processes import ROOT

# Chains of minutes that mostly wait; but a unit test that fails is heard of at once. Then what computes for long.
ORDER = ("cluster", "docker", "unit", "system", "container", "debian", "chaos", "local", "slow", "")


def group_of(item: pytest.Item) -> str:
    """`container-pika` of a test on that broker and wire, say; "" if it needs no company."""
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params if callspec else {}
    wire = "-pika" if parameters.get("wire") == "pika" else ""
    if "broker" in parameters:
        one = folder in {"system", "readme"} and parameters["broker"] == "container"
        return "system" if one else f"{parameters['broker']}{wire}"
    if folder == "chaos" and "promise" in parameters:
        return f"chaos{wire}"
    if folder == "local" and item.get_closest_marker("slow"):
        return "local"  # they take the usual ports
    if folder == "deploy":
        markers = {mark.name for mark in item.iter_markers()}
        return "cluster" if "cluster" in markers else "docker" if markers & {"docker", "promtool"} else ""
    return ""


def rank(item: pytest.Item, group: str) -> int:
    """Its place: an index of ORDER."""
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    if not group:
        group = "unit" if folder == "unit" else "slow" if item.get_closest_marker("slow") else ""
    return ORDER.index(group.partition("-")[0])
