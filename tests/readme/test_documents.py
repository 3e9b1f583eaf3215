"""Each command in our documents is known to its program, and each link goes somewhere.

What a command does is shown by tests of its own: tests/system and tests/broker run ours, tests/deploy those of Compose,
`make` and `kubectl`.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import find_spec
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.settings import ConsumerSettings
from producer.settings import ProducerSettings
from tests.brokers import Broker
from tests.deploy.kustomize import JOBS, PRODUCTION, containers, kubectl, of_kind, render, workloads
from tests.processes import ROOT, output
from tests.readme.documents import DOCUMENTS, Command, blocks, commands, example, links

TYPED = ROOT / "docs" / "your-service.md"  # tests/deploy/test_your_service.py writes its files and types its commands
COMMANDS = [each for document in DOCUMENTS if document != TYPED for each in commands(document)]
OF_THE_BROKER = ("rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-queues")
# Parts of a command that a test does not have to look up: a shell's own, and what follows a pipe.
OTHERS = ("printf", "apt-get")
KUBECTL = {"rollout": 2, "create": 3}  # how many words name a subcommand that is not one word
SUBCOMMANDS = {"verify": 1, "dead-letters": 2}  # of the consumer, and how many words name one
BLOCKS = {"console", "dockerfile", "mermaid", "python", "sql", "yaml"}


@cache
def help_of(*command: str) -> str:
    """What `command --help` prints."""
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def flags(words: list[str]) -> list[str]:
    """`--to` of `--to=x`."""
    return [word.partition("=")[0] for word in words if re.match("--[a-z]", word)]


def check_make(words: list[str]) -> None:
    """Targets are targets, and variables are used."""
    text = "".join((ROOT / name).read_text() for name in ("Makefile", "deploy/deploy.mk"))
    for word in words:
        name, is_variable, _ = word.partition("=")
        found = rf"\b{name}\b" if is_variable else rf"^{name}:"
        assert re.search(found, text, re.MULTILINE), word


def check_program(words: list[str]) -> None:
    """Our programs and subcommands have these flags."""
    module = {"doctor": "common.doctor"}.get(words[0], words[0])
    bare = list(takewhile(lambda word: not word.startswith("-"), words[1:]))
    path = bare[: SUBCOMMANDS[bare[0]]] if bare else []
    said = help_of(sys.executable, "-m", module, *path)
    assert said.startswith(f"usage: {' '.join([words[0], *path])}")
    for flag in flags(words):
        assert re.search(rf"{flag}\b", said), flag


def check_python(words: list[str]) -> None:
    """`python -m module`."""
    assert words[1] == "-m"
    assert find_spec(words[2]), words[2]


def check_activate(words: list[str]) -> None:
    """The virtual environment is where `make venv` puts it."""
    assert words[1:] == [".venv/bin/activate"]
    assert "VENV ?= .venv\n" in (ROOT / "Makefile").read_text()


def check_docker(words: list[str]) -> None:
    """A broker of its own is of the image that Compose takes; the rest is Compose's."""
    project = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    if words[1] == "run":
        assert project["services"]["rabbitmq"]["image"] == f"${{RABBITMQ_IMAGE:-{words[-1]}}}"
    else:
        check_compose(words, project)


def check_compose(words: list[str], project: dict[str, Any]) -> None:
    """Compose has the subcommand and the flags, and our file the services and profiles."""
    assert words[1] == "compose"
    profiles = {profile for service in project["services"].values() for profile in service.get("profiles", [])}
    rest = words[2:]
    if rest[0] == "--profile":
        assert rest[1] in profiles
        rest = rest[2:]
    named = [each.partition("=")[0] for each in rest[1:] if re.fullmatch(r"(producer|consumer|rabbitmq)(=\d)?", each)]
    assert {*named} <= {*project["services"]}
    subcommand = rest[0]
    if subcommand == "run":  # what follows the service is its own
        assert rest[1] == "--rm"
        check_program(rest[2:])
        return
    assert subcommand in {"down", "exec", "logs", "port", "ps", "restart", "stop", "up"}
    known = {"down": ["--volumes"], "ps": ["--all"], "up": ["--build", "--detach", "--scale", "--watch"]}
    assert {*flags(rest)} <= {*known.get(subcommand, [])}


def check_kubectl(words: list[str]) -> None:
    """The subcommand is one of kubectl, with these flags; our manifests have the objects, containers and folders."""
    ours = list(takewhile(lambda word: word != "--", words[1:]))  # what follows is the container's
    rest = ours[2:] if ours[0] == "--context" else ours
    said = help_of(kubectl(), *rest[: KUBECTL.get(rest[0], 1)]) + output([kubectl(), "options"])
    for flag in flags(ours):
        assert f"{flag}=" in said, flag
    jobs = [each for path in JOBS.glob("*/job.yaml") for each in of_kind(render(path.parent), "Job")]
    objects = [*render(PRODUCTION), *jobs]
    named = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in objects}
    inside = {container["name"] for template in workloads(objects).values() for container in containers(template)}
    for before, word in pairwise(rest):
        if re.match("(deployment|service|statefulset|job)/", word):
            assert word in named
        if before == "-c":
            assert word in inside
        if before == "-k":
            assert (ROOT / word / "kustomization.yaml").exists()


def check_pip(words: list[str]) -> None:
    """The extra is one of ours."""
    assert words[1] == "install"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert words[2] == "." or re.fullmatch(r"\.\[(\w+)\]", words[2])[1] in extras  # type: ignore[index]


def check_export(words: list[str]) -> None:
    """Variables that a setting reads."""
    known = {name.upper() for each in (ProducerSettings, ConsumerSettings) for name in each.model_fields}
    assert {word.partition("=")[0] for word in words[1:]} <= known


def check_curl(words: list[str]) -> None:
    """A page that a service has; what is posted is run by tests/system/test_http.py."""
    assert any(re.search("/(readyz|livez|metrics|messages)$|:8080", word) for word in words), words


CHECKS = {
    "make": lambda words: check_make(words[1:]),
    "producer": check_program,
    "consumer": check_program,
    "doctor": check_program,
    "python": check_python,
    "docker": check_docker,
    ".": check_activate,
    "k": check_kubectl,
    "kubectl": check_kubectl,
    "pip": check_pip,
    "export": check_export,
    "curl": check_curl,
}


def simple(command: Command) -> list[list[str]]:
    """The words of each part between pipes; what is to be put in is a word like any other."""
    found = [shlex.split(part) for part in re.split(r"\s\|\s|\s&&\s", command.text)]
    return [words for words in found if words and words[0] not in OTHERS]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.where}: {command.text}"[:100])
def test_a_command_exists_as_it_is_written(command: Command) -> None:
    """With its flags, targets, services and objects."""
    for words in simple(command):
        if words[0] not in OF_THE_BROKER:
            assert words[0] in CHECKS, f"nothing here knows {words[0]}"
            CHECKS[words[0]](words)


def test_the_brokers_commands_are_known_to_it(broker: Broker) -> None:
    """By the name of each, and of its flags."""
    names, of_policies = broker.rabbitmqctl("help"), broker.rabbitmqctl("help", "set_policy")
    typed = [words for each in COMMANDS for words in simple(each) if words[0] == "rabbitmqctl"]
    assert typed
    for words in typed:
        assert any(re.search(rf"^\s*{word}\s", names, re.MULTILINE) for word in words[1:] if "_" in word), words
        assert all(flag in of_policies for flag in flags(words)), words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_go_somewhere_and_each_block_is_of_a_kind_that_a_test_reads(document: Path) -> None:
    """A python block is an example with a name, which a test of the document runs."""
    for link in links(document):
        assert (document.parent / link).exists(), link
    assert {language for language, _ in blocks(document)} <= BLOCKS
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "readme").glob("test_*.py"))
    named = re.findall(r"<!-- example: (\w+) -->\n```python", document.read_text())
    assert document == TYPED or len(named) == sum(language == "python" for language, _ in blocks(document))
    for name in named:
        assert f'"{name}"' in tests, f"no test runs {name}"
        compile(example(document, name), name, "exec")
