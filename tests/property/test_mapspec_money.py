"""Orders that are consistent by construction always end as an invoice of their total, or as a reason to hold."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mapspec.errors import TransformError
from mapspec.lines import price_order
from mapspec.numbers import allocate, currency_digits, divide_exactly, plain, to_decimal
from mapspec.order_parts import Charge, Item, OrderMoney, TaxAmount

FAST = settings(max_examples=150, deadline=None)
DIGITS = {"USD": 2, "JPY": 0, "KWD": 3}


def rounded(amount: Decimal, digits: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


weights = st.lists(st.decimals(min_value=0, max_value=10**9, places=4), min_size=1, max_size=40)


@FAST
@given(amount=st.decimals(min_value=-(10**9), max_value=10**9, places=4), over=weights, places=st.integers(0, 4))
def test_spreading_loses_nothing(amount: Decimal, over: list[Decimal], places: int) -> None:
    try:
        parts = allocate(amount, over, places)
    except TransformError:
        assert sum(over) == 0
        return
    assert sum(parts, Decimal(0)) == amount
    total = sum(over, Decimal(0))
    unit = Decimal(1).scaleb(-places)
    for part, weight in zip(parts, over, strict=True):
        # each part lies within two units of its exact share; the heaviest may carry what is finer than a unit
        assert total == 0 or abs(part - amount * weight / total) <= 2 * unit


@FAST
@given(
    amount=st.decimals(min_value=-(10**6), max_value=10**6, places=2), by=st.integers(1, 999), places=st.integers(0, 6)
)
def test_division_multiplies_back(amount: Decimal, by: int, places: int) -> None:
    quotient = divide_exactly(amount, Decimal(by), places)
    assert quotient is None or quotient * by == amount


@FAST
@given(st.decimals(min_value=-(10**14), max_value=10**14, places=6), st.integers(0, 4))
def test_plain_text_reads_back(number: Decimal, least: int) -> None:
    assert to_decimal(plain(number, least), "number") == number


@st.composite
def orders(draw: Any) -> OrderMoney:
    """An order whose sums are made from its lines the way shops make them."""
    currency = draw(st.sampled_from(list(DIGITS)))
    digits = DIGITS[currency]
    taxes = draw(
        st.sampled_from(
            [
                (),
                (("VAT", "20"),),
                (("TX", "8.25"),),
                (("GST", "5"), ("QST", "9.975")),
                (("A", "5"), ("B", "2"), ("C", "1")),
            ]
        )
    )
    told = draw(st.sampled_from(["lines", "line-amounts", "order"]))
    gross = draw(st.booleans()) and len(taxes) < 3
    rates = [(name, Decimal(percent)) for name, percent in taxes]
    percent = sum((rate for _, rate in rates), Decimal(0))
    count = draw(st.integers(1, 6))
    raw = []
    for _ in range(count):
        quantity = draw(st.sampled_from(["1", "2", "3", "7", "0.5", "1.25"]))
        price = draw(st.decimals(min_value=0, max_value=2000, places=draw(st.sampled_from([digits, digits + 1]))))
        line_total = rounded(Decimal(quantity) * price, digits)
        discount = draw(st.sampled_from([Decimal(0), rounded(line_total / 10, digits)]))
        raw.append((Decimal(quantity), price, line_total, discount))
    left = [total - discount for _, _, total, discount in raw]
    goods = sum(left, Decimal(0))
    extra = rounded(goods * draw(st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("0.33")])), digits)
    shares = allocate(extra, left, digits) if extra else [Decimal(0)] * count
    net = [amount - share for amount, share in zip(left, shares, strict=True)]
    ship = rounded(draw(st.decimals(min_value=0, max_value=30, places=2)), digits)
    ship_taxed = draw(st.booleans())

    def tax_on(amount: Decimal) -> list[Decimal]:
        base = Decimal(100) + (percent if gross else 0)
        return [rounded(amount * rate / base, digits) for _, rate in rates]

    line_taxes = [tax_on(amount) for amount in net]
    ship_tax = sum(tax_on(ship), Decimal(0)) if ship_taxed else Decimal(0)
    items = tuple(
        Item(
            row=i,
            quantity=quantity,
            unit_price=price,
            line_total=total,
            discount=discount,
            tax=None if told == "order" else sum(line_taxes[i], Decimal(0)),
            taxes=tuple(
                TaxAmount(name, rate, amount) for (name, rate), amount in zip(rates, line_taxes[i], strict=True)
            )
            if told == "lines"
            else (),
        )
        for i, (quantity, price, total, discount) in enumerate(raw)
    )
    tax = sum((sum(amounts, Decimal(0)) for amounts in line_taxes), ship_tax)
    subtotal = sum((total for _, _, total, _ in raw), Decimal(0))
    discount = sum((d for *_, d in raw), Decimal(0)) + extra
    return OrderMoney(
        currency=currency,
        items=items,
        charges=(Charge("Shipping", ship, ship_tax if draw(st.booleans()) else None),) if ship else (),
        total=subtotal - discount + ship + (Decimal(0) if gross else tax),
        subtotal=subtotal,
        discount=discount,
        tax=tax,
        taxes=tuple(TaxAmount(name, rate, None) for name, rate in rates),
        prices_include_tax=gross,
    )


@settings(max_examples=400, deadline=None)
@given(orders())
def test_a_consistent_order_comes_to_its_total_or_is_held(order: OrderMoney) -> None:
    unit = Decimal(1).scaleb(-currency_digits(order.currency))
    try:
        priced = price_order(order)
    except TransformError as error:
        assert error.reason in {
            "tax-rate-unknown", "tax-does-not-agree", "too-many-taxes", "total-does-not-agree", "line-total-differs",
        }  # fmt: skip
        return
    assert min(abs(total - order.total) for total in priced.predicted.values()) <= 5 * unit
    for line in priced.lines:
        assert line.quantity * line.unit_cost == line.net
        assert line.unit_cost == round(line.unit_cost, currency_digits(order.currency))
        assert len(line.taxes) <= 2
        if (
            line.row is not None
            and not order.prices_include_tax
            and order.items[line.row].discount == 0
            and not line.note
        ):
            assert line.unit_cost == order.items[line.row].unit_price
    assert [line.row for line in priced.lines if line.row is not None] == list(range(len(order.items)))


@settings(max_examples=200, deadline=None)
@given(orders(), st.randoms(use_true_random=False))
def test_no_amount_of_nonsense_breaks_the_arithmetic(order: OrderMoney, random: Any) -> None:
    """Members taken from other orders make nonsense: it is held, or comes to the total that it states."""
    numbers = [Decimal(text) for text in ("0", "-1", "0.0000001", "999999999999999.999999999999", "3.3333")]
    changes = {name: random.choice(numbers) for name in ("subtotal", "discount", "tax") if random.random() < 0.3}
    items = tuple(
        Item(i, random.choice([*numbers, x.quantity]), x.unit_price, x.line_total, x.discount, x.tax, x.taxes)
        if random.random() < 0.3
        else x
        for i, x in enumerate(order.items)
    )
    odd = OrderMoney(**{**order._asdict(), **changes, "items": items})
    unit = Decimal(1).scaleb(-currency_digits(odd.currency))
    try:
        priced = price_order(odd)
    except TransformError:
        return
    assert min(abs(total - odd.total) for total in priced.predicted.values()) <= 5 * unit
