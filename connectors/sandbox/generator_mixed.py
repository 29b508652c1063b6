"""Orders in which every awkwardness is mixed by seed, each labelled with what must become of it.

`generator` deals one scenario an order; here an order draws its prices, discounts, taxes, charges, buyer, payments,
dates and texts independently, so that awkwardnesses meet. About a quarter has one defect and must be held for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from connectors.sandbox import generator_catalogue as catalogue
from connectors.sandbox.generator_catalogue import ODD_PRODUCTS, PRODUCTS, REGIONS, UNTAXED_PRODUCTS, Product
from connectors.sandbox.generator_forms import REWRITES
from connectors.sandbox.generator_mint import Mint
from connectors.sandbox.generator_mixed_defects import DEFECTS
from connectors.sandbox.generator_mixed_money import Bill, Cart, Extra, Goods, bill
from connectors.sandbox.generator_mixed_order import TAX_WORDS, TaxWords, rewrite_money
from connectors.sandbox.generator_money import ZERO, Basket, Line, minor_unit, rounded
from connectors.sandbox.generator_order import Case, Payload, amount_text, captured_sum, utc_text

# What the books' analyst approved (tables tax_rates and combined_taxes): the labels count on it.
APPROVED_RATES = {
    "Sales tax TX": Decimal("8.25"),
    "Sales tax NY": Decimal("8.875"),
    "HST": Decimal(13),
    "VAT 20": Decimal(20),
    "MwSt": Decimal(19),
    "MwSt 7": Decimal(7),
    "MWST": Decimal("8.1"),
    "Tax 10": Decimal(10),
    "Tax 5": Decimal(5),
}
COMBINED_TAXES = {"State tax + County tax + City tax": "Louisiana sales tax"}
STORE_ZONE = catalogue.STORE_ZONE
_PLACES = (*("tx", "ny", "on", "gb", "de") * 3, "bc", "qc", "fr", "jp", "kw", "la", "ch", "kr", "bh", "bc", "fr")
_GROSS_PLACES = frozenset({"gb", "de", "fr", "jp", "ch", "kr"})
_FINE_PRICES = (Decimal("12.345"), Decimal("0.3875"), Decimal("3.1250"), Decimal("7.0049"), Decimal("19.9950"))
_FRACTIONS = (Decimal("0.5"), Decimal("1.25"), Decimal("2.75"), Decimal("0.333"), Decimal("12.0625"))
GIFT_CARD = Product("7301", "GIFT-50", "Gift card", "Sent by e-mail", Decimal(50))
# Wall times of the store at which a day or its length changes.
_EDGES = (
    "2026-03-08T01:59:59", "2026-03-08T03:00:00", "2026-03-08T23:30:00", "2026-11-01T00:00:00", "2026-11-01T01:30:00",
    "2026-11-01T23:59:59", "2026-03-31T23:30:00", "2026-02-28T23:45:00", "2026-12-31T23:59:59", "2026-04-01T00:00:00",
)  # fmt: skip


def generate_mixed(
    seed: int, count: int, *, start: date = date(2026, 3, 1), lock_date: date | None = None
) -> list[Case]:
    """Make `count` orders, about 37 minutes apart but for those placed at an odd moment.

    Args:
        seed: Equal seeds give equal cases; a shorter run is the beginning of a longer one.
        count: How many.
        start: Calendar day of the first order in the store's zone.
        lock_date: Orders now and then date from before this day and must be held for it; None makes no such order.
    """
    mint = Mint(seed, start)
    cases: list[Case] = []
    defects: list[str] = []
    for index in range(count):
        mint.begin(index)
        if not defects:
            defects = mint.random.sample(tuple(DEFECTS), len(DEFECTS))
        draw = _Draw(mint)
        defect = ""
        if mint.chance(25):
            defect = defects.pop()
            draw.prepare(defect)
        if not defect and lock_date is not None and mint.chance(3):
            defect = "closed-period"
            days = timedelta(days=mint.random.randint(1, 40))
            mint.moment = mint.moment.replace(year=lock_date.year, month=lock_date.month, day=lock_date.day) - days
        order = draw.order()
        if defect in DEFECTS:
            DEFECTS[defect](mint, order)
        if defect != "bad-number":
            for name in draw.rewrites:
                REWRITES[name](mint, order)
        tags = (defect or "mixed", *sorted(draw.tags | mint.tags))
        cases.append(Case(order, "hold" if defect else "post", defect, tags, captured_sum(order)))
    return cases


class _Draw:
    """One order's choices."""

    def __init__(self, mint: Mint) -> None:
        self.mint = mint
        self.tags: set[str] = set()
        self.place = mint.pick(_PLACES)
        self.region = REGIONS[self.place]
        self.currency = self.region.currency
        self.step = minor_unit(self.currency)
        self.gross = self.place in _GROSS_PLACES and mint.chance(55)
        self.words: TaxWords = mint.pick(TAX_WORDS)
        if len(self.region.taxes) > 1 and self.words == "bare":
            self.words = "own"  # no approved single rate stands for two taxes
        if len(self.region.taxes) > 2:
            self.words = mint.pick(("own", "own-rates"))
        self.exempt = mint.chance(4)
        # as many as may drift by a minor unit each and stay within a rounding line; tenths of 0.005 drift half the time
        few = len(self.region.taxes) > 2 or self.place == "bh"
        self.most_lines = 2 if few else 4 if len(self.region.taxes) > 1 else 7
        self.plain_money = False
        self.status = mint.pick(("Processing", "Shipped", "Completed"))
        self.pay = ""
        self.rewrites: list[str] = []
        for name in ("json-numbers", "integer-ids", "status-case"):
            if mint.chance(8):
                self.rewrites.append(name)
        self._moment()

    def prepare(self, defect: str) -> None:
        """Choose what the defect needs to be the only thing wrong, and to be seen."""
        self.tags.add("defect")
        if defect in ("overpaid", "payment-currency", "totals-do-not-add-up", "line-sum-differs", "tax-does-not-agree"):
            self.pay = "card"
        if defect in ("unknown-status",):
            self.pay = "none"
        if defect in ("tax-does-not-agree", "too-many-taxes", "tax-rate-unknown", "no-lines", "negative-line"):
            self.plain_money = True
            self.place, self.gross, self.exempt = "tx", False, False
            self.region, self.most_lines = REGIONS["tx"], 4
            self.currency, self.step = "USD", Decimal("0.01")
            self.words = "own" if defect == "too-many-taxes" else "order"
        if defect == "line-sum-differs":
            self.plain_money = True

    def order(self) -> Payload:
        """Write the order down."""
        mint = self.mint
        cart = self._cart()
        priced = bill(cart)
        if not priced.total and mint.chance(60):
            self.tags.add("free-order")
        customer = self._customer()
        order = mint.order(_placeholder(cart), customer, status=self.status, pay="none", line_tax_lines=False)
        rewrite_money(mint, order, cart, priced, self.words, fee_rows=self._fee_rows)
        self._describe(order, cart)
        self._pay(order, priced)
        self._write_date(order)
        if customer.get("accountId"):
            order["customer"]["accountId"] = customer["accountId"]
        return order

    def _cart(self) -> Cart:
        mint = self.mint
        goods = list(self._goods())
        cart = Cart(self.currency, tuple(goods), gross=self.gross)
        if not self.plain_money:
            cart = self._line_discounts(cart)
        cart = replace(cart, extras=tuple(self._extras()))
        told = any(extra.part == "fees" and (extra.taxes or extra.amount < 0) for extra in cart.extras)
        self._fee_rows = told or mint.chance(50)
        if not self.plain_money:
            cart = self._order_discount(cart)
        return cart

    def _goods(self) -> Iterator[Goods]:
        mint = self.mint
        sold = [item for item in PRODUCTS if item.active and item.sku not in UNTAXED_PRODUCTS]
        count = mint.random.randint(1, self.most_lines)
        if not self.plain_money and mint.chance(4):
            self.tags.add("equal-lines")
            # Net lines whose tax ends in half a cent part by a cent each between half up and half even: with taxed
            # charges, more than three are beyond what a rounding line may carry. Gross lines have no such bound.
            yield from [self._line(mint.pick(sold), Decimal(1), ordinary=self.words == "bare")] * min(
                self.most_lines, 7 if self.gross else 4
            )
            return
        things = mint.random.sample(sold, count)
        for position, thing in enumerate(things):
            # the first line is an ordinary one, large enough to tell rates and defects apart
            yield self._line(thing, Decimal(mint.pick((3, 4, 5))), ordinary=True) if not position else self._odd(thing)
        if self.plain_money:
            return
        if mint.chance(4):
            self.tags.add("gift-card-sold")
            if self.words not in ("silent",):
                yield replace(self._line(GIFT_CARD, Decimal(1)), taxes=(), kind="gift_card")
        if mint.chance(5):
            self.tags.add("zero-quantity")
            yield self._line(mint.pick(sold), ZERO)

    def _odd(self, thing: Product) -> Goods:
        mint, roll = self.mint, self.mint.random.randrange(100)
        line = self._line(thing, Decimal(mint.pick((1, 1, 2, 3))))
        if self.plain_money:
            return line
        if roll < 10 and self.step == Decimal("0.01"):
            self.tags.add("fine-price")
            quantity = Decimal(mint.pick((3, 7, 26, 40)))
            return replace(line, unit_price=mint.pick(_FINE_PRICES), quantity=quantity, fine=mint.chance(50))
        if roll < 20:
            self.tags.add("fractional")
            return replace(line, quantity=mint.pick(_FRACTIONS))
        if roll < 24:
            self.tags.add("free-line")
            return replace(line, unit_price=ZERO)
        if roll < 40:
            kind = mint.pick(tuple(ODD_PRODUCTS))
            self.tags.add(kind)
            return self._line(mint.pick(ODD_PRODUCTS[kind]), line.quantity)
        if roll < 46:
            self.tags.add("unknown-sku")
            return replace(line, product=replace(thing, sku=f"ZZZ-{mint.random.randint(1000, 9999)}"))
        if roll < 50:
            self.tags.add("missing-sku")
            return replace(line, product=replace(thing, sku=mint.pick((None, "")), product_id=None))
        if roll < 60 and self.words in ("own", "own-rates", "order") and not self.exempt:
            self.tags.add("untaxed-line")
            return replace(line, taxes=())
        if roll < 75 and self.region.reduced and self.words in ("own", "own-rates") and not self.exempt:
            self.tags.add("mixed-rates")
            return replace(line, taxes=(self.region.reduced,))
        return line

    def _line(self, thing: Product, quantity: Decimal, *, ordinary: bool = False) -> Goods:
        local = rounded(thing.price * self.region.scale, self.region.step)
        if ordinary:
            local = max(local, rounded(Decimal(12) * self.region.scale, self.region.step))
        if self.mint.chance(30) and self.step == Decimal("0.01"):
            local += Decimal(self.mint.pick(("-0.01", "0.04", "-0.06")))  # 9.99 and the like
        return Goods(thing, quantity, local, () if self.exempt else self.region.taxes)

    def _line_discounts(self, cart: Cart) -> Cart:
        mint = self.mint
        for position, line in enumerate(cart.goods):
            if not mint.chance(18) or not line.quantity:
                continue
            whole = rounded(line.quantity * line.unit_price, self.step)
            kind = mint.pick(("percent", "percent", "amount", "fine", "all"))
            discount = rounded(whole * mint.pick((5, 10, 15, 33)) / 100, self.step)
            if kind == "amount":
                discount = min(rounded(Decimal(3) * self.region.scale, self.region.step), whole)
            elif kind == "fine" and self.words != "bare" and self.step == Decimal("0.01"):
                discount = rounded(whole * Decimal("0.125"), Decimal("0.0001"))
            elif kind == "all" and position:
                discount = whole
            self.tags.add(f"line-discount-{kind}")
            cart = cart.with_goods(position, replace(line, discount=discount))
        return cart

    def _order_discount(self, cart: Cart) -> Cart:
        mint = self.mint
        if not mint.chance(25):
            return cart
        base = bill(replace(cart, extras=())).subtotal - sum((line.discount for line in cart.goods), ZERO)
        base = base.quantize(self.step, "ROUND_DOWN")
        kind = mint.pick(("percent", "percent", "percent", "amount", "amount", "all"))
        discount = rounded(base * mint.pick((5, 7, 12, 20)) / 100, self.step)
        if kind == "amount":
            discount = min(rounded(mint.pick((Decimal(5), Decimal("7.77"))) * self.region.scale, self.step), base)
        elif kind == "all" and not any(extra.amount < 0 for extra in cart.extras):
            whole = all(not line.discount or line.discount == rounded(line.discount, self.step) for line in cart.goods)
            discount = base if whole and self.words != "bare" else discount
        self.tags.add(f"order-discount-{kind}")
        return replace(cart, order_discount=discount)

    def _extras(self) -> Iterator[Extra]:
        """Charges whose amounts, where nothing says which of them are taxed, tell it by the tax they make."""
        mint, place = self.mint, self.region
        taxes = () if self.exempt else place.taxes

        def amount(usd: str) -> Decimal:
            return rounded(Decimal(usd) * place.scale, place.step)

        def taxed(percent: int = 50) -> tuple[catalogue.Tax, ...]:
            return taxes if taxes and mint.chance(percent) else ()

        if mint.chance(50):
            titles = (("Parcel", "12.80"), ("Cold pack", "4.95")) if mint.chance(20) else (("Parcel", "12.80"),)
            for title, usd in titles:
                bears = taxed(70 if place.shipping_taxed else 20)
                self.tags.add("shipping-taxed" if bears else "shipping-untaxed")
                yield Extra("shipping", title, amount(usd), bears)
        if mint.chance(20):
            bears = taxed()
            self.tags.add("handling-taxed" if bears else "handling-untaxed")
            yield Extra("handling", "Handling", amount("6.40"), bears)
        if mint.chance(25):
            bears = taxed()
            self.tags.add("fee-taxed" if bears else "fee-untaxed")
            yield Extra("fees", mint.pick(("Gift wrap", "Card surcharge", "Environmental fee")), amount("2.50"), bears)
        if mint.chance(10):
            self.tags.add("tip")
            yield Extra("fees", "Tip", amount("3.35"))
        elif mint.chance(4) and not self.plain_money and self.words != "bare":
            self.tags.add("negative-fee")
            yield Extra("fees", "Loyalty rebate", -amount("1.50"))

    def _customer(self) -> Payload:
        mint, roll = self.mint, self.mint.random.randrange(100)
        if roll < 8:
            self.tags.add("guest-without-email")
            return mint.guest(self.place, email=False)
        if roll < 18:
            self.tags.add("guest")
            return mint.guest(self.place, email=True)
        if roll < 28:
            self.tags.add("unicode-buyer")
            return mint.customer(self.place, "unicode")
        if roll < 34:
            self.tags.add("long-company")
            return mint.customer(self.place, "long-company")
        if roll < 46:
            self.tags.add("company-buyer")
            buyer = mint.customer(self.place, "company")
            account = 1 + catalogue.COMPANIES.index(buyer["company"])
            return {**buyer, "accountId": f"A-{self.place}-{account}"}
        return mint.customer(self.place, "exempt" if self.exempt else "person")

    def _describe(self, order: Payload, cart: Cart) -> None:
        """Members that change nothing about the money."""
        mint = self.mint
        if mint.chance(6):
            order["discountTotal"] = f"-{order['discountTotal']}"
        if mint.chance(6):
            del order["currency"]
            for row in order["lineItems"]:
                row["currency"] = self.currency
        elif mint.chance(5):
            order["currency"] = self.currency.lower()
        if mint.chance(8) and cart.order_discount and not any(line.discount for line in cart.goods):
            self.tags.add("discount-row")
            shown = amount_text(cart.order_discount, self.currency)
            order["lineItems"].append(
                {"id": "99", "sku": None, "name": "Coupon", "type": "discount", "quantity": 1, "unitPrice": f"-{shown}",
                 "discountAmount": "0.00", "taxAmount": "0.00", "lineTotal": f"-{shown}"}
            )  # fmt: skip
        if mint.chance(8):
            order["customAttributes"] = [{"key": "costCentre", "value": "CC-7"}, {"key": "gift", "value": ""}]
        if mint.chance(8):
            order["paymentTerms"] = mint.pick(("2/10 net 30", "Net 60 days", "14 days", "net10", "On receipt", "COD"))
        if mint.chance(6):
            order["notes"] = mint.pick(("<p>Ring <b>twice</b></p>", "Grüße 🎁", "x" * 3000, "line\u0007bell"))
        if mint.chance(5):
            self.tags.add("split-order")
            order["orderNumber"] += mint.pick(("-1", "-2", "-A"))

    def _pay(self, order: Payload, priced: Bill) -> None:
        mint, total = self.mint, priced.total
        kinds = ("card", "card", "any", "any", "split", "three", "partial", "none", "authorized", "failed", "retried",
                 "purchase-order", "zero", "voided")  # fmt: skip
        kind = self.pay or mint.pick(kinds)
        self.tags.add(f"paid-{kind}")

        def card(amount: Decimal, status: str = "captured", method: str = "credit_card") -> Payload:
            return mint.payment(amount, self.currency, status=status, method=method)

        third = rounded(total / 3, self.step)
        rows: list[Payload] = []
        if not total or kind == "zero":
            rows = [card(ZERO)] if kind != "none" and mint.chance(50) else []
        elif kind == "three" and third and third * 2 < total:
            rows = [card(third), card(third, method="gift_card"), card(total - 2 * third, "settled", "paypal")]
        elif kind == "retried":
            rows = [card(total, "failed"), card(total, "voided"), card(total)]
        elif kind == "voided":
            rows = [card(total, "voided")]
        elif kind in ("card", "any", "split", "partial", "none", "authorized", "failed", "purchase-order"):
            rows = mint.payments(kind, total, self.currency)  # type: ignore[arg-type]  # the literals just named
        for row in rows:
            if mint.chance(4) and row["status"] in ("captured", "settled"):
                del row["id"]  # its key is made of the order's and the transaction's
        order["payments"] = rows
        if "currency" in order:
            for row in rows:
                row["currency"] = order["currency"]
        paid = sum((Decimal(row["amount"]) for row in rows if row["status"] in ("captured", "settled")), ZERO)
        order["balanceDue"] = amount_text(total - paid, self.currency)

    def _moment(self) -> None:
        mint = self.mint
        if mint.chance(10):
            self.tags.add("day-edge")
            mint.moment = datetime.fromisoformat(mint.pick(_EDGES)).replace(tzinfo=mint.zone, fold=mint.chance(50))
        elif mint.chance(6):
            self.tags.add("near-midnight")
            hour, minute = mint.pick(((23, mint.random.randint(30, 59)), (0, mint.random.randint(0, 29))))
            mint.moment = mint.moment.replace(hour=hour, minute=minute)

    def _write_date(self, order: Payload) -> None:
        """Other forms of the same instant; the store's calendar day stays."""
        mint, roll = self.mint, self.mint.random.randrange(100)
        if roll < 15:
            order["orderDate"] = utc_text(mint.moment)
        elif roll < 22 and not mint.moment.fold:
            order["orderDate"] = mint.moment.replace(tzinfo=None).isoformat()


def _placeholder(cart: Cart) -> Basket:
    """A basket that gives the order its frame; its money is written over."""
    line = cart.goods[0]
    return Basket(cart.currency, (Line(line.product, Decimal(1), line.unit_price),))
