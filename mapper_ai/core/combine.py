"""Combinations: several sources that feed one target together, offered beside the single fields.

A combination is made only where the source has no field of its own for it: a full name from first and last name, a
line total from quantity and price, a street from two lines where the target has one, a header total from its lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mapper_ai.core.fields import FieldProfile, Profile, Segment
from mapper_ai.core.names import read_names
from mapper_ai.core.vocabulary import Vocabulary

How = Literal["", "join", "multiply", "sum"]
# Header amounts that may be the sum of the same amount of the lines.
_SUMMED = ("tax_total", "discount", "quantity")
_Object = tuple[Segment, ...]


@dataclass(frozen=True)
class Combination:
    """Sources that feed a target together.

    Attributes:
        sources: In the order they are combined.
        how: Texts joined, numbers multiplied, or one number summed over a list.
    """

    sources: tuple[str, ...]
    how: How


class _Offers:
    """The combinations made so far, as fields like any other."""

    def __init__(self, taken: Sequence[str]) -> None:
        self._taken = set(taken)
        self.fields: list[FieldProfile] = []
        self.known: dict[str, Combination] = {}

    def add(self, entries: Sequence[FieldProfile], how: How, place: _Object, name: str) -> None:
        """A field called `name` in the object `place`."""
        sign = " × " if how == "multiply" else " + "
        path = ("sum of " if how == "sum" else "") + sign.join(entry.path for entry in entries)
        if path in self._taken:
            return
        self._taken.add(path)
        self.known[path] = Combination(tuple(entry.path for entry in entries), how)
        first = entries[0]
        self.fields.append(
            replace(
                first,
                path=path,
                segments=(*place, (name, False)),
                formats={"text" if how == "join" else "decimal": 1.0} if first.formats else {},
                values=(),
                examples=(),
                is_enum=False,
                minimum=None,
                maximum=None,
                mean=None,
                list_length=0 if how == "sum" else first.list_length,
                contract=None,
            )
        )


def with_combinations(
    source: Profile, target: Profile, vocabulary: Vocabulary
) -> tuple[Profile, Mapping[str, Combination]]:
    """The source profile with the combinations as further fields, and what each of these stands for."""
    meanings = read_names(source, vocabulary)
    wanted = {meaning.head for meaning in read_names(target, vocabulary)}
    objects: dict[_Object, dict[str, FieldProfile]] = {}
    lines: set[_Object] = set()
    for entry, meaning in zip(source.fields, meanings, strict=True):
        objects.setdefault(entry.segments[:-1], {}).setdefault(meaning.head, entry)
        if meaning.scope == "line":
            lines.add(entry.segments[:-1])
    offers = _Offers(source.paths)
    for place, members in sorted(objects.items()):
        if {"first_name", "last_name"} <= members.keys() and "full_name" not in members:
            offers.add([members["first_name"], members["last_name"]], "join", place, "full name")
        if {"address_line1", "address_line2"} <= members.keys() and "address_line2" not in wanted:
            offers.add([members["address_line1"], members["address_line2"]], "join", place, "street")
        if not (place in lines and place[-1][1]):
            continue
        if {"quantity", "unit_price"} <= members.keys() and not members.keys() & {"line_total", "grand_total"}:
            offers.add([members["quantity"], members["unit_price"]], "multiply", place, "line total")
        around = objects.get(place[:-1], {})
        for name in _SUMMED:
            summed = members.get(name)
            if summed is not None and name not in around and summed.format in ("integer", "decimal"):
                offers.add([summed], "sum", place[:-1], name.replace("_", " "))
    return replace(source, fields=(*source.fields, *offers.fields)), offers.known
