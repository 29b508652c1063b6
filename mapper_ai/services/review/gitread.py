"""Reads two sides of a git repository without touching it: no checkout, no network, no hooks.

Whatever git cannot tell for certain is an error. A comparison that failed must never look like one that found nothing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from mapper_ai.errors import MapperError

# Git answers in English and asks nobody; a partial clone must not fetch what it lacks.
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
_TIMEOUT_S: Final = 120
FETCH_ALL: Final = (
    "fetch the whole history first (actions/checkout with fetch-depth: 0, GIT_DEPTH: 0, git fetch --unshallow)"
)


class CompareError(MapperError):
    """The two sides cannot be compared. Exit code 4."""


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    path: str
    blob: str


@dataclass(frozen=True)
class Commit:
    """Who made a commit."""

    id: str
    names: tuple[str, ...]


class Repository:
    """The repository around a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = Path(self._text("rev-parse", "--show-toplevel", what=f"{folder} is in no git repository"))

    def commit(self, name: str, what: str) -> str:
        """The id of a commit.

        Raises:
            CompareError: There is none of that name, or it is not here.
        """
        if not name or name.startswith("-"):
            raise CompareError(f"{what} '{name}' is no name of a commit")
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        found = done.stdout.decode("ascii", "replace").strip()
        if done.returncode or not found:
            hint = FETCH_ALL if self.shallow() else "fetch it first, or correct the name"
            raise CompareError(f"{what} '{name}': there is no such commit here; {hint}")
        self._text("cat-file", "-e", f"{found}^{{tree}}", what=f"{what} '{name}': its files are not here; {FETCH_ALL}")
        return found

    def shallow(self) -> bool:
        """Whether the history is cut off."""
        return self._text("rev-parse", "--is-shallow-repository", what="git does not answer") == "true"

    def fork_point(self, base: str, head: str) -> str:
        """The commit from which the head's side went its own way.

        Raises:
            CompareError: The history does not reach that far, or there is none.
        """
        done = self._git("merge-base", base, head)
        found = done.stdout.decode("ascii", "replace").split()
        if self.shallow():
            edge = self._cut_off()
            if done.returncode or not found or found[0] in edge:
                raise CompareError(f"the clone is shallow, and what changed cannot be told; {FETCH_ALL}")
        if done.returncode > 1:
            raise CompareError(f"git cannot compare {base[:10]} and {head[:10]}: {_said(done)}")
        if not found:
            raise CompareError(f"{base[:10]} and {head[:10]} have no common ancestor")
        return found[0]

    def files(self, commit: str, places: Sequence[str]) -> list[Entry]:
        """Files of a commit at and below some places, by path; every file when no place is given."""
        command = ["ls-tree", "-r", "-z", "--full-tree", commit, "--", *(place for place in places if place != ".")]
        raw = self._bytes(*command, what=f"the files of {commit[:10]} cannot be read")
        found = []
        for row in raw.split(b"\0"):
            head, _, name = row.partition(b"\t")
            mode, kind, blob = (*head.split(), b"", b"", b"")[:3]
            # A link is no file of its own, and leads anywhere.
            if kind == b"blob" and mode != b"120000":
                found.append(Entry(name.decode("utf-8", "surrogateescape"), blob.decode("ascii")))
        return found

    def contents(self, entries: Sequence[Entry]) -> dict[str, bytes]:
        """The content of files by blob, in one call.

        Raises:
            CompareError: One of them is missing or damaged.
        """
        wanted = list(dict.fromkeys(entry.blob for entry in entries))
        if not wanted:
            return {}
        asked = "".join(f"{blob}\n" for blob in wanted).encode("ascii")
        raw = self._bytes("cat-file", "--batch", feed=asked, what="files cannot be read from git")
        found: dict[str, bytes] = {}
        at = 0
        for entry in {entry.blob: entry for entry in entries}.values():
            end = raw.find(b"\n", at)
            head = raw[at:end].split() if end >= 0 else []
            if len(head) != 3 or head[1] != b"blob":
                raise CompareError(f"{entry.path}: its content is missing or damaged in git; {FETCH_ALL}")
            size = int(head[2])
            found[entry.blob] = raw[end + 1 : end + 1 + size]
            at = end + 2 + size
        return found

    def history(self, base: str, head: str, path: str) -> list[Commit]:
        """Commits between two that touched a file, oldest first, with the names and addresses of their authors."""
        raw = self._bytes(
            "log",
            "--reverse",
            "--no-merges",
            "--format=%H%x00%an%x00%ae",
            f"{base}..{head}",
            "--",
            path,
            what=f"the history of {path} cannot be read",
        )
        rows = [row.split("\0") for row in raw.decode("utf-8", "replace").splitlines() if row]
        return [Commit(row[0], tuple(row[1:3])) for row in rows]

    def changed_here(self, places: Sequence[str]) -> list[str]:
        """Files at and below some places that are not as the current commit has them."""
        raw = self._bytes(
            "status",
            "--porcelain",
            "-z",
            "--",
            *(f":(top,literal){place}" for place in places),
            what="git status fails",
        )
        return [row[3:].decode("utf-8", "replace") for row in raw.split(b"\0") if len(row) > 3]

    def place(self, path: Path) -> str | None:
        """A path as seen from the repository's root; None when it is outside."""
        try:
            # Links on the way stay: git knows a file by the name it was added under.
            place = Path(os.path.normpath(self._folder.resolve() / path)).relative_to(self.root)
        except ValueError:
            return None
        return str(PurePosixPath(place))

    def _cut_off(self) -> set[str]:
        """Commits whose parents are not here."""
        folder = self._text("rev-parse", "--git-common-dir", what="git does not answer")
        try:
            return set((self._folder / folder / "shallow").read_text("ascii").split())
        except OSError:
            return set()

    def _git(self, *arguments: str, feed: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", *arguments]
        try:
            return subprocess.run(
                command,
                cwd=self._folder,
                env={**os.environ, **_ENVIRONMENT},
                input=feed,
                stdin=subprocess.DEVNULL if feed is None else None,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise CompareError("git is not installed, or the folder is gone") from None
        except subprocess.TimeoutExpired:
            raise CompareError(f"git {arguments[0]} did not end within {_TIMEOUT_S} s") from None

    def _bytes(self, *arguments: str, what: str, feed: bytes | None = None) -> bytes:
        done = self._git(*arguments, feed=feed)
        if done.returncode:
            raise CompareError(f"{what} ({_said(done)})")
        return done.stdout

    def _text(self, *arguments: str, what: str) -> str:
        return self._bytes(*arguments, what=what).decode("utf-8", "surrogateescape").strip()


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = done.stderr.decode("utf-8", "replace").strip()
    return text.splitlines()[0][:200] if text else f"exit code {done.returncode}"
