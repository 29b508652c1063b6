"""Erases one customer on request: payloads, attempts, notes, and texts. Ids, amounts and the ledger stay: they are the
books. An e-mail that is part of a natural key gives way to a name of its own.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.freshbooks import normalised
from sync import audit, proposals
from sync.envelope import dumps, loads, resource_of
from sync.errors import InputError
from sync.found import FOUND, by_email
from sync.ledger import LIVE
from sync.reading import Reading
from sync.retention import ERASED
from sync.skips import hold_lanes
from sync.store import Store, metadata
from sync.store import adoption as adoption_table
from sync.store import attempt as attempt_table
from sync.store import audit as audit_table
from sync.store import inbox as inbox_table
from sync.store import lane as lane_table
from sync.store import ledger as ledger_table
from sync.store import note as note_table
from sync.store import record as record_table
from sync.store import reservation as reservation_table
from sync.store import skip as skip_table

_DIGESTS: Final = ("fields", "seen", "there", "told", "meant")  # of single fields, by the forward way and the way back
_CHUNK: Final = 400  # values in one IN; SQLite takes a limited number


@dataclass
class Forgotten:
    """What was erased, or would be.

    Attributes:
        records: Keys of the customer's records.
        counts: Rows by table.
        clean: False when the file still holds old pages, because somebody else is reading it.
    """

    records: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    clean: bool = True

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"records": self.records, "erased": self.counts, "clean": self.clean}


@dataclass
class _Person:
    ids: set[str]
    emails: set[str]

    @property
    def lanes(self) -> set[str]:
        digests = {hashlib.sha256(email.encode()).hexdigest()[:24] for email in self.emails}
        return {f"customer:{one}" for one in self.ids} | {f"email:{digest}" for digest in digests}


def forget(store: Store, customer: str, *, reading: Reading, who: str, now: float, dry_run: bool = False) -> Forgotten:
    """Erase a customer.

    Args:
        customer: Customer id or e-mail. The one leads to the other by the customer's own records, once.
        dry_run: Only say what would be erased.

    Raises:
        InputError: Nobody is known by that, or something of the customer is still being worked on.
    """
    person = _person(customer)
    with store.read() as conn:
        rows = list(_snapshots(conn))
    for payload in [payload for _, _, payload in rows]:
        ids, emails = _names(payload, reading)
        if ids & person.ids or emails & person.emails:
            _expand(person, ids, emails, by_email="@" in customer)

    def erased(conn: Connection) -> Forgotten:
        keys = sorted(_keys(conn, rows, person, reading))
        if not keys:
            raise InputError("no record of this customer is in the store; give the customer's id or e-mail in Clarity")
        _require_rest(conn, keys)
        found = Forgotten(keys, _count(conn, keys))
        if not dry_run:
            _erase(conn, keys, person, now=now)
            subject = next((f"customer:{one}" for one in sorted(person.ids)), "a customer without an id")
            audit.add_in(conn, who=who, what="forget", subject=subject, detail=f"{len(keys)} records", now=now)
        return found

    found = store.transact(erased)
    if dry_run:
        return found
    found.clean = _clean_file(store)
    return found


def _person(customer: str) -> _Person:
    name = customer.strip()
    if not name:
        raise InputError("give the customer's id or e-mail")
    if "@" in name:
        return _Person(set(), {normalised(name)})
    return _Person({name.removeprefix("customer:").strip()}, set())


def _expand(person: _Person, ids: set[str], emails: set[str], *, by_email: bool) -> None:
    """Add the other names of the person; not the names of those, or one shared mailbox would spread to everybody."""
    if by_email:
        person.ids |= ids
    else:
        person.emails |= emails


def _snapshots(conn: Connection) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Record key, entity and payload of everything whose payload is there."""
    for row in conn.execute(sa.select(record_table).where(record_table.c.payload != ERASED)):
        yield row.key, row.entity, {"entity": row.entity, "resource": loads(row.payload)}
    for row in conn.execute(sa.select(inbox_table).where(inbox_table.c.body != ERASED)):
        yield row.record_key, row.entity, {"entity": row.entity, "resource": resource_of(loads(row.body)) or {}}


def _names(found: Mapping[str, Any], reading: Reading) -> tuple[set[str], set[str]]:
    """Ids and e-mails of the customer that a record belongs to."""
    record = found["resource"]
    own = record.get(reading.id) if found["entity"] == "customer" else None
    inner = record.get(reading.customer) if reading.customer else None
    inner_id = inner.get(reading.id) if isinstance(inner, Mapping) else None
    ids = {str(one) for one in (own, inner_id, record.get(reading.customer_id)) if one not in (None, "")}
    return ids, {normalised(email) for email in reading.emails_of(record)}


def _keys(conn: Connection, rows: list[tuple[str, str, dict[str, Any]]], person: _Person, reading: Reading) -> set[str]:
    keys = {f"customer:{one}" for one in person.ids if _is_known(conn, f"customer:{one}")}
    for table, column in ((inbox_table, inbox_table.c.record_key), (record_table, record_table.c.key)):
        for part in _parts(sorted(person.lanes)):
            keys |= set(conn.scalars(sa.select(column).where(table.c.lane_key.in_(part))))
    for key, _, payload in rows:
        ids, emails = _names(payload, reading)
        if ids & person.ids or emails & person.emails:
            keys.add(key)
    orders = {key for key in keys if key.startswith("order:")}
    for key, entity, payload in rows:
        if entity in ("payment", "refund") and f"order:{payload['resource'].get(reading.order_id)}" in orders:
            keys.add(key)
    for part in _parts(sorted(orders)):
        keys |= set(conn.scalars(sa.select(inbox_table.c.record_key).where(inbox_table.c.waits_for.in_(part))))
    return {key for key in keys if not key.startswith("product:")}


def _is_known(conn: Connection, key: str) -> bool:
    known = conn.scalar(sa.select(inbox_table.c.seq).where(inbox_table.c.record_key == key).limit(1))
    return known is not None or conn.scalar(sa.select(record_table.c.key).where(record_table.c.key == key)) is not None


def _require_rest(conn: Connection, keys: list[str]) -> None:
    busy: set[str] = set()
    for part in _parts(keys):
        hold_lanes(conn, part)
        working = sa.select(inbox_table.c.record_key).where(
            inbox_table.c.record_key.in_(part), inbox_table.c.state == "pending"
        )
        live = sa.select(ledger_table.c.record_key).where(
            ledger_table.c.record_key.in_(part), ledger_table.c.state.in_(LIVE)
        )
        busy |= set(conn.scalars(working)) | set(conn.scalars(live))
    if busy:
        shown = ", ".join(sorted(busy)[:5])
        raise InputError(
            f"{len(busy)} records of this customer are still being worked on ({shown}): let the runner finish them,"
            " or skip them, then forget"
        )


def _count(conn: Connection, keys: list[str]) -> dict[str, int]:
    counts = {"deliveries": 0, "snapshots": 0, "attempts": 0, "notes": 0}
    for part in _parts(keys):
        of_part = {
            "deliveries": (inbox_table, inbox_table.c.record_key.in_(part)),
            "snapshots": (record_table, record_table.c.key.in_(part)),
            "attempts": (attempt_table, attempt_table.c.key.in_(_ledger_keys(part))),
            "notes": (note_table, note_table.c.record_key.in_(part)),
        }
        for name, (table, chosen) in of_part.items():
            counts[name] += conn.scalar(sa.select(sa.func.count()).select_from(table).where(chosen)) or 0
    return counts


def _erase(conn: Connection, keys: list[str], person: _Person, *, now: float) -> None:
    told = {"id": "forgotten", "message": "the customer was erased on request"}
    for part in _parts(keys):
        conn.execute(sa.delete(attempt_table).where(attempt_table.c.key.in_(_ledger_keys(part))))
        conn.execute(sa.delete(note_table).where(note_table.c.record_key.in_(part)))
        conn.execute(sa.update(skip_table).where(skip_table.c.record_key.in_(part)).values(reason="erased"))
        conn.execute(sa.update(audit_table).where(audit_table.c.subject.in_(part)).values(detail="erased"))
        chosen = inbox_table.c.record_key.in_(part)
        # What was held or dead cannot be posted any more: there is nothing left to post.
        ended = {"state": "skipped", "fate": "skipped", "reasons": json.dumps([told]), "settled_at": now}
        conn.execute(sa.update(inbox_table).where(chosen, inbox_table.c.state.in_(("held", "dead"))).values(**ended))
        for row in conn.execute(sa.select(inbox_table.c.seq, inbox_table.c.reasons).where(chosen)).all():
            ids = [{"id": reason["id"], "message": told["message"]} for reason in json.loads(row.reasons)]
            conn.execute(sa.update(inbox_table).where(inbox_table.c.seq == row.seq).values(reasons=json.dumps(ids)))
        without_mail = sa.case(
            (inbox_table.c.lane_key.startswith("email:"), inbox_table.c.record_key), else_=inbox_table.c.lane_key
        )
        conn.execute(sa.update(inbox_table).where(chosen).values(body=ERASED, raw_sha256="", lane_key=without_mail))
        lane_of_record = sa.case(
            (record_table.c.lane_key.startswith("email:"), record_table.c.key), else_=record_table.c.lane_key
        )
        conn.execute(
            sa.update(record_table)
            .where(record_table.c.key.in_(part))
            .values(payload=ERASED, sha256="", settled=None, lane_key=lane_of_record)
        )
        # A reservation names the ledger's key, and is only needed as long as a search may lag behind a write.
        conn.execute(sa.delete(reservation_table).where(reservation_table.c.key.in_(_ledger_keys(part))))
        _erase_proposals(conn, part)
        proposals.forget(conn, part)
        for row in conn.execute(sa.select(ledger_table).where(ledger_table.c.record_key.in_(part))).all():
            detail = {name: value for name, value in loads(row.detail).items() if name not in _DIGESTS}
            key = row.key
            if "@" in key:
                key = f"{key.rpartition(':')[0]}:forgotten-{secrets.token_hex(8)}"
            # The digests of single fields could be tried out; the one of the whole body stays.
            conn.execute(
                sa.update(ledger_table).where(ledger_table.c.key == row.key).values(key=key, detail=dumps(detail))
            )
    found = [f"{FOUND}client:{by_email(email)}" for email in person.emails]
    for part in _parts(found):
        conn.execute(sa.delete(ledger_table).where(ledger_table.c.key.in_(part)))
    mail_lanes = [lane for lane in person.lanes if lane.startswith("email:")]
    for part in _parts(mail_lanes):
        conn.execute(sa.delete(lane_table).where(lane_table.c.key.in_(part), lane_table.c.owner.is_(None)))


def _erase_proposals(conn: Connection, part: list[str]) -> None:
    """Nothing is left to adopt for what was not posted; of what was decided the digests of single fields go."""
    mine = adoption_table.c.record_key.in_(part)
    conn.execute(sa.delete(adoption_table).where(mine, adoption_table.c.state == "proposed"))
    for row in conn.execute(sa.select(adoption_table.c.key, adoption_table.c.wanted).where(mine)).all():
        wanted = dumps({**loads(row.wanted), "fields": {}})
        conn.execute(sa.update(adoption_table).where(adoption_table.c.key == row.key).values(wanted=wanted))


def _ledger_keys(part: list[str]) -> sa.Select[Any]:
    return sa.select(ledger_table.c.key).where(ledger_table.c.record_key.in_(part))


def _parts(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _clean_file(store: Store) -> bool:
    """Take the old text out of free space too; False when another connection keeps old pages alive."""
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for table in metadata.sorted_tables:
                conn.exec_driver_sql(f'VACUUM "{table.name}"')
        return True
    if store.path is None:
        return True
    raw = store.engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("VACUUM")
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy
    except sqlite3.OperationalError:  # a writer holds the file for longer than we wait
        return False
    finally:
        raw.close()
