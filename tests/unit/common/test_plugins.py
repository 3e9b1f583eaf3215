"""Finding a callable of the user's by its name."""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from common.plugins import PATCHERS, ConfigError, load_callable

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
