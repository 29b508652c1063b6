"""Field tables of the FreshBooks resources: what can be written, what it defaults to, where it is found.

Sources: the fact sheet's field tables (SDK fixtures and documentation). A key that is not listed here is
dropped silently, as FreshBooks drops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "int", "number", "percent", "money", "date", "bool", "list", "object"]


@dataclass(frozen=True)
class Field:
    """One writable field; `default` stands in the answer when nothing was sent.

    `when`: "create" fields are ignored by an update.
    """

    name: str
    kind: Kind = "text"
    default: Any = None
    required: bool = False
    when: Literal["always", "create"] = "always"


@dataclass(frozen=True)
class Resource:
    """One collection below `/accounting/account/{id}/`.

    `delete_by`: "put" through vis_state only, "both" also by HTTP DELETE (soft), "hard" by a DELETE that erases.
    `refused`: read-only fields that are answered with 403 errno 1038 when sent.
    """

    name: str
    path: str
    list_key: str
    id_fields: tuple[str, ...]
    fields: tuple[Field, ...]
    first_id: int
    delete_by: Literal["put", "both", "hard"] = "put"
    has_vis_state: bool = True
    refused: frozenset[str] = frozenset()

    @property
    def id_field(self) -> str:
        """The name that errors use for the id."""
        return self.id_fields[-1]


def _texts(names: str, default: str | None = "") -> tuple[Field, ...]:
    return tuple(Field(name, default=default) for name in names.split())


CLIENT = Resource(
    "client",
    "users/clients",
    "clients",
    ("id", "userid"),
    (
        Field("username", when="create"),
        *_texts("email fname lname organization bus_phone mob_phone fax"),
        *_texts("home_phone note", None),
        *_texts("p_street p_street2 p_city p_province p_code p_country"),
        *_texts("s_street s_street2 s_city s_province s_code s_country"),
        Field("currency_code"),
        Field("language", default="en"),
        *_texts("vat_name vat_number company_industry company_size", None),
        Field("contacts", "list", ()),
        Field("pref_email", "bool", True),
        Field("pref_gmail", "bool", False),
        Field("allow_late_fees", "bool", True),
        Field("allow_late_notifications", "bool", True),
        Field("allow_email_include_pdf", "bool", False),
    ),
    first_id=301_001,
)

INVOICE = Resource(
    "invoice",
    "invoices/invoices",
    "invoices",
    ("id", "invoiceid"),
    (
        Field("customerid", "int", required=True),
        Field("create_date", "date", required=True),
        Field("due_offset_days", "int", 0),
        Field("invoice_number"),
        Field("po_number"),
        Field("currency_code"),
        Field("language", default="en"),
        Field("notes", default=""),
        Field("terms"),
        Field("lines", "list", ()),
        Field("discount_value", "percent", "0"),
        Field("discount_description"),
        Field("deposit_amount", "money"),
        Field("deposit_percentage", "number"),
        Field("deposit_status", default="none", when="create"),
        *_texts("fname lname organization address street street2 city province code country"),
        *_texts("vat_name vat_number", None),
        Field("status", "int"),
        Field("v3_status", when="create"),
        Field("parent", "int", 0, when="create"),
        Field("estimateid", "int", 0, when="create"),
        Field("ownerid", "int", 1, when="create"),
        Field("sentid", "int", 1, when="create"),
        Field("presentation", "object"),
        Field("use_default_presentation", "bool", True),
        Field("template", default="clean-grouped"),
        Field("show_attachments", "bool", False),
        Field("auto_bill", "bool", False),
        Field("return_uri"),
        Field("payment_details", default=""),
        Field("fulfillment_date", "date"),
        Field("generation_date", "date"),
    ),
    first_id=501_001,
    delete_by="both",
    refused=frozenset({"due_date"}),
)

LINE_FIELDS = (
    Field("lineid", "int"),
    Field("type", "int", 0),
    Field("name", default=""),
    Field("description", default=""),
    Field("qty", "number", "0"),
    Field("unit_cost", "money"),
    Field("taxName1"),
    Field("taxAmount1", "percent", "0"),
    Field("taxName2"),
    Field("taxAmount2", "percent", "0"),
    Field("compounded_tax", "bool", False),
    Field("expenseid", "int", 0),
)

PAYMENT = Resource(
    "payment",
    "payments/payments",
    "payments",
    ("id", "logid"),
    (
        # fixed after create: the SDKs leave it out of an update
        Field("invoiceid", "int", required=True, when="create"),
        Field("amount", "money", required=True),
        Field("date", "date", required=True),
        Field("type", default="Other"),
        Field("note", default=""),
        Field("transactionid"),
        Field("orderid", "int"),
        Field("send_client_notification", "bool"),
    ),
    first_id=701_001,
)

# of the Node and Java SDKs, in lower case; letter case differs between sources
PAYMENT_TYPES = frozenset(
    {"check", "credit", "cash", "bank transfer", "credit card", "debit", "paypal", "2checkout", "visa"}
    | {"mastercard", "discover", "amex", "diners", "jcb", "ach", "other", "nova", "eurocard"}
)

ITEM = Resource(
    "item",
    "items/items",
    "items",
    ("id", "itemid"),
    (
        Field("name", required=True),
        Field("description", default=""),
        Field("sku"),
        Field("qty", "number", "0"),
        Field("inventory", "number"),
        Field("unit_cost", "money"),
        Field("tax1", "int", 0),
        Field("tax2", "int", 0),
    ),
    first_id=401_001,
)

TAX = Resource(
    "tax",
    "taxes/taxes",
    "taxes",
    ("id", "taxid"),
    (
        Field("name", required=True),
        Field("amount", "percent", "0"),
        Field("number"),
        Field("compound", "bool", False),
    ),
    first_id=7_001,
    delete_by="hard",
    has_vis_state=False,
)

CREDIT_NOTE = Resource(
    "credit_note",
    "credit_notes/credit_notes",
    "credit_notes",
    ("id", "creditid"),
    (
        Field("clientid", "int", required=True, when="create"),
        Field("create_date", "date"),
        Field("credit_number"),
        Field("credit_type", default="goodwill"),
        Field("currency_code"),
        Field("language", default="en"),
        Field("notes", default=""),
        Field("terms"),
        Field("lines", "list", ()),
    ),
    first_id=801_001,
)

CREDIT_TYPES = frozenset({"goodwill", "overpayment", "prepayment"})

OTHER_INCOME = Resource(
    "other_income",
    "other_incomes/other_incomes",
    "other_income",
    ("incomeid",),
    (
        # an update has to carry both again
        Field("amount", "money", required=True),
        Field("date", "date", required=True),
        Field("category_name"),
        Field("payment_type"),
        Field("source"),
        Field("note", default=""),
        Field("taxes", "list", ()),
    ),
    first_id=901_001,
    delete_by="both",
)

INCOME_CATEGORIES = frozenset({"advertising", "in_person_sales", "online_sales", "rentals", "other"})

RESOURCES = (CLIENT, INVOICE, PAYMENT, ITEM, TAX, CREDIT_NOTE, OTHER_INCOME)
BY_PATH = {resource.path: resource for resource in RESOURCES}
BY_NAME = {resource.name: resource for resource in RESOURCES}
