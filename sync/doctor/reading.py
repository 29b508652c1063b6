"""Probes that only read: what the answers of a FreshBooks account tell by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

from sync.doctor.account import Account, Reply, Row
from sync.doctor.filters import RELIED, probe_filter, sample_of, vis_state
from sync.doctor.finding import Finding, guarded, not_known

NO_ID = 2_147_483_646
_FIRST_VERSION, _LAST_VERSION = date(2000, 1, 1), date(2100, 1, 1)


def reading_probes(account: Account) -> Iterator[Finding]:
    """Everything that can be found out without writing.

    Raises:
        ConnectorError: The account does not answer, or the login is refused.
    """
    reply = account.ask("GET", "client", NO_ID)
    yield error_shape(reply)
    yield from guarded("version header", partial(new_errors_since, account))
    yield rate_limit(reply)
    yield page_size(account)
    samples: dict[str, list[Row]] = {}
    for relied in RELIED:
        if relied.entity not in samples:
            samples[relied.entity] = account.first_rows(relied.entity)
        sample = sample_of(samples[relied.entity], relied.field)
        yield from guarded(relied.setting, partial(probe_filter, account, relied, sample))
    for entity in ("client", "invoice"):
        yield from guarded(f"{entity} vis_state", partial(vis_state, account, entity))


def error_shape(reply: Reply) -> Finding:
    """Which of the two shapes an unknown id is answered with."""
    probe = "error shape"
    shape = _shape(reply)
    if shape is None:
        return not_known(probe, f"an unknown id was answered with {reply.said()}", "error_shape")
    return Finding(probe, f"{shape}; unknown id: {reply.said()}", "error_shape", shape, 1)


def new_errors_since(account: Account) -> Finding:
    """The first version header that asks for the new shape, found by halving; the runner sends none."""
    probe, setting = "first X-API-VERSION with the new error shape", "new_errors_since"
    asked = 0

    def is_new(day: date) -> bool:
        nonlocal asked
        asked += 1
        return _shape(account.ask("GET", "client", NO_ID, headers={"X-API-VERSION": day.isoformat()})) == "new"

    if is_new(_FIRST_VERSION):
        return Finding(probe, "any", setting, "any", asked)
    if not is_new(_LAST_VERSION):
        return Finding(probe, "none", setting, "none", asked)
    old, new = _FIRST_VERSION, _LAST_VERSION
    while (new - old).days > 1:
        middle = old + timedelta(days=(new - old).days // 2)
        old, new = (old, middle) if is_new(middle) else (middle, new)
    return Finding(probe, new.isoformat(), setting, new.isoformat(), asked)


def rate_limit(reply: Reply) -> Finding:
    """What the headers promise; the runner waits when it is told to, whatever they say."""
    probe = "rate limit headers"
    told = {name: value for name, value in reply.headers.items() if "ratelimit" in name.replace("-", "")}
    limit = told.get("x-ratelimit-limit", told.get("ratelimit-limit", ""))
    if not told:
        return not_known(probe, "the answers carry none", "rate_limit")
    shown = ", ".join(f"{name}: {value}" for name, value in sorted(told.items()))
    return Finding(probe, shown, "rate_limit", int(limit) if limit.isascii() and limit.isdigit() else None, 1)


def page_size(account: Account) -> Finding:
    """Whether more than 100 rows a page are cut silently, as the documentation says."""
    reply = account.ask("GET", "client", query=[("per_page", "101")])
    size = reply.result.get("per_page")
    result = f"101 asked, {size} given" if reply.ok and size is not None else f"101 asked: {reply.said()}"
    return Finding("rows per page", result, evidence=1)


def _shape(reply: Reply) -> str | None:
    body = reply.body
    if reply.status < 400 or not isinstance(body, dict):
        return None
    if isinstance(body.get("response"), dict) and "errors" in body["response"]:
        return "old"
    return "new" if "code" in body and "details" in body else None
