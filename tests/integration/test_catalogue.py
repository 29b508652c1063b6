"""Products as items: variants, prices, taxes, SKUs that change or clash, ends and comebacks, people's changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import Known
from connectors.sandbox.faults import ScriptedFault
from mapspec.approval import approve
from mapspec.codec import dump_spec, load_spec
from sync.runner import run
from tests.flows import MAPPINGS, Books, envelope, reasons
from tests.lives import again_writes_nothing, by_person, life, made_by_person, policies

ACTIVE, DELETED, ARCHIVED = 0, 1, 2
ARCHIVE = policies(items={"ended": "archive"})
MUG = {"id": "902", "sku": "MUG-1", "name": "Mug", "price": "9.50", "currency": "USD"}


def updated(day: int, **changes: Any) -> dict[str, Any]:
    return envelope("product.updated", {**MUG, "updatedAt": f"2026-04-{day:02}T10:00:00Z", **changes})


def items(books: Books) -> dict[str, tuple[str, str]]:
    """Name and price of each item by its SKU."""
    return {row["sku"]: (row["name"], row["unit_cost"]["amount"]) for row in books.table("item")}


def in_turn(books: Books, events: list[dict[str, Any]]) -> Any:
    """Each event in a run of its own, so that none is overtaken by the next."""
    for event in events:
        report = books.run(event)
    return report


def notes(report: Any) -> dict[str, str]:
    return {row["kind"]: row["message"] for row in report.status["notes"]}


# --- variants --------------------------------------------------------------------------------------------------------


def test_each_sku_is_an_item_and_a_parent_without_one_is_none(books: Books) -> None:
    events = life("product__variants")
    report = books.run(*events)
    assert items(books) == {"SHIRT-S": ("Linen shirt - S", "48.00"), "SHIRT-M": ("Linen shirt - M", "49.50")}
    assert {row["description"] for row in books.table("item")} == {"Washed linen"}
    assert "variant 3 has no SKU" in notes(report)["not-variant"]
    again_writes_nothing(books, *events)


def test_a_parent_with_a_sku_of_its_own_is_an_item_too_and_a_variant_goes_before_it(books: Books) -> None:
    variants = [{"id": "1", "sku": "mug-1", "name": "small"}, {"id": "2", "sku": "MUG-2", "name": "large"}]
    books.run(updated(1, variants=variants))
    assert items(books) == {"mug-1": ("Mug - small", "9.50"), "MUG-2": ("Mug - large", "9.50")}
    books.run(updated(2, sku="MUG-ALL", variants=variants))
    assert sorted(items(books)) == ["MUG-2", "MUG-ALL", "mug-1"]


def test_two_variants_with_one_sku_are_held(books: Books) -> None:
    variants = [{"id": "1", "sku": "M-1", "name": "small"}, {"id": "2", "sku": "m-1 ", "name": "large"}]
    assert reasons(books.run(updated(1, sku=None, variants=variants))) == {"product:902": "duplicate-sku"}
    assert books.table("item") == []


@pytest.mark.parametrize(("choice", "state"), [("leave", ACTIVE), ("archive", ARCHIVED)])
def test_the_item_of_a_variant_that_is_gone(make_books: Callable[..., Books], choice: str, state: int) -> None:
    books = make_books(books=policies(items={"ended": choice}))
    events = life("product__variant-gone")
    report = in_turn(books, events)
    assert {row["sku"]: row["vis_state"] for row in books.table("item")} == {"SHIRT-S": ACTIVE, "SHIRT-M": state}
    assert ("sku-gone" in notes(report)) == (choice == "leave")
    again_writes_nothing(books, events[1])
    back = {**events[0]["data"]["resource"], "updatedAt": "2026-04-09T10:00:00Z"}
    books.run(envelope("product.updated", back))
    assert {row["vis_state"] for row in books.table("item")} == {ACTIVE}
    assert len(books.table("item")) == 2


# --- prices, taxes, texts --------------------------------------------------------------------------------------------


def test_prices_follow_in_every_currency_and_are_never_rounded(books: Books) -> None:
    events = life("product__prices")
    seen = []
    for event in events:
        report = books.run(event)
        assert report.status["held"] == []
        seen.append(books.table("item")[0]["unit_cost"])
    assert seen == [
        {"amount": "9.50", "code": "USD"},
        {"amount": "9.90", "code": "USD"},
        {"amount": "1450", "code": "JPY"},
        {"amount": "1450", "code": "JPY"},
    ]
    assert "item.unit_cost: expected at most 2 decimals" in notes(report)["check-failed"]


def with_taxes(folder: Path) -> Path:
    """The shipped mappings, with the taxes of two tax codes named."""
    made = folder / "mappings"
    made.mkdir()
    for path in MAPPINGS.glob("*.yaml"):
        text = path.read_text("utf-8")
        if path.stem == "product-to-item":
            spec = load_spec(text)
            table = spec.tables["item_taxes"].model_copy(update={"rows": {"GENERAL": "Sales tax", "BOOKS": "Reduced"}})
            spec = spec.model_copy(
                update={"settings": {**spec.settings, "item_taxes": "set"}, "tables": {"item_taxes": table}}
            )
            text = dump_spec(approve(spec, None, by="books", at="2026-11-22T12:00:00Z"))
        made.joinpath(path.name).write_text(text, encoding="utf-8")
    return made


def test_taxes_of_items_follow_where_the_mapping_says_so(make_books: Callable[..., Books], tmp_path: Path) -> None:
    books = make_books(books={"mappings": with_taxes(tmp_path)})
    general = made_by_person(books, "tax", name="Sales tax", amount="8.25")
    reduced = made_by_person(books, "tax", name="Reduced", amount="5")
    seen = []
    for event in life("product__taxes"):
        assert books.run(event).status["held"] == []
        seen.append(books.table("item")[0]["tax1"])
    assert seen == [general, reduced, 0]


def test_taxes_of_items_are_left_alone_by_default(books: Books) -> None:
    events = life("product__taxes")
    books.run(events[0])
    by_person(books, "item", books.table("item")[0]["id"], tax1=made_by_person(books, "tax", name="VAT", amount="20"))
    before = books.table("item")[0]["tax1"]
    in_turn(books, events[1:])
    assert books.table("item")[0]["tax1"] == before != 0


def test_a_tax_that_freshbooks_does_not_have_is_told(make_books: Callable[..., Books], tmp_path: Path) -> None:
    books = make_books(books={"mappings": with_taxes(tmp_path)})
    report = books.run(life("product__taxes")[0])
    assert report.status["held"] == []
    assert "unknown-tax" in notes(report)
    assert books.table("item")[0]["tax1"] == 0


def test_what_a_person_changed_stays_and_the_price_follows(books: Books) -> None:
    books.run(updated(1, description="Blue"))
    number = books.table("item")[0]["id"]
    by_person(books, "item", number, name="Mug, our best", description="")
    report = books.run(updated(2, description="Blue", price="9.90"))
    assert items(books) == {"MUG-1": ("Mug, our best", "9.90")}
    assert books.table("item")[0]["description"] == ""
    assert "kept-from-freshbooks" in notes(report)
    assert reasons(books.run(updated(3, name="Great mug", price="9.95"))) == {"product:902": "changed-in-freshbooks"}
    assert items(books) == {"MUG-1": ("Mug, our best", "9.90")}


# --- SKUs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["rename", "new"])
def test_a_product_s_new_sku(make_books: Callable[..., Books], choice: str) -> None:
    books = make_books(books=policies(items={"ended": "archive", "new_sku": choice}))
    events = life("product__new-sku")
    in_turn(books, events)
    rows = [(row["sku"], row["name"], row["vis_state"]) for row in books.table("item")]
    renamed = [("MUG-BLUE", "Blue mug", ACTIVE)]
    assert rows == (renamed if choice == "rename" else [("MUG-1", "Mug", ARCHIVED), *renamed])
    again_writes_nothing(books, events[1])


def test_a_variant_s_new_sku_goes_to_the_item_it_has(books: Books) -> None:
    events = life("product__variant-new-sku")
    in_turn(books, events)
    assert items(books) == {"SHIRT-S": ("Linen shirt - S", "48.00"), "SHIRT-MEDIUM": ("Linen shirt - M", "49.50")}
    again_writes_nothing(books, events[1])


def test_an_item_that_has_the_new_sku_already_is_taken(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    events = life("product__new-sku")
    books.run(events[0])
    other = made_by_person(books, "item", name="Blue one", sku="mug-blue")
    assert books.run(events[1]).status["held"] == []
    assert [(row["id"] == other, row["vis_state"]) for row in books.table("item")] == [
        (False, ARCHIVED),
        (True, ACTIVE),
    ]


def test_a_sku_that_another_product_has_is_held(books: Books) -> None:
    events = life("product__same-sku")
    report = in_turn(books, events)
    assert reasons(report) == {"product:903": "sku-of-another-product"}
    assert items(books) == {"MUG-1": ("Mug", "9.50")}
    assert reasons(books.run({**events[1], "id": "again"})) == {"product:903": "sku-of-another-product"}
    assert reasons(books.run(updated(8, sku="MUG-9"))) == {}
    assert items(books) == {"MUG-9": ("Mug", "9.50"), "mug-1": ("Another mug", "9.50")}


@pytest.mark.parametrize(
    ("frees", "taken_over"),
    [
        (updated(8, sku="MUG-9"), {"MUG-9": ("Mug", "9.50"), "mug-1": ("Another mug", "9.50")}),
        (updated(8, active=False), {"mug-1": ("Another mug", "9.50")}),
        ({**updated(8), "type": "product.deleted"}, {"mug-1": ("Another mug", "9.50")}),
        (updated(8, variants=[{"id": "1", "sku": "MUG-9"}], sku=None), None),
    ],
    ids=["renamed", "deactivated", "deleted", "a-variant-instead"],
)
@pytest.mark.parametrize("ended", ["leave", "archive"])
def test_what_is_held_for_a_sku_goes_on_by_itself_once_the_sku_is_free(
    make_books: Callable[..., Books], frees: dict[str, Any], taken_over: dict[str, Any] | None, ended: str
) -> None:
    books = make_books(books=policies(items={"ended": ended}))
    assert reasons(in_turn(books, life("product__same-sku"))) == {"product:903": "sku-of-another-product"}
    assert reasons(books.run(updated(7, price="9.75"))) == {"product:903": "sku-of-another-product"}
    assert reasons(books.run(frees)) == {}
    assert "mug-1" in items(books)
    assert taken_over is None or set(items(books)) == set(taken_over)
    assert items(books)["mug-1"][0] == "Another mug"
    assert [row["sku"] for row in books.table("item") if row["vis_state"] == ACTIVE].count("mug-1") == 1


def test_skus_in_two_cases_are_two_where_the_store_says_so(books: Books) -> None:
    source = Known("clarity-rest", "shipped", books.settings.profile.with_settings({"A36": "exact"}))
    settings = books.settings.model_copy(update={"source": source})
    for _ in range(2):
        for event in life("product__same-sku"):
            events = books.file([event])
            assert run(settings, books.mappings, events=events, max_wait_s=60).status["held"] == []
        assert items(books) == {"MUG-1": ("Mug", "9.50"), "mug-1": ("Another mug", "9.50")}


# --- ends and comebacks ----------------------------------------------------------------------------------------------


def test_an_item_is_archived_with_its_product_and_comes_back_with_it(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    events = life("product__deactivated")
    in_turn(books, events[:2])
    assert [row["vis_state"] for row in books.table("item")] == [ARCHIVED]
    again_writes_nothing(books, *events[:2])
    books.run(events[2])
    assert [(row["vis_state"], row["unit_cost"]["amount"]) for row in books.table("item")] == [(ACTIVE, "10.25")]
    again_writes_nothing(books, *events)


def test_an_item_is_left_alone_by_default(books: Books) -> None:
    report = in_turn(books, life("product__deactivated")[:2])
    assert [row["vis_state"] for row in books.table("item")] == [ACTIVE]
    assert [line["reason_id"] for line in report.status["skipped"]] == ["inactive"]


def test_every_item_of_a_deleted_product_is_archived(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    books.run(*life("product__variants"))
    books.run({"id": "gone", "type": "product.deleted", "data": {"object": "product", "id": "901"}})
    assert {row["vis_state"] for row in books.table("item")} == {ARCHIVED}


def test_a_product_that_was_never_an_item_ends_without_a_word_to_freshbooks(make_books: Callable[..., Books]) -> None:
    books = make_books(books=ARCHIVE)
    in_turn(books, life("product__deactivated")[1:2])
    assert books.writes() == []


def test_an_item_that_a_person_deleted_is_not_made_again(books: Books) -> None:
    books.run(updated(1))
    by_person(books, "item", books.table("item")[0]["id"], vis_state=DELETED)
    report = books.run(updated(2, price="12.00"))
    assert report.status["held"] == []
    assert "item-deleted" in notes(report)
    assert [(row["vis_state"], row["unit_cost"]["amount"]) for row in books.table("item")] == [(DELETED, "9.50")]


def test_an_item_that_a_person_archived_stays_archived_and_follows_its_price(books: Books) -> None:
    books.run(updated(1))
    by_person(books, "item", books.table("item")[0]["id"], vis_state=ARCHIVED)
    books.run(updated(2, price="12.00"))
    assert [(row["vis_state"], row["unit_cost"]["amount"]) for row in books.table("item")] == [(ARCHIVED, "12.00")]


@pytest.mark.parametrize(("choice", "name"), [("update", "Mug"), ("fill", "My mug")])
def test_an_item_that_was_there_before(make_books: Callable[..., Books], choice: str, name: str) -> None:
    books = make_books(books=policies(items={"found": choice}))
    made_by_person(books, "item", name="My mug", sku="mug-1")
    books.run(updated(1, description="Blue"))
    (item,) = books.table("item")
    assert (item["name"], item["description"], item["unit_cost"]["amount"]) == (name, "Blue", "9.50")


@pytest.mark.parametrize("fault", ["lost_answer", "cut_before", "late_apply"])
def test_a_lost_answer_to_an_archiving_is_no_lost_archiving(make_books: Callable[..., Books], fault: str) -> None:
    books = make_books(books=ARCHIVE)
    events = life("product__deactivated")
    books.run(events[0])
    with books.sandbox.state.lock:
        books.sandbox.state.faults.script(ScriptedFault(fault, method="PUT", path="items/items/"))
    assert books.run(events[1]).status["held"] == []
    assert [row["vis_state"] for row in books.table("item")] == [ARCHIVED]
