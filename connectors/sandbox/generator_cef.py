"""Generated `rest` orders written down as Clarity's framework would: the same sales, so the same labels hold.

PascalCase models, related records as id, key and name, relation rows, the server's wall time without offset. What
the framework cannot say is left out (`LEFT_OUT`); what only it can say is added: accounts with several users,
quantities in three parts, either sign of discounts, and now and then a checkout split into master and children.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from connectors.sandbox import generator_catalogue as catalogue
from connectors.sandbox.generator_cef_more import children_of, invoice_of, return_of
from connectors.sandbox.generator_cef_parts import (
    FLAT,
    STATUSES,
    address_of,
    amount_of,
    attributes_of,
    content_hash,
    dates_of,
    discount_of,
    key_of,
    named,
    order_discount_of,
    pruned,
    quantities_of,
    quotes_of,
    state_of,
    status_of,
    totals_of,
)
from connectors.sandbox.generator_events import customers, products
from connectors.sandbox.generator_order import Case, Payload

# The framework knows no gross prices, one sum instead of two named taxes, and only numbers as quantities.
LEFT_OUT = frozenset({"prices-include-tax", "gross-discount", "two-taxes", "bad-number"})

METHODS = {
    "credit_card": "Credit Card",
    "paypal": "PayPal",
    "bank_transfer": "Wire Transfer",
    "gift_card": "Store Credit / Gift Certificate",
    "store_credit": "Store Credit / Gift Certificate",
    "purchase_order": "Purchase Order Number",
}
_CARDS = {"visa": "VISA", "mastercard": "Mastercard", "amex": "American Express"}
# Payment networks publish this number for tests; it stands where a real store would leak a customer's.
_TEST_CARD = "4111111111111111"


@dataclass(frozen=True)
class CefCase:
    """One order of the framework and what must become of it.

    Attributes:
        order: The master, or the only one.
        children: Its parts by shipment; they add up to the master and must not be posted beside it.
        label: See `generator_order.Case`.
        reason: See there.
        tags: See there; "split-order" marks a master with children.
        payments: Money received, in the order's currency.
    """

    order: Payload
    children: tuple[Payload, ...]
    label: Literal["post", "hold"]
    reason: str
    tags: tuple[str, ...]
    payments: Decimal


@dataclass
class CefBatch:
    """Everything a store of the framework holds for some cases, by entity name of the routes."""

    cases: list[CefCase]
    records: dict[str, list[Payload]] = field(default_factory=dict)


def cef_batch(cases: Sequence[Case], *, zone: str = catalogue.STORE_ZONE, secrets: bool = True) -> CefBatch:
    """Write generated cases in the framework's shape.

    Args:
        cases: From `generator.generate`; those in `LEFT_OUT` are skipped.
        zone: The server's time zone; its wall time stands in every record.
        secrets: Put card data, tokens and password hashes into payments and users, as a careless store would.
    """
    return _Writer(ZoneInfo(zone), secrets).batch([case for case in cases if not LEFT_OUT & set(case.tags)])


@dataclass
class _Writer:
    zone: ZoneInfo
    secrets: bool
    accounts: dict[tuple[str, str], Payload] = field(default_factory=dict)

    def batch(self, cases: Sequence[Case]) -> CefBatch:
        found = CefBatch([self._case(case) for case in cases])
        orders = [order for case in found.cases for order in (case.order, *case.children)]
        relations = [row for order in orders for row in order.get("SalesOrderPayments", ())]
        users = [self._user(record) for record in customers(cases)]
        found.records = {
            "SalesOrder": orders,
            "SalesInvoice": [
                invoice_of(case.order) for case in found.cases if key_of(case.order, "StatusKey") == "completed"
            ],
            "SalesReturn": [return_of(case.order) for case in found.cases if case.reason == "refunded"],
            "Account": list(self.accounts.values()),
            "User": users,
            "Contact": [user["Contact"] | dates_of(user) for user in users],
            "Payment": [row["Slave"] for row in relations],
            "SalesOrderPayment": [row | dates_of(row["Slave"]) for row in relations],
            "Product": [self._product(record) for record in products()],
        }
        for rows in found.records.values():
            for row in rows:
                row["Hash"] = content_hash(row)
        return found

    def _case(self, case: Case) -> CefCase:
        order = self._order(case.order)
        children = children_of(order, case)
        tags = (*case.tags, "split-order") if children else case.tags
        if case.reason == "missing-order-number":  # here the ID stands in for it
            paid = sum((Decimal(str(row["amount"])) for row in case.order["payments"]), Decimal(0))
            return CefCase(order, children, "post", "", tags, paid)
        return CefCase(order, children, case.label, case.reason, tags, case.payments)

    def _order(self, rest: Payload) -> Payload:
        serial, customer = int(rest["id"]), rest["customer"]
        currency, status = rest["currency"], status_of(rest)
        lines = [self._line(row, position, currency, serial) for position, row in enumerate(rest["lineItems"])]
        order: Payload = {
            "ID": serial,
            "CustomKey": rest.get("orderNumber"),
            "Active": True,
            "CreatedDate": self._wall(rest["createdAt"]),
            "UpdatedDate": self._wall(rest["updatedAt"]),
            "OriginalDate": self._wall(rest["orderDate"]),
            **named("Status", STATUSES.index(status) + 1 if status in STATUSES else 90, status),
            "StatusDisplayName": status,
            **named("State", 2 if status in ("Completed", "Void") else 1, state_of(status)),
            **named("Type", 1, "Web"),
            **self._buyer(rest),
            "PurchaseOrderNumber": rest.get("poNumber"),
            "SalesItems": lines,
            "Totals": totals_of(rest),
            "BalanceDue": amount_of(rest.get("balanceDue")),
            "SalesOrderPayments": [self._relation(rest, row) for row in rest["payments"]],
            "StoreID": 1,
            "StoreKey": rest["storeId"],
            "StoreName": "The store",
            "SerializableAttributes": attributes_of(rest),
        }
        paid = [row["transactionId"] for row in rest["payments"] if row["transactionId"]]
        if paid:
            order["PaymentTransactionID"] = paid[0]
        shared = order_discount_of(rest)
        if shared:
            order["Discounts"] = [discount_of(shared, serial, "SPRING", 0)]
        if amount_of(rest["shippingTotal"]):
            order["RateQuotes"] = quotes_of(rest, serial)
        if rest.get("notes"):
            order["Notes"] = [{"ID": serial, "Active": True, "Note1": rest["notes"]}]
        if customer.get("taxExempt"):
            for line in lines:
                line["ProductIsTaxable"] = False
        return pruned(order)

    def _buyer(self, rest: Payload) -> Payload:
        customer, address = rest["customer"], rest["billingAddress"]
        contact = {
            "ID": 700_000 + int(rest["id"]),
            "Active": True,
            "FirstName": customer.get("firstName"),
            "LastName": customer.get("lastName"),
            "Email1": customer.get("email"),
            "Phone1": customer.get("phone"),
            "Address": address_of(address),
        }
        found: Payload = {"BillingContactID": contact["ID"], "BillingContact": contact}
        if rest.get("shippingAddress"):
            found["ShippingContact"] = {**contact, "Address": address_of(rest["shippingAddress"])}
        if customer.get("id") is None:
            return found
        account = self._account(customer, rest)
        if account:
            found |= {f"Account{name}": account[key] for name, key in FLAT.items()}
        return found | {
            "UserID": int(customer["id"]),
            "UserKey": f"U-{customer['id']}",
            "UserUserName": customer.get("email"),
            "UserContactEmail": customer.get("email"),
            "UserContactFirstName": customer.get("firstName"),
            "UserContactLastName": customer.get("lastName"),
        }

    def _account(self, customer: Payload, rest: Payload) -> Payload | None:
        """The buyer's company: one account for all users who write the same company in the same country."""
        company = customer.get("company")
        if not company:
            return None
        known = self.accounts.get((company, rest["billingAddress"]["country"]))
        if known is None:
            number = 3001 + len(self.accounts)
            known = pruned(
                {
                    "ID": number,
                    "CustomKey": f"ACC-{number}",
                    "Active": True,
                    "Name": company[:128],
                    **named("Type", 1, "CUSTOMER"),
                    "IsTaxable": not customer.get("taxExempt"),
                    "TaxExemptionNo": customer.get("taxId"),
                    "IsOnHold": False,
                    "CreatedDate": self._wall(rest["createdAt"]),
                    "UpdatedDate": self._wall(rest["updatedAt"]),
                }
            )
            self.accounts[(company, rest["billingAddress"]["country"])] = known
        return known

    def _line(self, row: Payload, position: int, currency: str, serial: int) -> Payload:
        quantity, price = Decimal(str(row["quantity"])), amount_of(row["unitPrice"])
        sign = -1 if (serial + position) % 2 else 1
        description = row.get("description") or ""
        discount = abs(amount_of(row.get("discountAmount")))
        line: Payload = {
            "ID": serial * 100 + position,
            "Active": True,
            "Sku": row.get("sku"),
            "ProductID": int(row["productId"]) if row.get("productId") else None,
            "ProductKey": row.get("sku"),
            "Name": row["name"] if position % 2 == 0 else None,
            "ProductName": row["name"],
            "ProductDescription" if "<" in description else "ProductShortDescription": description,
            **quantities_of(quantity, serial + position),
            "UnitOfMeasure": row.get("unitOfMeasure"),
            "UnitCorePrice": price,
            # the shop may leave it out when nothing changed the price
            "UnitSoldPrice": None if (serial + position) % 4 == 0 else price,
            "UnitSoldPriceInSellingCurrency": price if currency != "USD" else None,
            "SellingCurrencyKey": currency,
            "ExtendedPrice": amount_of(row["lineTotal"]),
            "ExtendedTaxAmount": amount_of(row.get("taxAmount")),
            "ProductIsTaxable": bool(amount_of(row.get("taxAmount"))),
            "ItemType": "OrderDiscount" if row.get("type") == "discount" else "Item",
        }
        if serial % 9 == 0:
            line["ItemType"] = 1 if line["ItemType"] == "OrderDiscount" else 0
        if discount:
            line["Discounts"] = [discount_of(sign * discount, line["ID"], "LINE", 1)]
        return line

    def _relation(self, rest: Payload, row: Payload) -> Payload:
        payment = self._payment(rest, row)
        return {
            "ID": payment["ID"] + 500_000,
            "Active": True,
            "MasterID": int(rest["id"]),
            "MasterKey": rest.get("orderNumber"),
            "SlaveID": payment["ID"],
            "SlaveKey": payment["CustomKey"],
            "Slave": payment,
        }

    def _payment(self, rest: Payload, row: Payload) -> Payload:
        number, status = int(row["id"]), row["status"]
        received = status in ("captured", "settled", "refunded")
        authorized = received or status == "authorized"
        stamp = self._wall(row["paidAt"] or rest["createdAt"])
        # three names for one thing; the first that is there counts
        transaction = ("TransactionNumber", "TransactionNumber", "ExternalPaymentID", "ReferenceNo")[number % 4]
        paid = "ReceivedDate" if number % 5 else "PaymentDate"
        payment: Payload = {
            "ID": number,
            "CustomKey": f"PAY-{number}",
            "Active": True,
            "CreatedDate": stamp,
            "UpdatedDate": stamp,
            "Amount": amount_of(row["amount"]),
            "CurrencyKey": row["currency"],
            transaction: row["transactionId"],
            paid if received else "StatusDate": stamp,
            "AuthDate": stamp if authorized else None,
            **named("Status", 2 if received else 1, "Payment Received" if received else "No Payment Received"),
            "Authorized": authorized,
            "Received": received,
            "PaymentMethodID": list(METHODS).index(row["method"]) + 1,
            "PaymentMethodKey": METHODS[row["method"]],
            "PaymentMethodName": METHODS[row["method"]],
            "TypeKey": _CARDS.get(row.get("cardType") or ""),
            "Last4CardDigits": row.get("last4"),
            "InvoiceNumber": rest.get("orderNumber"),
        }
        if self.secrets and row["method"] == "credit_card":
            payment |= {
                "CardNumber": _TEST_CARD,
                "CVV": "123",
                "Token": f"tok_sandbox_{number}",
                "PaymentData": f"opaque {_TEST_CARD}",
            }
        return pruned(payment)

    def _user(self, record: Payload) -> Payload:
        number = int(record["id"])
        account = self.accounts.get((record["company"], record["billingAddress"]["country"])) or {}
        contact = {
            "ID": 600_000 + number,
            "CustomKey": f"CT-{number}",
            "Active": True,
            "FirstName": record["firstName"],
            "LastName": record["lastName"],
            "Email1": record["email"],
            "Phone1": record["phone"],
            "Address": address_of(record["billingAddress"]),
        }
        user = {
            "ID": number,
            "CustomKey": f"U-{number}",
            "Active": True,
            "CreatedDate": self._wall(record["createdAt"]),
            "UpdatedDate": self._wall(record["updatedAt"]),
            "UserName": record["email"],
            "Email": record["email"],
            "PhoneNumber": record["phone"],
            "ContactID": contact["ID"],
            "ContactEmail": record["email"],
            "ContactFirstName": record["firstName"],
            "ContactLastName": record["lastName"],
            "Contact": contact,
            "BillingAddress": address_of(record["billingAddress"]),
            **{f"Account{name}": account.get(key) for name, key in FLAT.items()},
            "CurrencyKey": record["currency"],
            "LanguageKey": record["language"],
            **named("Type", 1, record["customerGroup"]),
        }
        if self.secrets:
            user |= {"PasswordHash": f"sandbox-hash-{number}", "SecurityStamp": f"sandbox-stamp-{number}"}
        return pruned(user)

    def _product(self, record: Payload) -> Payload:
        text = record["description"]
        return pruned(
            {
                "ID": int(record["id"]),
                "CustomKey": record["sku"],
                "Active": record["active"],
                "CreatedDate": self._wall(record["createdAt"]),
                "UpdatedDate": self._wall(record["updatedAt"]),
                "Name": record["name"],
                "Description" if "<" in text else "ShortDescription": text,
                "ManufacturerPartNumber": f"MPN-{record['id']}",
                "SeoUrl": f"product-{record['id']}",
                "IsTaxable": record["taxable"],
                "TaxCode": record["taxCode"],
                "UnitOfMeasure": record["unitOfMeasure"],
                "IsUnlimitedStock": False,
                "IsVisible": record["active"],
                "IsDiscontinued": not record["active"],
                **named("Type", 1, "General"),
            }
        )

    def _wall(self, text: str) -> str:
        """Server-local time without offset, seven fraction digits where there is a fraction, as .NET writes it."""
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(self.zone).replace(tzinfo=None)
        whole = moment.isoformat(timespec="seconds")
        return f"{whole}.{moment.microsecond:06d}0" if moment.microsecond else whole
