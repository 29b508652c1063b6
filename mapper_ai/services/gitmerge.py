"""Merges three versions of a mapping file for git."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from mapper_ai.services.atomic import write_text
from mapspec import MappingSpec, SpecError, dump_spec, load_spec
from mapspec.merge import merge_specs
from mapspec.ops import first_problem


@dataclass(frozen=True)
class MergeResult:
    """What became of a merge.

    Attributes:
        conflicts: What both sides changed; marked in the file.
        reset: Parts that have to be approved again.
        by_lines: The file was merged by git line by line, because it is no mapping on every side.
        clean: No conflict is left in the file.
    """

    conflicts: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()
    by_lines: str = ""
    clean: bool = True


def merge_files(base: Path, ours: Path, theirs: Path, *, name: str) -> MergeResult:
    """Merge into the file of our side, as git's merge drivers do.

    Args:
        base: The common version; empty when both sides added the file.
        ours: Our version; overwritten.
        theirs: The other version.
        name: The file's name in the repository, for messages.
    """
    try:
        one, other = (_loaded(path, name) for path in (ours, theirs))
        before = _loaded(base, name) if base.read_text(encoding="utf-8-sig").strip() else None
        if before is None:
            raise SpecError("both sides added the file", where=name)
    except (SpecError, UnicodeDecodeError) as error:
        return _by_lines(base, ours, theirs, " ".join(str(error).split())[:300])
    try:
        merged = merge_specs(before, one, other)
    except ValueError as error:
        # Line by line it may even fit, and would be no mapping all the same.
        by_lines = _by_lines(base, ours, theirs, f"the parts make no mapping together: {_first_line(error)}")
        return replace(by_lines, clean=False)
    text = dump_spec(merged.ours)
    if merged.conflicts:
        text = "".join(_marked(text, dump_spec(merged.theirs)))
    write_text(ours, text)
    return MergeResult(merged.conflicts, merged.reset, clean=not merged.conflicts)


def _loaded(path: Path, name: str) -> MappingSpec:
    return load_spec(path.read_text(encoding="utf-8-sig"), where=name)


def _by_lines(base: Path, ours: Path, theirs: Path, why: str) -> MergeResult:
    done = subprocess.run(
        ["git", "merge-file", "-L", "ours", "-L", "base", "-L", "theirs", str(ours), str(base), str(theirs)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    return MergeResult(by_lines=why, clean=done.returncode == 0)


def _first_line(error: ValueError) -> str:
    return first_problem(error)[1] if isinstance(error, ValidationError) else " ".join(str(error).split())


def _marked(ours: str, theirs: str) -> Iterator[str]:
    """Our text with the usual marks around what the other side has otherwise."""
    one, other = ours.splitlines(keepends=True), theirs.splitlines(keepends=True)
    for way, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if way == "equal":
            yield from one[a:b]
        else:
            yield from ("<<<<<<< ours\n", *one[a:b], "=======\n", *other[c:d], ">>>>>>> theirs\n")
