"""The ledger of one FreshBooks account: create, read, update and delete of every accounting resource.

Callers hold the state's lock. Values are stored in their wire form; keys that start with an underscore stay
inside.
"""

from __future__ import annotations

import re
import secrets
import string
import uuid
from collections.abc import Callable
from typing import Any

from connectors.sandbox import errors, invoices, payments, side_records
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.intake import decimal_of, read_fields
from connectors.sandbox.resources import BY_NAME, RESOURCES, Resource
from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock, eastern, utc_text
from connectors.sandbox.wire import JsonObject

_LETTERS = string.ascii_letters + string.digits
_ACTIONS = ("action_email", "action_mark_as_sent")


class Books:
    """Tables of one account by resource name and id.

    Attributes:
        tables: Every record ever made, deleted ones with vis_state 1; erased taxes are gone.
        emails: What FreshBooks would have sent to people.
        last_number: The invoice number used last, from which the next one is counted.
        on_event: Told about every change: event name, object id. Other incomes have no events.
    """

    def __init__(self, account_id: str, switches: Callable[[], Switches], clock: Clock) -> None:
        """Start empty.

        Args:
            account_id: The account in every path.
            switches: Returns the switches in force.
            clock: The present instant.
        """
        self.account_id = account_id
        self.clock = clock
        self._switches = switches
        self.on_event: Callable[[str, int], None] = lambda _event, _identifier: None
        self.reset()

    def reset(self) -> None:
        """Forget everything; ids start again."""
        self.tables: dict[str, dict[int, JsonObject]] = {resource.name: {} for resource in RESOURCES}
        self.emails: list[JsonObject] = []
        self.last_number: str | None = None
        self._next_ids = {resource.name: resource.first_id for resource in RESOURCES}

    @property
    def switches(self) -> Switches:
        """The switches in force."""
        return self._switches()

    def find(self, resource: Resource, identifier: object) -> JsonObject:
        """One record, deleted ones included.

        Raises:
            AccountingError: 404 errno 1012.
        """
        text = str(identifier)
        record = self.tables[resource.name].get(int(text)) if re.fullmatch(r"[0-9]{1,18}", text) else None
        if record is None:
            raise errors.unknown(resource.name, resource.id_field, identifier)
        return record

    def referenced(self, name: str, field: str, identifier: int, owner: str) -> JsonObject:
        """A record that another one names.

        Raises:
            AccountingError: 422, errno 1012 when there is none and 1011 when it is deleted.
        """
        record = self.tables[name].get(identifier)
        title = BY_NAME[name].name.capitalize()
        if record is None:
            raise AccountingError(422, errors.UNKNOWN_RESOURCE, f"{title} not found.", field, owner, str(identifier))
        if record["vis_state"] == 1:
            raise AccountingError(422, errors.DELETED_RESOURCE, f"{title} is deleted.", field, owner, str(identifier))
        return record

    def is_listed(self, record: JsonObject) -> bool:
        """Whether lists and searches show it yet; reading it by id never waits."""
        return bool(record["_listed_from"] <= self.clock().timestamp())

    def payments_of(self, invoice_id: int) -> list[JsonObject]:
        """Payments of an invoice, deleted ones included, oldest first."""
        return [payment for payment in self.tables["payment"].values() if payment["invoiceid"] == invoice_id]

    def create(self, resource: Resource, sent: JsonObject) -> JsonObject:
        """Add a record.

        Raises:
            AccountingError: Anything about the body; then nothing was added.
        """
        self._refuse_read_only(resource, sent)
        clean = read_fields(resource.name, resource.fields, sent, self.switches, creating=True)
        identifier = self._next_ids[resource.name]
        match resource.name:
            case "client":
                record = self._new_client(identifier, clean)
            case "invoice":
                record = invoices.create(self, identifier, sent, clean)
            case "payment":
                record = payments.create(self, identifier, clean)
            case _:
                record = side_records.create(self, resource, identifier, clean)
        self._next_ids[resource.name] = identifier + 1
        self._store(resource.name, identifier, record)
        self._tell(resource, "create", identifier)
        if resource.name == "payment":
            self._follow_payment(record)
        return record

    def update(self, resource: Resource, identifier: object, sent: JsonObject) -> JsonObject:
        """Change a record by the first phase that the body matches; the rest of the body is dropped silently.

        Phases: ext_vis_state, vis_state, actions, ordinary fields.

        Raises:
            AccountingError: Unknown id, or anything about the body; then nothing has changed.
        """
        record = self.find(resource, identifier)
        if resource.has_vis_state and "ext_vis_state" in sent:
            return record
        if resource.has_vis_state and "vis_state" in sent:
            self._set_visibility(resource, record, sent["vis_state"])
            return record
        if resource.name == "invoice" and any(action in sent for action in _ACTIONS):
            emailed = invoices.act(self, record, sent)
            self.on_event("invoice.sendByEmail" if emailed else "invoice.update", record["id"])
            return record
        self._refuse_read_only(resource, sent)
        if resource.has_vis_state and record["vis_state"] == 1:
            message = f"{resource.name.replace('_', ' ').capitalize()} is deleted."
            raise AccountingError(
                422, errors.DELETED_RESOURCE, message, resource.id_field, resource.name, str(identifier)
            )
        clean = read_fields(resource.name, resource.fields, sent, self.switches, creating=False)
        match resource.name:
            case "client":
                self._change_client(record, clean)
            case "invoice":
                invoices.update(self, record, clean)
            case "payment":
                payments.update(self, record, clean)
            case _:
                side_records.update(self, resource, record, clean)
        self._tell(resource, "update", record[resource.id_field])
        if resource.name == "payment":
            self._follow_payment(record)
        return record

    def delete(self, resource: Resource, identifier: object) -> None:
        """Answer an HTTP DELETE: taxes are erased, invoices and other incomes only hidden.

        Raises:
            AccountingError: Unknown id, or a resource that is deleted through vis_state only.
        """
        record = self.find(resource, identifier)
        if resource.delete_by == "put":
            raise AccountingError(405, errors.WRITE_ACCESS_DENIED, "Method not allowed.", "", resource.name)
        if resource.delete_by == "hard":
            del self.tables[resource.name][int(str(identifier))]
            self._tell(resource, "delete", int(str(identifier)))
        else:
            self._set_visibility(resource, record, 1)

    def add_credit(self, *, clientid: int, currency: str, day: str) -> JsonObject:
        """An empty overpayment credit of a client, dated `day`."""
        identifier = self._next_ids["credit_note"]
        self._next_ids["credit_note"] = identifier + 1
        credit = side_records.overpayment_credit(self, identifier, clientid, currency, day)
        self._store("credit_note", identifier, credit)
        self.on_event("credit_note.create", identifier)
        return credit

    def _store(self, name: str, identifier: int, record: JsonObject) -> None:
        lag_s = self.switches.list_lag_s
        record["_listed_from"] = self.clock().timestamp() + lag_s if lag_s else 0.0
        self.tables[name][identifier] = record

    def _tell(self, resource: Resource, verb: str, identifier: int) -> None:
        if resource.name != "other_income":
            self.on_event(f"{resource.name}.{verb}", identifier)

    def _follow_payment(self, payment: JsonObject) -> None:
        invoices.refresh(self, self.tables["invoice"][payment["invoiceid"]])
        self.on_event("invoice.update", payment["invoiceid"])

    def _set_visibility(self, resource: Resource, record: JsonObject, value: Any) -> None:
        wanted = decimal_of(resource.name, "vis_state", value)
        if wanted not in (0, 1, 2):
            message = "The field 'vis_state' must be 0, 1 or 2."
            raise AccountingError(422, errors.INVALID_VALUE, message, "vis_state", resource.name, str(value))
        record["vis_state"] = int(wanted)
        record["updated_at" if resource.name == "other_income" else "updated"] = eastern(self.clock())
        self._tell(resource, "delete" if wanted == 1 else "update", record[resource.id_field])
        if resource.name == "payment":
            payments.visibility_changed(self, record)
            self._follow_payment(record)

    def _refuse_read_only(self, resource: Resource, sent: JsonObject) -> None:
        for name in sorted(resource.refused & sent.keys()):
            message = f"The field '{name}' is read only."
            raise AccountingError(403, errors.WRITE_ACCESS_DENIED, message, name, resource.name, str(sent[name] or ""))

    def _new_client(self, identifier: int, clean: JsonObject) -> JsonObject:
        if not any(clean[name] for name in ("email", "organization", "fname", "lname")):
            raise errors.required("client", "email")
        self._refuse_taken_email(clean["email"], identifier)
        clean["organization"] = clean["organization"] or clean["email"]
        clean["currency_code"] = (clean["currency_code"] or self.switches.base_currency).upper()
        clean["username"] = clean["username"] or "".join(secrets.choice(_LETTERS) for _ in range(10))
        now = self.clock()
        return {
            "id": identifier,
            "userid": identifier,
            "accounting_systemid": self.account_id,
            "direct_link_token": None,
            "exceeds_client_limit": False,
            "has_retainer": None,
            "last_activity": None,
            "last_login": None,
            "level": 0,
            "notified": False,
            "num_logins": 0,
            "retainer_id": None,
            "role": "client",
            "statement_token": None,
            "subdomain": None,
            "uuid": str(uuid.uuid4()),
            "vis_state": 0,
            **clean,
            "signup_date": utc_text(now),
            "updated": eastern(now),
        }

    def _change_client(self, client: JsonObject, clean: JsonObject) -> None:
        if "email" in clean:
            self._refuse_taken_email(clean["email"], client["id"])
        if not clean.get("currency_code", "-"):
            del clean["currency_code"]
        client.update(clean)
        client["updated"] = eastern(self.clock())
        for invoice in self.tables["invoice"].values():
            if invoice["customerid"] == client["id"]:
                invoice["current_organization"] = client["organization"]

    def _refuse_taken_email(self, email: str, identifier: int) -> None:
        if self.switches.duplicate_email == "accept" or not email:
            return
        for other in self.tables["client"].values():
            same = other["email"].casefold() == email.casefold()
            if same and other["id"] != identifier and other["vis_state"] != 1:
                message = "A client with this email already exists."
                raise AccountingError(422, errors.DUPLICATE_VALUE, message, "email", "client", email)
