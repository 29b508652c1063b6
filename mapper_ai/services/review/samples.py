"""The sample records of both sides, and which of them belong to which mapping."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mapper_ai.errors import InputError
from mapper_ai.services.review.gitread import CompareError, Entry, Repository
from mapper_ai.services.sampling import SUFFIXES, SampleError, parse_samples, read_samples, sample_files
from mapspec import MappingSpec
from mapspec.check_reads import reads_of

DEFAULT: Final = "samples"
_MIN_SHARE: Final = 0.3  # of the members that a mapping reads, for a record of a file whose name says nothing


@dataclass(frozen=True)
class Sample:
    """One record.

    Attributes:
        name: File name without its ending, `#2` for the second record of a file.
        file: From the repository's root.
        words: Words of the file's name and folder, small, that may name a kind of record.
    """

    name: str
    file: str
    words: frozenset[str]
    record: dict[str, Any]


@dataclass(frozen=True)
class SampleSets:
    """The samples of both sides.

    Attributes:
        before: None where it is not known, because they are not kept in git.
        key: Of the pseudonyms in what is shown: equal samples give equal texts, and nobody else can make them.
    """

    before: tuple[Sample, ...] | None
    after: tuple[Sample, ...]
    key: bytes


def read_sets(repository: Repository, folder: Path | None, base: str, head: str) -> SampleSets | None:
    """Samples of both sides; from git, or from a folder that git does not know.

    Args:
        folder: As given; None for the folder `samples`, where one is kept.

    Returns:
        None when no folder is given and there is none.

    Raises:
        CompareError: There are no samples at the head, or those of the base cannot be read.
        SampleError: A sample of the head is malformed.
    """
    place = repository.place(folder or repository.root / DEFAULT)
    entries = [[] if place is None else _sample_entries(repository, side, place) for side in (base, head)]
    if not entries[1]:
        if folder is None and not entries[0]:
            return None
        if entries[0]:
            raise CompareError(f"{folder or DEFAULT}: all samples were removed, so nothing shows what the change does")
        return _from_disk(folder)
    contents = repository.contents([*entries[0], *entries[1]])
    after = [sample for entry in entries[1] for sample in _parsed(entry, contents)]
    try:
        known = {entry: [sample for sample in after if sample.file == entry.path] for entry in entries[1]}
        before = [
            sample for entry in entries[0] for sample in (known[entry] if entry in known else _parsed(entry, contents))
        ]
    except SampleError as error:
        raise CompareError(f"at the base {error}") from None
    return SampleSets(tuple(before), tuple(after), _key(contents[entry.blob] for entry in entries[1]))


@dataclass(frozen=True)
class Kinds:
    """What names of files and folders may tell: entities (`order`, `payment`) and systems (`clarity-cef`)."""

    entities: frozenset[str]
    systems: frozenset[str] = frozenset()


def chosen(spec: MappingSpec, samples: Iterable[Sample], kinds: Kinds) -> list[Sample]:
    """The samples of a mapping: by the name of their file or folder, else by what they hold."""
    entity = spec.source.entity.casefold()
    names = {read.path.segments[0][0] for read in reads_of(spec) if read.path.root == "record" and read.path.segments}
    found = []
    for sample in samples:
        systems = kinds.systems & {part.casefold() for part in PurePosixPath(sample.file).parts}
        if systems and spec.source.system.casefold() not in systems:
            continue
        told = sample.words & kinds.entities
        if told:
            if entity in told:
                found.append(sample)
        elif names and len(names & sample.record.keys()) >= _MIN_SHARE * len(names):
            found.append(sample)
    return found


def kinds_of(specs: Iterable[MappingSpec]) -> Kinds:
    """Kinds of records that the mappings read."""
    rows = list(specs)
    return Kinds(
        frozenset(spec.source.entity.casefold() for spec in rows),
        frozenset(spec.source.system.casefold() for spec in rows),
    )


def _sample_entries(repository: Repository, commit: str, place: str) -> list[Entry]:
    rows = repository.files(commit, [place])
    return [row for row in rows if PurePosixPath(row.path.lower().removesuffix(".gz")).suffix in SUFFIXES]


def _from_disk(folder: Path | None) -> SampleSets:
    if folder is None or not folder.exists():
        raise CompareError(f"{folder}: no such folder of samples, neither in git nor on disk")
    try:
        files = sample_files(folder)
    except SampleError as error:
        raise CompareError(str(error)) from None
    return SampleSets(None, tuple(samples_at(folder)), _key(file.read_bytes() for file in files))


def samples_at(path: Path) -> list[Sample]:
    """The samples of a file, or of all sample files below a folder.

    Raises:
        SampleError: There is none, or one is malformed.
    """
    return [made for file in sample_files(path) for made in _named(str(file), read_samples(file))]


def _parsed(entry: Entry, contents: Mapping[str, bytes]) -> list[Sample]:
    raw = contents[entry.blob]
    name = entry.path.lower()
    try:
        if name.endswith(".gz"):
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error):
        raise SampleError("is no complete gzip file", where=entry.path) from None
    except UnicodeDecodeError:
        raise SampleError("is not UTF-8", where=entry.path) from None
    suffix = PurePosixPath(name.removesuffix(".gz")).suffix
    return _named(entry.path, parse_samples(text, where=entry.path, suffix=suffix))


def _named(path: str, records: Sequence[dict[str, Any]]) -> list[Sample]:
    place = PurePosixPath(path)
    stem = place.name.removesuffix(".gz").rsplit(".", 1)[0]
    words = {word for text in (stem, place.parent.name) for word in re.split(r"[^a-z0-9]+", text.casefold()) if word}
    # `orders.json` holds records of the kind `order`.
    words |= {word[:-1] for word in words if word.endswith("s")}
    if len(records) == 1:
        return [Sample(stem, path, frozenset(words), records[0])]
    return [Sample(f"{stem}#{n}", path, frozenset(words), record) for n, record in enumerate(records, 1)]


def _key(contents: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256(b"mapper review")
    for raw in contents:
        digest.update(hashlib.sha256(raw).digest())
    return digest.digest()


def check_limit(samples: SampleSets, limit: int) -> None:
    """Refuse more samples than a review can show anything of.

    Raises:
        InputError: There are more.
    """
    if len(samples.after) > limit:
        raise InputError(f"{len(samples.after)} samples are more than {limit}: give a folder with fewer (--samples)")
