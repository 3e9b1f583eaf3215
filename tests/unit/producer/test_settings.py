"""The producer's settings; mistakes in them are in tests/unit/common/test_cli.py."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from producer.settings import ProducerSettings


def make(**values: object) -> ProducerSettings:
    return ProducerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", **values})


def test_by_default_it_is_the_original_example() -> None:
    """A beat a second, for ever."""
    settings = make()
    assert (settings.producer_source, settings.producer_rate, settings.producer_count) == ("heartbeat", None, None)
    assert settings.problems() == {}


@pytest.mark.parametrize("source", ["heartbeat", "lines", "module:callable"])
def test_a_checkpoint_needs_a_file_to_go_on_in(source: str) -> None:
    """Other sources cannot be taken up midway."""
    assert "PRODUCER_CHECKPOINT" in make(producer_source=source, producer_checkpoint="/x").problems()
    assert make(producer_source="lines:/x", producer_checkpoint="/y").problems() == {}


@pytest.mark.parametrize("rate", ["inf", "nan", "0", "-1"])
def test_a_rate_is_a_number_of_messages(rate: str) -> None:
    """Without one it is unlimited."""
    with pytest.raises(ValidationError, match="producer_rate"):
        make(producer_rate=rate)


def test_what_is_wrong_for_both_services_is_found_too() -> None:
    """The base is asked first."""
    assert "MQ_TLS_CERT_FILE" in make(mq_tls_cert_file=__file__).problems()


def test_host_names_are_kept_in_lower_case_and_nothing_else_is_one() -> None:
    assert make(producer_http_hosts="Queue.Example, *").producer_http_hosts == "queue.example,*"
    for wrong in ("", "a,,b", "http://a", "a:8000", "ä"):
        with pytest.raises(ValidationError, match="without ports"):
            make(producer_http_hosts=wrong)


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    """It would let nobody in, or everybody."""
    file = tmp_path / "token"
    file.write_text(" \n")
    with pytest.raises(ValidationError, match="is empty"):
        make(producer_http_token_file=str(file))
    file.write_text("s3cr3t\n")
    assert make(producer_http_token_file=str(file)).producer_http_token_file == file
