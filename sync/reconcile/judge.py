"""What a pair, or a record without one, means: agree, missing, extra, different or left out, and the cause. Pure.

Statuses: `agree`; `missing` in the books; `extra` in the books; `different`; `left-out`: not to be in the books by the
mapping's own rules, and it is not. Only `agree` and `left-out` are no differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from mapspec.numbers import currency_digits
from mapspec.numbers import plain as exact
from sync.plan import digest

Status = Literal["agree", "missing", "extra", "different", "left-out"]
STATUSES: Final[tuple[Status, ...]] = ("agree", "left-out", "missing", "different", "extra")
DIFFERENCES: Final[tuple[Status, ...]] = ("missing", "different", "extra")

SEE_PAYMENTS: Final = "see-payments"
"""The cause of a paid amount is that of the payments; it is put in when they are judged."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rules:
    """Settings that decide what is right.

    Attributes:
        lock_date: With `dated_today`, what lies before it is booked on a later day.
        hand_made_counts: Whether invoices that no order made are differences.
        store_known: Whether the runner's store was there to ask.
        marker_starts: How the markers begin that the mapping writes into an invoice's notes.
    """

    lock_date: date | None = None
    dated_today: bool = False
    hand_made_counts: bool = True
    store_known: bool = True
    marker_starts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """The meaning of one row; `differs` names what is different."""

    status: Status
    cause: str = ""
    detail: str = ""
    differs: tuple[str, ...] = ()


_BOOKED_OTHERWISE: Final = frozenset({"correction-taken-back", "customer-changed-after-invoice", "refund-changed"})


def judge_invoice(row: Row, rules: Rules) -> Judged:
    """An order with its invoice, or one of both alone; members as `sync.reconcile.compare` selects them."""
    if row["order_id"] is None:
        return _without_order(row, rules)
    live = row["state"] == "live"
    refunded = row["refunded"] or Decimal(0)
    if row["test"] or row["decision"] in ("skip", "wait"):
        cause = "test-order" if row["test"] else str(row["reason_id"])
        why = "test orders are never invoiced" if row["test"] else str(row["reason"] or "")
        if not live:
            return Judged("left-out", cause, why)
        if row["cancelled"]:
            return Judged("agree", "cancelled", "what stands of its invoice is credited or archived, as accepted")
        if not refunded:
            return Judged("extra", f"{cause}-after-invoice", f"{why}, but its invoice stands{_proposed(row)}")
    if not live:
        return _missing_invoice(row, rules)
    return _compared_invoice(row, rules, refunded)


def _compared_invoice(row: Row, rules: Rules, refunded: Decimal) -> Judged:
    differs, causes, details = [], [], []
    if row["currency"] != row["books_currency"]:
        differs.append("currency")
    elif row["amount"] != ((row["books_amount"] or 0) - row["edits"] if row["edits"] else row["books_amount"]):
        differs.append("total")
    if differs:
        cause, detail = _who_changed_the_amount(row)
        causes.append(cause)
        details.append(f"{detail}{_proposed(row)}")
    by_policy = False
    if row["day"] != row["books_day"]:
        by_policy = _dated_by_policy(row, rules)
        if not by_policy:
            differs.append("date")
            causes.append(_who_changed_the_day(row))
            details.append(f"dated {row['books_day']}, the order is of {row['day']}")
    if row["client_state"] == "deleted":
        differs.append("client")
        causes.append("client-deleted")
        details.append(f"client {row['client_id']} is deleted in FreshBooks")
    elif row["known_client"] is not None and row["known_client"] != row["client_id"]:
        differs.append("client")
        causes.append("changed-in-freshbooks")
        details.append(f"it stands with client {row['client_id']}, the order's is {row['known_client']}")
    paid_back = False
    if "currency" not in differs and (row["books_paid"] or 0) != (row["source_paid"] or 0):
        less = (row["source_paid"] or 0) - (row["books_paid"] or 0)
        # A payment that is marked as refunded does not count any more; its refund may be a credit note.
        paid_back = bool(refunded) and less in (refunded, row["lowered"], -(row["refunds"] or 0))
        if not paid_back:
            differs.append("paid")
            causes.append(SEE_PAYMENTS)
            paid, received = (plain(row[name], row["currency"]) for name in ("books_paid", "source_paid"))
            details.append(f"paid {paid}, received {received}")
    told = _booked_otherwise(row)
    if told is not None:
        differs.append("booking")
        causes.append(told[0])
        details.append(told[1])
    if differs:
        return Judged("different", causes[0], "; ".join(part for part in details if part), tuple(differs))
    if by_policy:
        return Judged("agree", "closed-period", f"the order is of {row['day']}, before the lock date")
    if paid_back:
        return Judged("agree", "refunded", f"{plain(refunded, row['currency'])} was paid back")
    if row["edits"]:
        return Judged("agree", "credited", f"{plain(row['edits'], row['currency'])} is credited for an edit")
    if row["client_state"] == "archived":
        return Judged("agree", "client-archived", f"client {row['client_id']} is archived in FreshBooks")
    return Judged("agree")


def _proposed(row: Row) -> str:
    """The correction that waits for a person, or was refused, as the end of a sentence."""
    if row["waiting"] is not None:
        return f"; a correction waits for a person: mapper-sync proposals show {row['waiting']}"
    if row["correction_refused"] is not None:
        return f"; the correction {row['correction_refused']} was refused"
    return ""


def _who_changed_the_amount(row: Row) -> tuple[str, str]:
    written, currency = row["ledger_total"], row["ledger_currency"]
    if written is None:
        verdict = _verdict(row)
        return verdict or ("unknown", "it is not known what was written")
    books_same = (written, currency) == (row["books_amount"], row["books_currency"])
    source_same = (written, currency) == (row["amount"], row["currency"])
    shown = f"{plain(written, currency)} {currency} was written"
    if books_same and not source_same:
        return "edited-after-invoice", f"the order was changed afterwards; {shown}"
    if source_same and not books_same:
        return "changed-in-freshbooks", f"a person changed it in FreshBooks; {shown}"
    return "changed-on-both-sides", f"both were changed afterwards; {shown}"


def _who_changed_the_day(row: Row) -> str:
    written = row["ledger_day_digest"]
    if written is None:
        return "unknown"
    if written == digest(str(row["books_day"])):
        return "edited-after-invoice"
    return "changed-in-freshbooks" if written == digest(str(row["day"])) else "changed-on-both-sides"


def _dated_by_policy(row: Row, rules: Rules) -> bool:
    locked = rules.lock_date if rules.dated_today else None
    return locked is not None and row["day"] is not None and row["day"] < locked <= row["books_day"]


def _missing_invoice(row: Row, rules: Rules) -> Judged:
    if row["state"] == "deleted":
        return Judged("missing", "deleted-in-freshbooks", f"invoice {row['invoice_id']} was deleted there")
    verdict = _verdict(row)
    if row["state"] == "draft":
        amount = plain(row["books_amount"], row["books_currency"])
        shown = f"draft {row['invoice_id']} over {amount} {row['books_currency']} is not sent"
        return Judged("missing", "draft-not-sent", "; ".join(filter(None, [shown, verdict and verdict[1]])))
    if row["ledger_state"] in ("intent", "doubt"):
        return Judged("missing", "in-doubt", "it was sent without a clear answer; the next run looks for it")
    if verdict is not None:
        return Judged("missing", *verdict)
    if row["ledger_state"] == "confirmed" and row["ledger_remote_id"] is not None:
        return Judged(
            "missing", "gone-in-freshbooks", f"invoice {row['ledger_remote_id']} was written and is not there"
        )
    if row["decision"] == "hold":
        return Judged("missing", f"would be held: {row['reason_id']}", str(row["reason"] or ""))
    return Judged("missing", *_untold(row, rules, "order"))


def _without_order(row: Row, rules: Rules) -> Judged:
    number = row["books_number"]
    if row["state"] == "draft":
        return Judged("left-out", "draft-not-sent", "a draft without an order; drafts do not count")
    if row["rival"] is not None:
        return Judged("extra", "second-invoice", f"order {row['rival']} has another invoice already")
    if row["ledger_record"] is not None:
        gone = str(row["ledger_record"]).partition(":")[2]
        return Judged("extra", "order-gone", f"it was made of order {gone}, which Clarity does not have any more")
    marker = str(row["marker"] or "")
    if any(marker.startswith(start) and marker != start for start in rules.marker_starts):
        return Judged("extra", "order-unknown", "its notes name an order that Clarity does not list")
    look = f"; it looks like order {row['look_alike']}: same total, about the same day" if row["look_alike"] else ""
    status: Status = "extra" if rules.hand_made_counts or row["look_alike"] else "left-out"
    return Judged(status, "made-by-hand", f"no order made invoice {number}{look}")


def judge_payment(row: Row, rules: Rules) -> Judged:
    """A payment of the source with the one in the books, or one of both alone."""
    if row["key"] is None:
        return _without_receipt(row, rules)
    live, refunded = row["state"] == "live", row["refunded"] or Decimal(0)
    if row["decision"] != "go":
        if not live:
            return Judged("left-out", str(row["reason_id"]), str(row["reason"] or ""))
        if refunded and row["refunds_credited"] is not None and row["refunds_credited"] >= row["books_amount"]:
            return Judged("agree", "refunded", "what was paid back is credited")
        if refunded:
            return Judged(
                "extra", "refund-not-booked", f"{plain(refunded, row['currency'])} was paid back; payment stands"
            )
        return Judged("extra", f"{row['reason_id']}-after-payment", f"{row['reason']}, but it is booked")
    if not live:
        return _missing_payment(row, rules, refunded)
    differs, cause, detail = [], "", []
    if row["currency"] != row["books_currency"]:
        differs.append("currency")
    elif row["amount"] != row["books_amount"]:
        for back in (row["lowered"], refunded):
            if back and row["amount"] - back == row["books_amount"]:
                return Judged("agree", "refunded", f"{plain(back, row['currency'])} was paid back")
        differs.append("amount")
    if differs:
        cause, shown = _who_changed_the_amount(row)
        detail.append(shown)
    if row["day"] != row["books_day"] and not _dated_by_policy(row, rules):
        differs.append("date")
        cause = cause or ("entered-by-hand" if row["found_by"] == "amount" else _who_changed_the_day(row))
        detail.append(f"booked on {row['books_day']}, received on {row['day']}")
    if row["invoice_id"] is not None and row["books_invoice_id"] != row["invoice_id"]:
        differs.append("invoice")
        cause = cause or "changed-in-freshbooks"
        detail.append(f"booked on invoice {row['books_invoice_id']}, the order's is {row['invoice_id']}")
    if row["credit"] is not None:
        differs.append("overpaid")
        cause = cause or "overpayment-credit"
        detail.append(f"FreshBooks made client credit {row['credit']} of what was too much")
    if differs:
        return Judged("different", cause, "; ".join(detail), tuple(differs))
    if row["found_by"] == "amount":
        return Judged("agree", "entered-by-hand", "the same amount on the same invoice, without our note")
    return Judged("agree")


def _missing_payment(row: Row, rules: Rules, refunded: Decimal) -> Judged:
    if not row["order_in_books"]:
        if row["order_test"] or row["order_decision"] == "wait":
            cause = "test-order" if row["order_test"] else str(row["order_reason_id"])
            return Judged("left-out", f"order: {cause}", "its order is not to be invoiced")
        if row["order_decision"] == "skip" and refunded and refunded >= (row["order_received"] or 0):
            return Judged("left-out", "order: refunded", "paid back, and its order was never invoiced")
        if row["order_decision"] == "skip":
            return Judged("missing", f"order: {row['order_reason_id']}", "its order is not to be invoiced; decide")
        if row["order_cause"] is not None:
            return Judged("missing", f"order: {row['order_cause']}", "it comes with its order's invoice")
    if row["state"] == "deleted" and row["lowered"] is not None and row["lowered"] >= row["amount"]:
        return Judged("agree", "refunded", "all of it was paid back, and its payment taken out as accepted")
    if row["state"] == "deleted":
        return Judged("missing", "deleted-in-freshbooks", f"payment {row['posting_id']} was deleted there")
    if row["ledger_state"] in ("intent", "doubt"):
        return Judged("missing", "in-doubt", "it was sent without a clear answer; the next run looks for it")
    verdict = _verdict(row)
    if verdict is not None:
        return Judged("missing", *verdict)
    if row["ledger_state"] == "confirmed" and row["ledger_remote_id"] is not None:
        return Judged(
            "missing", "gone-in-freshbooks", f"payment {row['ledger_remote_id']} was written and is not there"
        )
    return Judged("missing", *_untold(row, rules, "payment"))


def _without_receipt(row: Row, rules: Rules) -> Judged:
    if row["credit"] is not None:
        return Judged(
            "extra", "overpayment-credit", f"FreshBooks made client credit {row['credit']} of what was too much"
        )
    if row["rival"] is not None:
        return Judged("extra", "second-payment", f"payment {row['rival']} is booked already with the same note")
    if row["ledger_record"] is not None:
        return Judged("extra", "payment-gone", f"{row['ledger_record']} does not hold this payment any more")
    if row["invoice_cause"] == "made-by-hand":
        status: Status = "extra" if rules.hand_made_counts else "left-out"
        return Judged(status, "made-by-hand", f"it pays invoice {row['books_invoice_id']}, which no order made")
    return Judged(
        "extra", "entered-by-hand", f"Clarity has no such payment; booked on invoice {row['books_invoice_id']}"
    )


def judge_refund(row: Row) -> Judged:
    """A refund of the source: booked or not."""
    told = _booked_otherwise(row)
    if row["ledger_state"] == "confirmed" and told is not None:
        return Judged("different", *told, ("booking",))
    if row["ledger_state"] == "confirmed":
        return Judged("agree", "", "booked as approved")
    if not row["order_in_books"]:
        return Judged("left-out", "order-not-in-books", "its order was never invoiced")
    if row["lowered"]:
        return Judged("agree", "entered-by-hand", "what is booked as paid is lower by the refunds of the order")
    if row["proposal_state"] == "refused":
        return Judged("missing", "refund-refused", f"somebody has refused to book it ({row['proposal']})")
    verdict = _verdict(row)
    if verdict is not None:
        return Judged("missing", *verdict)
    if row["proposal"] is not None:
        return Judged(
            "missing", "refund-proposed", f"it waits for a person: mapper-sync proposals show {row['proposal']}"
        )
    return Judged("missing", "refund-not-booked", "book it as a credit note, or lower the payment")


def _booked_otherwise(row: Row) -> tuple[str, str] | None:
    """What the runner holds a record for although its amounts agree: what was accepted once is not so any more."""
    if row["verdict_state"] == "held" and row["verdict_reason_id"] in _BOOKED_OTHERWISE:
        return str(row["verdict_reason_id"]), str(row["verdict_reason"] or "")
    return None


def _verdict(row: Row) -> tuple[str, str] | None:
    """Why the runner has not posted the record, when it has said so."""
    state = row["verdict_state"]
    if state in ("held", "dead", "waiting", "retry"):
        return f"{state}: {row['verdict_reason_id']}", str(row["verdict_reason"] or "")
    return None


def _untold(row: Row, rules: Rules, what: str) -> tuple[str, str]:
    state = row["verdict_state"]
    if state == "pending":
        return "pending", f"the {what} has arrived and is not worked on yet"
    if state == "skipped":
        return f"skipped: {row['verdict_reason_id']}", str(row["verdict_reason"] or "")
    if state is None and rules.store_known:
        return "never-taken", f"the runner has never seen this {what}"
    if state == "done":
        return "unknown", f"the runner has worked on the {what} and wrote nothing"
    return "unknown", "there is no store that knows about it"


def plain(amount: Decimal | None, currency: str | None) -> str:
    """An amount with its currency's digits, more where it has more."""
    return exact((amount or Decimal(0)).normalize(), currency_digits(currency or ""))
