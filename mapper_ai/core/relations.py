"""Which field points where: values of one field that are found among a key's, inside a record and between entities."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from mapper_ai.core.fields import MAX_VALUES, FieldProfile, Profile, Relation

_POINTING = frozenset({"integer", "code", "uuid", "email", "word"})
_ENDINGS = ("id", "ids", "key", "ref", "code", "number", "no", "sku", "email")
# `parentId` points at the key of its own kind.
_SELF = frozenset({"parent", "original", "related"})
# Values that must be found; a few may point at records that are not in the sample.
_MIN_SHARE = 0.9
_MIN_VALUES = 2
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")


def inner_relations(profile: Profile) -> tuple[Relation, ...]:
    """Fields of the records that point at a key of the same records, sorted."""
    return tuple(_relations(profile, "", {"": profile}))


def relations_between(profiles: Mapping[str, Profile]) -> dict[str, tuple[Relation, ...]]:
    """Entity -> what its fields point at in the other entities."""
    return {
        name: tuple(_relations(profile, name, {other: seen for other, seen in profiles.items() if other != name}))
        for name, profile in sorted(profiles.items())
    }


def _relations(profile: Profile, name: str, others: Mapping[str, Profile]) -> Iterable[Relation]:
    found: list[Relation] = []
    keys = [(entity, key) for entity, seen in sorted(others.items()) for key in seen.fields if key.is_key]
    for entry in profile.fields:
        if entry.format not in _POINTING or entry.distinct < _MIN_VALUES:
            continue
        for entity, key in keys:
            if entity == "" and (key.path == entry.path or _same_object(entry, key)):
                continue
            if not _names_fit(entry, key, entity):
                continue
            share = _share_found(entry, key)
            if share is not None and share >= _MIN_SHARE:
                found.append(Relation(entry.path, entity, key.path, round(share, 4)))
    return sorted(found, key=lambda row: (row.source, row.entity, row.target))


def _same_object(first: FieldProfile, second: FieldProfile) -> bool:
    return first.segments[:-1] == second.segments[:-1] and not _words(first.segments[-1][0]) & _SELF


def _names_fit(entry: FieldProfile, key: FieldProfile, entity: str) -> bool:
    """Whether the name of a field says what the key identifies: `customerId` and `id` of `customers[]`.

    Equal values alone prove nothing: a quantity of 1 to 5 is found among any ids.
    """
    own, other = entry.segments[-1][0], key.segments[-1][0]
    words, told = _words(own), _words(other)
    if not words or not told:
        return False
    above = key.segments[-2][0] if len(key.segments) > 1 else entity
    around = entry.segments[-2][0] if len(entry.segments) > 1 else ""
    if words & _SELF and entity == "" and entry.segments[:-1] == key.segments[:-1]:
        return bool(told & set(_ENDINGS))
    subject = {_singular(word) for word in _words(above)} - set(_ENDINGS)
    stem = {_singular(word) for word in words | _words(around)}
    if subject & stem and (told & set(_ENDINGS)):
        return True
    # `sku` and `sku`, `orderNumber` and `number`: the same name, or its end; a bare `id` says nothing.
    shared = words & told
    return bool(shared) and own.casefold() == other.casefold() and shared != {"id"} and bool(shared & set(_ENDINGS))


def _share_found(entry: FieldProfile, key: FieldProfile) -> float | None:
    """Share of a field's values among a key's; None when too few can be compared.

    A profile keeps the values with the smallest hashes. Of the field's, only those below the key's largest kept hash
    can be looked for; where all of the key's values are kept, all of the field's.
    """
    known = set(key.values)
    values: Iterable[str] = entry.values
    if key.distinct > MAX_VALUES:
        last = max(map(value_hash, known))
        values = [value for value in values if value_hash(value) <= last]
    values = list(values)
    if len(values) < _MIN_VALUES:
        return None
    return sum(value in known for value in values) / len(values)


def value_hash(text: str) -> bytes:
    """The hash that chooses which values of a field are kept."""
    return hashlib.blake2b(text.encode("utf-8", "replace")).digest()


def _words(name: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(name)}


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("xes", "ses", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
