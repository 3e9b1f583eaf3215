"""The handlers that CONSUMER_HANDLER can name."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.message import Message
from common.plugins import ConfigError
from consumer.handler import MAX_BODY_LOGGED, MOST_THREADS, AppendToFile, SetUp, open_handler, runs_on_loop
from consumer.settings import ConsumerSettings


def make(handler: str) -> ConsumerSettings:
    return ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "consumer_handler": handler})


def test_appending_is_one_write_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Body and newline together, so that lines of several consumers do not mix."""
    path = tmp_path / "out"
    path.write_bytes(b"before\n")
    handle = open_handler(make(f"append:{path}"))
    writes: list[bytes] = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        writes.append(data)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    for body in (b"one", b"", b"\xff\x00"):
        handle(Message(body))
    assert writes == [b"one\n", b"\n", b"\xff\x00\n"]
    assert path.read_bytes() == b"before\none\n\n\xff\x00\n"


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    """Each line once."""
    path = tmp_path / "out"
    handles = [AppendToFile(path), AppendToFile(path)]
    bodies = [[b"%d-%d" % (number, line) * 100 for line in range(100)] for number in range(4)]
    threads = [
        Thread(target=lambda mine=mine, handle=handles[i % 2]: [handle(Message(body)) for body in mine])
        for i, mine in enumerate(bodies)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_bytes().splitlines()) == sorted(body for mine in bodies for body in mine)


def test_a_full_disk_is_an_error_so_that_the_message_comes_again() -> None:
    """Whether nothing or a part was written."""
    with pytest.raises(OSError, match="No space left"):
        AppendToFile(Path("/dev/full"))(Message(b"x"))


def test_a_line_cut_short_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal or a quota may cut a write short."""
    handle = AppendToFile(tmp_path / "out")
    monkeypatch.setattr(os, "write", lambda _, data: len(data) - 1)
    with pytest.raises(OSError, match="only 3 of 4 bytes"):
        handle(Message(b"abc"))


def test_a_line_after_a_cut_line_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins a new line, and so does the next until one was written to its end."""
    path, real = tmp_path / "out", os.write
    handle = AppendToFile(path)
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    for body in (b"lost one", b"lost two"):
        with pytest.raises(OSError, match="only 3 of"):
            handle(Message(body))
    monkeypatch.setattr(os, "write", real)
    for body in (b"one", b"two"):
        handle(Message(body))
    assert path.read_bytes() == b"los\nlo\none\ntwo\n"


def test_a_file_that_cannot_be_opened_is_refused_with_a_readable_error(tmp_path: Path) -> None:
    """A folder, or nowhere."""
    for path in (tmp_path, tmp_path / "none" / "out"):
        with pytest.raises(ConfigError, match=str(path)):
            open_handler(make(f"append:{path}"))


def test_a_file_that_is_made_has_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    """As every tool's file: who wants it private says so by the umask."""
    for umask, mode in ((0o022, 0o644), (0o002, 0o664), (0o077, 0o600)):
        before = os.umask(umask)
        try:
            open_handler(make(f"append:{tmp_path / str(umask)}"))
        finally:
            os.umask(before)
        assert (tmp_path / str(umask)).stat().st_mode & 0o777 == mode


Change = Callable[[Path], object]
CHANGES: dict[str, Change] = {
    "rotated": lambda path: path.rename(f"{path}.1"),
    "deleted": lambda path: path.unlink(),
    "replaced": lambda path: (
        path.with_name("edited").write_bytes(b"edited\n"),
        path.with_name("edited").replace(path),
    ),
    "truncated": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_handled_message_is_in_the_file_that_bears_the_name(tmp_path: Path, change: Change) -> None:
    """Whoever renames, deletes or replaces it: each message of before is where it was put, each later one is there."""
    path = tmp_path / "out"
    handle = AppendToFile(path)
    handle(Message(b"one"))
    change(path)
    handle(Message(b"two"))
    handle(Message(b"three"))
    assert path.read_bytes().endswith(b"two\nthree\n")
    assert b"one" not in path.read_bytes()


def test_a_message_whose_file_is_moved_while_it_is_written_is_written_to_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one may be compressed and deleted already. Where that does not end, the attempt fails."""
    path, real, moves = tmp_path / "out", os.write, [1]

    def write(descriptor: int, data: bytes) -> int:
        if moves:
            path.rename(tmp_path / f"out.{moves.pop()}")
        return real(descriptor, data)

    handle = AppendToFile(path)
    monkeypatch.setattr(os, "write", write)
    handle(Message(b"one"))
    assert path.read_bytes() == (tmp_path / "out.1").read_bytes() == b"one\n"
    moves.extend(range(2, 99))
    with pytest.raises(OSError, match="is moved again and again"):
        handle(Message(b"two"))


def test_a_message_whose_folder_is_gone_is_a_failed_attempt(tmp_path: Path) -> None:
    """And is written when it is there again."""
    folder = tmp_path / "disk"
    folder.mkdir()
    handle = AppendToFile(folder / "out")
    folder.rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        handle(Message(b"one"))
    folder.mkdir()
    handle(Message(b"one"))
    assert (folder / "out").read_bytes() == b"one\n"


def test_a_handler_that_changes_the_working_folder_does_not_move_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is the one of the start."""
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path)
    handle = AppendToFile(Path("out"))
    os.chdir("else")
    handle(Message(b"one"))
    assert (tmp_path / "out").read_bytes() == b"one\n"
    assert not Path("out").exists()


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """Who may write into the folder could have any file of the consumer's user appended to. /dev/stdout is root's."""
    (tmp_path / "victim").touch()
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigError, match="link: is a symbolic link"):
        open_handler(make(f"append:{tmp_path / 'link'}"))
    handle = AppendToFile(tmp_path / "out")
    (tmp_path / "out").unlink()
    (tmp_path / "out").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="is a symbolic link"):
        handle(Message(b"one"))
    assert (tmp_path / "victim").read_bytes() == b""


def test_standard_output_can_be_appended_to() -> None:
    """Though /dev/stdout is a link."""
    code = "from pathlib import Path; from common.message import Message; from consumer.handler import AppendToFile; "
    code += "AppendToFile(Path('/dev/stdout'))(Message(b'one'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"one\n"


def test_a_full_pipe_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only opening it does not wait."""
    opened: list[int] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda *given: opened.append(real(*given)) or opened[-1])
    AppendToFile(tmp_path / "out")
    assert [os.get_blocking(descriptor) for descriptor in opened] == [True]


def test_a_pipe_that_nobody_reads_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Before it is connected, as all that is wrong with a handler."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="pipe: nobody reads it"):
        open_handler(make(f"append:{pipe}"))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    open_handler(make(f"append:{pipe}"))(Message(b"x"))
    assert os.read(reader, 10) == b"x\n"
    os.close(reader)


def test_the_log_handler_writes_one_bounded_line() -> None:
    """Of any bytes."""
    handle = open_handler(make("log"))
    with capture_logs() as lines:
        handle(Message(b"Hello World 1!", message_id="m"))
        handle(Message(b"\xff" * 1000))
        handle(Message(b"x" * MAX_BODY_LOGGED))
    assert lines[0] == {
        "event": "message",
        "log_level": "info",
        "body": "Hello World 1!",
        "message_id": "m",
        "attempt": 1,
    }
    assert lines[1]["body"] == "\ufffd" * MAX_BODY_LOGGED + "…"
    assert lines[2]["body"] == "x" * MAX_BODY_LOGGED


def test_a_callable_is_taken_as_it_is() -> None:
    """It gets the message."""
    found: object = open_handler(make("builtins:repr"))
    assert found is repr


@pytest.mark.parametrize("kind", ["def handle(m): yield", "async def handle(m): yield"])
def test_a_generator_is_refused_as_a_handler(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message would be acknowledged, and none handled. Of an object its `__call__` counts."""
    name = f"later_{abs(hash(kind))}"
    (tmp_path / f"{name}.py").write_text(f"{kind}\nclass C:\n  __call__ = staticmethod(handle)\nhandler = C()\n")
    monkeypatch.syspath_prepend(tmp_path)
    for handler in ("handle", "handler"):
        with pytest.raises(ConfigError, match="a call would run nothing of it"):
            open_handler(make(f"{name}:{handler}"))


def test_a_class_is_refused_as_a_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message would be acknowledged, with an object made of it, and none handled."""
    (tmp_path / "made_of_messages.py").write_text("class C:\n  def __init__(self, message): ...")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="is a class"):
        open_handler(make("made_of_messages:C"))


@pytest.mark.parametrize("name", ["", "Log", "append", "append:", "nowhere_at_all:x"])
def test_an_unknown_handler_is_refused_with_a_readable_error(name: str) -> None:
    """With what may be written, or where was looked."""
    with pytest.raises(ConfigError, match=r"is none of|no module"):
        open_handler(make(name))


KINDS = """
from contextlib import asynccontextmanager, contextmanager
from common.message import Message

def handle(message): ...
async def handle_async(message): ...
class Both:
    async def __call__(self, message): ...
callable_async = Both()

@contextmanager
def opened(dsn="of a default"):
    yield handle

@asynccontextmanager
async def opened_async():
    yield handle_async

class Opened:
    def __enter__(self): return handle
    def __exit__(self, *_): ...

def make(): return Opened()
def nothing(): ...
async def later(): ...
def forgotten(): yield handle
"""


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "kinds_of_handlers.py").write_text(KINDS)
    monkeypatch.syspath_prepend(tmp_path)
    return "kinds_of_handlers"


@pytest.mark.parametrize("name", ["handle_async", "callable_async"])
def test_an_async_handler_is_taken_as_it_is_and_runs_on_a_loop(name: str, kinds: str) -> None:
    found = open_handler(make(f"{kinds}:{name}"))
    assert not isinstance(found, SetUp)
    assert runs_on_loop(found)


@pytest.mark.parametrize(
    ("name", "on_loop"), [("opened", False), ("opened_async", True), ("Opened", False), ("make", False)]
)
def test_what_is_called_with_nothing_sets_up_the_handler(name: str, on_loop: bool, kinds: str) -> None:
    """A function made by contextlib, whatever defaults it has; a class; any callable that makes a context manager."""
    found = open_handler(make(f"{kinds}:{name}"))
    assert isinstance(found, SetUp)
    assert runs_on_loop(found) is on_loop


@pytest.mark.parametrize(
    ("name", "why"), [("nothing", "takes no message"), ("later", "takes no"), ("forgotten", "@contextm")]
)
def test_a_set_up_without_a_context_manager_is_refused(name: str, why: str, kinds: str) -> None:
    with pytest.raises(ConfigError, match=why):
        open_handler(make(f"{kinds}:{name}"))


def handled(_: Message) -> None: ...


async def handled_later(_: Message) -> None: ...


def handled_never(_: Message) -> Iterator[None]:
    yield


@pytest.mark.parametrize("given", [None, int, 5, handled_never, handled_later])
def test_a_context_manager_that_gives_no_handler_of_its_kind_is_refused(given: Any) -> None:
    """A plain one yields a plain function, an async one an async function."""
    with pytest.raises(ConfigError, match=r"shop:opened .*a plain"):
        SetUp("shop:opened", nullcontext_of("__enter__")).opened(given)
    with pytest.raises(ConfigError, match=r"shop:opened .*an async"):
        SetUp("shop:opened", nullcontext_of("__aenter__")).opened(handled if given is handled_later else given)


def test_the_handler_that_a_context_manager_gives_is_wrapped() -> None:
    found = SetUp("shop:opened", nullcontext_of("__enter__"), lambda handle: (handle, "in a span"))  # type: ignore[arg-type, return-value]
    assert found.opened(handled) == (handled, "in a span")


def nullcontext_of(method: str) -> Any:
    return type("Context", (), {method: None})()


def test_more_handlers_at_a_time_than_threads_are_for_async_ones(kinds: str) -> None:
    assert MOST_THREADS == 256
    for name, workers in (("handle", 256), ("handle_async", 1000), ("opened_async", 257)):
        open_handler(make(f"{kinds}:{name}").model_copy(update={"consumer_workers": workers}))
    for name in ("handle", "opened"):
        with pytest.raises(ConfigError, match="256 threads at most: lower CONSUMER_WORKERS"):
            open_handler(make(f"{kinds}:{name}").model_copy(update={"consumer_workers": 257}))
