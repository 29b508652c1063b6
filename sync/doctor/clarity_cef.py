"""What a store of Clarity's framework tells by reading; nothing is ever written there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from connectors.clarity_cef import ClarityCef
from connectors.errors import AuthError, RejectedError, TransientError
from connectors.http import Answer
from sync.doctor.finding import Finding, guarded, not_known
from sync.envelope import version_of
from sync.reading import Reading

ENTITIES = ("order", "customer", "payment", "product", "refund")
_BULK_AT_MOST = 5_000  # records; the bulk route knows no pages
_AHEAD_S = 600  # how far a clock may be ahead

Row = Mapping[str, Any]


def framework_probes(client: ClarityCef, reading: Reading, *, now: datetime) -> Iterator[Finding]:
    """Lists, paging, filter, digest, bulk route, whole rows, errors, prices and times (A6-A11, A21, A37).

    Raises:
        AuthError: The login is refused.
        ConnectorError: The store does not answer.
    """
    lists = {}
    for entity in ENTITIES:
        answer = client.answer(entity, query=_paging(50, 1))
        if answer.status == 401:
            raise AuthError(f"GET {entity}: the session was refused (401)")
        if answer.status >= 500 or answer.status == 429:
            raise TransientError(f"GET {entity}: status {answer.status}; try again later")
        lists[entity] = answer
        yield _listed(entity, answer)
    rows = _rows(lists["order"])
    busiest = max(ENTITIES, key=lambda entity: len(_rows(lists[entity])))
    probes: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("pages by StartIndex (A7)", partial(_pages, client, busiest)),
        ("changed since (A8)", partial(_changed_since, client, busiest, _rows(lists[busiest]))),
        ("digest (A8)", partial(_digest, client, busiest)),
        ("bulk list (A8)", partial(_bulk, client, lists["product"])),
        ("list rows are complete (A9)", partial(_complete, client, rows)),
        ("error shape (A11)", partial(_error_shape, client)),
        ("times of the server (A21)", partial(_times, rows, reading, now)),
        ("prices of products (A37)", partial(_prices, client, _rows(lists["product"]))),
    )
    for name, probe in probes:
        yield from guarded(name, probe)


def _listed(entity: str, answer: Answer) -> Finding:
    probe, setting = f"list of {entity}s (A6)", f"lists.{entity}"
    body = answer.json_or_none()
    failed = isinstance(body, Mapping) and body.get("ActionSucceeded") is False
    if answer.status < 300 and not failed and (body is None or isinstance(body, list | Mapping)):
        return Finding(probe, f"works, {_total(answer)} rows in all", setting, "works", 1)
    value = "missing" if answer.status == 404 else "refused"
    return Finding(probe, f"{value}: status {answer.status}{', a failure' if failed else ''}", setting, value, 1)


def _pages(client: ClarityCef, entity: str) -> Finding:
    probe, setting = "pages by StartIndex (A7)", "start_index"
    first, second, wide = (_ids(client.answer(entity, query=_paging(*one))) for one in ((2, 1), (2, 2), (4, 1)))
    if len(wide) < 4:
        return not_known(probe, f"fewer than four {entity}s", setting)
    if second == wide[2:4]:
        return Finding(probe, "counts pages, from 1", setting, "pages", 2)
    value = "ignored" if second == first else "rows"
    return Finding(
        probe,
        f"{value}: page 2 begins with row {wide.index(second[0]) + 1}" if second and second[0] in wide else value,
        setting,
        value,
        2,
    )


def _changed_since(client: ClarityCef, entity: str, rows: list[Row]) -> Finding:
    probe, setting = "changed since (A8)", "updated_since"
    newest = max((str(row["UpdatedDate"]) for row in rows if row.get("UpdatedDate")), default=None)
    if newest is None:
        return not_known(probe, f"no {entity} with a time of change", setting)
    name = client.since_param
    after = _rows(client.answer(entity, query=[*_paging(50, 1), (name, "2200-01-01T00:00:00")]))
    if after:
        return Finding(probe, f"{name} is ignored: {len(after)} rows from the future", setting, "ignored", 1)
    same = [str(row["UpdatedDate"]) for row in _rows(client.answer(entity, query=[*_paging(50, 1), (name, newest)]))]
    word = "inclusive" if newest in same else "exclusive"
    return Finding(probe, f"{name} works, {word}", setting, word, 2)


def _digest(client: ClarityCef, entity: str) -> Finding:
    probe, setting = "digest (A8)", "digest"
    answer = client.answer(entity, "Digest")
    rows = _rows(answer)
    if answer.status >= 400 or not rows:
        return Finding(probe, f"missing: status {answer.status}, {len(rows)} rows", setting, "missing", 1)
    without = sum(row.get("Hash") is None for row in rows)
    if without:
        return Finding(probe, f"{without} of {len(rows)} without a hash", setting, "ids", len(rows))
    return Finding(probe, f"works, {len(rows)} hashes of {entity}s", setting, "hashes", len(rows))


def _bulk(client: ClarityCef, listed: Answer) -> Finding:
    probe = "bulk list (A8)"
    if not _rows(listed) or _total(listed) > _BULK_AT_MOST:
        return not_known(probe, f"{_total(listed)} products")
    answer = client.answer("product", "ForConnect")
    if answer.status >= 400:
        return Finding(probe, f"missing: status {answer.status}; many changes are fetched one by one", evidence=1)
    return Finding(probe, f"works, {len(_rows(answer))} products in one answer", evidence=1)


def _complete(client: ClarityCef, rows: list[Row]) -> Finding:
    probe, setting = "list rows are complete (A9)", "complete_rows"
    if not rows:
        return not_known(probe, "there is no order", setting)
    inside = client.whole_with("order")
    single = client.get("order", str(rows[0]["ID"]))
    missing = sorted(single.keys() - rows[0].keys())
    if missing and inside in missing:
        return Finding(probe, f"no, without {inside}: each order is fetched by its ID", setting, True, 1)
    result = f"no: the list leaves out {', '.join(missing[:5])}" if missing else "yes"
    return Finding(probe, result, setting, not missing, 1)


def _error_shape(client: ClarityCef) -> Finding:
    probe, setting = "error shape (A11)", "error_shape"
    try:
        client.get("order", "999999999")
    except RejectedError as error:
        return Finding(probe, f"an unknown record is told apart: status {error.status}", setting, "A11", 1)
    return Finding(probe, "an unknown ID was answered with a record", setting, "other", 1)


def _times(rows: list[Row], reading: Reading, now: datetime) -> Finding:
    probe, setting = "times of the server (A21)", "offsets"
    texts = [str(row[name]) for row in rows for name in ("CreatedDate", "UpdatedDate") if row.get(name)]
    if not texts:
        return not_known(probe, "no order with a time", setting)
    without = [text for text in texts if not _has_offset(text)]
    limit = version_of((now.astimezone(UTC) + timedelta(seconds=_AHEAD_S)).isoformat()) or ""
    ahead = [text for text in texts if (version_of(text, reading.zone) or "") > limit]
    if ahead:
        shown = f"{len(ahead)} of {len(texts)} lie in the future by the zone {reading.zone.key}: A21 is another one"
        return Finding(probe, shown, "future_times", True, len(texts))
    result = f"{len(without)} of {len(texts)} without offset: they count in {reading.zone.key}" if without else "yes"
    return Finding(probe, result, setting, not without, len(texts))


def _prices(client: ClarityCef, rows: list[Row]) -> Finding:
    probe, setting = "prices of products (A37)", "prices"
    if not rows:
        return not_known(probe, "there is no product", setting)
    try:
        found = client.fetch_prices(str(rows[0]["ID"]))
    except RejectedError as error:
        return Finding(probe, f"refused: status {error.status}", setting, "refused", 1)
    return Finding(probe, f"works: {', '.join(sorted(found)[:4])}", setting, "works", 1)


def _paging(size: int, number: int) -> list[tuple[str, str]]:
    return [("Paging", f"{{Size:{size},StartIndex:{number}}}")]


def _ids(answer: Answer) -> list[str]:
    return [str(row.get("ID")) for row in _rows(answer)]


def _rows(answer: Answer) -> list[Row]:
    body = answer.json_or_none()
    found = body.get("Results") if isinstance(body, Mapping) else body
    return [row for row in found if isinstance(row, Mapping) and "ID" in row] if isinstance(found, list) else []


def _total(answer: Answer) -> int:
    body = answer.json_or_none()
    total = body.get("TotalCount") if isinstance(body, Mapping) else None
    return total if isinstance(total, int) else len(_rows(answer))


def _has_offset(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
