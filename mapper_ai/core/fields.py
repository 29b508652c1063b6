"""What samples and contracts say about fields: a profile is one entry a leaf path, and no record.

A profile depends on the set of records, never on their order. Null, empty and absent are three different things:
the share of each is kept. Money is seen as Decimal; a float is accepted and read by its shortest text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from mapspec.paths import path_parts, quoted_name, unquoted_name

MAX_EXAMPLES = 5
# Values kept of a field for comparing value sets; the ones with the smallest hash, so that order is no matter.
MAX_VALUES = 200
Segment = tuple[str, bool]


@runtime_checkable
class ContractFieldLike(Protocol):
    """One field of a contract, as any system profile can give it."""

    @property
    def path(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def required(self) -> bool: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def enum(self) -> Sequence[Any]: ...
    @property
    def max_length(self) -> int | None: ...
    @property
    def aliases(self) -> Sequence[str]: ...
    @property
    def note(self) -> str: ...


@dataclass(frozen=True)
class Contract:
    """What a system's description says about a field, beside what its samples show.

    Attributes:
        type: Declared type, "" when unknown.
        required: A record without the field is refused.
        read_only: The system computes it; writing it is refused or ignored.
        enum: Allowed values as text; empty when any.
        max_length: In characters; None when no limit is known.
        aliases: Other names of the same field, in path notation.
        note: Prose.
    """

    type: str = ""
    required: bool = False
    read_only: bool = False
    enum: tuple[str, ...] = ()
    max_length: int | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class FieldProfile:
    """One leaf of the records.

    Attributes:
        path: Dotted notation, `[]` after arrays.
        segments: (name, is_array) pairs of the path.
        addressable: False when the path cannot stand in a spec: an array directly in an array.
        types: JSON type -> share of the occurrences, over {"null", "bool", "integer", "decimal", "text"}.
        formats: Recognised format -> share of the non-empty values.
        present_share: Share of the parents that have the member at all, 0..1.
        null_share: Share of the occurrences that are null, 0..1.
        empty_share: Share of the occurrences that are "" or blank, 0..1.
        occurrences: Number of values seen, nulls and blanks included.
        distinct: Number of different non-empty values.
        min_length: Of the values' text, in characters; 0 when none.
        max_length: Of the values' text, in characters; 0 when none.
        mean_length: Of the values' text, in characters.
        minimum: Smallest number, None when no value is a number.
        maximum: Largest number.
        mean: Mean of the numbers.
        is_enum: Few different words, many times.
        values: Up to MAX_VALUES different values as text, sorted.
        examples: Up to MAX_EXAMPLES short values as text.
        list_length: Largest number of items in the innermost array around the field; 0 outside arrays.
        is_key: Filled in every parent and never the same twice, over at least two values.
        rises_with: Path of the record key that the field's moments follow: sorted by it they never go back; "" if none.
        contract: What the contract says, None when there is none.
    """

    path: str
    segments: tuple[Segment, ...]
    addressable: bool = True
    types: Mapping[str, float] = field(default_factory=dict)
    formats: Mapping[str, float] = field(default_factory=dict)
    present_share: float = 0.0
    null_share: float = 0.0
    empty_share: float = 0.0
    occurrences: int = 0
    distinct: int = 0
    min_length: int = 0
    max_length: int = 0
    mean_length: float = 0.0
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    mean: Decimal | None = None
    is_enum: bool = False
    values: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    list_length: int = 0
    is_key: bool = False
    rises_with: str = ""
    contract: Contract | None = None

    @property
    def format(self) -> str:
        """The most frequent format, "empty" when no value was seen; ties go to the alphabet."""
        if not self.formats:
            return "empty"
        return min(self.formats.items(), key=lambda item: (-item[1], item[0]))[0]

    @property
    def arrays(self) -> tuple[str, ...]:
        """Paths of the arrays around the field, outermost first: (`lines[]`, `lines[].taxes[]`)."""
        return array_prefixes(self.segments)

    @property
    def filled_share(self) -> float:
        """Share of the occurrences that carry a value."""
        return max(0.0, 1.0 - self.null_share - self.empty_share) if self.occurrences else 0.0


@dataclass(frozen=True)
class ArrayProfile:
    """One array of the records.

    Attributes:
        path: Dotted notation, ending in `[]`.
        present_share: Share of the parents that have the member at all, 0..1.
        null_share: Share of the occurrences that are null instead of an array, 0..1.
        empty_share: Share of the occurrences that have no item, 0..1.
        occurrences: Arrays and nulls seen.
        items: Items in all of them.
        min_length: Items in the shortest array; 0 when none was seen, as for the next two.
        median_length: Half of the arrays are at most this long.
        max_length: Items in the longest array.
    """

    path: str
    present_share: float = 0.0
    null_share: float = 0.0
    empty_share: float = 0.0
    occurrences: int = 0
    items: int = 0
    min_length: int = 0
    median_length: int = 0
    max_length: int = 0


@dataclass(frozen=True)
class Relation:
    """A field whose values are found among those of a key.

    Attributes:
        source: Path of the pointing field.
        entity: Name of the other kind of record; "" for the same records.
        target: Path of the key that is pointed at.
        share: Share of the compared values that were found, 0..1.
    """

    source: str
    entity: str
    target: str
    share: float


@dataclass(frozen=True)
class TimeOrder:
    """Two moments of a record: `earlier` never lies after `later`, and at least once before it."""

    earlier: str
    later: str


@dataclass(frozen=True)
class Profile:
    """The fields of one kind of record, sorted by path.

    Attributes:
        fields: One entry a leaf path.
        record_count: Number of records seen; 0 for a contract alone.
        arrays: One entry an array, sorted by path.
        relations: Fields that point at a key of the same records.
        time_orders: Moments of a record that always come in the same order.
    """

    fields: tuple[FieldProfile, ...]
    record_count: int = 0
    arrays: tuple[ArrayProfile, ...] = ()
    relations: tuple[Relation, ...] = ()
    time_orders: tuple[TimeOrder, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Leaf paths in field order."""
        return tuple(entry.path for entry in self.fields)

    def field(self, path: str) -> FieldProfile:
        """The entry of a path.

        Raises:
            KeyError: No such path.
        """
        for entry in self.fields:
            if entry.path == path:
                return entry
        raise KeyError(path)


def array_prefixes(segments: Sequence[Segment]) -> tuple[str, ...]:
    """Dotted paths of all arrays on the way, outermost first."""
    return tuple(join_segments(segments[: position + 1]) for position, (_, many) in enumerate(segments) if many)


def join_segments(segments: Sequence[Segment]) -> str:
    """The dotted notation of (name, is_array) pairs; a name that would not read back stands in double quotes."""
    return ".".join(_written(name) + ("[]" if many else "") for name, many in segments)


def split_path(path: str) -> tuple[Segment, ...]:
    """(name, is_array) pairs of a dotted path; `$.` in front is dropped."""
    plain = path.strip().removeprefix("$.").replace("[][]", "[].[]")
    return tuple((unquoted_name(part.removesuffix("[]")), part.endswith("[]")) for part in path_parts(plain))


def _written(name: str) -> str:
    # An array directly in an array is kept as part of the name.
    inner = name.removesuffix("[]")
    return quoted_name(inner) + "[]" if inner != name and inner else quoted_name(name)
