"""`make run` on a machine without RabbitMQ: it installs nothing that nobody asked for, and leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, until

# In apt-get's place: notes what it is asked, and takes as long as it must.
STUB = """#!/bin/sh
echo "$@" >> {asked}
case "$*" in
  *update*) touch {ready} ;;
  *install*) test -z "$SLOW" || {{ trap '' INT; sleep 1; touch {ended}; }}
    test -e {ready} && printf '#!/bin/sh\\n' > {server} && chmod 755 {server} ;;
esac
"""
RUN = [sys.executable, "-m", "local", "--docker", "no", "--count", "1"]


class Machine:
    """A machine of its own, as far as the runner looks at it: no RabbitMQ, and a stub of apt-get."""

    def __init__(self, folder: Path) -> None:
        self.asked, self.ended, self.server = (folder / name for name in ("asked", "ended", "rabbitmq-server"))
        ready, stub = folder / "ready", folder / "apt-get"
        stub.write_text(STUB.format(asked=self.asked, ended=self.ended, server=self.server, ready=ready))
        stub.chmod(0o755)
        self.asked.touch()
        # Where RabbitMQ would be found otherwise.
        (folder / "sitecustomize.py").write_text(
            "import pathlib\n"
            "there = pathlib.Path.exists\n"
            "away = ('/usr/lib/rabbitmq', '/opt', '/usr/local')\n"
            "pathlib.Path.exists = lambda path, **more: not str(path).startswith(away) and there(path, **more)\n"
        )
        sh = Path(shutil.which("sh") or "/bin/sh")
        for name in ("sh", "touch", "chmod", "sleep", "test"):
            (folder / name).symlink_to(shutil.which(name) or sh)
        self.env = {"PATH": str(folder), "PYTHONPATH": str(folder), "HOME": str(folder), "TMPDIR": str(folder)}

    def run(self, *more: str) -> "subprocess.CompletedProcess[str]":
        command = [*RUN, *more]
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=60, check=False)

    def did(self) -> list[str]:
        return self.asked.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("asked", [(), ("--install", "no")])
def test_without_being_asked_nothing_is_installed_and_the_command_is_told(
    machine: Machine, asked: tuple[str, ...]
) -> None:
    done = machine.run(*asked)
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends rabbitmq-server" in done.stderr
    assert "INSTALL=yes" in done.stderr
    assert "Traceback" not in done.stderr
    assert machine.did() == []


def test_asked_to_it_installs_in_plain_view_with_an_update_where_one_is_needed(machine: Machine) -> None:
    """The server of the stub is none, so the run ends after it."""
    done = machine.run("--install", "yes")
    assert [line.split()[0] for line in machine.did()] == ["install", "update", "install"]
    assert "apt-get install --no-install-recommends rabbitmq-server" in done.stdout
    assert "Traceback" not in done.stderr


def test_an_install_that_fails_is_one_sentence(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    done = machine.run("--install", "yes")
    assert done.returncode == 1
    assert "rabbitmq-server` failed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_lets_apt_end_and_leaves_no_policy_behind(machine: Machine, number: int) -> None:
    """Cut off, dpkg would leave packages half configured; a policy file would keep every service of the machine off."""
    policy, before = Path("/usr/sbin/policy-rc.d"), os.path.lexists("/usr/sbin/policy-rc.d")
    (machine.asked.parent / "ready").touch()
    process = subprocess.Popen(
        [*RUN, "--install", "yes"], cwd=ROOT, env={**machine.env, "SLOW": "1"}, start_new_session=True
    )
    try:
        until(machine.did, "apt-get runs", 30)
        process.send_signal(number)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    assert machine.ended.exists()
    assert os.path.lexists(policy) == before


def test_no_program_of_ours_writes_where_packages_ask_whether_they_may_start() -> None:
    code = [path.read_text() for folder in ("local", "deploy", ".ci") for path in (ROOT / folder).rglob("*.py")]
    assert not any("policy-rc.d" in text for text in [*code, (ROOT / ".ci" / "run").read_text()])
