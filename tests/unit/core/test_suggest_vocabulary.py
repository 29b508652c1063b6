"""Names are cut, folded and read as concepts."""

from __future__ import annotations

import pytest

from mapper_ai.core.vocabulary import build_vocabulary, load_vocabulary, singular

WORDS = load_vocabulary()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("billToAddr_2", ("billing", "to", "address", "2")),
        ("UpdatedDateUTC", ("updated", "date", "utc")),
        ("E_Mail", ("e", "mail")),
        ("customerid", ("customer", "id")),
        ("trandate", ("transaction", "date")),
        ("POBox", ("po", "box")),
        ("Straße", ("strasse",)),
        ("taxes", ("tax",)),
        ("EmailAddr.Address", ("email", "address")),
        ("注文日", ("注文日",)),
        ("$", ()),
        ("", ()),
    ],
)
def test_a_name_is_cut_into_plain_words(name: str, words: tuple[str, ...]) -> None:
    assert WORDS.normalise(name) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fname", "firstName"),
        ("given_name", "first_name"),
        ("zip", "PostalCode"),
        ("PLZ", "post_code"),
        ("qty", "Quantity"),
        ("organization", "companyName"),
        ("orderDate", "create_date"),
        ("vatNumber", "taxId"),
        ("unit_cost", "unitPrice"),
        ("Menge", "quantity"),
        ("order_number", "InvoiceNo"),
    ],
)
def test_synonyms_and_abbreviations_mean_the_same(one: str, other: str) -> None:
    assert WORDS.concepts(WORDS.normalise(one)) == WORDS.concepts(WORDS.normalise(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("billing", "shipping"), ("first_name", "last_name"), ("created", "updated"), ("email", "phone")],
)
def test_opposites_speak_against_each_other(one: str, other: str) -> None:
    assert WORDS.related[(min(one, other), max(one, other))] < 0


def test_words_that_only_look_plural_stay() -> None:
    assert [singular(word) for word in ("status", "address", "boxes", "companies", "gas")] == [
        "status",
        "address",
        "box",
        "company",
        "gas",
    ]


def test_a_relation_of_an_unknown_concept_is_refused() -> None:
    raw = {
        "concepts": {"a": "a"},
        "abbreviations": {},
        "composites": {},
        "weights": {},
        "related": [["a", "b", 0.5]],
        "opposites": [],
        "fillers": "",
        "scopes": {},
        "scope_words": {},
        "in_scope": {},
        "families": {},
    }
    with pytest.raises(ValueError, match="unknown concepts: b"):
        build_vocabulary(raw)


def test_every_meaning_in_the_vocabulary_is_a_concept() -> None:
    meanings = {concept for phrase in WORDS.phrases.values() for concept in phrase}
    for table in WORDS.in_scope.values():
        meanings.update(concept for meaning in table.values() for concept in meaning)
    for group in (*WORDS.families.values(), *WORDS.scopes.values()):
        meanings.update(group)
    known = {concept for phrase, found in WORDS.phrases.items() for concept in found}
    assert {name for name in meanings if not name.startswith("~")} <= known
