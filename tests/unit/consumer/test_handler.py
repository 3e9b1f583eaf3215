"""The handlers that CONSUMER_HANDLER can name."""

import os
from pathlib import Path
from threading import Thread

import pytest
from structlog.testing import capture_logs

from common.message import Message
from common.plugins import ConfigError
from consumer.handler import MAX_BODY_LOGGED, append_to, open_handler
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
    handles = [append_to(path), append_to(path)]
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
        append_to(Path("/dev/full"))(Message(b"x"))


def test_a_line_cut_short_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal or a quota may cut a write short."""
    handle = append_to(tmp_path / "out")
    monkeypatch.setattr(os, "write", lambda _, data: len(data) - 1)
    with pytest.raises(OSError, match="only 3 of 4 bytes"):
        handle(Message(b"abc"))


def test_a_line_after_a_cut_line_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins a new line, and so does the next until one was written to its end."""
    path, real = tmp_path / "out", os.write
    handle = append_to(path)
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


def test_a_file_that_is_made_can_be_read_by_others_and_written_by_its_owner(tmp_path: Path) -> None:
    """As far as the umask lets it."""
    open_handler(make(f"append:{tmp_path / 'out'}"))
    (tmp_path / "plain").touch(0o644)
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_pipe_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only opening it does not wait."""
    opened: list[int] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda *given: opened.append(real(*given)) or opened[-1])
    append_to(tmp_path / "out")
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


@pytest.mark.parametrize("kind", ["async def handle(m): ...", "def handle(m): yield", "async def handle(m): yield"])
def test_an_async_function_or_generator_is_refused_as_a_handler(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
