"""RabbitMQ's programs on this machine: where they are, and getting them."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from local import Failure

PACKAGE = "apt-get install --no-install-recommends rabbitmq-server"


def find_server() -> Path | None:
    """Return the folder of the `rabbitmq-server` script, or None."""
    # Debian's /usr/sbin/rabbitmq-server changes to the user `rabbitmq` and back to the system's folders.
    folders = [Path("/usr/lib/rabbitmq/bin"), Path("/opt/homebrew/sbin"), Path("/usr/local/sbin")]
    on_path = shutil.which("rabbitmq-server")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "rabbitmq-server").exists()), None)


def install_command() -> str:
    """What a person types on Debian or Ubuntu; raises Failure elsewhere."""
    if not shutil.which("apt-get"):
        raise Failure("rabbitmq-server is missing: install RabbitMQ 3.10 or newer, or Docker")
    return PACKAGE if os.geteuid() == 0 else f"sudo {PACKAGE}"


def server() -> Path:
    """Return the folder of the `rabbitmq-server` script; raises Failure with the command that installs it."""
    folder = find_server()
    if not folder:
        raise Failure(
            "rabbitmq-server is missing. Install Docker, or run\n"
            f"    {install_command()}\n"
            "yourself, or `make run INSTALL=yes`, which does it. Nothing was installed."
        )
    return folder


def install_server() -> None:
    """Install `rabbitmq-server` where it is missing, before all eyes; raises Failure."""
    if find_server():
        return
    command = install_command()
    print(f"$ {command}", flush=True)
    # The package starts a broker of its own, as Debian's do, and systemd then stops it for good.
    words = [*shlex.split(command), "--yes"]
    if not _run(words):
        _run([*words[: words.index("install")], "update"])
        _run(words)
    if Path("/run/systemd/system").is_dir():
        _run([*words[: words.index("apt-get")], "systemctl", "disable", "--now", "--quiet", "rabbitmq-server"])
    if not find_server():
        raise Failure(f"`{command}` failed")


def _run(words: list[str]) -> bool:
    """Whether it succeeded. Ctrl-C is its own to hear: killed by us, apt would leave packages half configured."""
    with subprocess.Popen(words) as running:
        try:
            return running.wait() == 0
        except KeyboardInterrupt:
            running.wait()
            raise
