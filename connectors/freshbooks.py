"""FreshBooks' accounting API: one method per kind of call, nothing about mappings.

Paths, body keys and list keys come from the profile `systems/freshbooks.yaml`. FreshBooks silently ignores filters
it does not know and hands out everything instead, so every `find_..._by_...` compares the rows again here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.freshbooks_callbacks import FreshBooksCallbacks
from connectors.freshbooks_pages import Row, has_id, read_pages, result_of
from connectors.http import Answer, Api, Closing, Pacing, unusable
from connectors.profiles import EntityProfile, SystemProfile, load_profile
from connectors.tokens import TokenSource

ACTIVE, DELETED, ARCHIVED = 0, 1, 2
"""vis_state of an object; deleting only hides it."""

_EASTERN = ZoneInfo("America/New_York")
_ACTION_PARTS = ("email_recipients", "email_include_pdf", "invoice_customized_email")


def normalised(text: str) -> str:
    """The form in which e-mails and SKUs are compared: trimmed, without case; ß stays, for ss is another address."""
    return text.strip().lower()


def parse_accounting_time(text: str) -> datetime:
    """Read `YYYY-MM-DD HH:MM:SS` of the accounting API, which means US/Eastern, as aware UTC.

    `client.signup_date` alone is UTC already. In the hour that repeats in autumn the earlier one is taken.

    Raises:
        ValueError: Another form.
    """
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=_EASTERN).astimezone(UTC)


@dataclass(frozen=True)
class Business:
    """A business somebody may work in; `account_id` stands in accounting paths, `business_id` in others."""

    account_id: str
    business_id: int
    name: str
    role: str


class FreshBooks(Closing):
    """Client of one FreshBooks account; safe to share between threads."""

    def __init__(
        self,
        *,
        base_url: str,
        account_id: str,
        tokens: TokenSource,
        timeout_s: float = 30.0,
        profile: SystemProfile | None = None,
        unusable_filters: Collection[str] = (),
        email_case_ignored: bool = False,
        pace: Pacing | None = None,
    ) -> None:
        """Set up without any request.

        Args:
            base_url: https://api.freshbooks.com, or a stand-in.
            account_id: `account_id` of the business, for instance "ABC123".
            tokens: Gives and renews the access token.
            timeout_s: Total for one request.
            profile: Another system profile than the shipped one.
            unusable_filters: "client.email" and the like: proved on this account to be ignored or to miss rows.
                They are not sent, so that every page is read.
            email_case_ignored: Proved on this account: `search[email]` finds every spelling.
            pace: Limits the requests; None for no limit.

        Raises:
            ValueError: base_url or account_id is not usable.
        """
        if not account_id.strip():
            raise ValueError("the FreshBooks account id is empty")
        self._api = Api(base_url=base_url, tokens=tokens, timeout_s=timeout_s, pace=pace)
        self._account = quote(account_id.strip(), safe="")
        self._prefix = f"/accounting/account/{self._account}/"
        self._profile = profile or load_profile("freshbooks")
        self._unusable_filters = frozenset(unusable_filters)
        self._email_case_ignored = email_case_ignored
        self.callbacks = FreshBooksCallbacks(self._api, self._account)

    def close(self) -> None:
        """Close kept connections."""
        self._api.close()

    def find(
        self,
        entity: str,
        filters: Mapping[str, str],
        *,
        include: Sequence[str] = (),
        vis_state: int | None = None,
        complete: bool = False,
    ) -> Iterator[Row]:
        """List rows, page by page, each id once.

        The filters are sent, not trusted: a name FreshBooks does not know is ignored, so compare the rows.

        Args:
            entity: client, invoice, payment, item, tax, credit_note or other_income.
            filters: Names without `search[...]`, for instance {"email": "a@b.c"} or {"date_min": "2026-01-01"}.
            include: Names for `include[]`; invoices come without lines unless "lines" is asked for.
            vis_state: 0 active, 1 deleted, 2 archived; None means active and archived.
            complete: Fewer rows than the server says there are is an error.

        Yields:
            Rows as decoded JSON.

        Raises:
            ConnectorError: A page was repeated, so the list cannot be trusted to end; or the request failed.
        """
        known = self._entity(entity)
        usable = {name: value for name, value in filters.items() if not self._is_unusable(entity, name)}
        query = [(f"search[{name}]", value) for name, value in usable.items()]
        if vis_state is not None:
            query.append(("search[vis_state]", str(vis_state)))
        query += [("include[]", name) for name in include]
        yield from read_pages(
            self._api,
            self._prefix + known.path,
            list_key=known.list_key,
            id_key=known.id_key,
            query=query,
            operation=f"GET {known.path}",
            complete=complete,
        )

    def _is_unusable(self, entity: str, name: str) -> bool:
        return f"{entity}.{name.removesuffix('_min').removesuffix('_max')}" in self._unusable_filters

    def find_clients_by_email(self, email: str) -> list[Row]:
        """Every client with this e-mail: active, archived and deleted ones (`vis_state` tells which).

        Asks for the normalised spelling, the given one when it differs, and by substring: whether FreshBooks'
        equality filter minds case is not known (facts §12), and a second client in another spelling must be seen.
        """
        wanted = normalised(email)
        if not wanted:
            return []
        one_look_finds_all = self._email_case_ignored or "client.email" in self._unusable_filters
        spellings = [wanted] if one_look_finds_all else dict.fromkeys((wanted, email.strip()))
        rows = self._find_with_deleted("client", [{"email": spelling} for spelling in spellings])
        if not one_look_finds_all:
            known = {row["id"] for row in rows}
            rows += [row for row in self.find("client", {"email_like": wanted}) if row["id"] not in known]
        return [row for row in rows if normalised(str(row.get("email") or "")) == wanted]

    def find_invoices_by_number(self, number: str) -> list[Row]:
        """Every invoice with exactly this number, with lines; a deleted one still blocks its number."""
        if not number.strip():
            return []
        rows = self._find_with_deleted("invoice", [{"invoice_number": number}], include=("lines",))
        return [row for row in rows if str(row.get("invoice_number")) == number]

    def find_open_invoices_of_client(self, client_id: int | str) -> list[Row]:
        """The invoices of one client that are drafts or have something outstanding; deleted ones not included."""
        rows = self.find("invoice", {"customerid": str(client_id)})
        return [
            row
            for row in rows
            if str(row.get("customerid")) == str(client_id) and row.get("vis_state") != DELETED and _is_open(row)
        ]

    def find_payments_of_invoice(self, invoice_id: int | str) -> list[Row]:
        """The payments of one invoice that were not deleted."""
        rows = self.find("payment", {"invoiceid": str(invoice_id)})
        return [row for row in rows if str(row.get("invoiceid")) == str(invoice_id) and row.get("vis_state") != DELETED]

    def find_items_by_sku(self, sku: str) -> list[Row]:
        """The items with this SKU, compared trimmed and without case; deleted ones not included.

        Asks for the given spelling, then for lower and upper case until something is found.
        """
        wanted = normalised(sku)
        if not wanted:
            return []
        # Whether the filter minds case is not known; upper case is how shops write SKUs.
        for spelling in dict.fromkeys((sku.strip(), wanted, wanted.upper())):
            rows = [
                row
                for row in self.find("item", {"sku": spelling})
                if normalised(str(row.get("sku") or "")) == wanted and row.get("vis_state") != DELETED
            ]
            if rows:
                return rows
        return []

    def find_taxes(self, name: str, percent: Decimal | None = None) -> list[Row]:
        """The stored taxes of this name, compared trimmed and without case, and of this percent when one is given.

        Reads them all: the filter by name finds substrings only, and an account has few.
        """
        wanted = normalised(name)
        return [
            row
            for row in (self.find("tax", {}) if wanted else ())
            if normalised(str(row.get("name") or "")) == wanted
            and (percent is None or _decimal(row.get("amount")) == percent)
        ]

    def find_credit_notes_of_client(self, client_id: int | str) -> list[Row]:
        """The credit notes of one client that were not deleted, with lines."""
        rows = self.find("credit_note", {"clientid": str(client_id)}, include=("lines",))
        return [row for row in rows if str(row.get("clientid")) == str(client_id) and row.get("vis_state") != DELETED]

    def get(self, entity: str, id: int | str, *, include: Sequence[str] = ()) -> Row:  # noqa: A002  API's word
        """One object by id; a deleted one is still readable, with vis_state 1.

        Raises:
            RejectedError: Unknown id (404, errno 1012).
        """
        known = self._entity(entity)
        query = [("include[]", name) for name in include]
        return self._single("GET", known, self._path(known, id), query, None)

    def create(self, entity: str, body: Mapping[str, Any]) -> Row:
        """Create one object; FreshBooks has no idempotency key, so an unclear answer must be looked up.

        Args:
            entity: As for `find`.
            body: Its fields, without the outer key. Unknown ones are dropped silently by FreshBooks.

        Returns:
            The whole object as stored; an invoice or credit note with its lines.

        Raises:
            ConnectorError: AmbiguousWriteError when it may exist or not.
        """
        known = self._entity(entity)
        return self._single("POST", known, self._prefix + known.path, _with_lines(entity), body)

    def update(self, entity: str, id: int | str, body: Mapping[str, Any]) -> Row:  # noqa: A002  API's word
        """Change the given fields, keep the others; `lines` is replaced whole.

        Returns:
            The whole object as stored; an invoice or credit note with its lines.

        Raises:
            ValueError: body mixes vis_state or actions with other fields. FreshBooks would run only the first
                kind and drop the rest without a word.
        """
        if len({_phase(name, body) for name in body}) > 1:
            raise ValueError("vis_state, actions and ordinary fields need a request each")
        known = self._entity(entity)
        return self._single("PUT", known, self._path(known, id), _with_lines(entity), body)

    def delete(self, entity: str, id: int | str) -> None:  # noqa: A002  API's word
        """Delete one object the way its kind asks for: most are only hidden, a tax is gone for good.

        Raises:
            RejectedError: Unknown id (404, errno 1012).
            ValueError: The profile knows no way to delete this kind.
        """
        known = self._entity(entity)
        if known.delete == "http-delete":
            self._api.request("DELETE", self._path(known, id), operation=f"DELETE {known.path}")
        elif known.delete.startswith("put-vis-state"):
            self.update(entity, id, {"vis_state": DELETED})
        else:
            raise ValueError(f"{entity} cannot be deleted")

    def mark_invoice_sent(self, id: int | str) -> Row:  # noqa: A002  API's word
        """Turn a draft into a sent invoice without e-mailing anybody."""
        return self.update("invoice", id, {"action_mark_as_sent": True})

    def path_of(self, entity: str, object_id: int | str | None = None) -> str:
        """The request path of an entity's list, or of one object; for showing what would be sent."""
        known = self._entity(entity)
        return self._prefix + known.path if object_id is None else self._path(known, object_id)

    def answer(
        self,
        method: str,
        entity: str,
        object_id: int | str | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request and its whole answer whatever it says; for those who study the account.

        Args:
            body: Fields, without the outer key.

        Raises:
            ConnectorError: There was no complete answer, or no token.
        """
        known = self._entity(entity)
        path = self.path_of(entity, object_id)
        wrapped = None if body is None else {known.key: body}
        operation = f"{method} {known.path}"
        return self._api.answer(method, path, query=query, body=wrapped, headers=headers, operation=operation)

    def whoami(self) -> Row:
        """The signed-in identity with its business memberships and account ids."""
        operation = "GET users/me"
        body = self._api.request("GET", "/auth/api/v1/users/me", operation=operation)
        response = body.get("response") if isinstance(body, dict) else None
        if not isinstance(response, dict):
            raise unusable("GET", operation, "response")
        return response

    def businesses(self) -> list[Business]:
        """The businesses of the signed-in person that have an accounting account."""
        found = []
        for membership in self.whoami().get("business_memberships") or []:
            business = membership.get("business") if isinstance(membership, dict) else None
            if isinstance(business, dict) and business.get("account_id"):
                name, role = str(business.get("name") or ""), str(membership.get("role") or "")
                found.append(Business(str(business["account_id"]), int(business["id"]), name, role))
        return found

    def system(self, system_id: int | str) -> Row:
        """Settings of the business, its base `currency_code` among them.

        Args:
            system_id: `systemid` of a role in `whoami`.

        Raises:
            RejectedError: Unknown id (404, errno 1012).
        """
        operation = "GET systems/systems"
        path = f"{self._prefix}systems/systems/{quote(str(system_id), safe='')}"
        found = result_of(self._api.request("GET", path, operation=operation)).get("system")
        if not isinstance(found, dict):
            raise unusable("GET", operation, "system")
        return found

    def _entity(self, name: str) -> EntityProfile:
        return self._profile.entity(name)

    def _path(self, known: EntityProfile, object_id: int | str) -> str:
        text = str(object_id).strip()
        if not text:
            raise ValueError(f"{known.name}: an empty id would address the whole list")
        return f"{self._prefix}{known.path}/{quote(text, safe='')}"

    def _single(
        self,
        method: str,
        known: EntityProfile,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, Any] | None,
    ) -> Row:
        operation = f"{method} {known.path}"
        wrapped = None if body is None else {known.key: body}
        answer = self._api.request(method, path, query=query, body=wrapped, operation=operation)
        found = result_of(answer).get(known.key)
        if not isinstance(found, dict) or not has_id(found, known.id_key):
            raise unusable(method, operation, f"{known.key} with {known.id_key}")
        return found

    def _find_with_deleted(
        self, entity: str, searches: Iterable[Mapping[str, str]], *, include: Sequence[str] = ()
    ) -> list[Row]:
        known = self._entity(entity)
        rows: dict[str, Row] = {}
        for filters in searches:
            for vis_state in (None, DELETED):
                for row in self.find(entity, filters, include=include, vis_state=vis_state):
                    rows.setdefault(str(row[known.id_key]), row)
        return list(rows.values())


def _decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _is_open(invoice: Row) -> bool:
    outstanding = invoice.get("outstanding")
    amount = _decimal(outstanding.get("amount")) if isinstance(outstanding, dict) else None
    # One that does not say what it owes is open: nothing may rest on its being paid.
    return amount is None or amount != 0 or str(invoice.get("v3_status")) == "draft"


def _with_lines(entity: str) -> list[tuple[str, str]]:
    return [("include[]", "lines")] if entity in ("invoice", "credit_note") else []


def _phase(name: str, body: Mapping[str, Any]) -> str:
    """Which of FreshBooks' PUT phases a field belongs to; only the first phase found is executed."""
    if name in ("ext_vis_state", "vis_state"):
        return name
    if name.startswith("action_") or (name in _ACTION_PARTS and "action_email" in body):
        return "action"
    return "fields"
