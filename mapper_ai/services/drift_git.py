"""A proposed mapping as a patch, or as a commit on a new branch; the working files stay as they are."""

from __future__ import annotations

import difflib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mapper_ai.errors import InputError
from mapper_ai.services.review.gitread import CompareError, Repository


def as_patch(name: str, before: str, after: str) -> str:
    """A patch for `git apply`; empty when nothing changes."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    # A last line without an end is told in git's way.
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def name_in_repository(path: Path) -> str:
    """The file's path from the root of its repository; the path as given outside of one."""
    try:
        return Repository(path.resolve().parent).place(path.resolve()) or str(path)
    except CompareError:
        return str(path)


def write_branch(path: Path, text: str, branch: str, message: str) -> str:
    """Commit the file's new text on a new branch on top of HEAD; the commit's id.

    Raises:
        InputError: No repository, the branch exists, or the file differs from what HEAD has.
    """
    folder = path.resolve().parent
    try:
        root = Repository(folder).root
        name = Repository(folder).place(path.resolve())
    except CompareError as error:
        raise InputError(f"{path}: {error.message}; write a patch instead (--patch FILE)") from None
    _git(root, "check-ref-format", f"refs/heads/{branch}", what=f"'{branch}' is no name of a branch")
    head = _git(root, "rev-parse", "--verify", "HEAD^{commit}", what="there is no commit yet")
    committed = _git(root, "ls-tree", head, "--", str(name), what=f"{path} cannot be looked up").split()
    if not committed:
        raise InputError(f"{path}: is not committed; commit it first")
    if _git(root, "hash-object", "--", str(name), what=f"{path} cannot be read") != committed[2]:
        raise InputError(f"{path}: differs from what is committed; commit or stash it first")
    blob = _git(root, "hash-object", "-w", "--stdin", feed=text, what="git cannot store the file")
    with tempfile.TemporaryDirectory(prefix="mapper-") as place:
        index = {"GIT_INDEX_FILE": str(Path(place) / "index")}
        _git(root, "read-tree", head, env=index, what="git cannot read HEAD")
        entry = f"{committed[0]},{blob},{name}"
        _git(root, "update-index", "--cacheinfo", entry, env=index, what="git cannot change the file")
        tree = _git(root, "write-tree", env=index, what="git cannot store the change")
    commit = _git(root, "commit-tree", tree, "-p", head, feed=message, what="git cannot commit")
    _git(
        root, "update-ref", f"refs/heads/{branch}", commit, "0" * len(commit), what=f"branch '{branch}' exists already"
    )
    return commit


def _git(root: Path, *arguments: str, what: str, feed: str | None = None, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", *arguments],  # noqa: S607
        cwd=root,
        env={**os.environ, **(env or {})},
        input=feed if feed is not None else "",
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise InputError(f"{what} ({said[0]})" if said else what)
    return done.stdout.strip()
