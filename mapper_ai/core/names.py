"""What the names on a field's path mean: concepts of the leaf and of the way to it, side and scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mapper_ai.core.fields import FieldProfile, Profile, Segment
from mapper_ai.core.surroundings import (
    SUBJECTS,
    Surroundings,
    look_around,
    money_members,
    root_scope,
    settle_by_values,
)
from mapper_ai.core.vocabulary import Vocabulary, load_vocabulary

# A concept below this weight does not say alone which field it is: `id`, `name`, `date`, `amount`.
_GENERIC = 0.65
_SIDES = ("billing", "shipping", "primary")
# One-letter prefixes of address members: primary/billing and shipping.
_LETTER_SIDES = {"p": "billing", "b": "billing", "s": "shipping"}
_FLAG_WORDS = frozenset({"is", "has", "can", "allow", "enable", "use", "send", "show"})

_OWN_IDS = (["uuid"], ["guid"], ["id"], ["uid"], ["internal", "id"], ["row", "id"], ["self"])

Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class FieldMeaning:
    """The reading of one path.

    Attributes:
        words: All words of the path, in order.
        leaf: Concepts of the leaf with weights; parents are drawn in where the leaf alone says nothing.
        path: Concepts of leaf and parents with weights that fade with the distance.
        head: The one concept the field is most likely about; `~word` when unknown.
        side: "billing", "shipping", "primary" or "" for addresses, contacts and the like.
        scope: What the nearest record, object or array around the field is about; "" when unknown.
        number: Trailing number of the leaf ("2" of `taxName2`), "" when there is none.
        money: "amount" or "code" for the members of a money object, "" otherwise.
        flag: The leaf reads like a yes/no question.
        own_id: The field is the id its own system gives the record: `id`, `uuid`, `invoiceid` of an invoice.
    """

    words: tuple[str, ...]
    leaf: Weighted
    path: Weighted
    head: str
    side: str
    scope: str
    number: str
    money: str
    flag: bool
    own_id: bool = False


def read_names(profile: Profile, vocabulary: Vocabulary | None = None) -> list[FieldMeaning]:
    """The meaning of every path of a profile, in field order."""
    words_of = vocabulary or load_vocabulary()
    reading = Surroundings()
    money = money_members(profile, reading, words_of)
    look_around(profile, reading, words_of)
    root = root_scope(profile, reading, words_of, money)
    return [_read(entry, reading, words_of, money.get(entry.path, ""), root) for entry in profile.fields]


def _read(entry: FieldProfile, reading: Surroundings, vocabulary: Vocabulary, money: str, root: str) -> FieldMeaning:
    parts = [reading.of(segment, vocabulary) for segment in entry.segments]
    words = tuple(word for part in parts for word in part)
    leaf_words, parents = list(parts[-1]), parts[:-1]
    flag = bool(leaf_words) and leaf_words[0] in _FLAG_WORDS
    if money == "amount" and parents:
        leaf_words, parents = list(parents[-1]), parents[:-1]
    elif money == "code":
        leaf_words = ["currency"]
    letter_side = ""
    if len(leaf_words) > 1 and leaf_words[0] in _LETTER_SIDES:
        below = vocabulary.concepts(leaf_words[1:])
        if any(vocabulary.family(concept) == "address" for concept in below) or "code" in leaf_words[1:2]:
            letter_side, leaf_words = _LETTER_SIDES[leaf_words[0]], leaf_words[1:]
            if leaf_words == ["code"]:
                leaf_words = ["postal", "code"]
    number = leaf_words[-1] if leaf_words and leaf_words[-1].isdecimal() else ""
    scope, scope_depth = _scope(entry.segments, parents, reading, vocabulary, root)
    if leaf_words == ["code"] and entry.segments[:-1] in reading.addresses:
        leaf_words = ["postal", "code"]
    # Only the members of the subject itself are read in its scope: `customer.id`, not `customer.group.id`.
    direct = all(_says_nothing(part, vocabulary) for part in parents[scope_depth + 1 :])
    concepts, drawn = _leaf_concepts(leaf_words, parents, vocabulary, scope if direct else "")
    if concepts and set(concepts) <= set(_SIDES) and leaf_words[-1:] == ["address"]:
        concepts = (*concepts, "address_line1")
    concepts = _in_scope(concepts, scope if direct or not drawn else "", vocabulary)
    concepts = settle_by_values(concepts, entry, scope, reading.siblings.get(entry.segments[:-1], frozenset()))
    if not concepts:
        concepts = tuple("~" + word for word in words[-1:]) or ("~",)
    leaf = tuple((concept, vocabulary.weight(concept)) for concept in dict.fromkeys(concepts))

    weights: dict[str, float] = dict(leaf)
    if letter_side:
        weights[letter_side] = max(weights.get(letter_side, 0.0), 0.4)
    fade = 0.5 if money != "code" else 0.15
    for distance, part in enumerate(reversed(parents)):
        if distance < drawn:
            continue
        many = entry.segments[len(parents) - 1 - distance][1]
        for concept in vocabulary.concepts(part):
            share = vocabulary.weight(concept) * fade * (0.4 if many else 1.0)
            weights[concept] = max(weights.get(concept, 0.0), share)
        fade *= 0.6
    if scope and scope_depth < 0:
        # The record's own subject says little: `orderNumber` of an order is its `number`.
        weights.setdefault(scope, 0.1)
    side = letter_side or _side(parts, vocabulary)
    return FieldMeaning(
        words=words,
        leaf=leaf,
        path=tuple(weights.items()),
        head=max(leaf, key=lambda item: (item[1], not item[0].startswith("~"), item[0]))[0],
        side=side,
        scope=scope,
        number=number,
        money=money,
        flag=flag,
        own_id=_is_own_id(leaf_words, concepts, scope, entry.segments, vocabulary),
    )


def _leaf_concepts(
    leaf: Sequence[str], parents: Sequence[tuple[str, ...]], vocabulary: Vocabulary, scope: str
) -> tuple[tuple[str, ...], int]:
    """Concepts of the leaf and how many parents were drawn in to make sense of it.

    `customer.id` and `CurrencyRef.value` are read as one name; `billing.city` is not, because `city` is enough.
    """
    concepts = _strip(vocabulary.concepts(leaf), vocabulary)
    if len(concepts) == 1 and concepts[0] in vocabulary.in_scope.get(scope, {}):
        return concepts, 0
    if set(concepts) & SUBJECTS and set(concepts) & {"id", "number"}:
        return concepts, 0
    drawn = 0
    combined = list(leaf)
    while drawn < min(2, len(parents)) and (not concepts or _all_generic(concepts, vocabulary)):
        above = parents[len(parents) - 1 - drawn]
        drawn += 1
        combined = _join(above, combined)
        concepts = _strip(vocabulary.concepts(combined), vocabulary)
    return concepts, drawn


def _join(above: Sequence[str], below: Sequence[str]) -> list[str]:
    """Two names in a row, without repeating the word where they meet (`EmailAddr.Address`)."""
    words = list(above)
    # `CustomerRef.value` holds the key of another record; `value` elsewhere says nothing.
    if words and words[-1] == "reference":
        words = words[:-1]
        if list(below) == ["value"]:
            return [*words, "id"]
    for word in below:
        if not words or words[-1] != word:
            words.append(word)
    return words


def _strip(concepts: Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """Concepts without fillers, unless there is nothing else, and without numbers."""
    return tuple(
        concept
        for concept in concepts
        if not (concept.startswith("~") and (concept[1:] in vocabulary.fillers or concept[1:].isdigit()))
    )


def _all_generic(concepts: Sequence[str], vocabulary: Vocabulary) -> bool:
    return all(vocabulary.weight(concept) < _GENERIC and concept not in _SIDES for concept in concepts)


def _is_own_id(
    words: Sequence[str], concepts: Sequence[str], scope: str, segments: Sequence[Segment], vocabulary: Vocabulary
) -> bool:
    """Bare `id` or `uuid`, or the subject's name and `id`, of the record or of an item in a list.

    In an object inside (`Contact.ContactID`) it points at another record; a further word (`shopOrderId`, `woo_id`)
    makes it a foreign key.
    """
    if len(segments) > 1 and not segments[-2][1]:
        return False
    if list(words) in _OWN_IDS:
        return len(segments) == 1 or set(concepts) <= {scope, "id", "uuid", "position"}
    if words[-1:] != ["id"] or not scope or any(word in vocabulary.fillers for word in words):
        return False
    named = set(vocabulary.concepts(words[:-1]))
    if len(segments) > 1:
        # The id of an item of a list of payments or documents points at them; lines belong to their record.
        return scope == "line" and named == {"line"}
    return named == {scope}


def _says_nothing(words: Sequence[str], vocabulary: Vocabulary) -> bool:
    return all(word in vocabulary.fillers or word.isdigit() for word in words)


def _in_scope(concepts: tuple[str, ...], scope: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Bare concepts read within their scope: `date` of a payment is the payment date."""
    table = vocabulary.in_scope.get(scope, {})
    rest = [concept for concept in concepts if concept != scope]
    if len(rest) == 1 and rest[0] in table:
        return table[rest[0]]
    if not rest and len(concepts) == 1 and concepts[0] in table:
        return table[concepts[0]]
    if concepts and concepts[-1] == "address" and "id" not in concepts:
        return concepts[:-1] if "email" in concepts else (*concepts[:-1], "address_line1")
    return tuple(concepts)


def _scope(
    segments: Sequence[Segment],
    parents: Sequence[tuple[str, ...]],
    reading: Surroundings,
    vocabulary: Vocabulary,
    root: str,
) -> tuple[str, int]:
    """The subject of the nearest parent that names one, and its position; (root, -1) when none does."""
    for position in range(len(parents) - 1, -1, -1):
        concepts = vocabulary.concepts(parents[position])
        shown = reading.subjects.get(tuple(segments[: position + 1]), "")
        if shown and "payment" not in concepts:
            return shown, position
        if "line" in concepts or (position == 0 and concepts == ("product",)):
            scope = "line"
            if "shipping_total" in concepts or "shipping" in concepts or "ship_method" in concepts:
                scope = "shipping_line"
            elif "tax_total" in concepts:
                scope = "tax_line"
            return scope, position
        for concept in concepts:
            scope = vocabulary.scope_words.get(concept, "")
            if scope:
                return scope, position
    return root, -1


def _side(parts: Sequence[tuple[str, ...]], vocabulary: Vocabulary) -> str:
    """The nearest word for a side; `shipping` counts only where it is no cost or method."""
    for part in reversed(parts):
        concepts = vocabulary.concepts(part)
        for side in _SIDES:
            if side in concepts:
                return side
    return ""
