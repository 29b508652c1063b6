"""What a Clarity store tells by reading; nothing is ever written there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from connectors.clarity import Clarity
from connectors.errors import AuthError, TransientError
from connectors.http import Answer
from sync.doctor.finding import Finding, guarded, not_known

ENTITIES = ("order", "customer", "payment", "product", "refund")

Row = Mapping[str, Any]


def clarity_probes(client: Clarity) -> Iterator[Finding]:
    """Lists, paging, the update filter, order, whole rows, errors and times (A6-A11, A21).

    Raises:
        AuthError: The login is refused.
        ConnectorError: The store does not answer.
    """
    lists = {}
    for entity in ENTITIES:
        answer = client.answer(entity, query=[("page", "1"), ("pageSize", "50"), ("sort", "updatedAt")])
        if answer.status == 401:
            raise AuthError(f"GET {entity}: the access token was refused (401)")
        if answer.status >= 500 or answer.status == 429:
            raise TransientError(f"GET {entity}: status {answer.status}; try again later")
        lists[entity] = answer
        yield _listed(entity, answer)
    order = _body(lists["order"])
    yield _paging(order)
    rows = _rows(order)
    probes: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("updated since (A8)", partial(_updated_since, client, rows)),
        ("order by last update (A8)", partial(_sorted, rows)),
        ("list rows are complete (A9)", partial(_complete, client, rows)),
        ("error shape (A11)", partial(_error_shape, client)),
        ("times with offset (A21)", partial(_offsets, rows)),
    )
    for name, probe in probes:
        yield from guarded(name, probe)
    told = {name: value for name, value in lists["order"].headers.items() if "ratelimit" in name.replace("-", "")}
    shown = ", ".join(f"{name}: {value}" for name, value in sorted(told.items()))
    yield Finding("rate limit headers (A10)", shown or "not known: the answers carry none", evidence=int(bool(told)))


def _listed(entity: str, answer: Answer) -> Finding:
    probe, setting = f"list of {entity}s (A6)", f"lists.{entity}"
    body = _body(answer)
    if answer.status < 300 and isinstance(body.get("data") if isinstance(body, Mapping) else body, list):
        return Finding(probe, f"works, {len(_rows(body))} rows on the first page", setting, "works", 1)
    value = "missing" if answer.status == 404 else "refused"
    return Finding(probe, f"{value}: status {answer.status}", setting, value, 1)


def _paging(body: Any) -> Finding:
    probe = "paging (A7)"
    if isinstance(body, list):
        return Finding(probe, "a bare array", "paging", "bare", 1)
    if isinstance(body, Mapping) and "data" in body:
        return Finding(probe, "an envelope with data and totals", "paging", "envelope", 1)
    return not_known(probe, "the list of orders is in neither form", "paging")


def _updated_since(client: Clarity, rows: list[Row]) -> Finding:
    probe, setting = "updated since (A8)", "updated_since"
    newest = max((moment for row in rows if (moment := _moment(row)) is not None), default=None)
    if newest is None:
        return not_known(probe, "no order with a time of update", setting)
    after = _since(client, datetime.now(UTC) + timedelta(days=3650))
    if after:
        return Finding(probe, f"ignored: {len(after)} rows from the future", setting, "ignored", 1)
    there = any(_moment(row) == newest for row in _since(client, newest))
    word = "inclusive" if there else "exclusive"
    return Finding(probe, f"works, {word}", setting, word, 2)


def _sorted(rows: list[Row]) -> Finding:
    probe, setting = "order by last update (A8)", "sorted_by_update"
    moments = [moment for row in rows if (moment := _moment(row)) is not None]
    if len(set(moments)) < 2:
        return not_known(probe, "fewer than two orders with different times", setting)
    right = moments == sorted(moments)
    return Finding(probe, "works" if right else "not sorted", setting, right, len(moments) - 1)


def _complete(client: Clarity, rows: list[Row]) -> Finding:
    probe, setting = "list rows are complete (A9)", "complete_rows"
    if not rows or rows[0].get("id") is None:
        return not_known(probe, "there is no order", setting)
    single = client.get("order", str(rows[0]["id"]))
    missing = sorted(single.keys() - rows[0].keys())
    result = f"no: the list leaves out {', '.join(missing[:5])}" if missing else "yes"
    return Finding(probe, result, setting, not missing, 1)


def _error_shape(client: Clarity) -> Finding:
    probe, setting = "error shape (A11)", "error_shape"
    answer = client.answer("order", "mapper-doctor-unknown")
    body = _body(answer)
    if answer.status < 400:
        return not_known(probe, f"an unknown id was answered with status {answer.status}", setting)
    error = body.get("error") if isinstance(body, Mapping) else None
    right = isinstance(error, Mapping) and {"code", "message"} <= error.keys()
    return Finding(
        probe,
        f"status {answer.status}, {'as assumed' if right else 'another shape'}",
        setting,
        "A11" if right else "other",
        1,
    )


def _offsets(rows: list[Row]) -> Finding:
    probe, setting = "times with offset (A21)", "offsets"
    texts = [str(row[name]) for row in rows for name in ("orderDate", "updatedAt") if row.get(name)]
    if not texts:
        return not_known(probe, "no order with a time", setting)
    without = [text for text in texts if not _has_offset(text)]
    result = f"{len(without)} of {len(texts)} without: the store's time zone decides" if without else "yes"
    return Finding(probe, result, setting, not without, len(texts))


def _since(client: Clarity, moment: datetime) -> list[Row]:
    text = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    query = [("page", "1"), ("pageSize", "50"), ("sort", "updatedAt"), ("updatedSince", text)]
    return _rows(_body(client.answer("order", query=query)))


def _body(answer: Answer) -> Any:
    return answer.json_or_none()


def _rows(body: Any) -> list[Row]:
    rows = body.get("data") if isinstance(body, Mapping) else body
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _moment(row: Row) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(row.get("updatedAt")))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _has_offset(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
