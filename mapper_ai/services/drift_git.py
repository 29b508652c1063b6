"""A proposed mapping as a commit on a new branch; the working files stay as they are."""

from __future__ import annotations

from pathlib import Path

from mapper_ai.errors import InputError
from mapper_ai.services.gitcommit import as_patch, commit_files, run
from mapper_ai.services.review.gitread import CompareError, Repository

__all__ = ["as_patch", "name_in_repository", "write_branch"]


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
    run(root, "check-ref-format", f"refs/heads/{branch}", what=f"'{branch}' is no name of a branch")
    head = run(root, "rev-parse", "--verify", "HEAD^{commit}", what="there is no commit yet")
    committed = run(root, "ls-tree", head, "--", str(name), what=f"{path} cannot be looked up").split()
    if not committed:
        raise InputError(f"{path}: is not committed; commit it first")
    if run(root, "hash-object", "--", str(name), what=f"{path} cannot be read") != committed[2]:
        raise InputError(f"{path}: differs from what is committed; commit or stash it first")
    return commit_files(root, {str(name): text}, branch=branch, on=head, message=message)
