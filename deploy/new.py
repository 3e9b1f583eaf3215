"""Make a repository of one's own that uses this one: `template/` under another name. Needs nothing but Python."""

import argparse
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template"
NAME = "acme"  # the template's own
LEFT_OUT = {".venv", "__pycache__", ".pytest_cache"}


def refusal(name: str, folder: Path) -> str:
    """Why there can be no repository of that name there; empty if there can."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,39}", name):
        return f"NAME={name}: it names a Python package, images and a namespace, so take small letters and digits: shop"
    packages = re.findall(r"^([\w-]+)==", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE)
    if name in sys.stdlib_module_names or name in packages or (ROOT / name / "__init__.py").exists():
        return (
            f"NAME={name}: Python, this repository or a package that it needs has a module of that name; take another"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return f"DIR={folder} is there and is no empty folder; nothing was written"
    return ""


def render(text: str, name: str, folder: Path, path: Path) -> str:
    """A file of the template for a repository in `folder`; `path` is the file's own there. Pure."""
    text = text.replace("PAIR ?= ..", f"PAIR ?= {os.path.relpath(ROOT, folder)}")
    text = text.replace("../../../deploy/k8s", os.path.relpath(ROOT / "deploy" / "k8s", (folder / path).parent))
    return re.sub(rf"\b{NAME}\b", name, text)


def make(name: str, folder: Path) -> None:
    """Write all files."""
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
        path = source.relative_to(TEMPLATE)
        if not LEFT_OUT & {*path.parts}:
            target = folder / str(path).replace(NAME, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(render(source.read_text(), name, folder, path))


def main() -> None:
    """Make it, and say what comes next."""
    parser = argparse.ArgumentParser("deploy.new", description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help="of the package, the images and the namespace")
    parser.add_argument("folder", help="new, or empty")
    asked = parser.parse_args()
    folder = Path(asked.folder).resolve()
    if why := refusal(asked.name, folder):
        sys.exit(why)
    try:
        make(asked.name, folder)
    except OSError as error:
        sys.exit(f"DIR={folder}: {error.strerror}")
    sys.stdout.write(f"made {folder}: see its README.md, or\n  cd {asked.folder} && make test && make run COUNT=20\n")


if __name__ == "__main__":
    main()
