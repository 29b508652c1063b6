"""Profiles records and contracts: walks every leaf once and sums up what was seen of it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from mapper_ai.core.fields import (
    MAX_EXAMPLES,
    MAX_VALUES,
    Contract,
    ContractFieldLike,
    FieldProfile,
    Profile,
    Segment,
    join_segments,
    split_path,
)
from mapper_ai.core.formats import recognise

__all__ = [
    "MAX_DEPTH",
    "MAX_EXAMPLES",
    "MAX_FIELDS",
    "MAX_VALUES",
    "Contract",
    "ContractFieldLike",
    "FieldProfile",
    "Profile",
    "merge_profiles",
    "profile_contract",
    "profile_records",
    "split_path",
]

# Deeper nesting is no record of a business system; the limit keeps recursion far from Python's own.
MAX_DEPTH = 64
MAX_FIELDS = 20_000
_MAX_EXAMPLE_CHARS = 80
_MAX_INTEGER_BYTES = 128
# Powers of ten; beyond it sums of Decimal lose digits or overflow.
_MAX_MAGNITUDE = 24


class _Collected:
    """Everything seen of one leaf while the records are walked."""

    __slots__ = ("list_length", "types", "values")

    def __init__(self) -> None:
        self.values: Counter[tuple[str, str]] = Counter()
        self.types: Counter[str] = Counter()
        self.list_length = 0


def profile_records(records: Iterable[Mapping[str, Any]]) -> Profile:
    """Profile the leaves of nested JSON records.

    An empty iterable gives an empty profile. An empty object or list has no leaf and shows as absence.

    Raises:
        ValueError: A record is no object, is nested deeper than MAX_DEPTH (or contains itself), or there are more
            than MAX_FIELDS different paths. The message names the record by its 1-based position.
    """
    collected: dict[tuple[Segment, ...], _Collected] = defaultdict(_Collected)
    parents: Counter[tuple[Segment, ...]] = Counter()
    count = 0
    for number, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            raise ValueError(f"record {number}: expected an object, got {_kind(record)}")
        count = number
        for segments, value, size in _leaves(record, number, parents):
            entry = collected[segments]
            text = _text(value)
            entry.types[_kind(value)] += 1
            entry.values[(recognise(value), text)] += 1
            entry.list_length = max(entry.list_length, size)
        if len(collected) > MAX_FIELDS:
            raise ValueError(f"record {number}: more than {MAX_FIELDS} different paths; is a key a record id?")
    taken: dict[str, tuple[Segment, ...]] = {}
    # Addressable paths come first, so that an odd name that reads like a nested path does not take its place.
    for segments in sorted(collected, key=lambda item: (not _addressable(item), item)):
        path = join_segments(segments)
        while path in taken:
            path = f'"{path}"'
        taken[path] = segments
    fields = [
        _summarise(path, segments, collected[segments], parents[segments[:-1]])
        for path, segments in sorted(taken.items())
    ]
    return Profile(tuple(fields), count)


def _leaves(
    record: Mapping[str, Any], number: int, parents: Counter[tuple[Segment, ...]]
) -> Iterator[tuple[tuple[Segment, ...], Any, int]]:
    """(segments, value, items in the innermost array) of every scalar; counts the objects met in `parents`."""
    stack: list[tuple[tuple[Segment, ...], Any, int, int]] = [((), record, 0, 0)]
    while stack:
        segments, value, size, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"record {number}: nested deeper than {MAX_DEPTH} levels, or it contains itself")
        if isinstance(value, Mapping):
            parents[segments] += 1
            for key, child in value.items():
                stack.append(((*segments, (str(key), False)), child, size, depth + 1))
        elif isinstance(value, (list, tuple)):
            name, already = segments[-1]
            # An array directly in an array: the path ends in `[][]`.
            inner = (*segments[:-1], (f"{name}[]" if already else name, True))
            stack.extend((inner, child, len(value), depth + 1) for child in value)
        else:
            yield segments, value, size


def _summarise(path: str, segments: tuple[Segment, ...], seen: _Collected, parents: int) -> FieldProfile:
    total = seen.types.total()
    filled = {(name, text): n for (name, text), n in seen.values.items() if name != "empty"}
    weight = sum(filled.values())
    formats: Counter[str] = Counter()
    lengths = 0
    texts: Counter[str] = Counter()
    for (name, text), times in filled.items():
        formats[name] += times
        lengths += len(text) * times
        texts[text] += times
    # Sorted, so that the rounding of the sum does not depend on the order of the records.
    numbers = sorted(
        (number, times)
        for (name, text), times in filled.items()
        if name in {"integer", "decimal", "percent"} and (number := _number(text)) is not None
    )
    nulls = seen.types["null"]
    blank = seen.types.total() - nulls - weight
    spread = sum(times for _, times in numbers)
    return FieldProfile(
        path=path,
        segments=segments,
        addressable=_addressable(segments),
        types={name: seen.types[name] / total for name in sorted(seen.types)},
        formats={name: formats[name] / weight for name in sorted(formats)},
        present_share=min(1.0, total / parents) if parents else 1.0,
        null_share=nulls / total,
        empty_share=blank / total,
        occurrences=total,
        distinct=len(texts),
        min_length=min(map(len, texts), default=0),
        max_length=max(map(len, texts), default=0),
        mean_length=lengths / weight if weight else 0.0,
        minimum=min((number for number, _ in numbers), default=None),
        maximum=max((number for number, _ in numbers), default=None),
        mean=sum((number * times for number, times in numbers), Decimal(0)) / spread if spread else None,
        is_enum=_is_enum(texts, formats, weight),
        values=_sample(texts, MAX_VALUES),
        examples=tuple(text[:_MAX_EXAMPLE_CHARS] for text in _sample(texts, MAX_EXAMPLES)),
        list_length=seen.list_length,
    )


def _is_enum(texts: Counter[str], formats: Counter[str], weight: int) -> bool:
    """Few words that come again: at most 12 different, each on average at least twice, and no numbers or dates."""
    if not texts or len(texts) > 12 or weight < 2 * len(texts):
        return False
    return formats["word"] + formats["code"] + formats["text"] + formats["bool"] > weight / 2


def _sample(texts: Counter[str], limit: int) -> tuple[str, ...]:
    """At most `limit` of the texts, chosen by hash so that neither order nor alphabet favours any; sorted."""
    if len(texts) > limit:
        chosen = sorted(texts, key=lambda text: hashlib.blake2b(text.encode("utf-8", "replace")).digest())
        return tuple(sorted(chosen[:limit]))
    return tuple(sorted(texts))


def _addressable(segments: Sequence[Segment]) -> bool:
    return all(name and name == name.strip() and not set(name) & set(".[]") and name != "$" for name, _ in segments)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, (float, Decimal)):
        return "decimal"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (list, tuple)):
        return "a list"
    return type(value).__name__


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 8 * _MAX_INTEGER_BYTES:
        # Python refuses to write integers of thousands of digits in decimal.
        return f"{value:x}"[:_MAX_EXAMPLE_CHARS]
    return str(value).strip()


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.rstrip("% ").replace(",", "."))
    except InvalidOperation:
        return None
    # NaN and the infinities parse, but have no place in a range; nor has what no book could hold.
    return number if number.is_finite() and number.adjusted() <= _MAX_MAGNITUDE else None


def profile_contract(fields: Iterable[ContractFieldLike]) -> Profile:
    """Profile a flattened contract: names, types and notes, no values.

    Raises:
        ValueError: Two fields have the same path, or a path is empty.
    """
    entries: dict[str, FieldProfile] = {}
    for given in fields:
        path = given.path.strip()
        if not path:
            raise ValueError("a contract field has no path")
        if path in entries:
            raise ValueError(f"contract: '{path}' is described twice")
        enum = tuple(str(value) for value in given.enum or ())
        # A schema's `format` says more than its type; not every contract has one.
        shape = str(getattr(given, "format", "") or "").casefold()
        declared = _DECLARED.get(shape) or _DECLARED.get(given.type.casefold(), "")
        entries[path] = FieldProfile(
            path=path,
            segments=split_path(path),
            formats={declared: 1.0} if declared else {},
            is_enum=bool(enum),
            values=tuple(sorted(enum))[:MAX_VALUES],
            contract=Contract(
                type=given.type,
                required=given.required,
                read_only=given.read_only,
                enum=enum,
                max_length=given.max_length,
                aliases=tuple(given.aliases or ()),
                note=given.note or "",
            ),
        )
    return Profile(tuple(entries[path] for path in sorted(entries)))


def merge_profiles(samples: Profile, contract: Profile) -> Profile:
    """Add what a contract says to what samples show; fields of either side are kept.

    Where both speak, the samples' values stay and the contract's word comes beside them.
    """
    described = {entry.path: entry for entry in contract.fields}
    merged = {}
    for entry in samples.fields:
        said = described.pop(entry.path, None)
        if said is None:
            merged[entry.path] = entry
        else:
            merged[entry.path] = replace(
                entry,
                contract=said.contract,
                formats=entry.formats or said.formats,
                is_enum=entry.is_enum or said.is_enum,
                values=entry.values or said.values,
            )
    merged.update(described)
    return Profile(tuple(merged[path] for path in sorted(merged)), samples.record_count)


# Contract type -> the format its values have; "string" is left out, because any format fits into it.
_DECLARED: Mapping[str, str] = {
    "integer": "integer",
    "int": "integer",
    "number": "decimal",
    "decimal": "decimal",
    "money": "decimal",
    "boolean": "bool",
    "bool": "bool",
    "date": "date",
    "date-time": "instant",
    "datetime": "instant",
    "instant": "instant",
    "email": "email",
    "uri": "url",
    "uuid": "uuid",
    "currency": "currency",
    "country": "country",
    "phone": "phone",
}
