"""Payloads against what a spec reads: fields that are new, missing or of another type, and values it does not know.

`expected_shape` is made once; `compare_one` is a single walk through a record and is meant for every delivery,
`compare` sums it up over samples. Pure; no value of a record is kept but short words where a spec has a list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Literal, Protocol

from mapspec.check_reads import reads_of
from mapspec.conditions import fold, is_present
from mapspec.drift_reads import Need, needs_of, plain_path, words_of
from mapspec.model import MappingSpec
from mapspec.paths import parse_path, quoted_name

Kind = Literal["new", "missing", "changed", "value"]
MAX_WORD: Final = 40  # characters; a longer text is no word of a list
BY_CHANCE: Final = 0.01
MAX_NEW: Final = 100  # new fields told of one record; a map keyed by ids would otherwise be all new
# What a contract's type may be in JSON. Stores send amounts as texts as often as numbers (clarity A19).
_JSON_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text"}),
    "date": frozenset({"text"}),
    "instant": frozenset({"text"}),
    "int": frozenset({"number", "text"}),
    "decimal": frozenset({"number", "text"}),
    "bool": frozenset({"bool", "text"}),
    "object": frozenset({"object", "list"}),
    "list": frozenset({"list"}),
}
_TYPES: Final[Mapping[type, str]] = {
    str: "text",
    bool: "bool",
    int: "number",
    Decimal: "number",
    float: "number",
    dict: "object",
    list: "list",
}


class SourceField(Protocol):
    """One leaf of a source's contract; `connectors.profiles` has them."""

    @property
    def path(self) -> str:
        """Dotted, `[]` after a list."""

    @property
    def type(self) -> str:
        """text, int, decimal, bool, date, instant, object or list."""

    @property
    def enum(self) -> Sequence[str | int]:
        """Usual values, empty when none are known."""


@dataclass(frozen=True)
class Drift:
    """One way in which payloads differ from what the spec expects.

    Attributes:
        path: Dotted from the record's root, `[]` after a list.
        detail: The types before and after (`text -> number`), or the value that is not known.
        parts: Parts of the spec that read the path; empty for a new field.
        count: Records that differ so.
        records: Records that were looked at.
    """

    kind: Kind
    path: str
    detail: str = ""
    parts: tuple[str, ...] = ()
    count: int = 1
    records: int = 1


@dataclass(frozen=True)
class Expected:
    """What is known of one source path, which is written as in a spec.

    Attributes:
        kinds: JSON kinds that are as expected; empty where any is.
        instead: For each reader the plain paths that stand in when this one is absent.
        values: Folded words that the spec knows there; None where it does not go by a list.
        opened: Members below it are not told as new.
    """

    path: str
    kinds: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ()
    instead: tuple[frozenset[str], ...] = ()
    values: frozenset[str] | None = None
    opened: bool = False


@dataclass(frozen=True)
class Shape:
    """What a spec expects of its payloads; make it with `expected_shape`.

    Attributes:
        paths: By path without its brackets, so that a list that becomes an object is the same place.
        usual: Plain path -> share of the earlier records that had a value there.
    """

    paths: Mapping[str, Expected]
    needed: tuple[Need, ...] = ()
    usual: Mapping[str, float] = field(default_factory=dict)
    # Of (plain path of the object, its member): the plain path of the member. Made as they are met, and few.
    names: dict[tuple[str, str], str] = field(default_factory=dict, compare=False, repr=False)


def expected_shape(
    spec: MappingSpec, *, contract: Iterable[SourceField] = (), earlier: Iterable[Mapping[str, Any]] = ()
) -> Shape:
    """What the spec reads, with what a contract and earlier records tell about it.

    Args:
        spec: The spec; the fields it ignores count as known.
        contract: Fields of the source entity.
        earlier: Records it was approved with. They tell types more narrowly than a contract, and what is usual.
    """
    known: dict[str, Expected] = {}
    words: dict[str, set[str]] = {}
    for leaf in contract:
        _add(known, leaf.path, kinds=_JSON_KINDS.get(leaf.type, frozenset()), opened=leaf.type == "object")
        if leaf.enum:
            words.setdefault(plain_path(leaf.path), set()).update(fold(value) for value in leaf.enum)
    kinds: dict[str, set[str]] = {}
    present: dict[str, int] = {}
    total = 0
    for record in earlier:
        total += 1
        there: set[str] = set()
        for plain, path, value in _walk(record, {}):
            kinds.setdefault(plain, set()).add(_kind(value))
            words.setdefault(plain, set()).update(_words(value))
            _add(known, path)
            if is_present(value):
                there.add(plain)
        for plain in there:
            present[plain] = present.get(plain, 0) + 1
    for plain, seen in kinds.items():
        known[plain] = replace(known[plain], kinds=frozenset(seen - {"null"}))
    for ignored in spec.ignored:
        _add(known, ignored.source, opened=True)
    for read in reads_of(spec):
        if read.path.root in ("record", "item") and read.path.segments:
            path = read.path.source_path(read.each or "")
            _add(known, path)
            row = known[plain_path(path)]
            others = (other for other in read.instead if other.root in ("record", "item"))
            instead = frozenset(plain_path(other.source_path(read.each or "")) for other in others)
            parts = tuple(dict.fromkeys((*row.parts, read.part)))
            known[plain_path(path)] = replace(row, parts=parts, instead=(*row.instead, instead))
    _know_words(known, words_of(spec), words)
    usual = {plain: count / total for plain, count in present.items()}
    return Shape(known, tuple(needs_of(spec)), usual)


def compare_one(shape: Shape, record: Mapping[str, Any]) -> list[Drift]:
    """How one record differs; each path at most once for a kind, values one by one. Empty for an ordinary record."""
    found: dict[tuple[Kind, str, str], Drift] = {}
    present: set[str] = set()
    closed: tuple[str, ...] = ()
    new = 0
    paths = shape.paths
    for plain, path, value in _walk(record, shape.names):
        row = paths.get(plain)
        if row is None:
            # Members of what is new itself, or is left open, are not told one by one.
            if not plain.startswith(closed):
                parent = plain.rpartition(".")[0]
                if parent not in paths or not paths[parent].opened:
                    new += 1
                    if new <= MAX_NEW:
                        found.setdefault(("new", path, ""), Drift("new", path, _kind(value)))
                closed = (*closed, plain + ".")
            continue
        if is_present(value):
            present.add(plain)
        if row.opened and type(value) is dict:
            closed = (*closed, plain + ".")
        kind = _kind(value)
        if row.kinds and kind not in row.kinds and kind != "null":
            detail = f"{' or '.join(sorted(row.kinds))} -> {kind}"
            found.setdefault(("changed", plain, kind), Drift("changed", row.path, detail, row.parts))
        elif row.values is not None:
            for word in _words(value) - row.values:
                found.setdefault(("value", plain, word), Drift("value", row.path, word, row.parts))
    for need in shape.needed:
        if present.isdisjoint(need.paths) and (not need.each or need.each in present):
            told = paths[need.paths[0]]
            found.setdefault(("missing", told.path, ""), Drift("missing", told.path, "", told.parts))
    return list(found.values())


def compare(shape: Shape, records: Iterable[Mapping[str, Any]]) -> list[Drift]:
    """How records differ, with counts: missing first, then changed, values, new; each by path.

    A field that earlier records had and none of these has is missing, also where records can be mapped without it,
    unless so few records may lack it by chance.
    """
    sums: dict[tuple[Kind, str, str], Drift] = {}
    seen: set[str] = set()
    total = 0
    for record in records:
        total += 1
        seen.update(plain for plain, _, value in _walk(record, shape.names) if is_present(value))
        for row in compare_one(shape, record):
            key = (row.kind, row.path, row.detail if row.kind != "new" else "")
            known = sums.get(key)
            if known is not None:
                kinds = sorted({*known.detail.split(" or "), row.detail} - {"null"})
                detail = row.detail if row.kind != "new" else " or ".join(kinds) or "null"
                row = replace(known, count=known.count + 1, detail=detail)
            sums[key] = row
    for plain, share in shape.usual.items():
        told = shape.paths[plain]
        followed = bool(told.instead) and all(group & seen for group in told.instead)
        if plain not in seen and not followed and total and (1 - share) ** total < BY_CHANCE:
            sums.setdefault(("missing", told.path, ""), Drift("missing", told.path, "", told.parts, total))
    # What stood below something that is gone or another thing now has gone with it.
    lost = {plain_path(row.path) + "." for row in sums.values() if row.kind in ("missing", "changed")}
    rows = [
        replace(row, records=total)
        for row in sums.values()
        if row.kind not in ("missing", "new") or not any(plain_path(row.path).startswith(head) for head in lost)
    ]
    order: dict[Kind, int] = {"missing": 0, "changed": 1, "value": 2, "new": 3}
    return sorted(rows, key=lambda row: (order[row.kind], row.path, row.detail))


def _walk(record: Mapping[str, Any], names: dict[tuple[str, str], str]) -> Iterator[tuple[str, str, Any]]:
    """(plain path, written path, value) of every member at any depth; parents first."""
    stack: list[tuple[str, str, Any]] = [("", "", record)]
    while stack:
        plain, path, value = stack.pop()
        if type(value) is list:
            inner = _named_rows(value)
            if inner is None:
                path = f"{path}[]"
                yield plain, path, value
                stack += [(plain, path, row) for row in reversed(value) if type(row) is dict]
                continue
            value = inner  # rows of {key, value} count as an object (clarity A38)
        if plain and not (path.endswith("[]") and type(value) is dict):
            yield plain, path, value
        if type(value) is dict:
            for name in reversed(value):
                below = names.get((plain, name))
                if below is None:
                    written = quoted_name(str(name))
                    below = f"{plain}.{written}" if plain else written
                    if len(names) < 10_000:
                        names[plain, name] = below
                stack.append((below, f"{path}.{below[len(plain) + 1 :]}" if plain else below, value[name]))


def _named_rows(rows: list[Any]) -> dict[str, Any] | None:
    if not rows or not all(type(row) is dict and len(row) == 2 and "value" in row for row in rows):
        return None
    made = {row.get("key", row.get("name")): row["value"] for row in rows}
    return made if all(isinstance(name, str) for name in made) else None


def _kind(value: Any) -> str:
    return "null" if value is None else _TYPES.get(type(value), "object")


def _words(value: Any) -> set[str]:
    rows = value if type(value) is list else [value]
    return {fold(row) for row in rows if type(row) is str and 0 < len(row.strip()) <= MAX_WORD}


def _know_words(
    known: dict[str, Expected], listed: Iterable[tuple[str, frozenset[str], bool]], words: Mapping[str, set[str]]
) -> None:
    """Give the words to the paths where the spec goes by words and they are known to be all."""
    named: dict[str, frozenset[str]] = {}
    closed: set[str] = set()
    for path, some, whole in listed:
        plain = plain_path(path)
        named[plain] = named.get(plain, frozenset()) | some
        if whole or plain in words:
            closed.add(plain)
    for plain in closed & known.keys():
        known[plain] = replace(known[plain], values=named[plain] | words.get(plain, set()))


def _add(known: dict[str, Expected], path: str, **members: Any) -> None:
    """Know a path and its parents, which are objects or lists."""
    plain = plain_path(path)
    row = known.get(plain) or Expected(path)
    known[plain] = replace(row, path=path if path.count("[]") > row.path.count("[]") else row.path, **members)
    segments = parse_path(path).segments
    for end in range(1, len(segments)):
        parent = ".".join(quoted_name(name) + ("[]" if many else "") for name, many in segments[:end])
        if (above := plain_path(parent)) not in known:
            kinds = frozenset({"list"}) if parent.endswith("[]") else frozenset({"object"})
            known[above] = Expected(parent, kinds)
