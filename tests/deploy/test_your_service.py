"""docs/your-service.md: its files are written and its commands typed as they stand there, in a copy of this repository.

Names and ports are others than the page's, so that two runs can be on one machine and one cluster.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from local.ports import free_ports
from tests.deploy.kustomize import kubectl
from tests.processes import OURS, ROOT, output

PAGE = ROOT / "docs" / "your-service.md"
MOST_MINUTES = 15
PATIENCE = 600.0  # seconds for a command
SEEN = 30.0  # seconds until a log or a list shows what was done before


class Typed(NamedTuple):
    """A command, and the lines that the page shows behind it."""

    command: str
    shown: list[str]


class Written(NamedTuple):
    """A file and its content."""

    path: str
    content: str


def steps(text: str) -> Iterator[tuple[str, list[Typed | Written]]]:
    """The page's headings, with what a reader does under each."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        done: list[Typed | Written] = []
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE):
            if language == "console":
                for command, shown in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:[^$].*\n)*)", block, re.MULTILINE):
                    done.append(Typed(command, shown.splitlines()))
            else:
                name, _, content = block.partition("\n")
                done.append(Written(name.removeprefix("# "), content))
        yield section.partition("\n")[0], done


class Shell:
    """A bash in a session of its own, in which one command after the other is typed."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        self._bash = subprocess.Popen(
            ["bash"], cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def __call__(self, command: str) -> tuple[int, list[str]]:
        """Its exit code, and the lines that it prints; fails when it takes too long."""
        assert self._bash.stdin
        assert self._bash.stdout
        end = f"end-{uuid.uuid4().hex}"
        timer = threading.Timer(PATIENCE, self.close)
        timer.start()
        self._bash.stdin.write(f"{command}\ncode=$?; echo; echo {end} $code\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        for line in self._bash.stdout:
            if line.startswith(end):
                timer.cancel()
                return int(line.split()[1]), [each for each in lines if each]
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"not within {PATIENCE:.0f} s: {command}\n" + "\n".join(lines))

    def close(self) -> None:
        """End it, and what it has in the background."""
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait(10)
        for stream in (self._bash.stdin, self._bash.stdout):
            if stream:
                stream.close()


def differs(shown: list[str], lines: list[str]) -> str:
    """The first line of the page that the output lacks, in order; `...` is any text, and alone on a line any lines."""
    rest = iter(lines)
    for line in shown:
        pattern = ".*".join(re.escape(part.strip()) for part in line.split("..."))
        if line != "..." and not any(re.fullmatch(rf"\s*{pattern}\s*", each) for each in rest):
            return line
    return ""


@pytest.fixture
def typed(context: str, docker: None, tmp_path: Path) -> Iterator[tuple[str, Shell]]:
    """The page with names and ports of this run, and a shell in a fresh copy; nothing is left behind."""
    name, (amqp, http) = f"shop{uuid.uuid4().hex[:8]}", free_ports(2)
    text = re.sub(r"\bshop\b", name, PAGE.read_text())
    text = text.replace("127.0.0.1:5672", f"127.0.0.1:{amqp}").replace("localhost:5672", f"localhost:{amqp}")
    text = text.replace("localhost:8000", f"localhost:{http}").replace(" 8000:80", f" {http}:80")
    for path in output(["git", "ls-files", "--cached", "--others", "--exclude-standard"]).splitlines():
        if (ROOT / path).exists():
            (tmp_path / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / "clone" / path)
    ours = ("--context", context)
    config = output([kubectl(), *ours, "config", "view", "--minify", "--flatten"])
    (tmp_path / "config").write_text(config)
    own = (str(Path(sys.executable).parent), os.environ.get("VIRTUAL_ENV", ""))
    path = os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if each not in own)
    env = {key: value for key, value in os.environ.items() if not key.startswith((*OURS, "MAKE", "MFLAGS", "PYTHON"))}
    shell = Shell(tmp_path / "clone", env | {"PATH": path, "KUBECONFIG": str(tmp_path / "config"), "HTTP_PORT": "0"})
    try:
        yield text, shell
    finally:
        shell.close()
        subprocess.run(["docker", "rm", "--force", "--volumes", f"{name}-rabbitmq"], capture_output=True, check=False)
        for tag in (1, 2):
            subprocess.run(["docker", "rmi", "--force", f"{name}-consumer:{tag}"], capture_output=True, check=False)
        subprocess.run(
            [kubectl(), *ours, "delete", "namespace", name, "--ignore-not-found", "--wait=false"], check=False
        )


def test_the_page_says_how_long_each_step_took() -> None:
    text = PAGE.read_text()
    table = dict(re.findall(r"^\| ([^|]+?) \| (\d+) s \|$", text, re.MULTILINE))
    assert f"about {sum(map(int, table.values())) / 60:.0f} minutes," in text.replace("\n", " ")
    assert [*table] == [heading for heading, done in steps(text) if done]
    assert sum(map(int, table.values())) < MOST_MINUTES * 60


@pytest.mark.cluster
@pytest.mark.docker
@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_shows_within_fifteen_minutes(
    typed: tuple[str, Shell], tmp_path: Path
) -> None:
    text, shell = typed
    took: dict[str, float] = {}
    for heading, done in ((heading, done) for heading, done in steps(text) if done):
        begun = time.monotonic()
        for each in done:
            if isinstance(each, Written):
                (_, [folder]) = shell("pwd")
                Path(folder, each.path).write_text(each.content)
                continue
            print("$", each.command)
            code, lines = shell(each.command)
            until = time.monotonic() + SEEN
            # They show a message a moment after it was posted.
            while re.search(r"kubectl logs| list$", each.command) and (code or differs(each.shown, lines)):
                assert time.monotonic() < until, (each.command, lines)
                time.sleep(0.5)
                code, lines = shell(each.command)
            print(*lines, sep="\n")
            assert code == 0, (each.command, lines)
            assert not differs(each.shown, lines), (each.command, lines)
        took[heading] = time.monotonic() - begun
    for heading, seconds in took.items():
        print(f"{seconds:6.0f} s  {heading}")
    print(f"{sum(took.values()):6.0f} s  in all")
    assert sum(took.values()) < MOST_MINUTES * 60


@pytest.mark.parametrize(
    ("shown", "lines", "lacks"),
    [
        (["shipped 1"], ["a log line", "shipped 1"], ""),
        (["shipped 1"], ["shipped 10"], "shipped 1"),
        (["...", "last"], ["one", "two", "last"], ""),
        (["... order-2 ... total", "..."], ["1  order-2  0s  a negative total"], ""),
        (["second", "first"], ["first", "second"], "first"),
    ],
)
def test_a_line_that_the_page_shows_and_the_output_lacks_is_found(
    shown: list[str], lines: list[str], lacks: str
) -> None:
    assert differs(shown, lines) == lacks
