"""Holds findings against what the runner and the approved specs assume. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sync.findings import ClarityFindings, FreshBooksFindings

SHIPPED_PERCENT_PLACES = 3
"""Decimals of a tax percent that the FreshBooks profile promises (tax-percent-decimals)."""

_NEEDED_FILTERS = (
    "client.email",
    "invoice.invoice_number",
    "payment.invoiceid",
    "client.vis_state",
    "invoice.vis_state",
)


@dataclass(frozen=True)
class SpecAmounts:
    """What a spec's money block assumes of the account.

    Attributes:
        where: File and block, for people.
    """

    where: str
    unit_cost_places: int
    negative_lines: bool


@dataclass(frozen=True)
class Verdict:
    """What follows from the findings.

    Attributes:
        contradictions: A setting promises what the account does not do; exit code 1.
        changes: What the runner does otherwise from now on, or could do with another setting.
    """

    contradictions: tuple[str, ...]
    changes: tuple[str, ...]


def judge(findings: FreshBooksFindings, specs: Sequence[SpecAmounts], *, settle_s: float) -> Verdict:
    """Compare findings with the settings in force.

    Args:
        settle_s: As configured, in seconds.
    """
    contradictions = [*_specs(findings, specs), *_books(findings)]
    return Verdict(tuple(contradictions), tuple(_changes(findings, specs, settle_s)))


def _specs(findings: FreshBooksFindings, specs: Sequence[SpecAmounts]) -> Iterator[str]:
    for spec in specs:
        places = findings.unit_cost_places
        if places is not None and spec.unit_cost_places > places:
            yield (
                f"{spec.where}: unit_cost_places is {spec.unit_cost_places}, the account keeps {places};"
                f" set it to {places} and approve"
            )
        if findings.negative_lines is False and spec.negative_lines:
            yield f"{spec.where}: negative_lines is true, the account refuses them; set it to false and approve"


def _books(findings: FreshBooksFindings) -> Iterator[str]:
    if findings.duplicate_number == "accept":
        yield (
            "duplicate invoice numbers are accepted: FreshBooks will not stop a second invoice of one order;"
            " turn on unique numbers in the account, or keep MAPPER_SETTLE_S high"
        )
    for entity in ("client", "invoice"):
        if f"{entity}.vis_state" in findings.unusable_filters:
            yield (
                f"deleted {entity}s cannot be searched: one that blocks an e-mail or number shows only as a refusal,"
                " and the record is set aside"
            )
    if findings.tax_percent_places is not None and findings.tax_percent_places < SHIPPED_PERCENT_PLACES:
        yield (
            f"a tax percent keeps {findings.tax_percent_places} decimals, the profile promises"
            f" {SHIPPED_PERCENT_PLACES}: orders with finer rates are held"
        )


def _changes(findings: FreshBooksFindings, specs: Sequence[SpecAmounts], settle_s: float) -> Iterator[str]:
    for spec in specs:
        if findings.unit_cost_places is not None and spec.unit_cost_places < findings.unit_cost_places:
            yield f"{spec.where}: unit_cost_places could be {findings.unit_cost_places}; fewer lines become 1 × net"
        if findings.negative_lines and not spec.negative_lines:
            yield f"{spec.where}: negative_lines could be true; such orders are held now"
    filters: Mapping[str, str] = findings.filters
    for name in sorted(findings.unusable_filters):
        if name.endswith(".vis_state"):
            continue
        why = "ignored" if filters[name] == "ignored" else "misses rows"
        needed = "; every page is read instead" if name in _NEEDED_FILTERS else ""
        yield f"search by {name} is {why}: it is not used{needed}"
    if findings.email_case_ignored:
        yield "search by client.email ignores letter case: one look finds every spelling"
    if findings.lag_s is not None and 2 * findings.lag_s > settle_s:
        yield f"a lost answer is looked up after {2 * findings.lag_s} s (twice the lag), not {settle_s:g} s"
    limits = {name: length for name, length in findings.max_lengths.items() if length}
    if limits:
        shown = ", ".join(f"{name} {length}" for name, length in sorted(limits.items()))
        yield f"longer texts are held before they are sent: {shown}"
    if findings.emoji in ("refuse", "altered"):
        yield "records with characters outside the BMP are held before they are sent"
    if findings.negative_lines is False:
        yield "a rounding line below zero is not tried: such drafts are held with both totals"
    if findings.deleted_number == "accept":
        yield "the number of a deleted invoice is free again; the runner holds such an order all the same"


def judge_clarity(findings: ClarityFindings) -> Verdict:
    """Compare findings with the assumptions of the profile."""
    found = []
    for name in ("order", "customer", "payment"):
        state = findings.lists.get(name, "works")
        if state != "works":
            found.append(
                f"the list of {name}s is {state} (A6): polling cannot fill gaps; webhooks and files still work"
            )
    if findings.updated_since == "ignored":
        found.append("updatedSince is ignored (A8): every poll reads everything; raise poll.interval_s")
    if findings.start_index in ("rows", "ignored"):
        found.append("StartIndex does not count pages (A7): lists cannot be read to their end")
    if findings.future_times:
        found.append("the server's times lie in the future (A21): set its time zone, and the zone in the mapping")
    if findings.prices == "refused":
        found.append("prices are refused (A37): give the user that right, or set A37.fetch = false")
    changes = []
    if findings.digest in ("ids", "missing"):
        changes.append("there are no hashes to compare (A8): polls ask by last change")
    if findings.complete_rows is False:
        changes.append("list rows are not complete (A9): each polled record is fetched by id")
    if findings.sorted_by_update is False:
        changes.append("lists are not sorted by update (A8): they are read by page number")
    if findings.offsets is False:
        changes.append("times come without offset (A21): set the store's time zone in the mapping")
    return Verdict(tuple(found), tuple(changes))
