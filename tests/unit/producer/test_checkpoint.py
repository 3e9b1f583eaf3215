"""How far a file is confirmed."""

import os
from hashlib import blake2b
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from common.plugins import ConfigError
from producer.checkpoint import BackgroundWriter, Checkpoint, open_checkpoint
from producer.settings import ProducerSettings
from producer.source import open_source


@given(st.data(), st.integers(0, 100))
def test_the_position_is_never_past_the_first_unconfirmed(data: st.DataObject, start: int) -> None:
    """In any order of confirms, with messages taken in between; and at the end it is past all."""
    checkpoint = Checkpoint(Path("unused"), start)
    taken: list[int] = []
    waiting: set[int] = set()
    for _ in range(data.draw(st.integers(0, 30))):
        if data.draw(st.booleans()) and waiting:
            position = data.draw(st.sampled_from(sorted(waiting)))
            waiting.remove(position)
            checkpoint.confirmed(position)
        else:
            taken.append((taken[-1] if taken else start) + data.draw(st.integers(1, 9)))
            waiting.add(taken[-1])
            checkpoint.taken(taken[-1])
        done = [position for position in taken if not waiting or position < min(waiting)]
        assert checkpoint.position == (done[-1] if done else start)
        assert len(checkpoint._confirmed) <= len(taken) - len(done), "no more is remembered than is needed"


def opened(path: Path) -> Checkpoint:
    checkpoint = open_checkpoint(path, Path("none"))
    assert checkpoint
    return checkpoint


def test_a_written_checkpoint_is_read_again_with_the_name_of_its_messages(tmp_path: Path) -> None:
    """From the first moment, so that a line sent again after a crash keeps its id."""
    path = tmp_path / "checkpoint"
    first = opened(path)
    assert (opened(path).position, opened(path).name) == (0, first.name)
    first.taken(7)
    first.close()
    assert opened(path).position == 0
    first.confirmed(7)
    first.close()
    assert (opened(path).position, opened(path).name) == (7, first.name)
    assert list(tmp_path.iterdir()) == [path]


def test_a_position_that_did_not_move_is_not_written_again(tmp_path: Path) -> None:
    """It is saved twice a second."""
    path = tmp_path / "checkpoint"
    checkpoint = opened(path)
    checkpoint.taken(7)
    checkpoint.confirmed(7)
    checkpoint.close()
    path.unlink()
    checkpoint.close()
    assert not path.exists()


def test_a_checkpoint_that_cannot_be_written_is_logged_once_and_written_later(tmp_path: Path) -> None:
    """The messages go on: they are confirmed already. At the end it is said once more, with what follows."""
    folder = tmp_path / "disk"
    folder.mkdir()
    checkpoint = opened(folder / "checkpoint")
    checkpoint.taken(7)
    checkpoint.confirmed(7)
    folder.rename(tmp_path / "away")
    with capture_logs() as logged:
        for now in (1.0, 2.0, 3.0):
            checkpoint.tick(now)
            assert checkpoint.writer.idle.wait(10)
        checkpoint.close()
        (tmp_path / "away").rename(folder)
        checkpoint.tick(4.0)
        assert checkpoint.writer.idle.wait(10)
    assert [line["event"] for line in logged] == ["checkpoint not written"] * 2
    assert [line["so"] for line in logged] == [
        "a crash now would send again what was confirmed since",
        "the next start sends again what was confirmed since",
    ]
    assert logged[0]["path"] == str(folder / "checkpoint")
    assert opened(folder / "checkpoint").position == 7


def test_a_disk_that_does_not_answer_holds_up_no_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and at the end it is waited for a while: also by the last save, which nothing else would bound."""
    path, answer, real = tmp_path / "checkpoint", Event(), os.fsync
    checkpoint = opened(path)
    monkeypatch.setattr(os, "fsync", lambda file: (answer.wait(20), real(file)))
    monkeypatch.setattr("producer.checkpoint.SLOW_WRITE_SECONDS", 0.05)
    with capture_logs() as logged:
        for position in (7, 8, 9):
            checkpoint.taken(position)
            checkpoint.confirmed(position)
            checkpoint.tick(float(position))
        checkpoint.close()
    assert [line["reason"] for line in logged] == ["the disk does not answer"] * 2
    assert path.read_text().startswith("0 ")
    answer.set()
    assert checkpoint.writer.idle.wait(10)
    assert path.read_text()[0] in "789"
    answer.clear()
    checkpoint.taken(10)
    checkpoint.confirmed(10)
    with capture_logs() as logged:
        checkpoint.close()
    assert [line["reason"] for line in logged] == ["the disk does not answer"]
    answer.set()
    assert checkpoint.writer.idle.wait(10)
    assert path.read_text().startswith("10 ")


def test_a_leftover_of_a_crash_does_not_matter(tmp_path: Path) -> None:
    """Half a new one beside the old one."""
    path = tmp_path / "checkpoint"
    path.write_text("5 name\n")
    (tmp_path / "checkpoint.new").write_text("9999")
    checkpoint = opened(path)
    assert checkpoint.position == 5
    checkpoint.taken(8)
    checkpoint.confirmed(8)
    checkpoint.close()
    assert opened(path).position == 8


def test_without_a_file_nothing_is_confirmed(tmp_path: Path) -> None:
    """Or with an empty one; and there may be none at all."""
    (tmp_path / "empty").touch()
    assert [opened(tmp_path / name).position for name in ("none", "empty")] == [0, 0]
    assert open_checkpoint(None, Path("none")) is None


@pytest.mark.parametrize("content", [b"many", b"1.5 x", b"\xff", b"-5 x", b"7", b"4 x 0: y", b"4 x y"])
def test_a_foreign_checkpoint_is_refused_with_a_readable_error(tmp_path: Path, content: bytes) -> None:
    """Nobody's file is written over by mistake."""
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        open_checkpoint(path, Path("none"))


def test_a_checkpoint_in_a_missing_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    """Later it would be a defect, and each restart would send the same lines again."""
    with pytest.raises(ConfigError, match="nowhere"):
        open_checkpoint(tmp_path / "nowhere" / "checkpoint", Path("none"))


def test_a_checkpoint_that_can_be_read_and_not_written_is_refused_at_the_start(tmp_path: Path) -> None:
    """Or each start would send the same messages, and end at the first save."""
    path = tmp_path / "checkpoint"
    path.write_text("4 name\n")
    (tmp_path / "checkpoint.new").mkdir()
    with pytest.raises(ConfigError, match=r"checkpoint\.new"):
        open_checkpoint(path, Path("none"))


def confirmed(path: Path, file: Path, position: int) -> Checkpoint:
    """The checkpoint of `file` when everything before `position` was confirmed, and the program ended."""
    checkpoint = open_checkpoint(path, file)
    assert checkpoint
    checkpoint.taken(position)
    checkpoint.confirmed(position)
    checkpoint.close()
    return checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of lines that begin alike: many more than 4,096 bytes of them."""
    file = tmp_path / "input"
    file.write_bytes(b"header\n" * 1000 + b"".join(b"%09d\n" % number for number in range(1000)))
    return file


def test_a_file_that_grew_goes_on(file: Path, tmp_path: Path) -> None:
    """The bytes that are confirmed are the same ones; the message ids go on, too."""
    first = confirmed(tmp_path / "checkpoint", file, 12_000)
    for _ in range(3):
        with file.open("ab") as stream:
            stream.write(b"more\n" * 5000)
        again = confirmed(tmp_path / "checkpoint", file, 12_010)
        assert (again.position, again.name) == (12_010, first.name)


def test_a_file_that_was_renamed_goes_on(file: Path, tmp_path: Path) -> None:
    """It is the same file."""
    confirmed(tmp_path / "checkpoint", file, 12_000)
    again = open_checkpoint(tmp_path / "checkpoint", file.rename(tmp_path / "renamed"))
    assert again
    assert again.position == 12_000


@pytest.mark.parametrize("at", [0, 5000, 8000, 11_999])
def test_a_file_that_differs_anywhere_in_what_is_confirmed_is_refused(file: Path, tmp_path: Path, at: int) -> None:
    """What stands before the position would never be sent, and nobody would know. Also written in its place."""
    confirmed(tmp_path / "checkpoint", file, 12_000)
    changed = bytearray(file.read_bytes())
    changed[at] ^= 1
    file.write_bytes(changed)
    with pytest.raises(ConfigError, match=r"begins otherwise than .*input: remove it"):
        open_checkpoint(tmp_path / "checkpoint", file)


def test_a_file_that_differs_only_in_what_is_not_confirmed_goes_on(file: Path, tmp_path: Path) -> None:
    """All of that is sent."""
    confirmed(tmp_path / "checkpoint", file, 12_000)
    with file.open("r+b") as stream:
        stream.seek(12_000)
        stream.write(b"other")
    again = open_checkpoint(tmp_path / "checkpoint", file)
    assert again
    assert again.position == 12_000


def test_a_file_that_became_shorter_is_refused(file: Path, tmp_path: Path) -> None:
    confirmed(tmp_path / "checkpoint", file, 12_000)
    os.truncate(file, 11_000)
    with pytest.raises(ConfigError, match="begins otherwise"):
        open_checkpoint(tmp_path / "checkpoint", file)


def test_a_file_with_the_same_bytes_and_another_inode_is_not_skipped_but_asked_about(
    file: Path, tmp_path: Path
) -> None:
    """Lines of equal text, of a log that was rotated, are new messages; those of a copy are not. Nobody can know."""
    path = tmp_path / "checkpoint"
    confirmed(path, file, 12_000)
    with (tmp_path / "copy").open("wb") as stream:  # beside the old one, or it would get its inode
        stream.write(file.read_bytes())
    (tmp_path / "copy").replace(file)
    with pytest.raises(ConfigError, match=r"cannot be known.*remove .*checkpoint to send all of it.*the last word"):
        open_checkpoint(path, file)
    path.write_text(path.read_text().rpartition(" ")[0])
    again = open_checkpoint(path, file)
    assert again
    assert again.position == 12_000


def test_a_checkpoint_that_skips_nothing_takes_any_file_under_new_ids(file: Path, tmp_path: Path) -> None:
    """What was sent of the other and not confirmed has ids of the same positions."""
    first = open_checkpoint(tmp_path / "checkpoint", file)
    assert first
    (tmp_path / "new").write_bytes(b"new\n")
    (tmp_path / "new").replace(file)
    again = open_checkpoint(tmp_path / "checkpoint", file)
    assert again
    assert again.position == 0
    assert again.name != first.name


def test_what_is_looked_at_is_what_is_read(file: Path, tmp_path: Path) -> None:
    """Though the file is replaced between the two."""
    confirmed(tmp_path / "checkpoint", file, 12_000)
    checkpoint = open_checkpoint(tmp_path / "checkpoint", file)
    assert checkpoint
    (tmp_path / "new").write_bytes(b"new\n" * 10_000)
    (tmp_path / "new").replace(file)
    settings = ProducerSettings.model_validate(
        {"mq_url": "amqp://h", "mq_ch": "jobs", "producer_source": f"lines:{file}"}
    )
    items = list(open_source(settings, checkpoint.position, checkpoint.descriptor)())
    assert [item.value for item in items[:2]] == [b"000000500", b"000000501"]
    checkpoint.taken(items[0].position)
    checkpoint.confirmed(items[0].position)
    checkpoint.close()
    with pytest.raises(ConfigError):
        open_checkpoint(tmp_path / "checkpoint", file)


def test_a_file_cut_short_behind_the_reader_leaves_the_old_checkpoint(file: Path, tmp_path: Path) -> None:
    """Of bytes that are gone no hash can be made."""
    confirmed(tmp_path / "checkpoint", file, 12_000)
    checkpoint = open_checkpoint(tmp_path / "checkpoint", file)
    assert checkpoint
    os.truncate(file, 0)
    checkpoint.taken(13_000)
    checkpoint.confirmed(13_000)
    with capture_logs() as logged:
        checkpoint.close()
    assert [line["reason"] for line in logged] == ["the file became shorter than what was read of it"]
    assert (tmp_path / "checkpoint").read_text().startswith("12000 ")


def test_a_file_that_is_not_there_is_told_by_the_source(file: Path, tmp_path: Path) -> None:
    """And its checkpoint is not forgotten."""
    confirmed(tmp_path / "checkpoint", file, 12_000)
    content = file.read_bytes()
    file.rename(tmp_path / "away")
    assert open_checkpoint(tmp_path / "checkpoint", file), "which the source says better"
    file.write_bytes(b"x" + content[1:])
    with pytest.raises(ConfigError, match="begins otherwise"):
        open_checkpoint(tmp_path / "checkpoint", file)


@pytest.mark.parametrize("known", ["", " 7:{}"])
def test_a_checkpoint_of_a_first_version_goes_on(file: Path, tmp_path: Path, known: str) -> None:
    """The first did not know its file, the second up to 4,096 bytes of it; from now on all of it is known."""
    path = tmp_path / "checkpoint"
    path.write_text(f"4 name{known.format(blake2b(b'header' + bytes([10]), digest_size=8).hexdigest())}\n")
    again = open_checkpoint(path, file)
    assert again
    assert (again.position, again.name) == (4, "name")
    assert path.read_text().split()[3] == str(file.stat().st_ino)


def test_a_pipe_is_not_looked_at(tmp_path: Path) -> None:
    """To look at it would take from it, and wait."""
    os.mkfifo(tmp_path / "pipe")
    checkpoint = open_checkpoint(tmp_path / "checkpoint", tmp_path / "pipe")
    assert checkpoint
    assert checkpoint.descriptor is None


def test_a_file_that_may_not_be_read_is_not_looked_at(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be told as an error of PRODUCER_CHECKPOINT, which is in order."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    checkpoint = open_checkpoint(tmp_path / "checkpoint", file)
    assert checkpoint
    assert checkpoint.descriptor is None


def test_a_checkpoint_is_its_owners_alone(tmp_path: Path) -> None:
    """It decides what is skipped."""
    assert opened(tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint").stat().st_mode & 0o777 == 0o600


def test_no_symbolic_link_is_followed_to_write_a_checkpoint(tmp_path: Path) -> None:
    """Who may write into the folder could have any file of the producer's user written over."""
    path, victim = tmp_path / "checkpoint", tmp_path / "victim"
    victim.write_text("victim")
    (tmp_path / "checkpoint.new").symlink_to(victim)
    opened(path)
    assert victim.read_text() == "victim"
    path.unlink()
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigError, match="is a symbolic link"):
        opened(path)
    assert victim.read_text() == "victim"


def test_a_source_that_changes_the_working_folder_does_not_move_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is the one of the start."""
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path)
    checkpoint = opened(Path("checkpoint"))
    os.chdir("else")
    checkpoint.taken(7)
    checkpoint.confirmed(7)
    checkpoint.close()
    assert (tmp_path / "checkpoint").read_text().startswith("7 ")


def test_a_checkpoint_is_never_the_file_that_the_source_reads(tmp_path: Path) -> None:
    """By whatever name: what it holds would be lost."""
    file, other = tmp_path / "input", tmp_path / "other"
    file.write_bytes(b"12 monkeys\n")
    other.symlink_to(file)
    for path in (file, other, tmp_path / "." / "input"):
        with pytest.raises(ConfigError, match="is what the source reads"):
            open_checkpoint(path, file)
    assert file.read_bytes() == b"12 monkeys\n"


def test_a_pipe_is_no_checkpoint(tmp_path: Path) -> None:
    """It would be replaced by a file."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is no file"):
        opened(tmp_path / "pipe")


class Disk:
    """In the place of a checkpoint's writer: it is done when the test says so."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.error: OSError | None = None
        self.idle, self.asked = Event(), 0
        self.idle.set()
        self._checkpoint = checkpoint
        checkpoint.writer = self  # type: ignore[assignment]

    def ask(self) -> None:
        """Counted."""
        self.asked += 1
        self.idle.clear()

    def answer(self, error: OSError | None = None) -> None:
        """It is written, or not."""
        self.error = error
        if not error:
            self._checkpoint._written = self._checkpoint.position
        self.idle.set()


@pytest.fixture
def moved() -> Checkpoint:
    """One that has something to write."""
    checkpoint = Checkpoint(Path("unused"))
    checkpoint.taken(7)
    checkpoint.confirmed(7)
    return checkpoint


def test_a_checkpoint_is_written_twice_a_second_at_most_and_only_when_it_moved(moved: Checkpoint) -> None:
    disk = Disk(moved)
    moved.tick(1.0)
    assert disk.asked == 1
    disk.answer()
    moved.tick(9.0)
    assert disk.asked == 1
    for position, now, asked in ((8, 10.0, 2), (9, 10.49, 2), (10, 10.5, 3)):
        moved.taken(position)
        moved.confirmed(position)
        moved.tick(now)
        assert disk.asked == asked
        disk.idle.set()


def test_a_write_that_takes_a_second_longer_than_it_may_is_logged_once_for_each_time(moved: Checkpoint) -> None:
    disk = Disk(moved)
    with capture_logs() as logged:
        moved.tick(1.0)
        moved.tick(2.49)
        assert logged == []
        moved.tick(2.5)
        moved.tick(2.6)
        assert [(line["reason"], line["log_level"]) for line in logged] == [("the disk does not answer", "warning")]
        disk.answer()
        moved.tick(3.0)
        moved.taken(8)
        moved.confirmed(8)
        moved.tick(4.0)
        moved.tick(5.5)
    assert len(logged) == 2
    assert disk.asked == 2


def test_an_error_of_the_disk_is_logged_by_its_name_and_the_write_tried_again(moved: Checkpoint) -> None:
    disk = Disk(moved)
    moved.tick(1.0)
    disk.answer(OSError(28, "No space left on device"))
    with capture_logs() as logged:
        moved.tick(2.0)
        assert disk.asked == 2
        disk.answer()
        moved.tick(3.0)
    assert [line["reason"] for line in logged] == ["No space left on device"]
    assert logged[0]["so"] == "a crash now would send again what was confirmed since"


def test_an_end_without_an_error_is_not_logged_and_one_with_the_same_error_is_logged_again(moved: Checkpoint) -> None:
    disk = Disk(moved)
    disk.ask = lambda: disk.answer(None if moved.position == 8 else OSError(28, "No space"))  # type: ignore[method-assign]
    with capture_logs() as logged:
        moved.tick(1.0)
        moved.tick(2.0)
        assert len(logged) == 1
        moved.close()
        assert len(logged) == 2
        moved.taken(8)
        moved.confirmed(8)
        moved.close()
    assert len(logged) == 2


def test_a_checkpoint_is_whole_on_the_disk_before_it_replaces_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "checkpoint", list[int]()
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    opened(path)
    assert synced == [path.stat().st_size]


PATIENCE = 10.0  # seconds


def test_a_writer_writes_once_for_each_time_it_is_asked() -> None:
    """And is idle until then."""
    written: list[int] = []
    writer = BackgroundWriter(lambda: written.append(1))
    assert writer.idle.is_set()
    writer.start()
    for times in (1, 2, 3):
        writer.ask()
        assert writer.idle.wait(PATIENCE)
        assert len(written) == times


def test_who_asks_a_writer_does_not_wait() -> None:
    """Unless it wants to, and no longer than it wants to."""
    go_on = Event()

    def write() -> None:
        go_on.wait(PATIENCE)

    writer = BackgroundWriter(write)
    writer.start()
    writer.ask()
    assert not writer.idle.wait(0.05)
    go_on.set()
    assert writer.idle.wait(PATIENCE)


def test_the_error_of_a_writer_is_kept_until_it_succeeds() -> None:
    """The thread goes on."""
    failures = [OSError(28, "No space left on device")]

    def write() -> None:
        if failures:
            raise failures.pop()

    writer = BackgroundWriter(write)
    writer.start()
    writer.ask()
    assert writer.idle.wait(PATIENCE)
    assert writer.error
    assert writer.error.strerror == "No space left on device"
    writer.ask()
    assert writer.idle.wait(PATIENCE)
    assert writer.error is None


@pytest.mark.parametrize("how", ["name", "link to it", "link"])
def test_a_source_under_the_name_of_the_file_to_write_is_refused_and_kept(tmp_path: Path, how: str) -> None:
    """A checkpoint is written as NAME.new first, in place of what stands there."""
    file, path = tmp_path / "jobs.new", tmp_path / "jobs"
    source = tmp_path / "other" if how == "link to it" else file
    if how == "link":
        file.symlink_to(tmp_path / "other")
    elif how == "link to it":
        source.symlink_to(file)
    source.write_text("one\ntwo\n")
    with pytest.raises(ConfigError, match="name another file"):
        open_checkpoint(path, source)
    assert file.read_text() == "one\ntwo\n"
