"""RabbitMQ's programs on this machine: where they are, and getting them."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from local import Failure

_INSTALL_SECONDS = 600

# The package would start a broker of its own on 5672: the policy file forbids that while it is being installed.
_SCRIPT = """
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\\nexit 101\\n' > $policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
install() { apt-get install -y -qq --no-install-recommends rabbitmq-server >/dev/null 2>&1; }
install || { apt-get update -qq; install; }
if [ -d /run/systemd/system ]; then systemctl disable --now --quiet rabbitmq-server; fi
"""


def find_server() -> Path | None:
    """Return the folder of the `rabbitmq-server` script, or None."""
    # Debian's /usr/sbin/rabbitmq-server changes to the user `rabbitmq` and back to the system's folders.
    folders = [Path("/usr/lib/rabbitmq/bin"), Path("/opt/homebrew/sbin"), Path("/usr/local/sbin")]
    on_path = shutil.which("rabbitmq-server")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "rabbitmq-server").exists()), None)


def as_root() -> list[str] | None:
    """Return the words to put before a command that needs root ([] when we are root), or None if we may not."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


def ensure_server() -> Path:
    """Return the folder of the `rabbitmq-server` script; install it on Debian or Ubuntu where that is allowed.

    Raises Failure with one line on what to install.
    """
    found = find_server()
    if found:
        return found
    with (Path(tempfile.gettempdir()) / f"mq-install-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits, and then finds it
        return find_server() or _install()


def _install() -> Path:
    words = as_root()
    if not shutil.which("apt-get"):
        raise Failure("rabbitmq-server is missing: install RabbitMQ 3.10 or newer, or Docker")
    if words is None:
        raise Failure("rabbitmq-server is missing: run `sudo apt-get install rabbitmq-server`, or install Docker")
    print("rabbitmq-server is missing: installing it with apt-get (its own service stays off) ...", flush=True)
    try:
        done = subprocess.run(
            [*words, "sh", "-c", _SCRIPT], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"`apt-get install rabbitmq-server` did not end in {_INSTALL_SECONDS} s") from None
    folder = find_server()
    if not folder:
        raise Failure(f"`apt-get install rabbitmq-server` failed: {done.stderr.strip()[-300:] or done.returncode}")
    return folder
