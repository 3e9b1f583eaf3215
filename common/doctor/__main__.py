"""`doctor`, or `python -m common.doctor`. It imports inside main(), while a signal ends it at once."""

from collections.abc import Sequence

from common.process.exit import loading


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit with a code of `common.process.exit`. Main thread only."""
    with loading():
        from common.doctor import command

    command.main(arguments)


if __name__ == "__main__":
    main()
