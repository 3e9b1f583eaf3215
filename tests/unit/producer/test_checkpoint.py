"""How far a file is confirmed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.checkpoint import Checkpoint, read_checkpoint


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


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    """And nothing else is left in the folder."""
    path = tmp_path / "checkpoint"
    checkpoint = Checkpoint(path, 0)
    checkpoint.taken(7)
    checkpoint.save()
    assert not path.exists()
    checkpoint.confirmed(7)
    checkpoint.save()
    assert read_checkpoint(path) == 7
    assert list(tmp_path.iterdir()) == [path]


def test_a_position_that_did_not_move_is_not_written_again(tmp_path: Path) -> None:
    """It is saved twice a second."""
    path = tmp_path / "checkpoint"
    checkpoint = Checkpoint(path, 0)
    checkpoint.taken(7)
    checkpoint.confirmed(7)
    checkpoint.save()
    path.unlink()
    checkpoint.save()
    assert not path.exists()


def test_a_leftover_of_a_crash_does_not_matter(tmp_path: Path) -> None:
    """Half a new one beside the old one."""
    path = tmp_path / "checkpoint"
    path.write_text("5\n")
    (tmp_path / "checkpoint.new").write_text("9999")
    assert read_checkpoint(path) == 5
    checkpoint = Checkpoint(path, 5)
    checkpoint.taken(8)
    checkpoint.confirmed(8)
    checkpoint.save()
    assert read_checkpoint(path) == 8


def test_without_a_file_nothing_is_confirmed(tmp_path: Path) -> None:
    """Or with an empty one, or when none is wanted."""
    (tmp_path / "empty").touch()
    assert [read_checkpoint(path) for path in (None, tmp_path / "none", tmp_path / "empty")] == [0, 0, 0]


@pytest.mark.parametrize("content", [b"many", b"1.5", b"\xff"])
def test_a_file_that_is_none_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Nobody's file is written over by mistake."""
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r".*"):
        read_checkpoint(path)
