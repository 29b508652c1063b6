"""Clarity's framework itself (profile `clarity-cef`): PascalCase records over ServiceStack routes.

Three things bite: a page's `StartIndex` is a 1-based page number, null and empty members are left out of every
answer, and HTTP 200 can mean failure (`ActionSucceeded: false`). Times are the server's wall clock without offset.
Card data and secrets are removed before a record leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.cef_answers import OrdersOfPayments, result_of
from connectors.cef_lists import Failures, ListPage, hash_of, in_pages, page_of
from connectors.cef_session import session_header
from connectors.clarity_port import Changes, Flavour, Head, Page, Row
from connectors.errors import ConnectorError, RejectedError
from connectors.http import Answer, Api, Closing, Pace, Pacing, root_url, unusable
from connectors.profiles import SystemProfile, load_profile
from connectors.scrub import scrub
from connectors.tokens import TokenSource

# Names of the `rest` flavour for the same things.
_OTHER_NAMES = {"refund": "return", "user": "customer"}
_WRITABLE = ("order", "customer", "account")
_CHILD_TYPE = "sales order child"
_ORDER_CHOICES = ("masters", "children", "all")


class ClarityCef(Closing):
    """Client of one store of the framework; safe to share between threads."""

    flavour: Flavour = "cef"

    def __init__(
        self,
        *,
        base_url: str,
        session: TokenSource,
        timeout_s: float = 30.0,
        profile: SystemProfile | None = None,
        credential: Callable[[str], Mapping[str, str]] = session_header,
        pace: Pacing | None = None,
    ) -> None:
        """Set up without any request.

        Args:
            base_url: Root of the store, with or without the API path of A1.
            session: Gives and renews the session's cookies.
            timeout_s: Total for one request.
            profile: Another system profile than the shipped one, for instance with the server's time zone (A21).
            credential: Headers that carry what `session` gives, where a store does not use cookies.
            pace: Limits the requests instead of A10, together with other processes.

        Raises:
            ValueError: base_url or a setting is not usable.
        """
        self._profile = profile or load_profile("clarity-cef")
        settings = self._profile.settings
        self._prefix = str(settings["A1"].value)
        self._routes: Mapping[str, Mapping[str, str]] = settings["A6"].value
        self._page_size = int(settings["A7"].value["size"])
        self._since_param = str(settings["A8"].value["since_param"])
        self._digests = settings["A8"].value["by"] == "digest"
        self._prices = bool((settings["A37"].value or {}).get("fetch"))
        self._whole_with: Mapping[str, str] = settings["A9"].value or {}
        self._zone = _zone(settings["A21"].value)
        self._orders = str(settings["A44"].value)
        if self._orders not in _ORDER_CHOICES:
            raise ValueError(f"setting A44: expected one of {', '.join(_ORDER_CHOICES)}, got {self._orders!r}")
        self._document = str(settings["A45"].value)
        if self._document not in ("SalesOrder", "SalesInvoice"):
            raise ValueError(f"setting A45: expected SalesOrder or SalesInvoice, got {self._document!r}")
        per_minute = settings["A10"].value
        self._orders_of = OrdersOfPayments(self._relations)
        self._api = Api(
            base_url=root_url(base_url, self._prefix),
            tokens=session,
            timeout_s=timeout_s,
            credential=credential,
            pace=pace or (Pace(int(per_minute)) if per_minute else None),
        )

    def close(self) -> None:
        """Close kept connections."""
        self._api.close()

    def list_updated(self, entity: str, since: datetime | None) -> Iterator[Row]:
        """Read every record changed at or after an instant, in the server's order (ids ascend).

        Deleted records come too, with `Active: false`. Of orders, those that A44 leaves out do not come. A row that
        lists carry without its inside (A9) is fetched whole. A payment gets the `MasterID` and `MasterKey` of its
        order from the relation rows.

        Args:
            entity: order, customer, account, payment, product, return or invoice.
            since: Aware instant, inclusive; None reads everything.

        Raises:
            ConnectorError: A page was repeated, so the list cannot be trusted to end; or the request failed.
            ValueError: since has no time zone, or no such entity.
        """
        yield from self.whole(entity, (row for page in self.pages(entity, since) for row in page.rows))

    def pages(self, entity: str, since: datetime | None, position: str | None = None) -> Iterator[Page]:
        """As `list_updated`, in pages of rows that may be flat; a position is the number of the next page.

        Ids ascend and a record that changes meanwhile only comes to the filtered list, so what moves goes to later
        pages, and nothing is missed by going on at a number.
        """
        if since is not None and since.utcoffset() is None:
            raise ValueError("since: expected an instant with a time zone")
        entity = _OTHER_NAMES.get(entity, entity)
        query = [] if since is None else [(self._since_param, self._wall_text(since))]
        for number, rows in self._numbered(self._route(entity, "list"), query, first=int(position or 1)):
            yield Page([row for row in rows if self._wanted(entity, row, since)], str(number + 1))

    def list_changed(
        self, entity: str, known: Mapping[str, int | None], since: datetime | None = None
    ) -> tuple[Changes, Iterator[Row]] | None:
        """What a digest says changed, and those records, as `list_updated` gives them.

        A few are fetched one by one. Many are picked from one unpaged bulk answer where its flat rows are whole (A9),
        else from the pages where those have them whole.

        Args:
            entity: As for `list_updated`.
            known: Hashes of the last time.
            since: Aware instant; leaves out what changed before, None keeps everything.

        Returns:
            None where A8 asks by last change, or the server has no digest or no hashes.

        Raises:
            ConnectorError: The digest lists nothing although records are known; or a request failed.
        """
        if not self._digests:
            return None
        try:
            changes = self.fetch_changes(entity, known)
        except RejectedError as error:
            if error.status == 404:
                return None
            raise
        if any(value is None for value in changes.hashes.values()):
            return None
        if known and not changes.hashes:
            raise ConnectorError(f"the digest of {entity} lists nothing, {len(known)} were known; not believed")
        entity = _OTHER_NAMES.get(entity, entity)
        return changes, self._finished(entity, self._changed(entity, changes.ids, len(changes.hashes)), since)

    def _changed(self, entity: str, ids: Sequence[str], listed: int) -> Iterator[Row]:
        """The records of these ids, with as few requests as may be; `listed` is how many the digest has."""
        left = dict.fromkeys(ids)
        if len(left) > max(self._page_size // 2, -(-listed // self._page_size)):
            inside = self._whole_with.get(entity)
            for row in self._in_bulk(entity) if inside is None else self._pages(self._route(entity, "list"), []):
                if inside is not None and inside not in row:
                    break  # pages of flat rows save nothing, and cannot be gone on with
                if str(row["ID"]) in left:
                    del left[str(row["ID"])]
                    yield row
                if not left:
                    return
        failures = Failures()
        for one in left:
            try:
                row = self._one(entity, one)
            except ConnectorError as error:
                if not (isinstance(error, RejectedError) and error.status == 404):  # else gone since the digest
                    failures.add(error)
                continue
            failures.in_a_row = 0
            yield row
        failures.tell()

    def _in_bulk(self, entity: str) -> Iterator[Row]:
        """Nothing where the store has no such route."""
        try:
            yield from self._bulk(entity)
        except RejectedError as error:
            if error.status != 404:
                raise

    def whole(self, entity: str, rows: Iterable[Row]) -> Iterator[Row]:
        """Rows of pages with their inside, fetched where the list leaves that out (A9).

        Raises:
            ConnectorError: A row could not be had whole; raised after the others, or when it seems to be the server.
        """
        joined, failures = self._orders_of.looking(), Failures()
        for row in rows:
            try:
                whole = self._whole(entity, row, joined)
            except ConnectorError as error:
                failures.add(error)
                continue
            failures.in_a_row = 0
            yield whole
        failures.tell()

    def count(self, entity: str, since: datetime | None) -> int | None:
        """How many records changed since an instant, as the server says; children that A44 leaves out count too."""
        path = self._route(_OTHER_NAMES.get(entity, entity), "list")
        query = [("Paging", "{Size:1,StartIndex:1}")]
        if since is not None:
            query.append((self._since_param, self._wall_text(since)))
        body = self._request("GET", path, query=query, operation=f"GET {path.removeprefix(self._prefix)}")
        total = body.get("TotalCount") if isinstance(body, dict) else None
        return total if isinstance(total, int) else None

    def _wanted(self, entity: str, row: Row, since: datetime | None) -> bool:
        # A server may ignore a filter it does not know, so what came is looked at again.
        if since is not None and self._is_before(row, since):
            return False
        return entity != "order" or not self._left_out(row)

    def _finished(self, entity: str, rows: Iterator[Row], since: datetime | None) -> Iterator[Row]:
        """Rows without those that are left out, whole, with what stands elsewhere, and without secrets."""
        yield from self.whole(entity, (row for row in rows if self._wanted(entity, row, since)))

    def _whole(self, entity: str, row: Row, joined: Callable[[Row], Row]) -> Row:
        entity = _OTHER_NAMES.get(entity, entity)
        whole_with = self._whole_with.get(entity)
        whole = self._one(entity, row["ID"]) if whole_with and whole_with not in row else row
        return self._complete(entity, whole, joined)

    def _complete(self, entity: str, row: Row, joined: Callable[[Row], Row]) -> Row:
        """A record with what stands elsewhere, and without secrets."""
        if entity == "payment":
            row = joined(row)
        elif entity == "return":
            row = _of_one_order(row)
        return _scrubbed(self._priced(row) if entity == "product" else row)

    def _relations(self, done: set[int]) -> Iterator[list[Row]]:
        """The pages of relations of orders and payments, the last one first where the server says which that is."""
        path = self._route("order_payment", "list")
        first = self._page(path, [], 1)
        if first.pages is None:
            yield from (rows for _, rows in self._numbered(path, []))
            return
        for number in range(first.pages, 1, -1):
            if number not in done:
                yield self._page(path, [], number).rows
                if number < first.pages:  # the last one may still grow
                    done.add(number)
        yield first.rows

    def fetch_orders(self, since: datetime | None = None) -> Iterator[Row]:
        """Orders changed since an instant; masters or children as A44 says."""
        return self.list_updated("order", since)

    def fetch_customers(self, since: datetime | None = None) -> Iterator[Row]:
        """Users changed since an instant."""
        return self.list_updated("customer", since)

    def fetch_accounts(self, since: datetime | None = None) -> Iterator[Row]:
        """Accounts (companies) changed since an instant."""
        return self.list_updated("account", since)

    def fetch_payments(self, since: datetime | None = None) -> Iterator[Row]:
        """Payments changed since an instant, with the order they belong to."""
        return self.list_updated("payment", since)

    def fetch_products(self, since: datetime | None = None) -> Iterator[Row]:
        """Products changed since an instant; prices come from `fetch_prices`."""
        return self.list_updated("product", since)

    def fetch_returns(self, since: datetime | None = None) -> Iterator[Row]:
        """Returns (refunds) changed since an instant."""
        return self.list_updated("return", since)

    def get(self, entity: str, id: int | str) -> Row:  # noqa: A002  API's word
        """One record by its `ID`.

        Raises:
            RejectedError: Unknown id (status 404, also where the server answers nothing).
        """
        entity = _OTHER_NAMES.get(entity, entity)
        return self._complete(entity, self._one(entity, id), self._orders_of.looking())

    def get_by_key(self, entity: str, key: str) -> Row:
        """One record by its `CustomKey`: an order by its number, a product by its SKU.

        Raises:
            RejectedError: Unknown key.
        """
        return _scrubbed(self._one(_OTHER_NAMES.get(entity, entity), key, by="Key"))

    def fetch_prices(self, product_id: int | str) -> Row:
        """Base, sale, MSRP and reduced price of a product, as the pricing route has them."""
        path = f"{self._route('price', 'one')}/{quote(_text_id('price', product_id), safe='')}"
        return _scrubbed(self._object("GET", path, "GET raw prices"))

    def list_for_connect(self, entity: str) -> Iterator[Row]:
        """Every record in one unpaged answer, flat members only: the vendor's own bulk route."""
        yield from map(_scrubbed, self._bulk(_OTHER_NAMES.get(entity, entity)))

    def fetch_changes(self, entity: str, known: Mapping[str, int | None]) -> Changes:
        """Compare the entity's digest with the hashes known from the last time; a missing hash counts as changed."""
        path = self._route(_OTHER_NAMES.get(entity, entity), "list") + "Digest"
        operation = f"GET {path.removeprefix(self._prefix)}"
        rows = page_of(self._request("GET", path, operation=operation), operation).rows
        hashes = {str(row["ID"]): hash_of(row) for row in rows}
        changed = tuple(key for key, value in hashes.items() if value is None or known.get(key) != value)
        return Changes(changed, tuple(key for key in known if key not in hashes), hashes)

    def answer(self, entity: str, kind: str = "", *, query: Sequence[tuple[str, str]] = ()) -> Answer:
        """The whole answer of a list, whatever it says; for those who study the store.

        Args:
            kind: "", or what the framework appends to a list: "Digest", "ForConnect".

        Raises:
            ConnectorError: There was no complete answer, or no session.
        """
        path = self._route(_OTHER_NAMES.get(entity, entity), "list") + kind
        return self._api.answer("GET", path, query=query, operation=f"GET {path.removeprefix(self._prefix)}")

    @property
    def since_param(self) -> str:
        """The filter by last change (A8)."""
        return self._since_param

    def whole_with(self, entity: str) -> str | None:
        """The member without which a list's row is fetched by its ID (A9)."""
        return self._whole_with.get(_OTHER_NAMES.get(entity, entity))

    def set_attributes(self, entity: str, id: int | str, values: Mapping[str, str]) -> None:  # noqa: A002  API's word
        """Write custom attributes, the only way back to this flavour (A43, off by default); nothing moves money.

        The record is read, changed and sent back whole, because an update may empty what it does not name.

        Args:
            entity: order, customer or account.
            id: `ID` of the record.
            values: Attribute name to value.

        Raises:
            RejectedError: Refused, also with status 200.
            AmbiguousWriteError: Sent without a clear answer; sending it again is harmless.
        """
        if not self._profile.assumed("A43", "enabled"):
            raise ValueError("nothing is written back to Clarity: the setting A43.enabled is false")
        if entity not in _WRITABLE:
            raise ValueError(f"{entity}: attributes are written to {', '.join(_WRITABLE)} only")
        record = self._one(entity, id)
        attributes = dict(record.get("SerializableAttributes") or {})
        for name, value in values.items():
            attributes[name] = {**attributes.get(name, {}), "Key": name, "Value": value}
        path = f"{self._route(entity, 'one')}/Update"
        operation = f"PUT {path.removeprefix(self._prefix)}"
        self._request("PUT", path, body={**record, "SerializableAttributes": attributes}, operation=operation)

    def head(self, row: Mapping[str, Any]) -> Head:
        """Id, and the last change in UTC."""
        stamp = self._moment(row.get("UpdatedDate") or row.get("CreatedDate"), fold=0)
        identifier = row.get("ID")
        return Head(
            None if identifier is None else str(identifier),
            None if stamp is None else stamp.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        )

    def _bulk(self, entity: str) -> Iterator[Row]:
        path = self._route(entity, "list") + "ForConnect"
        operation = f"GET {path.removeprefix(self._prefix)}"
        yield from page_of(self._request("GET", path, operation=operation), operation).rows

    def _priced(self, product: Row) -> Row:
        """A product with its prices, which stand on a route of their own (A37)."""
        if not self._prices:
            return product
        try:
            return {**product, "RawPrices": self.fetch_prices(product["ID"])}
        except RejectedError:  # a product without a price, or a user who may not see them
            return product

    def _route(self, entity: str, kind: str) -> str:
        name = "invoice" if entity == "order" and self._document == "SalesInvoice" else entity
        found = self._routes.get(name, {}).get(kind)
        if found is None:
            raise ValueError(f"{self._profile.system} has no route for {entity!r}; known: {', '.join(self._routes)}")
        return self._prefix + found

    def _one(self, entity: str, id: int | str, *, by: str = "ID") -> Row:  # noqa: A002  API's word
        route = self._route(entity, "one")
        path = f"{route}/{by}/{quote(_text_id(entity, id), safe='')}"
        return self._object("GET", path, f"GET {route.removeprefix(self._prefix)}/{by}")

    def _object(self, method: str, path: str, operation: str) -> Row:
        body = self._request(method, path, operation=operation)
        if body is None or body == {}:
            raise RejectedError(404, None, None, "no such record", operation=operation)
        if not isinstance(body, dict):
            raise unusable(method, operation, "record")
        return body

    def _pages(self, path: str, query: Sequence[tuple[str, str]]) -> Iterator[Row]:
        for _, rows in self._numbered(path, query):
            yield from rows

    def _numbered(self, path: str, query: Sequence[tuple[str, str]], first: int = 1) -> Iterator[tuple[int, list[Row]]]:
        operation = f"GET {path.removeprefix(self._prefix)}"
        return in_pages(lambda number: self._page(path, query, number), operation, size=self._page_size, first=first)

    def _page(self, path: str, query: Sequence[tuple[str, str]], number: int) -> ListPage:
        operation = f"GET {path.removeprefix(self._prefix)}"
        paging = f"{{Size:{self._page_size},StartIndex:{number}}}"
        return page_of(self._request("GET", path, query=[*query, ("Paging", paging)], operation=operation), operation)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        operation: str,
    ) -> Any:
        answer = self._api.request(method, path, query=query, body=body, operation=operation)
        return result_of(answer, method, operation)

    def _left_out(self, row: Mapping[str, Any]) -> bool:
        """A checkout with several shipments is one master and several children; counting both doubles revenue."""
        child = (
            str(row.get("TypeKey") or row.get("TypeName") or "").strip().lower() == _CHILD_TYPE
            or row.get("SalesGroupAsSubID") is not None
        )
        if self._orders == "masters":
            return child
        return self._orders == "children" and not child and row.get("SalesGroupAsMasterID") is not None

    def _wall_text(self, since: datetime) -> str:
        """An instant on the server's clock, never later than any record changed since then.

        Where the clock goes back within a day, an hour of wall times comes twice: then one hour more is asked for.
        """
        local = since.astimezone(self._zone)
        later = (since + timedelta(days=1)).astimezone(self._zone)
        back = max((local.utcoffset() or timedelta()) - (later.utcoffset() or timedelta()), timedelta())
        return (local.replace(tzinfo=None) - back).isoformat()

    def _is_before(self, row: Mapping[str, Any], since: datetime) -> bool:
        stamp = self._moment(row.get("UpdatedDate") or row.get("CreatedDate"), fold=1)
        return stamp is not None and stamp < since

    def _moment(self, value: Any, *, fold: int) -> datetime | None:
        """A server time as an aware instant; `fold` says which one of two equal wall times is meant."""
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            return None
        if moment is None or moment.tzinfo is not None:
            return moment
        return moment.replace(tzinfo=self._zone, fold=fold)


def _of_one_order(row: Row) -> Row:
    """A return with its order as a payment has it; one of several orders names none."""
    ids = row.get("SalesOrderIDs")
    relations = row.get("AssociatedSalesOrders")
    relations = [one for one in relations if isinstance(one, dict)] if isinstance(relations, list) else []
    if not isinstance(ids, list) or not ids:
        ids = [one.get("SlaveID") for one in relations]
    found = {str(number) for number in ids if number is not None}
    if "MasterID" in row or len(found) != 1:
        return row
    key = next((one["SlaveKey"] for one in relations if one.get("SlaveKey") is not None), None)
    return {**row, "MasterID": ids[0], **({} if key is None else {"MasterKey": key})}


def _scrubbed(row: Row) -> Row:
    cleaned: Row = scrub(row)
    return cleaned


def _text_id(entity: str, value: int | str) -> str:
    text = str(value).strip()
    if not text:
        raise ValueError(f"{entity}: an empty id would address the whole list")
    return text


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"setting A21: expected the server's time zone, such as America/New_York, got {name!r}"
        ) from None
