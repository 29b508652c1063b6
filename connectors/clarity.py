"""Clarity eCommerce's REST API (profile `clarity-rest`): lists of what changed, and one record by id.

No public reference exists; paths, parameter names, members and limits are the profile's assumptions, each read by
its number: A1, A5 to A11, A17, A21 and A43.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.clarity_port import Flavour, Head, Page, Row, detect_flavour
from connectors.errors import ConnectorError
from connectors.http import Answer, Api, Closing, ErrorNames, Pace, Pacing, bearer, root_url, unusable
from connectors.profiles import SystemProfile, load_profile
from connectors.tokens import TokenSource


def api_key(header: str) -> Callable[[str], dict[str, str]]:
    """Send an API key instead of a token, in the header that A5 names; Authorization carries it as a bearer."""
    return bearer if header.lower() == "authorization" else lambda key: {header: key}


class Clarity(Closing):
    """Client of one Clarity store; safe to share between threads."""

    flavour: Flavour = "rest"

    def __init__(
        self,
        *,
        base_url: str,
        tokens: TokenSource,
        timeout_s: float = 30.0,
        profile: SystemProfile | None = None,
        credential: Callable[[str], Mapping[str, str]] = bearer,
        pace: Pacing | None = None,
    ) -> None:
        """Set up without any request.

        Args:
            base_url: Root of the store, with or without the API path of A1 (/api/v1).
            tokens: Gives and renews the access token.
            timeout_s: Total for one request.
            profile: Another system profile than the shipped one, for instance with changed assumptions.
            credential: How the token is sent; `api_key` for a key in a header of its own.
            pace: Limits the requests instead of A10, together with other processes.

        Raises:
            ValueError: base_url is not usable.
        """
        self._profile = known = profile or load_profile("clarity-rest")
        self._prefix = str(known.assumed("A1")).rstrip("/")
        self._paging: Mapping[str, Any] = known.assumed("A7")
        self._filter: Mapping[str, Any] = known.assumed("A8")
        self._updated, self._id = str(self._filter["updated"]), str(known.assumed("A17"))
        self._complete_rows = bool(known.assumed("A9"))
        self._zone: tzinfo = ZoneInfo(known.assumed("A21"))
        errors, per_minute = known.assumed("A11"), known.assumed("A10")
        self._api = Api(
            base_url=root_url(base_url, self._prefix),
            tokens=tokens,
            timeout_s=timeout_s,
            credential=credential,
            error_names=ErrorNames(errors["member"], errors["code"], errors["message"]),
            pace=pace or (Pace(int(per_minute)) if per_minute else None),
        )

    def close(self) -> None:
        """Close kept connections."""
        self._api.close()

    def list_updated(self, entity: str, since: datetime | None) -> Iterator[Row]:
        """Read every record updated at or after an instant, oldest change first.

        A record that is edited while its list is read moves to the list's end, and the row behind each page
        border then slips onto a page already read. So the next page is asked for as "updated since the last
        row", not as "page 2", wherever the server sorts and filters as assumed (A8).

        Args:
            entity: order, customer, payment, product or refund.
            since: Aware instant, inclusive; None reads everything.

        Yields:
            Rows as decoded JSON; one edited meanwhile may come twice, newer the second time.

        Raises:
            ConnectorError: A page was repeated, so the list cannot be trusted to end; or the request failed.
            ValueError: since has no time zone.
        """
        if since is not None and since.utcoffset() is None:
            raise ValueError("since: expected an instant with a time zone")
        operation = f"GET {self._profile.entity(entity).path}"
        first = int(self._paging["first"])
        page, before, may_jump = first, since, True
        last_page: tuple[tuple[str, str], ...] = ()
        resume: tuple[int, datetime | None] | None = None  # where to go on when the server ignores a jump
        while True:
            rows, more = self._page(entity, operation, page, since)
            instants = [_instant(row.get(self._updated), self._zone) for row in rows]
            if resume is not None and _any_older(instants, since):
                may_jump, (page, since), resume = False, resume, None
                continue
            resume = None
            keys = tuple((str(row.get(self._id)), str(row.get(self._updated))) for row in rows)
            if rows and keys == last_page:
                raise ConnectorError(f"{operation}: page {page} repeats the page before")
            for row, key in zip(rows, keys, strict=True):
                if key not in last_page:
                    yield row if self._complete_rows else self.get(entity, key[0])
            if not rows and more:
                raise ConnectorError(f"{operation}: page {page} is empty before the last one")
            if not more:
                return
            last_page = keys
            target = _jump_target(instants, before)
            if may_jump and target is not None:
                resume = (page + 1, since)
                page, since, before = first, target, target
            else:
                page += 1

    def pages(self, entity: str, since: datetime | None, position: str | None = None) -> Iterator[Page]:
        """As `list_updated`, in pages; a position is the instant up to which everything was read."""
        reached = since if position is None else datetime.fromisoformat(position)
        rows = iter(self.list_updated(entity, reached))
        ordered = True
        while page := list(islice(rows, int(self._paging["size"]))):
            instants = [_instant(row.get(self._updated), self._zone) for row in page]
            ordered = ordered and not _any_older(instants, reached) and instants == sorted(instants, key=_known)
            reached = instants[-1] if ordered else reached
            yield Page(page, reached.isoformat() if ordered and reached is not None else None)

    def whole(self, _entity: str, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows: lists here are complete, or were completed (A9)."""
        return iter(rows)

    def count(self, entity: str, since: datetime | None) -> int | None:
        """How many records changed since an instant, as the server says."""
        body = self._list(entity, f"GET {self._profile.entity(entity).path}", int(self._paging["first"]), since, 1)
        total = body.get(str(self._paging["total_key"])) if isinstance(body, dict) else None
        return total if isinstance(total, int) else None

    def get(self, entity: str, id: int | str) -> Row:  # noqa: A002  API's word
        """One record by id.

        Raises:
            RejectedError: Unknown id (404).
        """
        known = self._profile.entity(entity)
        text = _text_id(entity, id)
        operation = f"GET {known.path}"
        body = self._api.request("GET", self._one(known.path, text), operation=operation)
        wrapped = body.get(str(self._paging["rows_key"])) if isinstance(body, dict) and self._id not in body else None
        found = wrapped if isinstance(wrapped, dict) else body
        if not isinstance(found, dict) or found.get(self._id) is None:
            raise unusable("GET", operation, f"{entity} with {self._id}")
        return found

    def update(self, entity: str, id: int | str, changes: Mapping[str, Any]) -> Row:  # noqa: A002  API's word
        """Set members of an order or a customer, the way back (A43), which is off unless that says otherwise.

        Returns:
            The record as changed.

        Raises:
            ValueError: The way back is off, or a member is not on its list; nothing was sent.
            RejectedError: Refused; without the write scope (A4) too.
            AmbiguousWriteError: Sent without a clear answer; sending it again is harmless.
        """
        allowed = self._profile.assumed("A43")
        if not allowed["enabled"]:
            raise ValueError("nothing is written back to Clarity: the setting A43.enabled is false")
        refused = sorted(set(changes) - set(allowed.get(entity, ())))
        if refused or not changes:
            raise ValueError(f"{entity}: {', '.join(refused) or 'nothing'} is not written back (setting A43.{entity})")
        path = self._profile.entity(entity).path
        operation = f"PATCH {path}"
        address = self._one(path, _text_id(entity, id))
        body = self._api.request("PATCH", address, body=changes, operation=operation)
        if not isinstance(body, dict):
            raise unusable("PATCH", operation, entity)
        return body

    def head(self, row: Mapping[str, Any]) -> Head:
        """Id and last change of a record, as the store wrote them."""
        identifier, updated = row.get(self._id), row.get(self._updated)
        return Head(None if identifier is None else str(identifier), updated if isinstance(updated, str) else None)

    def register_webhook(self, url: str, events: Sequence[str], secret: str) -> bool:
        """Register an address where the profile names a path for it (`webhooks.register_path`); False where none is.

        No public source tells of such an API; the body is an assumption like the rest of A12.

        Raises:
            ConnectorError: The store refused it.
        """
        path = self._profile.webhooks.get("register_path")
        if not path:
            return False
        body = {"url": url, "events": list(events), "secret": secret}
        self._api.request("POST", f"{self._prefix}/{str(path).lstrip('/')}", body=body, operation="POST webhooks")
        return True

    def answer(self, entity: str, record_id: str | None = None, *, query: Sequence[tuple[str, str]] = ()) -> Answer:
        """The whole answer of a list, or of one record, whatever it says; for those who study the store.

        Raises:
            ConnectorError: There was no complete answer, or no token.
        """
        known = self._profile.entity(entity)
        path = f"{self._prefix}/{known.path}" if record_id is None else self._one(known.path, record_id)
        return self._api.answer("GET", path, query=query, operation=f"GET {known.path}")

    def _one(self, list_path: str, text: str) -> str:
        """Path of one record (A6)."""
        template = str(self._profile.assumed("A6", "one"))
        return self._prefix + template.replace("{list}", list_path).replace("{id}", quote(text, safe=""))

    def _page(self, entity: str, operation: str, page: int, since: datetime | None) -> tuple[list[Row], bool]:
        """One page, and whether another one may follow."""
        names, size = self._paging, int(self._paging["size"])
        body = self._list(entity, operation, page, since, size)
        rows = body.get(str(names["rows_key"])) if isinstance(body, dict) else body
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise unusable("GET", operation, "list of records")
        if rows and self._id not in rows[0] and detect_flavour(rows[:1]) == "cef":
            raise ConnectorError(f"{operation}: these are records of Clarity's framework; set CLARITY_FLAVOUR=cef")
        pages = body.get(str(names["pages_key"])) if isinstance(body, dict) else None
        if isinstance(pages, int):
            return rows, page - int(names["first"]) + 1 < pages
        total = body.get(str(names["total_key"])) if isinstance(body, dict) else None
        if isinstance(total, int):
            return rows, (page - int(names["first"]) + 1) * size < total
        # More rows than asked for is an unpaged list; it is complete.
        return rows, len(rows) == size

    def _list(self, entity: str, operation: str, page: int, since: datetime | None, size: int) -> Any:
        names = self._paging
        query = [(str(names["page_param"]), str(page)), (str(names["size_param"]), str(size))]
        query.append((str(self._filter["sort_param"]), self._updated))
        if since is not None:
            moment = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
            query.append((str(self._filter["since_param"]), moment))
        path = f"{self._prefix}/{self._profile.entity(entity).path}"
        return self._api.request("GET", path, query=query, operation=operation)


def _text_id(entity: str, value: int | str) -> str:
    text = str(value).strip()
    if not text:
        raise ValueError(f"{entity}: an empty id would address the whole list")
    return text


def _known(moment: datetime | None) -> datetime:
    return moment or datetime.max.replace(tzinfo=UTC)


def _instant(value: Any, zone: tzinfo) -> datetime | None:
    """An aware datetime, None for what is no time; without an offset it is one of the store's zone (A21)."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=zone) if moment is not None and moment.utcoffset() is None else moment


def _any_older(instants: list[datetime | None], since: datetime | None) -> bool:
    return any(moment is None or (since is not None and moment < since) for moment in instants)


def _jump_target(instants: list[datetime | None], before: datetime | None) -> datetime | None:
    """The last row's instant, when the page is sorted and moves forward; None else.

    A page on which all rows share one instant would be answered again whole: it is left by page number.
    """
    known = [moment for moment in instants if moment is not None]
    if not known or len(known) != len(instants) or known != sorted(known):
        return None
    first, last = known[0], known[-1]
    return last if last > first and (before is None or last > before) else None
