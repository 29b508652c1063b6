"""An order's money as invoice lines; every expectation is computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from mapspec.errors import TransformError
from mapspec.lines import price_order
from mapspec.model import LineMoney
from mapspec.numbers import plain
from mapspec.ops import CompileContext
from mapspec.order_money import OrderReader
from mapspec.order_parts import Charge, Item, OrderMoney, PricedOrder, TaxAmount
from mapspec.paths import Scope, parse_path
from mapspec.totals import Tax

Number = str | None


def dec(value: Number) -> Decimal | None:
    return None if value is None else Decimal(value)


def item(
    quantity: str = "1",
    price: str = "10.00",
    *,
    discount: str = "0",
    tax: Number = None,
    taxes: Sequence[TaxAmount] = (),
    total: Number = None,
) -> Item:
    return Item(0, Decimal(quantity), Decimal(price), dec(total), Decimal(discount), dec(tax), tuple(taxes))


def rebate(amount: str) -> Item:
    return Item(0, Decimal(1), Decimal(amount), Decimal(amount), Decimal(0), None, (), is_discount=True)


def tax(name: str, percent: Number, amount: Number = None) -> TaxAmount:
    return TaxAmount(name, dec(percent), dec(amount))


def charge(name: str, amount: str, charge_tax: Number = None) -> Charge:
    return Charge(name, Decimal(amount), dec(charge_tax))


def order(*items: Item, total: str, currency: str = "USD", **rest: Any) -> OrderMoney:
    numbered = tuple(
        Item(i, x.quantity, x.unit_price, x.line_total, x.discount, x.tax, x.taxes, x.is_discount)
        for i, x in enumerate(items)
    )
    for name in ("subtotal", "discount", "tax"):
        rest[name] = dec(rest.get(name))
    for name in ("charges", "taxes"):
        rest[name] = tuple(rest.get(name, ()))
    return OrderMoney(currency=currency, items=numbered, total=Decimal(total), **rest)


def shown(priced: PricedOrder) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [(str(x.quantity), str(x.unit_cost), [(t.name, plain(t.percent)) for t in x.taxes]) for x in priced.lines]


def reason_of(money: OrderMoney) -> str:
    with pytest.raises(TransformError) as caught:
        price_order(money)
    assert caught.value.message
    return caught.value.reason


TX = tax("TX", "8.25")

# --- prices and discounts --------------------------------------------------------------------------------------


def test_exclusive_prices_keep_quantity_and_price() -> None:
    # 2 × 10.00 = 20.00, 8.25 % = 1.65
    money = order(item("2", tax="1.65", total="20.00"), subtotal="20.00", tax="1.65", total="21.65", taxes=[TX])
    priced = price_order(money)
    assert shown(priced) == [("2", "10.00", [("TX", "8.25")])]
    assert priced.lines[0].note == ""
    assert set(priced.predicted.values()) == {Decimal("21.65")}


def test_inclusive_prices_are_netted_by_the_tax_amounts() -> None:
    # 2 × 12.00 incl. 20 %: tax 4.00, net 20.00, so 10.00 each
    money = order(
        item("2", "12.00", tax="4.00", total="24.00"), subtotal="24.00", tax="4.00", total="24.00",
        taxes=[tax("VAT", "20")], prices_include_tax=True,
    )  # fmt: skip
    priced = price_order(money)
    assert shown(priced) == [("2", "10.00", [("VAT", "20")])]
    assert priced.lines[0].note == "12.00 incl. tax"


def test_inclusive_prices_that_do_not_divide_stand_as_one_line_net() -> None:
    # 3 × 9.99 = 29.97 incl. 20 %: tax 5.00 (29.97/6 = 4.995), net 24.97, 24.97/3 does not divide
    money = order(
        item("3", "9.99", tax="5.00", total="29.97"), subtotal="29.97", tax="5.00", total="29.97",
        taxes=[tax("VAT", "20")], prices_include_tax=True,
    )  # fmt: skip
    priced = price_order(money)
    assert shown(priced) == [("1", "24.97", [("VAT", "20")])]
    assert priced.lines[0].note == "3 × 9.99, price incl. tax"
    assert priced.predicted["line"] == Decimal("29.96")  # 24.97 + 4.99; a rounding line brings the cent


def test_inclusive_prices_with_only_an_order_tax_spread_it() -> None:
    # 12.00 + 6.00 = 18.00 incl. 20 %: 3.00 tax, spread 2.00 and 1.00
    money = order(
        item(price="12.00"), item(price="6.00"), subtotal="18.00", tax="3.00", total="18.00",
        taxes=[tax("VAT", "20", "3.00")], prices_include_tax=True,
    )  # fmt: skip
    assert [str(line.net) for line in price_order(money).lines] == ["10.00", "5.00"]


def test_inclusive_prices_find_their_rate_in_the_approved_table() -> None:
    rates = {"VAT": Decimal(20), "Reduced": Decimal(5)}
    money = order(item(price="12.00"), tax="2.00", total="12.00", prices_include_tax=True, approved_rates=rates)
    assert shown(price_order(money)) == [("1", "10.00", [("VAT", "20")])]
    assert (
        reason_of(order(item(price="12.00"), tax="2.00", total="12.00", prices_include_tax=True)) == "tax-rate-unknown"
    )


def test_inclusive_prices_with_two_taxes_of_the_order() -> None:
    # 115.00 incl. 5 % and 10 %: 15.00 tax on 100.00; the shipping of 3.00 is untaxed
    money = order(
        item(price="69.00"), item(price="46.00"), charges=[charge("Shipping", "3.00")], subtotal="115.00", tax="15.00",
        total="118.00", taxes=[tax("A", "5"), tax("B", "10")], prices_include_tax=True,
    )  # fmt: skip
    both = [("A", "5"), ("B", "10")]
    assert shown(price_order(money)) == [("1", "60.00", both), ("1", "40.00", both), ("1", "3.00", [])]


def test_equal_inclusive_lines_balance_each_other_to_the_cent() -> None:
    # each is 8.325 net: taken one by one, 8.32 loses a cent a line, and six of them more than may be corrected
    lines = [item("1", "9.99", tax="1.67") for _ in range(6)]
    priced = price_order(
        order(*lines, total="59.94", tax="10.02", taxes=[tax("VAT", "20", "10.02")], prices_include_tax=True)
    )
    assert sorted(line.net for line in priced.lines) == [Decimal("8.32")] * 3 + [Decimal("8.33")] * 3
    assert set(priced.predicted.values()) == {Decimal("59.94")}


def test_few_inclusive_lines_keep_the_order_s_own_amounts() -> None:
    lines = [item("1", "9.99", tax="1.67") for _ in range(3)]
    priced = price_order(
        order(*lines, total="29.97", tax="5.01", taxes=[tax("VAT", "20", "5.01")], prices_include_tax=True)
    )
    assert [line.net for line in priced.lines] == [Decimal("8.32")] * 3


def test_inclusive_lines_that_name_rates_alone_are_netted_by_them() -> None:
    full, low, none = [tax("VAT", "20")], [tax("VAT low", "5")], []
    lines = [item("1", "12.00", taxes=full), item("1", "10.50", taxes=low), item("1", "7.00", taxes=none)]
    priced = price_order(order(*lines, total="29.50", tax="2.50", prices_include_tax=True))
    assert [(line.net, len(line.taxes)) for line in priced.lines] == [
        (Decimal("10.00"), 1),
        (Decimal("10.00"), 1),
        (Decimal("7.00"), 0),
    ]


def test_a_line_without_taxes_beside_lines_that_name_theirs_is_untaxed() -> None:
    lines = [item("1", "100.00", taxes=[tax("VAT", "20")]), item("1", "50.00")]
    priced = price_order(order(*lines, total="182.00", tax="22.00", charges=[charge("Handling", "10.00")]))
    assert [len(line.taxes) for line in priced.lines] == [1, 0, 1]


def test_all_lines_together_tell_the_approved_rate_that_one_alone_does_not() -> None:
    rates = {"A": Decimal("8.25"), "B": Decimal("8.5")}
    small, large = item("1", "2.00", tax="0.17"), item("1", "48.00", tax="3.96")
    priced = price_order(order(small, large, total="54.13", tax="4.13", approved_rates=rates))
    assert [line.taxes for line in priced.lines] == [(Tax("A", Decimal("8.25")),)] * 2
    with pytest.raises(TransformError) as refused:
        price_order(order(small, total="2.17", tax="0.17", approved_rates=rates))
    assert refused.value.reason == "tax-rate-unknown"


def test_an_approved_rate_is_looked_for_inside_the_gross_price() -> None:
    # 1.67 is inside 9.99 with 20 %, though 20 % of what is left, 8.32, are 1.66
    priced = price_order(
        order(
            item("1", "9.99", tax="1.67"),
            total="9.99",
            tax="1.67",
            prices_include_tax=True,
            approved_rates={"VAT": Decimal(20), "VAT 19": Decimal(19)},
        )
    )
    assert [line.taxes for line in priced.lines] == [(Tax("VAT", Decimal(20)),)]


def test_a_discount_of_everything_is_one_of_the_lines_as_they_are_added_up() -> None:
    lines = [item("7", "12.345", total="86.415"), item("1", "10.00")]
    priced = price_order(order(*lines, total="0", subtotal="96.42", discount="96.42"))
    assert [line.net for line in priced.lines] == [0, 0]


def test_a_charge_with_three_taxes_that_nobody_states_takes_the_mix_of_the_lines() -> None:
    taxes = [tax("S", "4", "8.00"), tax("C", "1.5", "3.00"), tax("T", "0.875", "1.75")]
    priced = price_order(
        order(
            item("1", "200.00", tax="12.75", taxes=taxes),
            total="219.57",
            tax="13.17",
            charges=[charge("Handling", "6.40")],
            combined_taxes={"S + C + T": "SCT"},
        )
    )
    assert [line.taxes for line in priced.lines] == [(Tax("SCT", Decimal("6.375")),)] * 2


def test_inclusive_prices_whose_tax_total_is_a_cent_off() -> None:
    money = order(
        item(price="12.00", tax="2.00"), charges=[charge("Shipping", "3.00")], subtotal="12.00", tax="2.01",
        total="15.00", taxes=[tax("VAT", "20")], prices_include_tax=True,
    )  # fmt: skip
    assert shown(price_order(money)) == [("1", "10.00", [("VAT", "20")]), ("1", "3.00", [])]


def test_inclusive_prices_with_net_shipping() -> None:
    # goods 12.00 incl. 2.00; shipping 5.00 net + 1.00: 12 + 5 + 1 = 18
    money = order(
        item(price="12.00", tax="2.00"), charges=[charge("Shipping", "5.00", "1.00")], subtotal="12.00", tax="3.00",
        total="18.00", taxes=[tax("VAT", "20")], prices_include_tax=True,
    )  # fmt: skip
    assert [str(line.net) for line in price_order(money).lines] == ["10.00", "5.00"]


def test_a_line_discount_that_divides_lowers_the_unit_cost() -> None:
    # 20.00 - 1.00 = 19.00 = 2 × 9.50; 8.25 % of 19.00 = 1.5675
    money = order(
        item("2", discount="1.00", tax="1.57", total="20.00"), subtotal="20.00", discount="1.00", tax="1.57",
        total="20.57", taxes=[TX],
    )  # fmt: skip
    priced = price_order(money)
    assert shown(priced) == [("2", "9.50", [("TX", "8.25")])]
    assert priced.lines[0].note == "list price 10.00, discount 1.00"


def test_a_line_discount_that_does_not_divide_stands_as_one_line_net() -> None:
    # 30.00 - 1.00 = 29.00; 29/3 does not divide
    money = order(item("3", discount="1.00"), subtotal="30.00", discount="1.00", total="29.00", tax="0")
    priced = price_order(money)
    assert shown(priced) == [("1", "29.00", [])]
    assert priced.lines[0].note == "3 × 10.00, discount 1.00"


def test_a_unit_price_is_never_rounded() -> None:
    # 7 × 12.345 = 86.415, shown as 86.42
    money = order(item("7", "12.345", total="86.42"), subtotal="86.42", total="86.42", tax="0")
    priced = price_order(money)
    assert shown(priced) == [("1", "86.42", [])]
    assert priced.lines[0].note == "7 × 12.345"


@pytest.mark.parametrize(
    ("quantity", "price", "net", "note"),
    [
        ("1", "9.999", "10.00", "1 × 9.999"),
        ("0.5", "10.01", "5.01", "0.5 × 10.01"),  # 10.02 would divide, and is not the order's price
        ("2", "5.005", "10.01", "2 × 5.005"),
    ],
)
def test_a_rounded_line_never_changes_the_price_in_silence(quantity: str, price: str, net: str, note: str) -> None:
    priced = price_order(order(item(quantity, price), total=net, tax="0"))
    assert shown(priced) == [("1", net, [])]
    assert priced.lines[0].note == note


def test_more_accepted_decimals_keep_the_unit_price() -> None:
    money = order(item("4", "12.345", total="49.38"), subtotal="49.38", total="49.38", tax="0", unit_cost_places=3)
    assert shown(price_order(money)) == [("4", "12.345", [])]


def test_an_order_discount_is_spread_to_the_cent() -> None:
    # 10.00 over 3 × 33.33 + 0.01 …: 33.34, 33.33, 33.33 are 100.00; 10 % off the sum is 10.00: 3.34, 3.33, 3.33
    money = order(
        item(price="33.34"), item(price="33.33"), item(price="33.33"), subtotal="100.00", discount="10.00",
        total="90.00", tax="0",
    )  # fmt: skip
    priced = price_order(money)
    assert [str(line.net) for line in priced.lines] == ["30.00", "30.00", "30.00"]
    assert priced.lines[0].note == "list price 33.34, discount 3.34"


def test_a_negative_discount_means_the_same() -> None:
    money = order(item(), subtotal="10.00", discount="-1.00", total="9.00", tax="0")
    assert shown(price_order(money)) == [("1", "9.00", [])]


def test_a_discount_larger_than_the_lines_holds() -> None:
    money = order(item(), charges=[charge("Shipping", "20.00", "0")], subtotal="10.00", discount="12.00", total="18.00")
    assert reason_of(money) == "discount-too-large"


def test_lines_with_more_discount_than_the_order_hold() -> None:
    assert (
        reason_of(order(item(discount="2.00"), subtotal="10.00", discount="1.00", total="9.00")) == "discounts-differ"
    )


@pytest.mark.parametrize(
    ("subtotal", "discount", "total"),
    [("20.00", "5.00", "15.00"), ("15.00", "0.00", "15.00"), ("15.00", None, "15.00"), ("20.00", None, "15.00"),
     (None, None, "15.00"), (None, "5.00", "15.00")],
    ids=["beside", "inside", "inside-untold", "beside-untold", "no-sums", "no-subtotal"],
)  # fmt: skip
@pytest.mark.parametrize("amount", ["5.00", "-5.00"])
def test_discount_rows_among_the_lines_are_no_products(
    amount: str, subtotal: Number, discount: Number, total: str
) -> None:
    money = order(item("2"), rebate(amount), subtotal=subtotal, discount=discount, total=total, tax="0")
    assert shown(price_order(money)) == [("2", "7.50", [])]


def test_a_free_order_has_lines_that_come_to_nothing() -> None:
    priced = price_order(order(item(discount="10.00"), subtotal="10.00", discount="10.00", total="0.00", tax="0"))
    assert shown(priced) == [("1", "0.00", [])]
    assert set(priced.predicted.values()) == {Decimal(0)}


def test_a_free_line_is_a_line() -> None:
    assert len(price_order(order(item(), item(price="0"), total="10.00", tax="0")).lines) == 2


def test_a_line_of_quantity_zero_is_left_out_with_a_note() -> None:
    priced = price_order(order(item("0", "5.00"), item(), subtotal="10.00", total="10.00", tax="0"))
    assert [line.row for line in priced.lines] == [1]
    assert priced.notes == (("zero-quantity-line", "line 1 has quantity 0 and was left out"),)


def test_fractional_quantities_stay() -> None:
    # 0.333 kg × 30.00 = 9.99
    assert shown(price_order(order(item("0.333", "30.00", total="9.99"), total="9.99", tax="0"))) == [
        ("0.333", "30.00", [])
    ]


@pytest.mark.parametrize(
    ("money", "reason"),
    [
        (order(total="0"), "no-lines"),
        (order(item("0"), total="0"), "no-lines"),
        (order(rebate("5.00"), total="-5.00"), "no-lines"),
        (order(item("-1"), item("2"), subtotal="10.00", total="10.00", tax="0"), "negative-line"),
        (order(item(price="-5.00"), item(), subtotal="5.00", total="5.00", tax="0"), "negative-line"),
        (order(item("2", total="19.00"), subtotal="19.00", total="19.00", tax="0"), "line-total-differs"),
        (order(item("0", total="5.00"), item(), total="10.00", tax="0"), "line-total-differs"),
        (order(item("2"), subtotal="25.00", total="25.00", tax="0"), "line-sum-differs"),
        (order(item(), subtotal="10.00", total="10.02", tax="0"), "totals-do-not-add-up"),
        (order(item(), subtotal="10.00", total="9.98", tax="0"), "totals-do-not-add-up"),
    ],
)
def test_what_cannot_be_explained_holds(money: OrderMoney, reason: str) -> None:
    assert reason_of(money) == reason


@pytest.mark.parametrize("total", ["10.01", "9.99"])
def test_a_total_that_differs_by_a_cent_passes(total: str) -> None:
    assert price_order(order(item(), subtotal="10.00", total=total, tax="0")).total == Decimal(total)


def test_negative_lines_pass_where_the_account_takes_them() -> None:
    money = order(item("2"), item("-1", "5.00"), subtotal="15.00", total="15.00", tax="0", negative_lines=True)
    assert shown(price_order(money)) == [("2", "10.00", []), ("-1", "5.00", [])]


# --- charges ---------------------------------------------------------------------------------------------------


def test_shipping_is_a_line_of_its_own_untaxed_where_the_order_says_so() -> None:
    money = order(
        item(tax="0.83"), charges=[charge("Shipping: Ground", "5.00", "0.00")], subtotal="10.00", tax="0.83",
        total="15.83", taxes=[TX],
    )  # fmt: skip
    priced = price_order(money)
    assert shown(priced) == [("1", "10.00", [("TX", "8.25")]), ("1", "5.00", [])]
    assert (priced.lines[1].row, priced.lines[1].name) == (None, "Shipping: Ground")


def test_shipping_carries_its_own_tax() -> None:
    # 8.25 % of 5.00 = 0.4125
    money = order(
        item(tax="0.83"), charges=[charge("Shipping", "5.00", "0.41")], subtotal="10.00", tax="1.24", total="16.24",
        taxes=[TX],
    )  # fmt: skip
    assert shown(price_order(money))[1] == ("1", "5.00", [("TX", "8.25")])


def test_a_fee_that_is_taxed_in_silence() -> None:
    # order tax 1.03 - line tax 0.83 = 0.20; 8.25 % of 2.40 is 0.198, of the handling's 7.00 0.58
    money = order(
        item(tax="0.83"), charges=[charge("Handling", "7.00"), charge("Fees", "2.40")], subtotal="10.00", tax="1.03",
        total="20.43", taxes=[TX],
    )  # fmt: skip
    assert shown(price_order(money))[1:] == [("1", "7.00", []), ("1", "2.40", [("TX", "8.25")])]


def test_two_taxes_rounded_on_a_line_and_on_a_charge_are_recognised() -> None:
    # 5 and 7 % of 154.50, 8.65 and 3.40, each rounded: 20.00, where 12 % of all that is 19.99
    taxes = [tax("GST", "5", "8.33"), tax("PST", "7", "11.67")]
    charges = [charge("Shipping", "24.00", "0.00"), charge("Handling", "8.65"), charge("Fee", "3.40", "0.41")]
    money = order(item("5", "30.90"), tax="20.00", taxes=taxes, charges=charges, total="210.55")
    assert [len(line.taxes) for line in price_order(money).lines] == [2, 0, 2, 2]


def test_two_fees_that_explain_the_tax_equally_well_hold() -> None:
    money = order(
        item(tax="0.83"), charges=[charge("Handling", "8.00"), charge("Fees", "8.00")], subtotal="10.00", tax="1.49",
        total="27.49", taxes=[TX],
    )  # fmt: skip
    assert reason_of(money) == "tax-rate-unknown"


def test_a_negative_fee_is_a_discount() -> None:
    money = order(item("2"), charges=[charge("Fees", "-2.00")], subtotal="20.00", total="18.00", tax="0")
    assert shown(price_order(money)) == [("2", "9.00", [])]


def test_a_charge_is_rounded_to_the_currency() -> None:
    money = order(item(), charges=[charge("Shipping", "5.0049", "0")], subtotal="10.00", total="15.00", tax="0")
    assert shown(price_order(money))[1] == ("1", "5.00", [])


def test_many_silent_charges_take_no_exponential_work() -> None:
    charges = [charge(f"Row {i}", "1.00") for i in range(200)]
    # 8.25 % of 10.00 + 200.00 = 17.325
    money = order(item(tax="0.83"), charges=charges, subtotal="10.00", tax="17.33", total="227.33", taxes=[TX])
    assert len(price_order(money).lines) == 201


# --- taxes -----------------------------------------------------------------------------------------------------

GST, PST = tax("GST", "5"), tax("PST", "7")


def test_two_taxes_on_a_line() -> None:
    # 100.00: 5.00 and 7.00
    money = order(
        item(price="100.00", tax="12.00", taxes=[tax("GST", "5", "5.00"), tax("PST", "7", "7.00")]),
        subtotal="100.00", tax="12.00", total="112.00",
    )  # fmt: skip
    priced = price_order(money)
    assert shown(priced) == [("1", "100.00", [("GST", "5"), ("PST", "7")])]
    assert not priced.lines[0].compound


def test_a_compound_tax_is_seen_by_its_amount() -> None:
    # 7 % of 105.00 = 7.35
    money = order(
        item(price="100.00", taxes=[tax("GST", "5", "5.00"), tax("PST", "7", "7.35")]), subtotal="100.00", tax="12.35",
        total="112.35",
    )  # fmt: skip
    priced = price_order(money)
    assert priced.lines[0].compound
    assert priced.predicted["line"] == Decimal("112.35")


def test_a_compound_tax_of_the_order_alone() -> None:
    priced = price_order(order(item(price="100.00"), subtotal="100.00", tax="12.35", total="112.35", taxes=[GST, PST]))
    assert priced.lines[0].compound


def test_an_order_tax_alone_falls_on_every_line() -> None:
    money = order(
        item(), item(price="30.00"), subtotal="40.00", tax="3.30", total="43.30", taxes=[tax("TX", "8.25", "3.30")]
    )
    assert [line[2] for line in shown(price_order(money))] == [[("TX", "8.25")], [("TX", "8.25")]]


def test_the_mix_of_taxes_is_told_by_the_amount() -> None:
    money = order(item(price="100.00", tax="5.00"), item(price="10.00", tax="1.20"), item(price="50.00", tax="0"),
                  subtotal="160.00", tax="6.20", total="166.20", taxes=[GST, PST])  # fmt: skip
    assert [line[2] for line in shown(price_order(money))] == [[("GST", "5")], [("GST", "5"), ("PST", "7")], []]


def test_the_amount_of_each_tax_tells_which_lines_bear_it() -> None:
    lines = [item("1", "100.00"), item("1", "50.00"), item("2", "8.00")]
    taxes = [tax("MwSt", "19", "19.95"), tax("MwSt 7", "7", "3.50")]
    priced = price_order(
        order(*lines, total="194.45", tax="23.45", taxes=taxes, charges=[charge("Shipping", "5.00", "0.95")])
    )
    assert [[t.percent for t in line.taxes] for line in priced.lines] == [[19], [7], [], [19]]
    taxes = [tax("GST", "5", "8.55"), tax("PST", "7", "7.35")]
    priced = price_order(order(*lines, total="186.90", tax="15.90", taxes=taxes, charges=[charge("Shipping", "5.00")]))
    assert [[t.percent for t in line.taxes] for line in priced.lines] == [[5, 7], [5], [5], [5, 7]]


def test_the_amount_of_each_tax_tells_it_inside_gross_prices_too() -> None:
    lines = [item("1", "119.00"), item("1", "53.50"), item("1", "7.00")]
    taxes = [tax("MwSt", "19", "19.95"), tax("MwSt 7", "7", "3.50")]
    priced = price_order(
        order(
            *lines,
            total="185.45",
            tax="23.45",
            taxes=taxes,
            charges=[charge("Shipping", "5.95")],
            prices_include_tax=True,
        )
    )
    assert [(plain(line.net, 2), [t.percent for t in line.taxes]) for line in priced.lines] == [
        ("100.00", [19]),
        ("50.00", [7]),
        ("7.00", []),
        ("5.00", [19]),
    ]


@pytest.mark.parametrize("percent", ["-100", "-5", "200"])
def test_a_gross_price_with_a_rate_that_is_no_share_holds(percent: str) -> None:
    lines = [item("1", "10.00", taxes=[tax("VAT", percent)])]
    with pytest.raises(TransformError) as refused:
        price_order(order(*lines, total="10.00", tax="1.00", prices_include_tax=True))
    assert refused.value.reason == "tax-rate-out-of-range"


def test_equal_lines_of_which_one_is_taxed_are_not_chosen_between() -> None:
    taxes = [tax("MwSt", "19", "1.90"), tax("MwSt 7", "7", "0.70")]
    with pytest.raises(TransformError) as refused:
        price_order(order(item("1", "10.00"), item("1", "10.00"), total="22.60", tax="2.60", taxes=taxes))
    assert refused.value.reason in ("tax-rate-unknown", "tax-does-not-agree")


def test_two_taxes_of_one_name_are_two_taxes() -> None:
    # state 6.25 % and city 2 % both named Sales tax: 0.63 + 0.20 on 10.00
    own = [tax("Sales tax", "6.25", "0.63"), tax("Sales tax", "2", "0.20")]
    priced = price_order(order(item(taxes=own), subtotal="10.00", tax="0.83", total="10.83"))
    assert priced.lines[0].taxes == (Tax("Sales tax", Decimal("6.25")), Tax("Sales tax", Decimal(2)))


def test_a_tax_that_the_line_names_but_is_exempt_from() -> None:
    money = order(
        item(price="100.00", tax="0", taxes=[tax("TX", "8.25", "0.00")]), subtotal="100.00", tax="0", total="100.00"
    )
    assert shown(price_order(money)) == [("1", "100.00", [])]


RATES = {"TX": Decimal("8.25"), "NY": Decimal("8.875"), "CA": Decimal("7.25")}


def test_a_rate_is_taken_from_the_approved_table_where_one_fits() -> None:
    # 8.25 % of 100.00
    money = order(item(price="100.00", tax="8.25"), tax="8.25", total="108.25", approved_rates=RATES)
    assert shown(price_order(money)) == [("1", "100.00", [("TX", "8.25")])]


def test_a_tax_line_without_rate_takes_it_from_the_table_and_keeps_its_name() -> None:
    own = [tax("Texas", None, "8.25")]
    money = order(item(price="100.00", taxes=own), tax="8.25", total="108.25", approved_rates=RATES)
    assert shown(price_order(money)) == [("1", "100.00", [("Texas", "8.25")])]


@pytest.mark.parametrize(
    ("price", "amount"),
    [("100.00", "9.99"), ("0.10", "0.01")],
    ids=["none-fits", "several-fit"],
)
def test_no_rate_or_several_hold(price: str, amount: str) -> None:
    total = str(Decimal(price) + Decimal(amount))
    assert (
        reason_of(order(item(price=price, tax=amount), tax=amount, total=total, approved_rates=RATES))
        == "tax-rate-unknown"
    )
    assert reason_of(order(item(price=price), tax=amount, total=total, approved_rates=RATES)) == "tax-rate-unknown"


def test_a_tax_with_neither_rate_nor_amount_holds() -> None:
    money = order(item(taxes=[tax("VAT", None)]), tax="0", total="10.00", approved_rates=RATES)
    assert reason_of(money) == "tax-rate-unknown"


THREE = [tax("A", "5", "5.00"), tax("B", "2", "2.00"), tax("C", "1", "1.00")]


@pytest.mark.parametrize(
    "money",
    [
        {"item": item(price="100.00", taxes=THREE)},
        {"item": item(price="100.00", tax="8.00"), "taxes": THREE},
        {"item": item(price="100.00"), "taxes": THREE},
    ],
    ids=["line", "line-amount", "order"],
)
def test_three_taxes_hold_unless_a_table_combines_them(money: dict[str, Any]) -> None:
    rest = {"taxes": money.get("taxes", ()), "subtotal": "100.00", "tax": "8.00", "total": "108.00"}
    assert reason_of(order(money["item"], **rest)) == "too-many-taxes"
    priced = price_order(order(money["item"], **rest, combined_taxes={"A + B + C": "ABC"}))
    assert shown(priced) == [("1", "100.00", [("ABC", "8")])]


@pytest.mark.parametrize(("percent", "reason"), [("8.12345", "tax-rate-too-fine"), ("825", "tax-rate-out-of-range"),
                                                  ("-5", "tax-rate-out-of-range")])  # fmt: skip
def test_a_rate_that_freshbooks_cannot_keep_holds(percent: str, reason: str) -> None:
    assert reason_of(order(item(tax="0.81"), tax="0.81", total="10.81", taxes=[tax("X", percent)])) == reason


def test_taxes_that_do_not_agree_hold() -> None:
    # 8.25 % of 100.00 is 8.25, the order says 9.00
    money = order(item(price="100.00", taxes=[tax("TX", "8.25", "9.00")]), tax="9.00", total="109.00")
    assert reason_of(money) == "tax-does-not-agree"
    assert reason_of(order(item(price="100.00"), tax="9.00", total="109.00", taxes=[TX])) == "tax-does-not-agree"


def test_an_order_with_very_many_taxes_takes_bounded_work() -> None:
    many = [tax(f"T{i}", str(i % 90 + 1)) for i in range(3000)]
    assert reason_of(order(*[item(tax="0.80")] * 300, tax="240.00", total="3240.00", taxes=many)) == "tax-rate-unknown"


# --- currencies ------------------------------------------------------------------------------------------------


def test_yen_have_no_decimals() -> None:
    # 3 × 333 = 999, 10 % = 99.9 -> 100
    money = order(item("3", "333", tax="100", total="999"), currency="JPY", subtotal="999", tax="100", total="1099",
                  taxes=[tax("JCT", "10")])  # fmt: skip
    priced = price_order(money)
    assert shown(priced) == [("3", "333", [("JCT", "10")])]
    assert set(priced.predicted.values()) == {Decimal(1099)}


def test_a_fraction_of_a_yen_stands_as_one_line_net() -> None:
    priced = price_order(order(item("1.5", "333", total="500"), currency="JPY", subtotal="500", total="500", tax="0"))
    assert shown(priced) == [("1", "500", [])]
    assert priced.lines[0].note == "1.5 × 333"


def test_dinars_keep_three_decimals() -> None:
    money = order(item("3", "1.255", total="3.765"), currency="KWD", subtotal="3.765", total="3.765", tax="0")
    assert shown(price_order(money)) == [("3", "1.255", [])]


def test_an_amount_finer_than_the_currency_is_rounded() -> None:
    priced = price_order(order(item("1", "10.0049"), subtotal="10.0049", total="10.0049", tax="0"))
    assert priced.total == Decimal("10.00")
    assert shown(priced) == [("1", "10.00", [])]


def test_large_numbers_stay_exact() -> None:
    price = "9999999999999.99"
    priced = price_order(order(item("3", price), total="29999999999999.97", tax="0"))
    assert shown(priced) == [("3", price, [])]
    assert priced.predicted["total"] == Decimal("29999999999999.97")


def test_an_amount_through_a_list_is_the_sum_of_what_stands_there() -> None:
    money = LineMoney.model_validate(
        {
            "currency": "currency",
            "quantity": ".quantity",
            "unit_price": ".price",
            "total": "$.total",
            "discount": ".shares[].amount",
        }
    )
    reader = OrderReader(money, parse_path("items[]"), CompileContext())
    rows: list[dict[str, object]] = [
        {"quantity": 1, "price": "9.00", "shares": [{"amount": "1.00"}, {"amount": "0.25"}, {"amount": None}]},
        {"quantity": 3, "price": Decimal("6.666666666666667"), "shares": []},
    ]
    scope = Scope({"currency": "USD", "total": "27.75"}, {}, lambda name: None)
    items = reader.read(rows, scope).items
    assert [item.discount for item in items] == [Decimal("1.25"), Decimal(0)]
    assert items[1].unit_price == Decimal("6.666666666667")
