"""What a person may get wrong ends the benchmark with a line, not with a traceback."""

import pytest

from benchmarks import __main__ as benchmark
from local.ports import free_port


@pytest.mark.parametrize(
    ("url", "said"), [("nonsense", "must start with amqp://"), ("amqp://a,amqp://b", "one broker, not a list")]
)
def test_a_wrong_url_is_a_line(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(["--url", url])
    assert f"argument --url: {said}" in capsys.readouterr().err


def test_a_broker_that_is_not_there_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "lineup", list)
    assert benchmark.main(["--url", f"amqp://guest:hidden@127.0.0.1:{free_port()}/"]) == 2
    said = capsys.readouterr().err
    assert said == "there is no broker to measure with: connection refused: nothing listens there (yet)\n"
