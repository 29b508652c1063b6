"""Pseudonyms keep format and joins, and need the key."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapper_ai.core.formats import recognise
from mapper_ai.core.personal import SOMEBODY, kind_of_field
from mapper_ai.core.pseudonyms import KINDS, Pseudonyms

ONE, OTHER = Pseudonyms(b"k" * 32), Pseudonyms(b"o" * 32)


def test_email_addresses_stay_valid_and_join_whatever_their_case() -> None:
    first, second = ONE.email("Anna.Kowalska+shop@Tea-House.pl"), ONE.email("anna.kowalska+shop@tea-house.pl")
    assert first.casefold() == second.casefold()
    assert recognise(first) == "email"
    assert first.endswith(".example")
    assert not {"anna", "kowalska", "tea", "house"} & set(
        first.casefold().replace("@", ".").replace("-", ".").split(".")
    )
    assert ONE.email("anna@x.pl") != ONE.email("anno@x.pl") != OTHER.email("anno@x.pl")


def test_short_addresses_do_not_fall_together() -> None:
    given_addresses = [f"{a}{b}@x.de" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    assert len({ONE.email(address) for address in given_addresses}) == len(given_addresses)


@pytest.mark.parametrize(
    "name", ["Łucja", "O'Brien-McKay", "Иванова", "Παπαδόπουλος", "山田太郎", "김민준", "ÅSA", "محمد"]
)
def test_names_keep_length_case_and_script(name: str) -> None:
    made = ONE.words(name)
    assert made != name
    assert len(made) == len(name)
    assert [sign.isupper() for sign in made] == [sign.isupper() for sign in name]
    assert [sign.isalpha() for sign in made] == [sign.isalpha() for sign in name]
    assert [ord(sign) < 0x250 for sign in made] == [ord(sign) < 0x250 for sign in name]


def test_a_full_name_still_consists_of_first_and_last() -> None:
    assert ONE.words("Anna Kowalska") == f"{ONE.words('Anna')} {ONE.words('Kowalska')}"


def test_phones_keep_country_and_digits_and_join_across_spellings() -> None:
    spaced, plain, other = ONE.phone("+49 (30) 5550-100"), ONE.phone("+49305550100"), ONE.phone("0049305550100")
    digits = "".join(filter(str.isdigit, spaced))
    assert spaced.startswith("+49 (") and len(digits) == len("49305550100")
    assert plain == f"+{digits}"
    assert other == f"00{digits}"
    assert ONE.phone("+420 601 123 456").startswith("+420 ")
    assert ONE.phone("030 5550100").startswith("0")


def test_companies_keep_their_legal_form_and_tax_ids_their_country() -> None:
    assert ONE.company("Teehaus Müller GmbH").endswith(" GmbH")
    made = ONE.tax_id("DE123456789")
    assert made.startswith("DE") and made[2:].isdigit() and len(made) == 11 and made != "DE123456789"


def test_other_kinds_keep_their_form() -> None:
    assert recognise(ONE.birth_date("1984-03-09")) == "date" and ONE.birth_date("1984-03-09")[:4] == "1984"
    assert ONE.ip("203.0.113.9").startswith("10.") and ONE.ip("2001:4860::8888").startswith("2001:db8::")
    assert ONE.place("52.520008")[:3] == "52." and len(ONE.place("52.520008")) == 9
    assert ONE.code("SW1A 2AA")[4] == " " and ONE.code("10115") != "10115"
    assert recognise(ONE.link("https://kowalska.pl/about")) == "url"


def test_free_text_loses_its_words_and_contacts() -> None:
    made = ONE.free_text("Call Anna at +48 601 123 456, or anna@kowalska.pl!")
    assert not [word for word in ("Call", "Anna", "601", "anna@", "kowalska") if word in made]
    assert "+48 " in made and ".example!" in made and ONE.words("Anna") in made


@given(st.sampled_from(KINDS), st.text(max_size=60))
def test_any_text_has_a_pseudonym_that_is_the_same_again(kind: str, text: str) -> None:
    made = ONE.replace(kind, text)
    assert made == ONE.replace(kind, text)
    assert bool(made.strip()) == bool(text.strip())


@pytest.mark.parametrize(
    ("path", "siblings", "kind"),
    [
        ("customer.firstName", "", "name"),
        ("billing_address.fname", "", "name"),
        ("billingFirstName", "", "name"),
        ("customer.name", "", SOMEBODY),
        ("name", "email phone", SOMEBODY),
        ("name", "sku price", ""),
        ("lineItems.name", "sku quantity", ""),
        ("shippingLines.name", "price", ""),
        ("customer.group.name", "id", ""),
        ("customer", "id total", SOMEBODY),
        ("customer.company", "", "company"),
        ("email", "", "email"),
        ("mob_phone", "", "phone"),
        ("p_street", "", "address"),
        ("s_code", "", "postcode"),
        ("billingAddress.city", "", "address"),
        ("billingAddress.countryCode", "", ""),
        ("billingAddress.state", "", ""),
        ("customer.taxId", "email", "taxid"),
        ("lineItems.taxId", "sku", ""),
        ("vat_number", "", "taxid"),
        ("customerNote", "", "text"),
        ("lineItems.description", "sku", ""),
        ("clientIp", "", "ip"),
        ("orderNumber", "email", ""),
        ("primaryContactFirstName", "", "name"),
        ("PrimaryPhone.FreeFormNumber", "", "phone"),
        ("contact_mobile", "", "phone"),
        ("defaultAddress", "", "address"),
        ("displayName", "email", "name"),
        ("displayName", "unitPrice", ""),
        ("handle", "price", ""),
        ("vat", "email", "taxid"),
        ("Bill_to_City", "", "address"),
        ("private_notes", "", "text"),
        ("CustomerMemo.value", "", "text"),
        ("CustomerRef.name", "", SOMEBODY),
        ("code", "street city province", "postcode"),
        ("code", "name rate", ""),
        ("is_shipping_address", "city", ""),
        ("credit_note", "", ""),
        ("lines.number", "sku", ""),
        ("customerId", "", ""),
        ("status", "", ""),
        ("total", "", ""),
        ("createdAt", "", ""),
        ("sku", "", ""),
        ("currency", "", ""),
    ],
)
def test_personal_fields_are_told_by_name_and_place(path: str, siblings: str, kind: str) -> None:
    assert kind_of_field(path.split("."), siblings.split()) == kind
