"""Finding a callable of the user's by its name."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from common.plugins import PATCHERS, ConfigError, load_callable
from tests.processes import ROOT

NUMBERS = count()
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """`write(text)`: a module with this text in the current folder; its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    made = []

    def write_module(text: str) -> str:
        made.append(f"users_module_{next(NUMBERS)}")
        (tmp_path / f"{made[-1]}.py").write_text(text)
        return made[-1]

    yield write_module
    for name in made:
        sys.modules.pop(name, None)


def test_a_callable_of_the_current_folder_is_found(write: Write) -> None:
    """Installed programs do not look there by themselves."""
    name = write("def handle(message): return message")
    assert load_callable(f"{name}:handle", "…", arguments=1)(7) == 7


def test_a_callable_inside_a_class_is_found(write: Write) -> None:
    name = write("class Tenant:\n    @staticmethod\n    def handle(message): return message")
    assert load_callable(f"{name}:Tenant.handle", "…", arguments=1)(7) == 7


def test_an_installed_module_is_found() -> None:
    assert load_callable("os.path:basename", "…", arguments=1)("a/b") == "b"


@pytest.mark.parametrize("name", ["", "handle", "module:", ":handle", ":", "/data/in.txt"])
def test_a_malformed_name_is_refused_with_the_valid_names(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_callable(name, "log or package.module:callable", arguments=1)
    assert str(caught.value) == f"{name!r} is none of log or package.module:callable"


@pytest.mark.parametrize(
    "name", ["nowhere_at_all:x", "nowhere_at_all.sub:x", "os.nowhere_at_all:x", "a..b:x", ".rel:x"]
)
def test_a_module_that_does_not_exist_is_refused(name: str) -> None:
    """A relative name is no module either."""
    with pytest.raises(ConfigError):
        load_callable(name, "…", arguments=1)


@pytest.mark.parametrize("attribute", ["nothing", "number", "handle.nothing", "a b"])
def test_an_attribute_that_is_no_callable_is_refused(write: Write, attribute: str) -> None:
    name = write("number = 7\ndef handle(message): pass")
    with pytest.raises(ConfigError, match="has no callable"):
        load_callable(f"{name}:{attribute}", "…", arguments=1)


def test_an_error_inside_the_users_module_passes_through(write: Write) -> None:
    """Its traceback shows the user the line."""
    with pytest.raises(ZeroDivisionError):
        load_callable(f"{write('1 / 0')}:handle", "…", arguments=1)


def test_an_import_that_fails_inside_the_users_module_passes_through(write: Write) -> None:
    """Also if the missing module's name is the beginning of the user's."""
    name = write("")
    Path(f"{name}.py").write_text(f"import {name[:-1]}")
    with pytest.raises(ModuleNotFoundError, match=f"'{name[:-1]}'"):
        load_callable(f"{name}:handle", "…", arguments=1)


@pytest.mark.parametrize(
    ("signature", "arguments", "problem"),
    [
        ("()", 1, "one message: too many positional arguments"),
        ("(a, b)", 1, "one message: missing a required argument: 'b'"),
        ("(*, a)", 1, "one message: too many positional arguments"),
        ("(path)", 0, "nothing: missing a required argument: 'path'"),
    ],
)
def test_a_callable_with_other_parameters_is_refused(
    write: Write, signature: str, arguments: int, problem: str
) -> None:
    """Before anything is connected: else every message would fail and be parked."""
    name = f"{write(f'def f{signature}: ...')}:f"
    with pytest.raises(ConfigError) as caught:
        load_callable(name, "…", arguments=arguments)
    assert str(caught.value) == f"{name} is called with {problem}"


@pytest.mark.parametrize("signature", ["(a)", "(a, b=1)", "(*a)", "(a, /, **b)"])
def test_a_callable_with_fitting_parameters_is_accepted(write: Write, signature: str) -> None:
    assert load_callable(f"{write(f'def f{signature}: ...')}:f", "…", arguments=1)(7) is None


def test_a_callable_without_a_signature_is_accepted() -> None:
    """Some callables written in C have none."""
    assert load_callable("builtins:min", "…", arguments=1)([2, 1]) == 1


@pytest.mark.parametrize("patcher", PATCHERS)
@pytest.mark.parametrize("part", ["select", "socket", "threading"])
def test_a_module_that_replaces_what_we_work_with_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, patcher: str, part: str
) -> None:
    """Such as by `gevent.monkey.patch_all()`: threads would be none, and the loop has no epoll."""
    name = write(f"import sys; sys.modules[{patcher!r}].patched.append({part!r})\ndef handle(message): return message")
    module: Any = ModuleType(patcher)
    module.patched = []
    setattr(module, PATCHERS[patcher], module.patched.__contains__)
    monkeypatch.setitem(sys.modules, patcher, module)
    load_callable("os.path:basename", "…", arguments=1)
    with pytest.raises(ConfigError, match=f"^{patcher} has replaced .* leave out its monkey patching, in {name}"):
        load_callable(f"{name}:handle", "…", arguments=1)


@pytest.mark.parametrize("patcher", PATCHERS)
def test_a_module_that_replaces_what_we_do_not_need_is_taken(monkeypatch: pytest.MonkeyPatch, patcher: str) -> None:
    """Or nothing: it is only imported."""
    module: Any = ModuleType(patcher)
    setattr(module, PATCHERS[patcher], ["time", "subprocess"].__contains__)
    monkeypatch.setitem(sys.modules, patcher, module)
    assert load_callable("os.path:basename", "…", arguments=1)("a/b") == "b"


TAKEN = [
    "consumer",
    "common",
    "producer",
    "types",
    "logging",
    "email",
    "os",
    "sys",
    "json",
    "ftplib",
    "pika",
    "pydantic",
]


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("file", ["{}.py", "{}/__init__.py"])
def test_a_module_whose_name_is_taken_is_refused_with_the_name_and_both_files(
    write: Write, tmp_path: Path, name: str, file: str
) -> None:
    """By ours, by Python's own, or by what we need: the other one would be asked, or even called."""
    write("")
    mine = tmp_path / file.format(name)
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("def handle(message): ...\ndef info(message): ...")
    for attribute in ("handle", "info"):
        with pytest.raises(ConfigError, match=f"the name {name} is taken by .*: rename yours") as caught:
            load_callable(f"{name}:{attribute}", "…", arguments=1)
        assert str(mine) in str(caught.value)


def test_a_module_in_a_folder_whose_name_is_taken_is_refused(write: Write, tmp_path: Path) -> None:
    """Also one without an `__init__.py`."""
    write("")
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "billing.py").write_text("def handle(message): ...")
    with pytest.raises(ConfigError, match="the name common is taken by"):
        load_callable("common.billing:handle", "…", arguments=1)


@pytest.mark.parametrize(
    "line", ["from common.db import save", "from common import db", "import queue_of_mine, common.db"]
)
def test_a_module_that_imports_another_whose_name_is_taken_is_told_the_name(
    write: Write, tmp_path: Path, line: str
) -> None:
    """A traceback would say that the file which is there is not there."""
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "db.py").write_text("def save(): ...")
    (tmp_path / "queue_of_mine.py").write_text("")
    with pytest.raises(ConfigError, match="the name common is taken by"):
        load_callable(f"{write(f'{line}{chr(10)}def handle(message): ...')}:handle", "…", arguments=1)


def test_a_module_may_stand_beside_files_whose_names_are_taken(write: Write, tmp_path: Path) -> None:
    """Python's own modules are found before the working folder, by whoever imports them later; it before others."""
    name = write(
        "import ftplib, colorsys, sortedcontainers\ndef handle(message): return ftplib, colorsys, sortedcontainers"
    )
    for each in ("consumer", "ftplib", "colorsys", "sortedcontainers"):
        (tmp_path / f"{each}.py").write_text("mine = True")
        if each != "consumer":
            sys.modules.pop(each, None)
    found = load_callable(f"{name}:handle", "…", arguments=1)(7)
    assert [hasattr(module, "mine") for module in found] == [False, False, True]


def test_the_working_folder_counts_once_and_under_its_real_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PYTHONPATH by a link, it is no other one."""
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "link")
    name = write("def handle(message): return message")
    for _ in range(2):
        assert load_callable(f"{name}:handle", "…", arguments=1)(7) == 7
    assert sys.path.count(str(tmp_path)) == 1


def test_with_pythonsafepath_the_working_folder_is_not_searched(tmp_path: Path) -> None:
    """Who asks for that does not trust it; the error says so."""
    (tmp_path / "mine.py").write_text("def handle(message): ...")
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "there.py").write_text("def handle(message): ...")
    script = "import sys; from common.plugins import *; load_callable(sys.argv[1], '…', arguments=1)"
    for safe, name, said in (
        ("", "mine:handle", ""),
        ("1", "mine:handle", "PYTHONSAFEPATH"),
        ("1", "there:handle", ""),
    ):
        env = {**os.environ, "PYTHONSAFEPATH": safe, "PYTHONPATH": f"{ROOT}:{tmp_path / 'named'}"}
        done = subprocess.run(
            [sys.executable, "-c", script, name],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert said in done.stderr
        assert bool(done.returncode) == bool(said), done.stderr
