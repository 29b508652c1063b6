"""Tells one clone of a repository how to compare and merge mappings. Hosted diffs and merges do not know of it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from mapper_ai.errors import InputError
from mapper_ai.services.atomic import write_text

ATTRIBUTES: Final = ("mappings/**/*.yaml diff=mapping merge=mapping", "mappings/**/*.yml diff=mapping merge=mapping")
_SECTIONS: Final = ("diff.mapping", "merge.mapping")


def own_command() -> str:
    """How git calls this program: by name where it is installed, else by this interpreter."""
    return "mapper" if shutil.which("mapper") else f"{shlex.quote(sys.executable)} -m mapper_ai"


def install(folder: Path, command: str) -> list[str]:
    """Write the clone's configuration and `.gitattributes`; what was done, in words.

    Raises:
        InputError: The folder is in no git repository, or git refuses.
    """
    root = _root(folder)
    _git(root, "config", "diff.mapping.textconv", f"{command} git-driver textconv")
    _git(root, "config", "merge.mapping.name", "mappings, part by part")
    _git(root, "config", "merge.mapping.driver", f"{command} git-driver merge %O %A %B --name %P")
    done = [f"{root}: git compares and merges mappings by `{command}` (this clone only)"]
    path = root / ".gitattributes"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in ATTRIBUTES if line not in text.splitlines()]
    if missing:
        lead = text if not text or text.endswith("\n") else text + "\n"
        write_text(path, lead + "".join(f"{line}\n" for line in missing))
        done.append(f"{path}: {len(missing)} line(s) added; commit the file")
    return done


def remove(folder: Path) -> list[str]:
    """Take the clone's configuration back; `.gitattributes` stays, it may be everybody's.

    Raises:
        InputError: The folder is in no git repository.
    """
    root = _root(folder)
    for section in _SECTIONS:
        if subprocess.run(
            ["git", "config", "--get-regexp", f"^{section.replace('.', '[.]')}[.]"],  # noqa: S607
            cwd=root,
            capture_output=True,
            check=False,
        ).stdout:
            _git(root, "config", "--remove-section", section)
    return [f"{root}: git compares and merges mappings line by line again"]


def _root(folder: Path) -> Path:
    return Path(_git(folder, "rev-parse", "--show-toplevel"))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise InputError("git is not installed, or the folder is gone") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise InputError(f"{folder}: {said}")
    return done.stdout.strip()
