"""Lines as bytes, whatever pieces they come in."""

import os
import time
import tracemalloc
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer import lines
from producer.lines import Line, read_lines

BYTES = st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bcd", b"\x00", b"\xff\xfe"]), max_size=40).map(b"".join)


def read(data: bytes, chunk: int, limit: int = 1000, offset: int = 0, *, crlf: bool = False) -> list[tuple[Line, int]]:
    """Through a pipe that gives at most `chunk` bytes a read."""
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        os.close(writer)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "CHUNK", chunk)
            return list(read_lines(reader, limit, offset, crlf=crlf))
    finally:
        os.close(reader)


def expected(data: bytes) -> list[bytes]:
    *whole, rest = data.split(b"\n")
    return whole + [rest] * bool(rest)


@given(BYTES, st.integers(1, 50), st.integers(0, 1000))
def test_lines_are_those_of_a_split_however_they_are_read(data: bytes, chunk: int, offset: int) -> None:
    """Byte for byte; and each offset is where the next line begins."""
    got = read(data, chunk, offset=offset)
    assert [line for line, _ in got] == expected(data)
    begin = 0
    for line, end in got:
        assert isinstance(line, bytes)
        assert data[begin : end - offset] in (line + b"\n", line)
        begin = end - offset
    assert begin == len(data)


@given(BYTES, st.integers(1, 50), st.integers(1, 6))
def test_a_carriage_return_before_the_newline_is_taken_away_only_where_that_is_wanted(
    data: bytes, chunk: int, limit: int
) -> None:
    """One, and it does not count towards the limit; offsets are those of the file."""
    kept, taken = read(data, chunk), read(data, chunk, limit, crlf=True)
    assert [end for _, end in taken] == [end for _, end in kept]
    for (line, _), (whole, _) in zip(taken, kept, strict=True):
        assert isinstance(whole, bytes)
        plain = whole.removesuffix(b"\r")
        assert line == plain if len(plain) <= limit else isinstance(line, ValueError)


@given(BYTES, st.integers(1, 20), st.integers(0, 6))
def test_a_line_over_the_limit_is_an_error_in_its_place(data: bytes, chunk: int, limit: int) -> None:
    """Its neighbours and all offsets are right."""
    got = read(data, chunk, limit)
    assert [end for _, end in got] == [end for _, end in read(data, chunk)]
    for (line, _), whole in zip(got, expected(data), strict=True):
        if len(whole) <= limit:
            assert line == whole
        else:
            assert isinstance(line, ValueError)
            assert str(line) == f"a line of {len(whole)} bytes is over MQ_MAX_BODY ({limit})"


@given(BYTES, st.data())
def test_reading_goes_on_from_any_offset(data: bytes, drawn: st.DataObject) -> None:
    """As from a checkpoint."""
    got = read(data, 7)
    after = drawn.draw(st.sampled_from([0, *(end for _, end in got)]))
    assert read(data[after:], 5, offset=after) == [(line, end) for line, end in got if end > after]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    """Only the limit and a chunk are held."""
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
        file.seek(0, os.SEEK_END)
        file.write(b"\nnext\n")
    descriptor = os.open(path, os.O_RDONLY)
    tracemalloc.start()
    try:
        (first, _), (second, _) = read_lines(descriptor, limit=1000)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
        os.close(descriptor)
    assert isinstance(first, ValueError)
    assert second == b"next"


def test_a_long_line_is_not_looked_through_again_at_each_read(tmp_path: Path) -> None:
    """Eight times the length takes eight times as long (more, where a cache is left), and not sixty-four times."""

    def spent(length: int) -> float:
        path = tmp_path / "long"
        path.write_bytes(b"x" * length + b"\n")
        descriptor, before = os.open(path, os.O_RDONLY), time.process_time()
        assert [len(line) for line, _ in read_lines(descriptor, length) if isinstance(line, bytes)] == [length]
        os.close(descriptor)
        return time.process_time() - before

    short, long = (min(spent(size * 1024 * 1024) for _ in range(3)) for size in (8, 64))
    assert long < 40 * short


def test_a_line_comes_as_soon_as_it_is_written() -> None:
    """From a pipe that stays open."""
    reader, writer = os.pipe()
    os.write(writer, b"one\ntw")
    got = read_lines(reader, 100)
    assert next(got) == (b"one", 4)
    thread = Thread(target=os.write, args=(writer, b"o\n"))
    thread.start()
    assert next(got) == (b"two", 8)
    thread.join()
    os.close(writer)
    assert list(got) == []
    os.close(reader)
