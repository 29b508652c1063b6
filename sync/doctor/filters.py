"""Which filters of an account work, and how they match.

FreshBooks ignores a filter it does not know without a word, so every filter is asked for something that cannot be
there, and for a record that is: whole, in part, and in the other letter case.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sync.doctor.account import Account, Row
from sync.doctor.finding import Finding, not_known

_MOST_ROWS = 500
_NO_DAY = "1901-01-01"


@dataclass(frozen=True)
class Relied:
    """A filter that the runner relies on.

    Attributes:
        field: Member of the row that it looks at.
        kind: Of its values; "range" stands for `<name>_min` and `<name>_max`.
    """

    entity: str
    name: str
    field: str
    kind: Literal["text", "id", "range"]

    @property
    def setting(self) -> str:
        """Key in the findings."""
        return f"filters.{self.entity}.{self.name}"


RELIED = (
    Relied("client", "email", "email", "text"),
    Relied("client", "email_like", "email", "text"),
    Relied("client", "note_like", "note", "text"),
    Relied("client", "organization_like", "organization", "text"),
    Relied("invoice", "invoice_number", "invoice_number", "text"),
    Relied("invoice", "customerid", "customerid", "id"),
    Relied("invoice", "date", "create_date", "range"),
    Relied("payment", "invoiceid", "invoiceid", "id"),
    Relied("payment", "notes", "note", "text"),
    Relied("item", "sku", "sku", "text"),
)


def probe_filter(account: Account, relied: Relied, sample: Row | None) -> Finding:
    """Find out how one filter matches.

    Args:
        sample: A row that is there, None when there is none; its value is what is searched for.

    Raises:
        ConnectorError: The account did not answer.
    """
    probe = f"filter {relied.entity} search[{relied.name}]"
    everything = account.total(relied.entity)
    if not everything:
        return not_known(probe, f"there is no {relied.entity}", relied.setting)
    absent = account.total(relied.entity, _asked(relied, None))
    if absent:
        return Finding(probe, f"ignored: {absent} rows for a value that no row has", relied.setting, "ignored", 1)
    value = str((sample or {}).get(relied.field) or "")
    if sample is None or not value:
        return Finding(probe, "applied; no record shows how it matches", relied.setting, "applied", 1)
    if relied.kind != "text":
        kind = "range" if relied.kind == "range" else "equals"
        found = _finds(account, relied, value, sample)
        return _told(probe, relied, kind if found else "misses", 2)
    return _told(probe, relied, *_text_kind(account, relied, value, sample))


def _text_kind(account: Account, relied: Relied, value: str, sample: Row) -> tuple[str, int]:
    whole = _finds(account, relied, value, sample)
    if not whole:
        return "misses", 2
    part = value[1:-1].strip()
    kind = "like" if len(part) > 1 and _finds(account, relied, part, sample) else "equals"
    if value.swapcase() == value:
        return kind, 3
    return kind + ("-nocase" if _finds(account, relied, value.swapcase(), sample) else ""), 4


def _told(probe: str, relied: Relied, kind: str, evidence: int) -> Finding:
    words = {
        "equals": "works: equality",
        "equals-nocase": "works: equality, letter case ignored",
        "like": "works: substring",
        "like-nocase": "works: substring, letter case ignored",
        "range": "works: range of days",
        "misses": "misses a row that it should find",
    }
    return Finding(probe, words[kind], relied.setting, kind, evidence)


def _finds(account: Account, relied: Relied, value: str, sample: Row) -> bool:
    rows = 0
    for page in range(1, _MOST_ROWS // 100 + 1):
        found = account.first_rows(relied.entity, [*_asked(relied, value), ("page", str(page))])
        if any(str(row.get("id")) == str(sample["id"]) for row in found):
            return True
        rows += len(found)
        if len(found) < 100:
            break
    return False


def _asked(relied: Relied, value: str | None) -> Sequence[tuple[str, str]]:
    """The query for a value; None asks for what no row has."""
    if relied.kind == "range":
        first = _NO_DAY if value is None else value[:10]
        after = (date.fromisoformat(first) + timedelta(days=1)).isoformat()  # the upper bound does not count
        return [(f"search[{relied.name}_min]", first), (f"search[{relied.name}_max]", after)]
    if value is None:
        value = "2147483646" if relied.kind == "id" else f"no-{secrets.token_hex(8)}"
    return [(f"search[{relied.name}]", value)]


def sample_of(rows: Sequence[Row], field: str) -> Row | None:
    """The row that tells most about a filter: one whose value has letters in it, else one with any value."""
    valued = [row for row in rows if row.get(field) not in (None, "", 0)]
    lettered = [row for row in valued if str(row[field]).swapcase() != str(row[field])]
    return next(iter(lettered or valued), None)


def vis_state(account: Account, entity: str, deleted: Any = None) -> Finding:
    """Whether deleted records can be asked for, which every look before a second write needs.

    Args:
        deleted: Id of a deleted record that must be found; None takes what the list says.
    """
    probe = f"filter {entity} search[vis_state]"
    setting = f"filters.{entity}.vis_state"
    rows = account.first_rows(entity, [("search[vis_state]", "1")])
    wrong = [row for row in rows if row.get("vis_state") != 1]
    if wrong:
        return Finding(probe, "ignored: rows that are not deleted came back", setting, "ignored", len(rows))
    if deleted is not None:
        pages = [("search[vis_state]", "1"), ("sort", "updated_desc")]
        found = any(str(row.get("id")) == str(deleted) for row in account.first_rows(entity, pages))
        found = found or any(str(row.get("id")) == str(deleted) for row in account.client.find(entity, {}, vis_state=1))
        return _told(probe, Relied(entity, "vis_state", "vis_state", "id"), "equals" if found else "misses", 2)
    if not rows:
        return not_known(probe, "nothing is deleted", setting)
    return Finding(probe, "works: only deleted rows", setting, "equals", len(rows))
