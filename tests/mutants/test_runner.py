"""Mutants run in copies, one not seen by another, and nothing is left of them. In a process of its own: it forks."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from tests.mutants.scope import ROOT

MODULE = "def double(number):\n    return number * 2\n"
OTHER = "from thing import double\n\ndef four_times(number):\n    return double(double(number))\n"
TESTS = {
    "test_thing.py": "from thing import double\n\ndef test_it():\n    assert double(3) == 6\n",
    "test_other.py": "from other import four_times\n\ndef test_it():\n    assert four_times(3) == 12\n",
    "test_nothing.py": "import thing\n\ndef test_it():\n    pass\n",
}
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.mutants.mutations import mutants
from tests.mutants.runner import Job, Runner

root, folder = map(Path, sys.argv[1:])
made = mutants((root / "thing.py").read_text())
endless = replace(made[0], source="while True: pass")
jobs = [Job("thing.py", ["test_thing.py"], None, 60.0)]
jobs += [Job("thing.py", ["test_thing.py"], each, 60.0) for each in made]
jobs += [Job("other.py", ["test_other.py"], None, 60.0), Job("thing.py", ["test_thing.py"], None, 60.0)]
jobs += [Job("thing.py", ["test_nothing.py"], made[0], 60.0), Job("thing.py", ["test_nothing.py"], endless, 1.0)]
with Runner(folder, 1, root) as runner:
    for result in runner.run(jobs):
        print(result.job.mutant.after if result.job.mutant else "unchanged", result.failed, result.hung, sep=", ")
"""


def test_each_mutant_is_alone_in_its_run_and_one_that_hangs_is_killed(tmp_path: Path) -> None:
    """The three mutants have the size of the module or not, and are made within one second: no bytecode is stale."""
    project, copies = tmp_path / "project", tmp_path / "copies"
    project.mkdir()
    for name, text in {"thing.py": MODULE, "other.py": OTHER, **TESTS}.items():
        (project / name).write_text(text)
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(project), str(copies)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == [
        "unchanged, False, False",
        "return None, True, False",
        "return number / 2, True, False",
        "return number * 3, True, False",
        "unchanged, False, False",
        "unchanged, False, False",
        "return None, False, False",
        "return None, True, True",
    ], done.stderr
    assert (project / "thing.py").read_text() == MODULE


def test_one_module_is_a_table_and_an_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.mutants", "--workers", "1", "amqp/topology"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("common/amqp/topology.py ")]
    assert rows[0][1:3] != ["0", "0"]
    assert done.returncode == int(rows[0][-1] == "<-"), done.stderr
    assert not [*tmp_path.iterdir()]


def test_ctrl_c_ends_it_and_removes_the_copies(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.mutants", "--workers", "1", "amqp/connection"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with running:
        assert running.stdout
        assert running.stdout.readline().startswith("module")
        time.sleep(1.0)  # into a run
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert running.stderr
        assert running.stderr.read().strip() == "stopped"
    assert not [*tmp_path.iterdir()]


def test_a_word_that_names_no_module_is_a_sentence() -> None:
    command = [sys.executable, "-m", "tests.mutants", "consumer/nothing.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "no such module in tests/mutants/scope.py"
