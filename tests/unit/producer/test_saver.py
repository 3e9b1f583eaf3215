"""A thread that saves when it is asked to."""

from threading import Event

from producer.saver import Saver

PATIENCE = 10.0  # seconds


def test_each_time_it_is_asked_it_saves_once() -> None:
    """And rests until then."""
    saved: list[int] = []
    saver = Saver(lambda: saved.append(1))
    saver.start()
    for times in (1, 2, 3):
        saver.ask()
        assert saver.wait(PATIENCE)
        assert saver.resting
        assert len(saved) == times


def test_who_asks_does_not_wait() -> None:
    """Unless it wants to, and no longer than it wants to."""
    go_on = Event()

    def save() -> None:
        go_on.wait(PATIENCE)

    saver = Saver(save)
    saver.start()
    saver.ask()
    assert not saver.wait(0.05)
    assert not saver.resting
    go_on.set()
    assert saver.wait(PATIENCE)


def test_what_could_not_be_saved_is_kept_until_it_could() -> None:
    """The thread goes on."""
    failures = [OSError(28, "No space left on device")]

    def save() -> None:
        if failures:
            raise failures.pop()

    saver = Saver(save)
    saver.start()
    saver.ask()
    assert saver.wait(PATIENCE)
    assert saver.error
    assert saver.error.strerror == "No space left on device"
    saver.ask()
    assert saver.wait(PATIENCE)
    assert saver.error is None
