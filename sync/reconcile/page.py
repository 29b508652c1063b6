"""A comparison as one HTML page with a chart: no script, no request, nothing but ids, dates and amounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final

from sync.reconcile.judge import STATUSES, plain
from sync.reconcile.names import COLOURS, STATUS_WORDS, TITLES, status_words
from sync.reconcile.report import KINDS, Group, Record, Report
from sync.reconcile.words import cause_words, grouped, named, total, verdict

_STYLE: Final = """
:root{color-scheme:light}body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;margin:2rem auto;max-width:76rem;
padding:0 1.25rem}h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.25rem 0 .5rem}p{margin:.3rem 0}
.verdict{border-left:6px solid;padding:.7rem 1rem;margin:1rem 0;background:#f5f7fa;font-size:1.1rem;font-weight:600}
table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{padding:.32rem .6rem;text-align:left;
vertical-align:top;border-bottom:1px solid #e4e7eb}th{border-bottom:2px solid #9aa5b1}td.n,th.n{text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}td.day{white-space:nowrap}
tr.sum td{font-weight:600;background:#f5f7fa}td.part{padding-left:1.6rem}
.dot{display:inline-block;width:.7rem;height:.7rem;border-radius:2px;margin-right:.45rem}.muted{color:#52606d}
.legend span{margin-right:1.2rem;white-space:nowrap}svg{width:100%;height:auto;display:block}
@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}"""
_ROW, _BAR, _LEFT, _WIDTH, _RIGHT = 40, 13, 110, 1000, 150

Span = tuple[str, Decimal]


def as_html(report: Report) -> Iterator[str]:
    """The page in pieces, so that many records need little memory."""
    colour = COLOURS["agree"] if report.agrees else COLOURS["missing"]
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Reconciliation {escape(str(report.period))}</title><style>{_STYLE}</style></head><body>"
        "<h1>Clarity and FreshBooks, side by side</h1>"
        f'<p class="verdict" style="border-color:{colour}">{escape(verdict(report))}</p>'
        '<p class="muted">Orders count by their date in the store, invoices and payments by their own. '
        "Invoices that are drafts or deleted are not in the books.</p>"
    )
    for note in report.notes:
        yield f'<p class="muted">{escape(note)}</p>'
    for kind in KINDS:
        of_kind = [group for group in report.groups if group.kind == kind]
        if of_kind:
            yield f"<h2>{TITLES[kind]}</h2>{chart(of_kind)}{_sums(of_kind)}"
    yield from _records(report)
    yield "</body></html>\n"


def chart(groups: Sequence[Group]) -> str:
    """Two bars a month and currency, one for each side, divided by status; each currency has a scale of its own."""
    parts: list[str] = []
    top = 0
    used = {group.status for group in groups}
    for currency, of_currency in groupby(groups, key=lambda one: one.currency):
        months = [(month, list(inside)) for month, inside in groupby(of_currency, key=lambda one: one.month)]
        longest = max((abs(amount) for _, inside in months for side in _sides(inside) for _, amount in side), default=0)
        sums = [sum((abs(amount) for _, amount in side), Decimal(0)) for _, inside in months for side in _sides(inside)]
        scale = Decimal(_WIDTH - _LEFT - _RIGHT) / (max([longest, *sums]) or Decimal(1))
        for month, inside in months:
            name = f"{currency or 'no currency'} {month or 'no date'}"
            parts.append(f'<text x="0" y="{top + 19}" font-weight="600">{escape(name)}</text>')
            for offset, label, side in zip((4, 4 + _BAR + 3), ("Clarity", "FreshBooks"), _sides(inside), strict=True):
                parts += _bar(side, label, currency, scale, top + offset)
            top += _ROW
    legend = "".join(
        f'<span><i class="dot" style="background:{COLOURS[status]}"></i>{STATUS_WORDS[status]}</span>'
        for status in STATUSES
        if status in used
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {top}" role="img" aria-label="Sums of both systems by currency, month and status"'
        f' font-size="12" font-family="system-ui,sans-serif" fill="#1f2933">{"".join(parts)}</svg>'
        f'<p class="legend">{legend}</p>'
    )


def _sides(groups: Sequence[Group]) -> tuple[list[Span], list[Span]]:
    by_status: dict[str, list[Group]] = {}
    for group in groups:
        by_status.setdefault(group.status, []).append(group)
    zero = Decimal(0)
    source = [(status, sum((one.source for one in found), zero)) for status, found in by_status.items()]
    books = [(status, sum((one.books for one in found), zero)) for status, found in by_status.items()]
    return source, books


def _bar(side: Sequence[Span], label: str, currency: str, scale: Decimal, top: int) -> list[str]:
    parts, left = [], Decimal(_LEFT)
    for status, amount in side:
        width = abs(amount) * scale
        if not amount:
            continue
        title = f"{label}, {STATUS_WORDS[status]}: {grouped(plain(amount, currency))} {currency}"
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{max(width, Decimal(1)):.1f}" height="{_BAR}"'
            f' fill="{COLOURS[status]}"><title>{escape(title)}</title></rect>'
        )
        left += width
    amount = sum((part for _, part in side), Decimal(0))
    text = f"{label} {grouped(plain(amount, currency))}"
    parts.append(f'<text x="{left + 6:.1f}" y="{top + 11}" fill="#52606d">{escape(text)}</text>')
    return parts


def _sums(groups: Sequence[Group]) -> str:
    rows = [
        '<table><thead><tr><th>Currency and month</th><th class="n">records</th><th class="n">Clarity</th>'
        '<th class="n">records</th><th class="n">FreshBooks</th><th class="n">Difference</th></tr></thead><tbody>'
    ]
    for (currency, month), inside in groupby(groups, key=lambda one: (one.currency, one.month)):
        parts = list(inside)
        name = escape(f"{currency or 'no currency'} {month or 'no date'}")
        rows.append(f'<tr class="sum"><td>{name}</td>{_sum_cells(total(parts))}</tr>')
        for part in parts:
            dot = f'<i class="dot" style="background:{COLOURS[part.status]}"></i>'
            rows.append(f'<tr><td class="part">{dot}{escape(cause_words(part))}</td>{_sum_cells(part)}</tr>')
    return "".join([*rows, "</tbody></table>"])


def _sum_cells(group: Group) -> str:
    def cell(text: str) -> str:
        return f'<td class="n">{text}</td>'

    def money(amount: Decimal, count: int = 1) -> str:
        return cell(grouped(plain(amount, group.currency)) if count else "")

    return (
        cell(str(group.source_count or ""))
        + money(group.source, group.source_count)
        + cell(str(group.books_count or ""))
        + money(group.books, group.books_count)
        + money(group.difference)
    )


def _records(report: Report) -> Iterator[str]:
    if report.agrees:
        return
    yield (
        "<h2>What differs, record by record</h2><table><thead><tr><th>Record</th><th>Date</th>"
        '<th class="n">Clarity</th><th class="n">FreshBooks</th><th>Cause</th></tr></thead><tbody>'
    )
    for record in report.records(differing=True):
        yield _record_row(record)
    yield "</tbody></table>"


def _record_row(record: Record) -> str:
    def money(amount: Decimal | None, currency: str | None, paid: Decimal | None) -> str:
        if amount is None:
            return '<td class="n"></td>'
        shown = f"{grouped(plain(amount, currency))} {currency or ''}"
        if "paid" in record.differs:
            shown += f'<br><span class="muted">paid {grouped(plain(paid, currency))}</span>'
        return f'<td class="n">{shown}</td>'

    days = [day.isoformat() for day in (record.source_day, record.books_day) if day is not None]
    shown_days = f'<td class="day">{"<br>".join(dict.fromkeys(days)) or "no date"}</td>'
    dot = f'<i class="dot" style="background:{COLOURS[record.status]}"></i>'
    found = f", found by its {record.found_by}" if record.found_by and record.found_by != "ledger" else ""
    invoice = f'<br><span class="muted">invoice {record.invoice_id}{found}</span>' if record.invoice_id else ""
    return (
        f"<tr><td>{escape(named(record))}{invoice}</td>{shown_days}"
        f"{money(record.source_amount, record.source_currency, record.source_paid)}"
        f"{money(record.booked, record.books_currency, record.books_paid)}"
        f"<td>{dot}{escape(status_words(record.status, record.differs))}: <b>{escape(record.cause)}</b>"
        f'<br><span class="muted">{escape(record.detail)}</span></td></tr>'
    )
