"""Report: what came of it, as a sentence, as JSON, and as an exit code. Pure."""

from typing import NamedTuple

from common.amqp.errors import Kind, Refusal

EXIT_PARTLY = 1
MISSING = "is MQ_CH right? a producer or consumer that starts there makes the queue"
DONE = {"list": "", "replay": "replayed ", "purge": "purged "}


class Report(NamedTuple):
    """Numbers of messages. `done` are those listed, replayed or purged; the names are those of `--json`."""

    command: str
    queue: str
    parked: int  # when it began
    looked_at: int
    done: int
    replayed_too_often: int = 0
    unpublishable: int = 0
    unconfirmed: int = 0
    elsewhere: int = 0  # did not come
    more: bool = False  # --max was reached before the end
    interrupted: bool = False

    @property
    def sentence(self) -> str:
        """One line for people."""
        if not self.parked:
            return "interrupted" if self.interrupted else f"nothing is parked in {self.queue}"
        notes = {
            "no more were asked for (--max)": self.more,
            "{} were replayed twice already and stay (--again replays them too)": self.replayed_too_often,
            "{} can not be published and stay (LOG_LEVEL=warning says why)": self.unpublishable,
            "{} were sent and not confirmed: they stay, and may be in both queues": self.unconfirmed,
            "{} did not come: another program reads the queue, or it changed its leader; look again": self.elsewhere,
            "interrupted: the others stay": self.interrupted,
        }
        done = f"{DONE[self.command]}{self.done:,} of {self.parked:,} parked messages of {self.queue}"
        return "; ".join([done, *(note.format(f"{number:,}") for note, number in notes.items() if number)])

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is done."""
        left = self.replayed_too_often + self.unpublishable + self.unconfirmed + self.elsewhere
        return not (left or self.interrupted)


def exit_code(report: Report, refusal: Refusal | None, code: int) -> int:
    """0: all was done; the number of the kind of `refusal`; 1 otherwise. `code` is the process's own."""
    if refusal:
        return int(refusal.kind)
    return 0 if report.complete and not code else EXIT_PARTLY


def words(refusal: Refusal, broker: object, *, begun: bool) -> str:
    """Why the broker could not be used, or was lost."""
    missing = refusal.kind is Kind.TOPOLOGY and "NOT_FOUND" in refusal.text
    reason = Refusal(refusal.kind, refusal.text, MISSING) if missing else refusal
    return f"the broker {broker} cannot be used{' any more' * begun}: {reason}"
