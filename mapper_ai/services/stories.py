"""A record's story as moments in order, in words: from the webhook to the invoice, with what people did. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_RANK: Final = {"delivered": 0, "asked": 1, "sent": 1, "in the books": 2}


@dataclass(frozen=True)
class Moment:
    """One thing that happened.

    Attributes:
        at: UTC text, "" where it is not known.
        what: One word or two: delivered, held, sent, in the books, by hand.
        text: What exactly.
        mend: What to do about it; "" where nothing is to be done.
    """

    at: str
    what: str
    text: str
    mend: str = ""


def moments(told: Mapping[str, Any]) -> list[Moment]:
    """By time; what happened in the same second stays in the order of cause and effect."""
    found = [moment for row in told["deliveries"] for moment in _delivery(row)]
    found += [_attempt(row) for row in told["attempts"]]
    found += [_entry(row, told.get("mappings", {})) for row in told["ledger"]]
    found += [_deed(row) for row in told["by hand"]]
    found += [Moment("", "note", f"{row['kind']}: {row['message']}", row["mend"]) for row in told["notes"]]
    return sorted(found, key=lambda moment: (moment.at or "9", _RANK.get(moment.what, len(_RANK))))


def _delivery(row: Mapping[str, Any]) -> list[Moment]:
    version = f", version {row['version']}" if row["version"] else ""
    found = [Moment(row["at"] or "", "delivered", f"{row['event']} from {row['from']}{version}")]
    words = {"dead": "set aside", "pending": "pending"}.get(row["state"], row["state"])
    tries = f" after {row['tries']} tries" if (row["tries"] or 0) > 1 else ""
    for reason in row["reasons"]:
        at = row["settled"] or row["at"] or ""
        found.append(Moment(at, words, f"{reason['id']}: {reason['message']}{tries}", reason["mend"]))
    if not row["reasons"] and row["settled"]:
        found.append(Moment(row["settled"], words, f"{row['event']}{tries}"))
    return found


def _attempt(row: Mapping[str, Any]) -> Moment:
    request = row["request"] or {}
    what = "asked" if request.get("method") == "GET" else "sent"
    text = f"{request.get('method') or 'request'} {request.get('entity') or ''} of {row['key']}: {row['outcome']}"
    return Moment(row["at"] or "", what, " ".join(text.split()))


def _entry(row: Mapping[str, Any], mappings: Mapping[str, str]) -> Moment:
    amount = f", {row['total']} {row['currency']}" if row["total"] else ""
    remote = f" as {row['remote_id']}" if row["remote_id"] else ""
    spec = row["spec"] or ""
    by = f", by {mappings.get(spec, 'mapping')} ({spec[:12]})" if spec else ""
    state = "in the books" if row["state"] == "confirmed" else row["state"]
    return Moment(row["at"] or "", state, f"{row['key']} {row['phase']}{remote}{amount}{by}")


def _deed(row: Mapping[str, Any]) -> Moment:
    detail = f": {row['detail']}" if row["detail"] else ""
    return Moment(row["at"] or "", "by hand", f"{row['what']} by {row['who']}{detail}")


def bodies(told: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    """Payloads, requests and answers with what they are, in the order of events; empty where none were asked for."""
    found: list[tuple[str, Any]] = [
        (f"{row['at']} delivered: {row['event']}", row["payload"])
        for row in told["deliveries"]
        if row.get("payload") is not None
    ]
    for row in told["attempts"]:
        if "response" in row:
            request = row["request"] or {}
            name = f"{row['at']} {request.get('method') or ''} {request.get('entity') or ''}".strip()
            found += [(f"{name}: request", row["request"]), (f"{name}: answer", row["response"])]
    return found
