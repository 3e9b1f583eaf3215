"""docs/testing.md: its tests as they stand there, run by pytest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.readme.documents import example

DOCUMENT = ROOT / "docs" / "testing.md"
LINES_MAX = 30  # of an example, so that it is read at a glance


@pytest.mark.parametrize(
    "name",
    ["unit", pytest.param("e2e", marks=[pytest.mark.docker, pytest.mark.slow])],
)
def test_the_tests_of_the_document_pass(name: str, tmp_path: Path) -> None:
    """Of the handler that docs/extending.md shows."""
    (tmp_path / "invoicing.py").write_text(example(ROOT / "docs" / "extending.md", "invoicing"))
    text = example(DOCUMENT, name)
    assert text.count("\n") <= LINES_MAX
    (tmp_path / "test_example.py").write_text(text)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "TESTCONTAINERS_RYUK_DISABLED": "true"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
