"""Makes buyers, baskets, payments and orders from one seeded source of choices, every id unique within a run."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from connectors.sandbox import generator_catalogue as catalogue
from connectors.sandbox.generator_catalogue import REGIONS, UNTAXED_PRODUCTS, Product, Region
from connectors.sandbox.generator_money import ZERO, Basket, Line, minor_unit, price, rounded
from connectors.sandbox.generator_order import Head, Payload, amount_text, utc_text, write_order

Settlement = Literal["card", "any", "none", "zero", "authorized", "failed", "split", "partial", "purchase-order"]
CustomerKind = Literal["person", "company", "long-company", "exempt", "unicode"]
_T = TypeVar("_T")

SERIAL_START = 10001
_PAYMENT_STATUS: dict[Settlement, str] = {
    "card": "paid",
    "any": "paid",
    "none": "unpaid",
    "zero": "paid",
    "authorized": "authorized",
    "failed": "unpaid",
    "split": "paid",
    "partial": "partially_paid",
    "purchase-order": "unpaid",
}


@dataclass
class Mint:
    """Makes the parts of orders; all choices come from one seeded generator.

    Attributes:
        start: Calendar day, in the store's zone, of the first order.
        tags: Tags of the order being made, beside its scenario's own.
        guests: E-mail guests met so far, oldest first.
    """

    seed: int
    start: date
    tags: set[str] = field(default_factory=set)
    guests: list[Payload] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - reproducible samples, nothing secret
        self.zone = ZoneInfo(catalogue.STORE_ZONE)
        self._known: dict[tuple[str, CustomerKind], list[Payload]] = {}
        self._people = 0
        self._payments = 0
        self._index = 0
        self.moment = datetime.combine(self.start, time(), self.zone)

    def begin(self, index: int) -> None:
        """Start order number `index` (from 0): about 37 minutes after the one before."""
        self._index = index
        self.tags.clear()
        opening = datetime.combine(self.start, time(0, 5), self.zone).astimezone(UTC)
        late = timedelta(minutes=37 * index, seconds=self.random.randrange(30 * 60))
        self.moment = (opening + late).astimezone(self.zone)

    def pick(self, options: Sequence[_T]) -> _T:
        """Choose one of the options, all equally likely."""
        return options[self.random.randrange(len(options))]

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of 100 calls on average."""
        return self.random.randrange(100) < percent

    def customer(self, region: str, kind: CustomerKind = "person") -> Payload:
        """Return a registered customer, quite often one who has ordered before."""
        known = self._known.setdefault((region, kind), [])
        if known and self.chance(45):
            return self.pick(known)
        person = self._person(REGIONS[region], kind)
        person["id"] = str(500 + self._people)
        known.append(person)
        return person

    def guest(self, region: str, *, email: bool) -> Payload:
        """Return a new buyer without an account."""
        person = self._person(REGIONS[region], "person")
        if email:
            self.guests.append(person)
        else:
            person["email"] = None
        return person

    def line(self, region: str, product: Product | None = None, quantity: Decimal | int | None = None) -> Line:
        """Return a line at the region's price and ordinary tax, without a discount."""
        place = REGIONS[region]
        thing = product or self.pick([item for item in catalogue.PRODUCTS if item.active])
        count = Decimal(quantity if quantity is not None else self.pick((1, 1, 1, 2, 2, 3, 4, 6)))
        local = rounded(thing.price * place.scale, place.step)
        taxes = () if thing.sku in UNTAXED_PRODUCTS else place.taxes
        return Line(thing, count, local, taxes)

    def basket(self, region: str, count: int | None = None, *, shipping: bool | None = None) -> Basket:
        """Return `count` (else 1 to 3) different taxed products; shipping by chance unless told."""
        place = REGIONS[region]
        taxed = [item for item in catalogue.PRODUCTS if item.active and item.sku not in UNTAXED_PRODUCTS]
        things = self.random.sample(taxed, count or self.random.randint(1, 3))
        basket = Basket(place.currency, tuple(self.line(region, thing) for thing in things))
        if shipping is None:
            shipping = self.chance(35)
        if not shipping:
            return basket
        cost = self.shipping_cost(region)
        taxes = place.taxes[:1] if place.shipping_taxed else ()
        self.tags.add("shipping-taxed" if taxes else "shipping-untaxed")
        return Basket(place.currency, basket.lines, shipping=cost, shipping_taxes=taxes)

    def shipping_cost(self, region: str) -> Decimal:
        """Return a shipping, handling or similar charge in the region's money."""
        place = REGIONS[region]
        return rounded(self.pick([Decimal("4.95"), Decimal("7.50"), Decimal("12.80")]) * place.scale, place.step)

    def order(
        self,
        basket: Basket,
        customer: Payload,
        *,
        status: str | None = None,
        pay: Settlement = "any",
        line_tax_lines: bool | None = None,
    ) -> Payload:
        """Write down an order.

        Args:
            basket: What is bought.
            customer: From `customer` or `guest`.
            status: None picks one that a paid order may have.
            pay: What happened to the money.
            line_tax_lines: Whether lines name their taxes themselves; None leaves it to chance.
        """
        created = self.moment + timedelta(seconds=1)
        payments = self.payments(pay, price(basket).total, basket.currency)
        head = Head(
            serial=SERIAL_START + self._index,
            ordered=self.moment,
            created=created,
            updated=created + timedelta(seconds=self.random.randint(40, 400)),
            status=status or self.pick(("Processing", "Shipped", "Completed")),
            payment_status=_PAYMENT_STATUS[pay],
            named_taxes=self.chance(40) if line_tax_lines is None else line_tax_lines,
        )
        order = write_order(head, basket, customer, payments)
        self._decorate(order)
        return order

    def payments(self, pay: Settlement, total: Decimal, currency: str) -> list[Payload]:
        """Return the payment rows of an order; amounts are in its currency."""
        step = minor_unit(currency)
        if pay == "none" or (not total and pay != "zero"):
            return []
        if pay == "split":
            gift = max(rounded(total * Decimal("0.3"), step), step)
            method = self.pick(("gift_card", "gift_card", "store_credit"))
            return [self.payment(total - gift, currency), self.payment(gift, currency, method=method)]
        if pay == "partial":
            return [self.payment(rounded(total * Decimal("0.4"), step), currency)]
        if pay == "purchase-order":
            # some shops call the accepted purchase order "captured"; it is still not money
            row = self.payment(total, currency, method="purchase_order", status=self.pick(("authorized", "captured")))
            return [{**row, "transactionId": None}]
        if pay in ("authorized", "failed"):
            return [self.payment(total, currency, status=pay)]
        if pay == "any":
            method = self.pick(("credit_card", "credit_card", "paypal", "bank_transfer"))
            status = self.pick(("captured", "captured", "captured", "settled"))
            return [self.payment(total, currency, method=method, status=status)]
        return [self.payment(total, currency)]

    def payment(
        self, amount: Decimal, currency: str, *, method: str = "credit_card", status: str = "captured"
    ) -> Payload:
        """Return one payment row; the gateway's fee is shown, never deducted."""
        self._payments += 1
        card = method == "credit_card"
        paid = status in ("captured", "settled")
        fee = rounded(amount * Decimal("0.029"), minor_unit(currency)) if card and paid else ZERO
        prefix = {"credit_card": "ch", "paypal": "PP"}.get(method, "tr")
        when = self.moment + timedelta(seconds=3 + self._payments % 30)
        return {
            "id": str(9000 + self._payments),
            "transactionId": f"{prefix}_{self.random.getrandbits(40):010x}{self._payments:05d}",
            "amount": amount_text(amount, currency),
            "currency": currency,
            "status": status,
            "method": method,
            "cardType": self.pick(("visa", "mastercard", "amex")) if card else None,
            "last4": f"{self.random.randrange(10000):04d}" if card else None,
            "feeAmount": amount_text(fee, currency),
            "paidAt": utc_text(when) if paid else None,
        }

    def _person(self, place: Region, kind: CustomerKind) -> Payload:
        self._people += 1
        first, last = (
            self.pick(catalogue.UNICODE_NAMES)
            if kind == "unicode"
            else (self.pick(catalogue.FIRST_NAMES), self.pick(catalogue.LAST_NAMES))
        )
        company = {
            "company": self.pick(catalogue.COMPANIES),
            "long-company": catalogue.LONG_COMPANY,
            "exempt": catalogue.EXEMPT_COMPANY,
        }.get(kind, "")
        phone = f"{place.dial}{self.random.randrange(100):02d}"
        street, city, state, postal_code = self.pick(place.addresses)
        mailbox = f"{_ascii(first)}.{_ascii(last)}.{self._people}"
        return {
            "id": None,
            "email": f"{mailbox}@{self.pick(catalogue.MAIL_DOMAINS)}",
            "firstName": first,
            "lastName": last,
            "company": company,
            "phone": phone,
            "taxExempt": kind == "exempt",
            "taxId": f"{place.country}-EX-{4000 + self._people}" if kind == "exempt" else None,
            "currency": place.currency,
            "billingAddress": {
                "line1": street,
                "line2": "Suite 5" if company else "",
                "city": city,
                "state": state,
                "postalCode": postal_code,
                "country": place.country,
                "company": company,
                "phone": phone,
            },
        }

    def _decorate(self, order: Payload) -> None:
        """Add optional members that never change what must become of the order."""
        if self.chance(15):
            order["poNumber"] = f"PO-{self.random.randint(100, 9999)}"
        if self.chance(20):
            order["paymentTerms"] = self.pick(("Net 15", "Net 30", "Due on receipt"))
        if self.chance(15):
            order["notes"] = self.pick(catalogue.ORDER_NOTES)
        if self.chance(30):
            order["shippingAddress"] = dict(order["billingAddress"])
        if self.chance(20):
            order["customAttributes"] = {"campaign": self.pick(("spring", "newsletter", "none"))}


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "".join(character for character in plain if character.isalnum()) or "buyer"


def ordinary(region: str | None = None, *, pay: Settlement = "any", status: str | None = None) -> Scenario:
    """Return a builder of unremarkable orders; without a region, one of two American states."""

    def build(mint: Mint) -> Payload:
        place = region or mint.pick(("tx", "ny"))
        return mint.order(mint.basket(place), mint.customer(place), pay=pay, status=status)

    return build


Scenario = Callable[[Mint], Payload]
