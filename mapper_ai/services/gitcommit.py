"""Commits files on a branch; the working files, the index and whatever somebody has checked out stay as they are."""

from __future__ import annotations

import difflib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mapper_ai.errors import InputError

_FILE: Final = "100644"


@dataclass(frozen=True)
class Author:
    """Whose change it is, as git writes it."""

    name: str
    email: str


def as_patch(name: str, before: str | None, after: str) -> str:
    """A patch for `git apply`; empty when nothing changes, of a whole new file where there was none."""
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True),
        after.splitlines(keepends=True),
        "/dev/null" if before is None else f"a/{name}",
        f"b/{name}",
    )
    # A last line without an end is told in git's way.
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def commit_files(
    root: Path,
    files: Mapping[str, str],
    *,
    branch: str,
    on: str,
    message: str,
    author: Author | None = None,
    may_exist: bool = False,
) -> str:
    """Commit texts by their path from the root; the commit's id.

    Args:
        on: Commit that a new branch starts from.
        author: As git is set up when None; who commits is always as git is set up.
        may_exist: Put the commit on top of a branch of that name, if there is one and nobody stands on it.

    Raises:
        InputError: The branch exists or is checked out, its name is none, or git refuses.
    """
    run(root, "check-ref-format", f"refs/heads/{branch}", what=f"'{branch}' is no name of a branch")
    if branch.startswith("-"):
        raise InputError(f"'{branch}' is no name of a branch")
    parent, there = on, tip_of(root, branch)
    if there is not None:
        if not may_exist:
            raise InputError(f"branch '{branch}' exists already")
        if f"branch refs/heads/{branch}" in run(root, "worktree", "list", "--porcelain", what="git fails").splitlines():
            raise InputError(f"branch '{branch}' is checked out: its files would lag behind; choose another name")
        parent = there
    tree = _tree_with(root, parent, files)
    env = {} if author is None else {"GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email}
    commit = run(root, "commit-tree", tree, "-p", parent, feed=message, env=env, what="git cannot commit")
    # With the old value, so that what somebody committed there meanwhile is not lost.
    old = there or "0" * len(commit)
    run(root, "update-ref", f"refs/heads/{branch}", commit, old, what=f"branch '{branch}' was changed meanwhile")
    return commit


def tip_of(root: Path, branch: str) -> str | None:
    """The newest commit of a branch; None when there is no such branch."""
    done = _git(root, ("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}"), None, {})
    return done.stdout.strip() or None


def _tree_with(root: Path, commit: str, files: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory(prefix="mapper-") as place:
        index = {"GIT_INDEX_FILE": str(Path(place) / "index")}
        run(root, "read-tree", commit, env=index, what="git cannot read the commit")
        for name, text in files.items():
            known = run(root, "ls-tree", "--full-tree", commit, "--", name, what=f"{name} cannot be read").split()
            mode = known[0] if known else _FILE
            # By the path, so that git's own rules for line ends hold.
            stored = ("hash-object", "-w", "--stdin", f"--path={name}")
            blob = run(root, *stored, feed=text, what="git cannot store the file")
            entry = f"{mode},{blob},{name}"
            run(root, "update-index", "--add", "--cacheinfo", entry, env=index, what="git cannot change the file")
        return run(root, "write-tree", env=index, what="git cannot store the change")


def run(root: Path, *arguments: str, what: str, feed: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """What git prints.

    Raises:
        InputError: git fails; `what` says what could not be done.
    """
    done = _git(root, arguments, feed, env or {})
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise InputError(f"{what} ({said[0]})" if said else what)
    return done.stdout.strip()


def _git(
    root: Path, arguments: tuple[str, ...], feed: str | None, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *arguments],  # noqa: S607
            cwd=root,
            env={**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **env},
            input=feed if feed is not None else "",
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    except FileNotFoundError:
        raise InputError("git is not installed, or the folder is gone") from None
