"""A review from git: finds the mappings of both sides, pairs them by their id, compares each pair."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

from mapper_ai.errors import InputError
from mapper_ai.services.review.approvals import History
from mapper_ai.services.review.compare import Side, Terms, compare_sides, gone_side, new_side
from mapper_ai.services.review.gitread import CompareError, Entry, Repository
from mapper_ai.services.review.policy import CONFIG, Policy, read_policy
from mapper_ai.services.review.report import Review, SpecReview
from mapper_ai.services.review.samples import Kinds, Sample, SampleSets, check_limit, chosen, kinds_of, read_sets
from mapper_ai.services.specs import compile_at
from mapspec import MappingSpec, SpecError, load_with_lines
from mapspec.yamltext import Loc

DEFAULT_PLACE: Final = "mappings"
# A YAML file of a folder that names no spec on either side is something else: a workflow, a chart.
_MAPPING: Final = re.compile(rb"""(?:^|[{,])[ \t]*["']?spec["']?[ \t]*:""", re.MULTILINE)
MAX_SAMPLES: Final = 10_000


class NothingToReviewError(InputError):
    """No mapping stands where one was asked for. Exit code 2: never read as clean."""


@dataclass(frozen=True)
class _File:
    """A mapping file of one side."""

    entry: Entry
    spec: MappingSpec
    lines: Mapping[Loc, int]


def review(
    folder: Path,
    base: str,
    *,
    head: str = "HEAD",
    paths: Sequence[Path] = (),
    samples: Path | None = None,
    today: date,
) -> Review:
    """Compare the mappings at the head with those where it left the base.

    Args:
        folder: Any folder of the repository.
        base: A commit, branch or tag; what counts is where the head left it.
        paths: Mapping files, or folders of them; `mappings` when none is given.
        samples: A folder or file of sample records.
        today: The day for suppressions.

    Raises:
        CompareError: The sides cannot be compared.
        NothingToReviewError: There is no mapping at one of the paths.
        SpecError: A mapping at the head is invalid.
        InputError: Samples, policy or paths at the head cannot be read.
    """
    repository = Repository(folder)
    target = repository.commit(base, "base")
    tip = repository.commit(head, "head")
    start = repository.fork_point(target, tip)
    places = _places(repository, paths)
    entries = [_entries(repository, commit, places) for commit in (start, tip)]
    _all_found(paths or [Path(DEFAULT_PLACE)], places, entries)
    contents = repository.contents([*entries[0], *entries[1]])
    mappings = {
        row.path for side in entries for row in side if row.path in places or _MAPPING.search(contents[row.blob])
    }
    entries = [[row for row in side if row.path in mappings] for side in entries]
    _all_found(paths or [Path(DEFAULT_PLACE)], places, entries)
    old = _read_all(entries[0], contents, at_base=start)
    new = _read_all(entries[1], contents, at_base="", known=old)
    sets = read_sets(repository, samples, start, tip)
    if sets is not None:
        check_limit(sets, MAX_SAMPLES)
    policy = policy_at(repository, start, tip)
    terms = Terms(today, policy, sets.key if sets else b"", sets is not None and sets.before is not None)
    kinds = kinds_of(file.spec for file in (*old.values(), *new.values()))
    specs = []
    for before, after in _pairs(old, new):

        def history(after: _File | None = after) -> History:
            return _history(repository, start, tip, after.entry.path if after else "")

        specs.append(_compared(before, after, sets, kinds, terms, start, history))
    return Review(start, tip, tuple(specs), tuple(_notices(repository, head, places, sets)))


def _places(repository: Repository, paths: Sequence[Path]) -> list[str]:
    found = []
    for path in paths:
        place = repository.place(path)
        if place is None:
            raise NothingToReviewError(f"{path}: is outside the repository {repository.root}")
        found.append(place)
    return found or [DEFAULT_PLACE]


def _entries(repository: Repository, commit: str, places: Sequence[str]) -> list[Entry]:
    rows = repository.files(commit, places)
    return [row for row in rows if PurePosixPath(row.path).suffix in (".yaml", ".yml")]


def _all_found(paths: Sequence[Path], places: Sequence[str], entries: Sequence[Sequence[Entry]]) -> None:
    for path, place in zip(paths, places, strict=True):
        if not any(_below(row.path, place) for side in entries for row in side):
            raise NothingToReviewError(
                f"{path}: no mapping file there on either side; name the files or folders to review"
            )


def _below(path: str, place: str) -> bool:
    return place == "." or path == place or path.startswith(place + "/")


def _read_all(
    entries: Sequence[Entry],
    contents: Mapping[str, bytes],
    *,
    at_base: str,
    known: Mapping[str, _File] | None = None,
) -> dict[str, _File]:
    """Mappings by their id. A file that is the same on both sides is read once."""
    same = {(file.entry.path, file.entry.blob): file for file in (known or {}).values()}
    found: dict[str, _File] = {}
    for entry in entries:
        file = same.get((entry.path, entry.blob)) or _read(entry, contents[entry.blob], at_base)
        if file.spec.spec in found:
            other = found[file.spec.spec].entry.path
            message = f"'{file.spec.spec}' is the id of {other}, too; give each mapping its own"
            raise _fail(SpecError(message, where=entry.path, line=file.lines.get(("spec",))), at_base)
        found[file.spec.spec] = file
    return found


def _read(entry: Entry, raw: bytes, at_base: str) -> _File:
    try:
        spec, lines = load_with_lines(raw.decode("utf-8-sig"), where=entry.path)
    except UnicodeDecodeError as error:
        raise _fail(SpecError(f"not UTF-8 text (byte {error.start})", where=entry.path), at_base) from None
    except SpecError as error:
        raise _fail(error, at_base) from None
    return _File(entry, spec, lines)


def _fail(error: SpecError, at_base: str) -> Exception:
    """What cannot be read at the base is a comparison that failed, at the head a mapping to mend."""
    return CompareError(f"at the base {at_base[:10]}: {error}") if at_base else error


def _pairs(old: Mapping[str, _File], new: Mapping[str, _File]) -> list[tuple[_File | None, _File | None]]:
    """By id; what has no partner by its path, because a mapping may get another id; in the order of the paths."""
    left = {name: file for name, file in old.items() if name not in new}
    by_path = {file.entry.path: name for name, file in left.items()}
    pairs: list[tuple[_File | None, _File | None]] = []
    for name, file in new.items():
        before = old.get(name)
        if before is None and file.entry.path in by_path:
            before = left.pop(by_path.pop(file.entry.path))
        pairs.append((before, file))
    pairs += [(file, None) for file in left.values()]
    return sorted(pairs, key=lambda pair: (pair[1] or pair[0]).entry.path)  # type: ignore[union-attr] # one is there


def _compared(
    before: _File | None,
    after: _File | None,
    sets: SampleSets | None,
    kinds: Kinds,
    terms: Terms,
    start: str,
    history: Callable[[], History],
) -> SpecReview:
    # The samples of before are counted by the mapping of after: another kind of record would be another count.
    counted = sets.before if sets and sets.before is not None else ()
    if after is None:
        if before is None:
            raise ValueError("a pair has a side")
        return gone_side(_side(before, chosen(before.spec, counted, kinds), start))
    earlier = chosen(after.spec, counted, kinds)
    new = _side(after, chosen(after.spec, sets.after, kinds) if sets else [], "")
    if before is None:
        return new_side(new, terms, history)
    same = before.entry.blob == after.entry.blob
    old = Side(before.entry.path, before.spec, before.lines, new.compiled, earlier) if same else None
    return compare_sides(old or _side(before, earlier, start), new, terms, history)


def _side(file: _File, samples: Sequence[Sample], at_base: str) -> Side:
    try:
        compiled = compile_at(file.spec, where=file.entry.path, lines=dict(file.lines))
    except SpecError as error:
        raise _fail(error, at_base) from None
    return Side(file.entry.path, file.spec, file.lines, compiled, samples)


def policy_at(repository: Repository, start: str, tip: str) -> Policy:
    """The policy of the base; where that has none, of the head, which can only make it stricter.

    Raises:
        InputError: It cannot be read at the head.
        CompareError: It cannot be read at the base.
    """
    for commit in (start, tip):
        rows = [row for row in repository.files(commit, [CONFIG]) if row.path == CONFIG]
        if rows:
            text = repository.contents(rows)[rows[0].blob].decode("utf-8", "replace")
            try:
                policy = read_policy(text, CONFIG)
            except InputError as error:
                if commit == tip:
                    raise
                raise CompareError(f"at the base {start[:10]}: {error}") from None
            if policy != Policy():
                return policy
    return Policy()


def _history(repository: Repository, start: str, tip: str, path: str) -> History:
    commits = [((), start), *((row.names, row.id) for row in repository.history(start, tip, path))]
    found: list[tuple[tuple[str, ...], str | None]] = []
    for names, commit in commits:
        rows = [row for row in repository.files(commit, [path]) if row.path == path]
        text = repository.contents(rows)[rows[0].blob].decode("utf-8-sig", "replace") if rows else None
        found.append((names, text))
    return found


def _notices(repository: Repository, head: str, places: Sequence[str], sets: SampleSets | None) -> list[str]:
    found = []
    if sets is None:
        found.append("no samples (--samples DIR): what the change does to records is not shown")
    elif sets.before is None:
        found.append("the samples are not in git: whether there were more before is not known")
    if head == "HEAD":
        dirty = [path for path in repository.changed_here(places) if PurePosixPath(path).suffix in (".yaml", ".yml")]
        if dirty:
            more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
            found.append(f"{dirty[0]}{more}: changes that are not committed are not reviewed")
    return found
