"""Cases made from gold ones by systematic changes, so that the scorer has seen names and gaps it will meet.

Four changes, all drawn from a generator seeded with the case's name:

- renaming: another way to write names (camelCase, snake_case, ...), and words outside the vocabulary, made by leaving
  out vowels or the end of a word, because other systems have words of their own;
- restructuring: objects flattened into prefixed names;
- forgetting: a side known by its contract alone, without one value;
- noise: fields of the source left out. A target that lost its source has no match.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from mapper_ai.core.evaluation import Gold
from mapper_ai.core.fields import Contract, FieldProfile, Profile, Segment, join_segments
from mapper_ai.core.vocabulary import split_words
from mapper_ai.services.learning.gold import Case

# Formats that a contract names, and how.
_TYPED = {"integer": "integer", "decimal": "number", "bool": "boolean", "date": "date", "instant": "date-time"}
_STYLES = ("snake", "camel", "pascal", "flat", "kept")


def generate(
    case: Case, number: int, *, strange: float = 0.15, lost: float = 0.2, flatten: float = 0.5, bare: float = 0.4
) -> Case:
    """The `number`-th variation of a case; equal arguments give equal cases.

    Args:
        case: A gold case.
        number: From 0.
        strange: Share of words made strange on each side.
        lost: Share of the source's fields left out.
        flatten: Chance that a side's objects are flattened.
        bare: Chance that nothing is known of the target but names and types; half as likely for the source.
    """
    # Not for secrets: a generator that gives the same cases in every run.
    draw = random.Random(f"{case.name}/{number}")  # noqa: S311
    source, left = _rewrite(case.source, draw, strange, flatten)
    target, right = _rewrite(case.target, draw, strange, flatten)
    if draw.random() < bare:
        target = _described(target)
    if draw.random() < bare / 2:
        source = _described(source)
    kept = tuple(entry for entry in source.fields if draw.random() >= lost)
    source = replace(source, fields=kept or source.fields)
    here = set(source.paths)
    gold = {
        right[goal]: remaining
        for goal, sources in case.gold.sources.items()
        if goal in right and (remaining := frozenset(left[path] for path in sources if path in left) & here)
    }
    return replace(
        case,
        name=f"{case.name}~{number}",
        source=source,
        target=target,
        gold=Gold(
            gold,
            frozenset(right[goal] for goal in case.gold.combined if goal in right) & gold.keys(),
            frozenset(right[goal] for goal in case.gold.ignored if goal in right),
        ),
    )


def _rewrite(
    profile: Profile, draw: random.Random, strange: float, flatten: float
) -> tuple[Profile, Mapping[str, str]]:
    """The profile with other names, and old path -> new path."""
    style = draw.choice(_STYLES)
    flat = draw.random() < flatten
    words = sorted({word for entry in profile.fields for name, _ in entry.segments for word in split_words(name)})
    odd = {word: _strange(word, draw) for word in words if draw.random() < strange}
    taken: set[str] = set()
    fields: list[FieldProfile] = []
    paths: dict[str, str] = {}
    for entry in profile.fields:
        segments = tuple((_restyle(name, style, odd), many) for name, many in entry.segments)
        if flat:
            segments = _flattened(segments, style)
        path = join_segments(segments)
        if path in taken or not all(name for name, _ in segments):
            # Two names that fall together: keep the old one rather than lose a field.
            segments, path = entry.segments, entry.path
            if path in taken:
                continue
        taken.add(path)
        paths[entry.path] = path
        fields.append(replace(entry, path=path, segments=segments))
    return replace(profile, fields=tuple(sorted(fields, key=lambda entry: entry.path))), paths


def _described(profile: Profile) -> Profile:
    """What a contract would say of the fields: names and types, no values."""
    fields = tuple(
        FieldProfile(
            path=entry.path,
            segments=entry.segments,
            formats={entry.format: 1.0} if entry.format in _TYPED else {},
            contract=Contract(type=_TYPED.get(entry.format, "string")),
        )
        for entry in profile.fields
    )
    return replace(profile, fields=fields, record_count=0)


def _strange(word: str, draw: random.Random) -> str:
    """A word as another system might shorten it."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if draw.random() < 0.5:
        return word[0] + "".join(letter for letter in word[1:] if letter not in "aeiou")
    return word[:3]


def _restyle(name: str, style: str, odd: Mapping[str, str]) -> str:
    parts = split_words(name)
    if not parts or (style == "kept" and not odd.keys() & set(parts)):
        return name
    words = [odd.get(word, word) for word in parts]
    if style == "snake" or style == "kept":
        return "_".join(words)
    if style == "flat":
        return "".join(words)
    joined = "".join(word.capitalize() for word in words)
    return joined if style == "pascal" else joined[:1].lower() + joined[1:]


def _flattened(segments: tuple[Segment, ...], style: str) -> tuple[Segment, ...]:
    """Objects written into the names of their members; arrays stay."""
    done: list[Segment] = []
    pending = ""
    for name, many in segments:
        glued = f"{pending}_{name}" if style in ("snake", "kept") else pending + name[:1].upper() + name[1:]
        pending = glued if pending else name
        if many:
            done.append((pending, True))
            pending = ""
    if pending:
        done.append((pending, False))
    return tuple(done)
