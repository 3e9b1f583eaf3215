"""What came of it."""

import pytest

from common.amqp.errors import Kind, Refusal
from consumer.dead_letters.report import Report, exit_code, words

REPORT = Report("replay", "jobs.dead", 2000, 2000, 1500)
REFUSED = Refusal(Kind.CREDENTIALS, "403 ACCESS_REFUSED", "look at the password")
LEFT = {
    "replayed_too_often": "3 were replayed twice already",
    "unpublishable": "3 can not be published",
    "unconfirmed": "3 were sent and not confirmed",
    "elsewhere": "3 did not come",
    "interrupted": "interrupted",
}


def test_a_sentence_says_how_many_of_how_many() -> None:
    """And nothing of what is not."""
    assert REPORT.sentence == "replayed 1,500 of 2,000 parked messages of jobs.dead"
    assert Report("list", "q.dead", 0, 0, 0).sentence == "nothing is parked in q.dead"
    assert Report("list", "q.dead", 0, 0, 0, interrupted=True).sentence == "interrupted"
    assert Report("list", "q.dead", 9, 5, 5, more=True).sentence.endswith("; no more were asked for (--max)")


@pytest.mark.parametrize("field", LEFT)
def test_what_is_left_is_said_and_is_exit_1(field: str) -> None:
    """Each for itself."""
    report = REPORT._replace(**{field: 3})
    assert LEFT[field] in report.sentence
    assert exit_code(report, None, 0) == 1


def test_the_exit_code() -> None:
    """0 for all, that of the preflight for the broker, 1 for a defect."""
    assert exit_code(REPORT, None, 0) == 0
    assert exit_code(REPORT._replace(more=True), None, 0) == 0
    assert exit_code(REPORT, None, 1) == 1
    assert exit_code(REPORT, REFUSED, 1) == 14


def test_the_broker_is_blamed_in_the_words_of_the_services() -> None:
    """But a queue that is missing is not to be made by a look."""
    assert words(REFUSED, "amqp://u@h", begun=False) == (
        "the broker amqp://u@h cannot be used: 403 ACCESS_REFUSED; look at the password"
    )
    assert "cannot be used any more: " in words(REFUSED, "amqp://u@h", begun=True)
    missing = Refusal(
        Kind.TOPOLOGY,
        "404 NOT_FOUND - no queue 'x.dead'",
        "MQ_TOPOLOGY=create declares the queue, if the user may; so does `make rotate`",
    )
    assert words(missing, "b", begun=False).endswith("'x.dead'; " + words(missing, "b", begun=False).split("; ", 1)[1])
    assert "MQ_TOPOLOGY" not in words(missing, "b", begun=False)
