"""A comparison as text for a terminal, and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, TextIO

from sync.reconcile.judge import plain
from sync.reconcile.names import TITLES, status_words, verdict_words
from sync.reconcile.report import AMOUNT_COLUMNS, COLUMNS, Group, Record, Report

_SHOWN: Final = 50
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def verdict(report: Report) -> str:
    """The result in one line."""
    return verdict_words(report.compared, report.differences, str(report.period.first), str(report.period.last))


def as_text(report: Report) -> str:
    """Sums by currency, month and cause, then the records that differ."""
    lines = [verdict(report)]
    for kind, of_kind in groupby(report.groups, key=lambda one: one.kind):
        rows = list(_sum_rows(list(of_kind)))
        if rows:
            lines += ["", *_table([(TITLES[kind], "", "Clarity", "", "FreshBooks", "Difference"), *rows])]
    records = _first(report.records(differing=True), _SHOWN + 1)
    if records:
        lines += ["", "What differs"]
        for record in records[:_SHOWN]:
            lines += _record_lines(record)
        if len(records) > _SHOWN:
            rest = report.differences - _SHOWN
            lines.append(f"  ... and {rest} more; --format csv, html or json has all of them")
    return "\n".join([*lines, *(f"\nNote: {note}" for note in report.notes)])


def cause_words(group: Group) -> str:
    """Status and cause of a group of records."""
    words = status_words(group.status, group.differs)
    return f"{words}: {group.cause}" if group.cause else words


def _sum_rows(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    for (currency, month), inside in groupby(groups, key=lambda one: (one.currency, one.month)):
        parts = list(inside)
        yield _sum_row(f"{currency or 'no currency'} {month or 'no date'}", total(parts))
        for part in parts:
            yield _sum_row(f"  {cause_words(part)}", part)


def total(parts: Sequence[Group]) -> Group:
    """Several groups of one kind, currency and month as one."""
    first = parts[0]
    return Group(
        first.kind,
        first.currency,
        first.month,
        "",
        "",
        "",
        sum(part.source_count for part in parts),
        sum((part.source for part in parts), start=first.source * 0),
        sum(part.books_count for part in parts),
        sum((part.books for part in parts), start=first.books * 0),
    )


def _sum_row(name: str, group: Group) -> tuple[str, ...]:
    def money(amount: Any, count: int = 1) -> str:
        return grouped(plain(amount, group.currency)) if count else "-"

    return (
        name,
        str(group.source_count or "-"),
        money(group.source, group.source_count),
        str(group.books_count or "-"),
        money(group.books, group.books_count),
        money(group.difference),
    )


def grouped(text: str) -> str:
    """An amount's text with a comma every three digits."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def _record_lines(record: Record) -> list[str]:
    name = named(record)
    day = record.source_day or record.books_day or "no date"
    cause = f"{status_words(record.status, record.differs)}: {record.cause}"
    return [f"  {name}, {day}, {amounts(record)}: {cause}", *([f"      {record.detail}"] if record.detail else [])]


def named(record: Record) -> str:
    """What people call a record."""
    if record.kind == "invoice":
        return f"order {record.number or record.record}" if record.order_id else f"invoice {record.number}"
    of = f" of order {record.number}" if record.number else ""
    where = " in FreshBooks" if record.kind == "payment" and record.source_amount is None else ""
    return f"{record.kind} {record.record}{where}{of}"


def amounts(record: Record) -> str:
    """Both sides' amounts, one of them where they are the same or one is missing."""
    ours = theirs = ""
    if record.source_amount is not None:
        ours = _shown(record.source_amount, record.source_currency)
    if record.booked is not None:
        theirs = _shown(record.booked, record.books_currency)
    if ours and theirs and ours != theirs:
        return f"{ours} in Clarity, {theirs} in FreshBooks"
    return ours or theirs or "no amount"


def _shown(amount: Decimal, currency: str | None) -> str:
    return f"{grouped(plain(amount, currency))} {currency or ''}".strip()


def write_csv(report: Report, out: TextIO) -> None:
    """Every record, one a line; texts that a spreadsheet would take for a formula are quoted."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in report.records():
        writer.writerow([safe_cell(name, value) for name, value in record.as_dict().items()])


def safe_cell(name: str, value: Any) -> str:
    """A cell that no spreadsheet runs; our own amounts keep their sign."""
    text = "" if value is None else str(value)
    if name in AMOUNT_COLUMNS or not text.startswith(_FORMULA):
        return text
    return f"'{text}"


def _first(records: Iterable[Record], count: int) -> list[Record]:
    found = []
    for record in records:
        found.append(record)
        if len(found) == count:
            break
    return found
