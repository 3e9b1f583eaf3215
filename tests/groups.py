"""Which tests run one after the other when workers run them side by side, and in which order they begin. Pure.

A group is run by one worker: its tests share a broker, a cluster or Docker's caches. A test of no group runs anywhere.
"""

import re

# Chains of minutes that mostly wait; but a unit test that fails is heard of at once. Then what computes for long.
ORDER = ("cluster", "docker", "unit", "system", "container", "debian", "chaos", "local", "slow", "")
CLUSTER = ("test_cluster", "test_production", "test_your_service", "test_new")
# Each with a broker of its own.
ALONE = {
    "test_peers": "chaos-peers",
    "test_soak": "chaos-soak",
    "test_tokens": "container-tokens",
    "test_testing": "docker",
}
DOCKER = ("test_compose", "test_queries", "test_images", "test_formation", "test_benchmark", "test_alerts")


def group_of(name: str) -> str:
    """`container-pika` of the name (node id) of a test on that broker and wire, say; "" if it needs no company."""
    path, _, test = name.partition("::")
    folder, module = path.split("/")[1], path.rpartition("/")[2].removesuffix(".py")
    words = (re.findall(r"\[(.*)\]$", test) or [""])[0].split("-")
    wire = "-pika" if "pika" in words else ""
    if words[0] in {"container", "debian"}:
        return "system" if folder in {"system", "readme"} and words[0] == "container" else f"{words[0]}{wire}"
    if module == "test_promises":
        return f"chaos{wire}"
    if module in ALONE:
        return ALONE[module]
    if folder == "local" and module in {"test_run", "test_node"}:
        return "local"  # they take the usual ports
    if folder == "deploy":
        return "cluster" if module in CLUSTER else "docker" if module in DOCKER else ""
    return ""


def rank(name: str, *, slow: bool) -> int:
    """Its place: an index of ORDER."""
    alone = "unit" if name.startswith("tests/unit/") else "slow" if slow else ""
    return ORDER.index(group_of(name).partition("-")[0] or alone)
