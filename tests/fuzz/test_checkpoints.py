"""Whatever stands in the checkpoint's file: it is taken as one of ours, or refused with a sentence."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from common.plugins import ConfigError
from producer.checkpoint import open_checkpoint
from tests.fuzz.conftest import Fuzz

DIGITS = ["0", "-1", "7", "1e3", "٣", "7_000", "9" * 30, "9" * 5000]
PARTS = st.sampled_from([*DIGITS, "name", "6:00", "x:", ":", "0:", ""])
TEXTS = st.lists(PARTS | st.text(max_size=20), max_size=5).map(" ".join)
CONTENTS = TEXTS.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=200)


def test_whatever_stands_in_it_a_checkpoint_is_read_or_refused_with_a_sentence(tmp_path: Path, fuzz: Fuzz) -> None:
    source, path = tmp_path / "source", tmp_path / "checkpoint"
    source.write_text("one\ntwo\n")

    @given(CONTENTS)
    def one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            checkpoint = open_checkpoint(path, source)
        except ConfigError:
            return
        assert checkpoint
        assert checkpoint.position >= 0
        # What it was is what it is written as.
        again = open_checkpoint(path, source)
        assert again
        assert (again.position, again.name) == (checkpoint.position, checkpoint.name)

    fuzz(one)
