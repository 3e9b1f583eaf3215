"""RabbitMQ's programs on this machine: where they are, and getting them."""

import os
import shutil
import subprocess
from pathlib import Path

from local import Failure

_APT = "apt-get install --no-install-recommends rabbitmq-server"


def find_server() -> Path | None:
    """Return the folder of the `rabbitmq-server` script, or None."""
    # Debian's /usr/sbin/rabbitmq-server changes to the user `rabbitmq` and back to the system's folders.
    folders = [Path("/usr/lib/rabbitmq/bin"), Path("/opt/homebrew/sbin"), Path("/usr/local/sbin")]
    on_path = shutil.which("rabbitmq-server")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "rabbitmq-server").exists()), None)


def _sudo() -> str:
    if not shutil.which("apt-get"):
        raise Failure("rabbitmq-server is missing: install RabbitMQ 3.10 or newer, or Docker")
    return "" if os.geteuid() == 0 else "sudo "


def server() -> Path:
    """Return the folder of the `rabbitmq-server` script; raises Failure with the command that installs it."""
    folder = find_server()
    if not folder:
        raise Failure(
            f"rabbitmq-server is missing. Install Docker, or run\n    {_sudo()}{_APT}\n"
            "yourself, or `make run INSTALL=yes`, which does it. Nothing was installed."
        )
    return folder


def install_server() -> None:
    """Install `rabbitmq-server` where it is missing, before all eyes; raises Failure."""
    if find_server():
        return
    sudo = _sudo()
    print(f"$ {sudo}{_APT}", flush=True)
    # The package starts a broker of its own, as Debian's do, and systemd then stops it for good.
    script = f"""
        {sudo}{_APT} --yes || {{ {sudo}apt-get update && {sudo}{_APT} --yes; }}
        test ! -d /run/systemd/system || {sudo}systemctl disable --now --quiet rabbitmq-server"""
    with subprocess.Popen(["sh", "-c", script]) as shell:
        try:
            shell.wait()
        except KeyboardInterrupt:
            # Ctrl-C is apt's own to hear: killed by us, it would leave packages half configured.
            shell.wait()
            raise
    if not find_server():
        raise Failure(f"`{sudo}{_APT}` failed")
