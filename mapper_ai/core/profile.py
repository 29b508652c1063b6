"""Profiles records and contracts: walks every leaf once and sums up what was seen of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from heapq import nsmallest
from typing import Any

from mapper_ai.core.fields import (
    MAX_EXAMPLES,
    MAX_VALUES,
    ArrayProfile,
    Contract,
    ContractFieldLike,
    FieldProfile,
    Profile,
    Segment,
    join_segments,
    split_path,
)
from mapper_ai.core.formats import recognise
from mapper_ai.core.relations import inner_relations, value_hash
from mapper_ai.core.timeline import compare_times, fields_of_time

__all__ = [
    "MAX_DEPTH",
    "MAX_EXAMPLES",
    "MAX_FIELDS",
    "MAX_VALUES",
    "Contract",
    "ContractFieldLike",
    "FieldProfile",
    "Place",
    "Profile",
    "Tally",
    "json_kind",
    "json_text",
    "merge_profiles",
    "profile_contract",
    "profile_records",
    "split_path",
    "sum_up",
    "with_times",
]

Place = tuple[Segment, ...]

# Deeper nesting is no record of a business system; the limit keeps recursion far from Python's own.
MAX_DEPTH = 64
MAX_FIELDS = 20_000
_MAX_EXAMPLE_CHARS = 80
_MAX_INTEGER_BYTES = 128
# Powers of ten; beyond it sums of Decimal lose digits or overflow.
_MAX_MAGNITUDE = 24
# Fewer different words than that are different by chance.
_MANY_WORDS = 20


@dataclass
class Tally:
    """What was counted of records before it is summed up; paths are (name, is_array) pairs.

    Attributes:
        values: Leaf -> how often each (JSON type, text) came.
        parents: Object -> how often it came; () stands for the records.
        lengths: Array -> how often each number of items came.
        records: Number of records.
    """

    values: Mapping[Place, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    parents: Counter[Place] = field(default_factory=Counter)
    lengths: dict[Place, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    records: int = 0


def profile_records(records: Iterable[Mapping[str, Any]]) -> Profile:
    """Profile the leaves and arrays of nested JSON records.

    An empty iterable gives an empty profile. An empty object has no leaf and shows as absence.

    Raises:
        ValueError: A record is no object, is nested deeper than MAX_DEPTH (or contains itself), or there are more
            than MAX_FIELDS different paths. The message names the record by its 1-based position.
    """
    kept = list(records)
    tally = Tally()
    for number, record in enumerate(kept, 1):
        if not isinstance(record, Mapping):
            raise ValueError(f"record {number}: expected an object, got {json_kind(record)}")
        tally.records = number
        _count(record, number, tally)
        if len(tally.values) > MAX_FIELDS:
            raise ValueError(f"record {number}: more than {MAX_FIELDS} different paths; is a key a record id?")
    profile = sum_up(tally)
    return with_times(profile, lambda fields: ([_at(record, entry) for entry in fields] for record in kept))


def sum_up(tally: Tally) -> Profile:
    """The profile of what was counted; moments are not compared yet (see `with_times`)."""
    taken = {join_segments(place): place for place in tally.values}
    fields = [_summarise(path, place, tally) for path, place in sorted(taken.items())]
    arrays = sorted((_array(place, tally) for place in tally.lengths), key=lambda entry: entry.path)
    profile = Profile(tuple(fields), tally.records, tuple(arrays))
    return replace(profile, relations=inner_relations(profile))


def with_times(profile: Profile, read: Callable[[Sequence[FieldProfile]], Iterable[Sequence[Any]]]) -> Profile:
    """The profile with what a second look at the records shows of their moments.

    Args:
        profile: Of the same records.
        read: Gives, for some fields, one row a record with their values.
    """
    asked = fields_of_time(profile)
    if not asked:
        return profile
    orders, rising = compare_times(asked, read(asked))
    fields = tuple(
        replace(entry, rises_with=rising[entry.path]) if entry.path in rising else entry for entry in profile.fields
    )
    return replace(profile, fields=fields, time_orders=orders)


def _count(record: Mapping[str, Any], number: int, tally: Tally) -> None:
    stack: list[tuple[Place, Any, int]] = [((), record, 0)]
    while stack:
        place, value, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"record {number}: nested deeper than {MAX_DEPTH} levels, or it contains itself")
        if isinstance(value, Mapping):
            tally.parents[place] += 1
            for key, child in value.items():
                stack.append(((*place, (str(key), False)), child, depth + 1))
        elif isinstance(value, (list, tuple)):
            name, already = place[-1]
            # An array directly in an array: the path ends in `[][]`.
            inner = (*place[:-1], (f"{name}[]" if already else name, True))
            tally.lengths[inner][len(value)] += 1
            stack.extend((inner, child, depth + 1) for child in value)
        else:
            tally.values[place][json_kind(value), json_text(value)] += 1


def _at(record: Any, entry: FieldProfile) -> Any:
    for name, _ in entry.segments:
        if not isinstance(record, Mapping):
            return None
        record = record.get(name)
    return record


def _array(place: Place, tally: Tally) -> ArrayProfile:
    lengths = tally.lengths[place]
    count = lengths.total()
    nulls = tally.values.get((*place[:-1], (place[-1][0], False)), Counter())["null", ""]
    parents = tally.parents[place[:-1]]
    half, median = 0, 0
    for length in sorted(lengths):
        half, median = half + lengths[length], length
        if 2 * half >= count:
            break
    return ArrayProfile(
        path=join_segments(place),
        present_share=min(1.0, (count + nulls) / parents) if parents else 1.0,
        null_share=nulls / (count + nulls),
        empty_share=lengths[0] / (count + nulls),
        occurrences=count + nulls,
        items=sum(length * times for length, times in lengths.items()),
        min_length=min(lengths),
        median_length=median,
        max_length=max(lengths),
    )


def _summarise(path: str, place: Place, tally: Tally) -> FieldProfile:
    seen = tally.values[place]
    types: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    measures: Counter[str] = Counter()
    for (kind, text), times in seen.items():
        types[kind] += times
        name = _format(kind, text)
        if name == "empty":
            continue
        formats[name] += times
        texts[text] += times
        if name in ("integer", "decimal", "percent"):
            measures[text] += times
    total, weight = types.total(), texts.total()
    # Sorted, so that the rounding of the sum does not depend on the order of the records.
    numbers = sorted((number, times) for text, times in measures.items() if (number := _number(text)) is not None)
    nulls = types["null"]
    spread = sum(times for _, times in numbers)
    parents = tally.parents[place[:-1]]
    present = min(1.0, total / parents) if parents else 1.0
    return FieldProfile(
        path=path,
        segments=place,
        addressable=not any(name.endswith("[]") and many for name, many in place),
        types={name: types[name] / total for name in sorted(types)},
        formats={name: formats[name] / weight for name in sorted(formats)},
        present_share=present,
        null_share=nulls / total,
        empty_share=(total - nulls - weight) / total,
        occurrences=total,
        distinct=len(texts),
        min_length=min(map(len, texts), default=0),
        max_length=max(map(len, texts), default=0),
        mean_length=sum(len(text) * times for text, times in texts.items()) / weight if weight else 0.0,
        minimum=min((number for number, _ in numbers), default=None),
        maximum=max((number for number, _ in numbers), default=None),
        mean=sum((number * times for number, times in numbers), Decimal(0)) / spread if spread else None,
        is_enum=_is_enum(texts, formats, weight),
        values=_sample(texts, MAX_VALUES),
        examples=tuple(text[:_MAX_EXAMPLE_CHARS] for text in _sample(texts, MAX_EXAMPLES)),
        list_length=_list_length(place, tally),
        is_key=weight == total == len(texts) and present == 1.0 and _identifies(formats, weight),
    )


def _list_length(place: Place, tally: Tally) -> int:
    """Items in the longest of the innermost arrays around a leaf."""
    inner = next((end for end in range(len(place), 0, -1) if place[end - 1][1]), 0)
    return max(tally.lengths.get(place[:inner], {0: 1}), default=0) if inner else 0


def _format(kind: str, text: str) -> str:
    if kind in ("bool", "integer", "decimal"):
        return kind
    return recognise(text)


def _identifies(formats: Counter[str], weight: int) -> bool:
    """Values of the kinds that identify records; plain words only where there are many of them."""
    if weight < 2:
        return False
    telling = formats["integer"] + formats["code"] + formats["uuid"] + formats["email"] + formats["url"]
    return telling == weight or (weight >= _MANY_WORDS and telling + formats["word"] == weight)


def _is_enum(texts: Counter[str], formats: Counter[str], weight: int) -> bool:
    """Few words that come again: at most 12 different, each on average at least twice, and no numbers or dates."""
    if not texts or len(texts) > 12 or weight < 2 * len(texts):
        return False
    return formats["word"] + formats["code"] + formats["text"] + formats["bool"] > weight / 2


def _sample(texts: Counter[str], limit: int) -> tuple[str, ...]:
    """At most `limit` of the texts, chosen by hash so that neither order nor alphabet favours any; sorted."""
    if len(texts) > limit:
        return tuple(sorted(nsmallest(limit, texts, key=value_hash)))
    return tuple(sorted(texts))


def json_kind(value: object) -> str:
    """The JSON type of a value, in words."""
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


def json_text(value: object) -> str:
    """The text that a value is counted by; a JSON number by its shortest text, so that 10.50 is 10.5."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 8 * _MAX_INTEGER_BYTES:
        # Python refuses to write integers of thousands of digits in decimal.
        return f"{value:x}"[:_MAX_EXAMPLE_CHARS]
    if isinstance(value, (float, Decimal)):
        return _shortest(value)
    return str(value).strip()


def _shortest(value: float | Decimal) -> str:
    if isinstance(value, Decimal) and not value.is_finite():
        return str(value)
    number = float(value)
    # What a double cannot hold keeps its own text.
    return str(value) if math.isinf(number) or (number == 0.0 and value != 0) else repr(number)


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
    return replace(samples, fields=tuple(merged[path] for path in sorted(merged)))


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
