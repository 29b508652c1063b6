"""What an operator may ask and do, by name: the admin API serves it over HTTP, the app calls it on its own store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sync import adoption, audit, control, proposals, skips
from sync.alerts import alerts
from sync.aliases import change_alias, list_aliases
from sync.backfill import backfills
from sync.errors import InputError
from sync.pace import SPANS, pace
from sync.status import grouped_errors, status
from sync.store import Store
from sync.story import Payloads, story
from sync.top import look

_SHOWN: Final = 1000  # records, of each list of a screen

Asked = Mapping[str, Any]
Read = Callable[[Store, Asked, float], Any]
Deed = Callable[[Store, Asked, str, float], Any]


def tell(store: Store, record: str, *, payload: str, who: str, now: float) -> dict[str, Any]:
    """A record's story; showing values as they are goes into the audit.

    Args:
        payload: none, masked or whole.

    Raises:
        InputError: No such record, or several.
    """
    if payload not in ("none", "masked", "whole"):
        raise InputError("payload: expected none, masked or whole")
    payloads: Payloads = "whole" if payload == "whole" else "masked" if payload == "masked" else "none"
    told = story(store, record, payloads=payloads)
    if payloads == "whole":
        audit.add(store, who=who, what="reveal", subject=told["record"], now=now)
    return told


def _pace(store: Store, asked: Asked, now: float) -> Any:
    span = asked.get("span", "hour")
    if span not in SPANS:
        raise InputError(f"span: expected one of {', '.join(SPANS)}")
    return pace(store, now=now, span_s=SPANS[span])


def _proposals(store: Store, _asked: Asked, _now: float) -> Any:
    """What waits for a person's yes or no, of every kind; each may be decided in one of its choices."""
    return [_adoption(one) for one in adoption.proposals(store)] + [_correction(one) for one in proposals.listed(store)]


def _adoption(one: adoption.Proposal) -> dict[str, Any]:
    return {
        "kind": "adoption",
        "name": one.record_key,
        "record": one.record_key,
        "number": one.wanted["number"],
        "text": f"seems to be typed in by hand already: {one.wanted['total']} {one.wanted['currency']}",
        "choices": [{"id": row["id"], "text": f"invoice {row['number']} of {row['date']}"} for row in one.candidates],
        "accept": "It is this invoice: enter it as the order's",
        "refuse": "It is another: post the order",
        "asks_why": False,
    }


def _correction(one: proposals.Proposal) -> dict[str, Any]:
    told = one.as_dict()
    return {
        "kind": "correction",
        "name": one.name,
        "record": one.record_key,
        "number": told["invoice"]["number"],
        "text": told["title"],
        "choices": [{"id": way["name"], "text": way["does"]} for way in told["ways"] if "why_not" not in way],
        "accept": "Write it this way",
        "refuse": "Leave the books as they are",
        "asks_why": True,
        "correction": told,
    }


def _decide(store: Store, body: Asked, who: str, now: float) -> Any:
    kind, name, decision = (_required(body, member) for member in ("kind", "name", "decision"))
    if kind not in ("adoption", "correction"):
        raise InputError("kind: expected adoption or correction")
    if decision not in ("accept", "refuse"):
        raise InputError("decision: expected accept or refuse")
    choice, why = _text(body, "choice"), _text(body, "why") or ""
    match kind, decision:
        case "adoption", "accept":
            adoption.accept(store, name, invoice=choice, now=now, by=who)
        case "adoption", _:
            adoption.refuse(store, name, now=now, by=who)
        case _, "accept":
            proposals.accept(store, name, way=choice, who=who, now=now)
        case _:
            proposals.refuse(store, name, why=why, who=who, now=now)
    return {"decided": name}


def _replay(store: Store, body: Asked, who: str, now: float) -> Any:
    record, reason, everything = _text(body, "record"), _text(body, "reason"), body.get("all") is True
    if sum((record is not None, reason is not None, everything)) != 1:
        raise InputError('name one of "record", "reason" and "all": true')
    found = skips.replay(store, record, reason=reason, who=who, now=now)
    if record is not None and not found:
        raise InputError(f"no record {record!r} in the inbox")
    return {"replayed": found}


def _skip(store: Store, body: Asked, who: str, now: float) -> Any:
    record = _required(body, "record")
    key, lasting = skips.skip(store, record, reason=_required(body, "reason"), who=who, now=now)
    return {"skipped": key, "until": "replay" if lasting else "next change"}


def _pause(store: Store, body: Asked, who: str, now: float) -> Any:
    return {"paused": control.pause(store, who=who, reason=_text(body, "reason") or "", now=now).as_dict()}


def _resume(store: Store, _body: Asked, who: str, now: float) -> Any:
    return {"resumed": control.resume(store, who=who, now=now), "paused": None}


def _alias(store: Store, body: Asked, who: str, now: float) -> Any:
    wanted = {name: _required(body, name) for name in ("kind", "name")}
    removing = body.get("target") is None
    if not removing:
        wanted["target"] = _required(body, "target")
    return change_alias(store, "remove" if removing else "set", wanted, who=who, now=now)[0]


READS: Final[Mapping[str, Read]] = {
    "status": lambda store, _asked, _now: status(store),
    "top": lambda store, _asked, now: look(store, now=now),
    "errors": lambda store, _asked, _now: grouped_errors(status(store)),
    "alerts": lambda store, _asked, _now: [alert.as_dict() for alert in alerts(store)],
    "audit": lambda store, _asked, _now: [deed.as_dict() for deed in audit.deeds(store)],
    "aliases": lambda store, _asked, _now: [alias.as_dict() for alias in list_aliases(store)],
    "pace": _pace,
    "backfills": lambda store, _asked, _now: backfills(store),
    "proposals": _proposals,
    # For a screen that looks every few seconds: as many records as anybody reads.
    "overview": lambda store, _asked, _now: status(store, most=_SHOWN),
}

DEEDS: Final[Mapping[str, Deed]] = {
    "replay": _replay,
    "skip": _skip,
    "pause": _pause,
    "resume": _resume,
    "alias": _alias,
    "proposals": _decide,
}


def _text(body: Asked, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name}: expected a text")
    return value


def _required(body: Asked, name: str) -> str:
    value = _text(body, name)
    if not value:
        raise InputError(f"{name} is missing")
    return value
