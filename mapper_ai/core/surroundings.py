"""What a name cannot tell alone: members of the same object, the values, the record as a whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mapper_ai.core.fields import FieldProfile, Profile, Segment
from mapper_ai.core.vocabulary import Vocabulary

_PERCENT_NOTE = re.compile(r"\bper ?cent\b|\d ?%|\bin %|\brate\b", re.IGNORECASE)
# No sales tax is higher than Hungary's 27 %; what exceeds this is an amount.
_MAX_TAX_PERCENT = 30
_MONEY_AMOUNT = frozenset({"amount", "value", "currency amount", "cent amount"})
_MONEY_CODE = frozenset({"code", "currency", "currency code"})
# Subjects whose bare name stands for a reference when the value is a key.
SUBJECTS = frozenset({"customer", "document", "supplier", "payment", "product", "contract"})
_KEY_FORMATS = frozenset({"integer", "code", "uuid", "url"})
# Members by which a list is known to hold order or invoice lines.
_LINE_MARKS = frozenset(
    {"quantity", "unit_price", "sku", "line_total", "product_name", "unit", "product", "description"}
)
_ITEM_NAMES = frozenset({"product_name", "name", "title", "short_description"})


@dataclass
class Surroundings:
    """Names of one profile, cut once."""

    words: dict[Segment, tuple[str, ...]] = field(default_factory=dict)
    # Objects with street and city, but no member that is a postal code by name: their `code` is one.
    addresses: set[tuple[Segment, ...]] = field(default_factory=set)
    # Concepts of the members of every object.
    siblings: dict[tuple[Segment, ...], frozenset[str]] = field(default_factory=dict)
    # Arrays and objects whose name says nothing, but whose members show what they hold.
    subjects: dict[tuple[Segment, ...], str] = field(default_factory=dict)

    def of(self, segment: Segment, vocabulary: Vocabulary) -> tuple[str, ...]:
        known = self.words.get(segment)
        if known is None:
            known = self.words[segment] = vocabulary.normalise(segment[0])
        return known


def look_around(profile: Profile, reading: Surroundings, vocabulary: Vocabulary) -> None:
    """What can only be told from the members of an object together."""
    levels: dict[tuple[Segment, ...], set[str]] = {}
    for entry in profile.fields:
        concepts = vocabulary.concepts(reading.of(entry.segments[-1], vocabulary))
        levels.setdefault(entry.segments[:-1], set()).update(concepts)
        if len(entry.segments) > 2:
            # Members of a member count for the list as well: `Line[].SalesItemLineDetail.Qty`.
            levels.setdefault(entry.segments[:-2], set()).update(_LINE_MARKS.intersection(concepts))
    reading.siblings = {level: frozenset(seen) for level, seen in levels.items()}
    reading.addresses = {
        level for level, seen in levels.items() if {"address_line1", "city"} <= seen and "postal_code" not in seen
    }
    for level, seen in levels.items():
        if level and level[-1][1]:
            if {"quantity", "unit"} & seen and len(seen & _LINE_MARKS) >= 2:
                reading.subjects[level] = "line"
            elif "tax_rate" in seen and {"tax_name", "name", "title", "tax_code"} & seen:
                reading.subjects[level] = "tax_line"


def settle_by_values(
    concepts: tuple[str, ...], entry: FieldProfile, scope: str, siblings: frozenset[str]
) -> tuple[str, ...]:
    """Names that only values or neighbours can settle.

    A tax "amount" of whole small percents is a rate, `units` with numbers is a quantity, `customer` with a key is
    a reference, `state` away from a city is a status, and the `description` of a line without a name is its name.
    """
    if "tax_total" in concepts and _is_rate(entry):
        return tuple("tax_rate" if concept == "tax_total" else concept for concept in concepts)
    if concepts == ("unit",) and entry.format in {"integer", "decimal"}:
        return ("quantity",)
    if "prices_include_tax" in concepts and entry.format in {"decimal", "integer"} and entry.distinct > 1:
        return ("unit_price",)
    if len(concepts) == 1 and concepts[0] in SUBJECTS and entry.format in _KEY_FORMATS:
        return (*concepts, "id")
    if concepts == ("state",) and not siblings & {"city", "postal_code", "country", "address_line1"}:
        return ("status",)
    if concepts == ("description",) and scope in {"line", "product"} and not siblings & _ITEM_NAMES:
        return ("description", "product_name")
    return concepts


def _is_rate(entry: FieldProfile) -> bool:
    """A tax "amount" that is a rate: whole small percents only, or the contract's note says percent."""
    if entry.contract is not None and _PERCENT_NOTE.search(entry.contract.note):
        return True
    if entry.maximum is None or entry.minimum is None or entry.distinct < 2:
        return False
    return entry.format == "integer" and entry.minimum >= 0 and entry.maximum <= _MAX_TAX_PERCENT


def money_members(profile: Profile, reading: Surroundings, vocabulary: Vocabulary) -> dict[str, str]:
    """Paths that are amount or code of a small object holding both: `unit_cost.amount`, `unit_cost.code`."""
    siblings: dict[tuple[Segment, ...], list[FieldProfile]] = {}
    for entry in profile.fields:
        if len(entry.segments) > 1:
            siblings.setdefault(entry.segments[:-1], []).append(entry)
    found: dict[str, str] = {}
    for members in siblings.values():
        if len(members) > 3:
            continue
        named = {entry.path: " ".join(reading.of(entry.segments[-1], vocabulary)) for entry in members}
        amounts = [path for path, name in named.items() if name in _MONEY_AMOUNT]
        codes = [path for path, name in named.items() if name in _MONEY_CODE]
        if len(amounts) == 1 and len(codes) == 1:
            found[amounts[0]] = "amount"
            found[codes[0]] = "code"
    return found


def root_scope(profile: Profile, reading: Surroundings, vocabulary: Vocabulary, money: Mapping[str, str]) -> str:
    """What the record itself is about, by the concepts of its leaves outside arrays; "" when unclear."""
    seen: Counter[str] = Counter()
    arrays: set[str] = set()
    for entry in profile.fields:
        top = reading.of(entry.segments[0], vocabulary)
        if entry.segments[0][1]:
            arrays.update(vocabulary.concepts(top))
        elif len(entry.segments) == 1 or money.get(entry.path):
            seen.update(set(vocabulary.concepts(top)))
    scores = {scope: len(seen.keys() & marks) for scope, marks in vocabulary.scopes.items()}
    if "line" in arrays or arrays & {"product"}:
        scores["document"] = scores.get("document", 0) + 3
    if "payment" in seen or "transaction_id" in seen:
        scores["payment"] = scores.get("payment", 0) + 1
    best = max(scores, key=lambda scope: (scores[scope], scope))
    return best if scores[best] >= 2 else ""
