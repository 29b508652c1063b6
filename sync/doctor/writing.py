"""Probes that write: marked drafts and test clients, never e-mailed, never marked as sent, always removed.

One draft is written over again and again, so that an examination uses few invoice numbers: FreshBooks never gives a
used number free, not even that of a deleted invoice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any

from mapspec.numbers import currency_digits
from sync.doctor import amounts, lengths
from sync.doctor.account import Account, Reply, Row, TestRecords
from sync.doctor.filters import RELIED, probe_filter, vis_state
from sync.doctor.finding import Finding, guarded, not_known
from sync.invoices import is_draft

LAG_LIMIT_S = 30.0
_LAG_STEP_S = 0.5
_EMOJI = "mapper \U0001f642 doctor"
_OTHER_CURRENCY = "USD"
_LENGTHS = (
    ("client", "fname"),
    ("client", "lname"),
    ("client", "organization"),
    ("client", "p_street"),
    ("invoice", "invoice_number"),
    ("invoice", "po_number"),
    ("invoice", "notes"),
    ("line", "name"),
    ("line", "description"),
)
_LED = frozenset({("client", "organization"), ("invoice", "invoice_number"), ("invoice", "notes")})


class NoTestClientError(Exception):
    """The account takes no test client, so nothing can be tried."""


class WritingProbes:
    """The writing part of one examination."""

    def __init__(
        self,
        account: Account,
        records: TestRecords,
        *,
        today: date,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            clock: Seconds, for the time until a record shows in searches.
        """
        self._account = account
        self._records = records
        self._today = today.isoformat()
        self._sleep = sleep
        self._clock = clock
        self._numbers = 0
        self._currency = _OTHER_CURRENCY
        self._client: Row = {}
        self._draft: Row = {}
        self._payment: Row | None = None
        self._payable: Any = None
        self._deleted: dict[str, Any] = {}

    def run(self) -> Iterator[Finding]:
        """All of them, one finding after the other.

        Raises:
            NoTestClientError: The account refuses the test client or the test draft.
            ConnectorError: The account does not answer.
        """
        self._client = self._new_client()
        code = str(self._client.get("currency_code") or "")
        # Rounding probes are made for two digits; any other business currency is left out of it.
        self._currency = code if code and currency_digits(code) == 2 else _OTHER_CURRENCY
        reply = self._new_invoice(amounts.ROUNDING_PROBES[0])
        self._draft = self._records.row(reply, "invoice")
        if not reply.ok:
            raise NoTestClientError(f"the account refuses a draft invoice for the test client: {reply.said()}")
        yield from guarded("searches", self._lag)
        yield from guarded("rounding", self._rounding)
        yield from guarded("decimals of a unit cost", self._unit_cost_places)
        yield from guarded("decimals of a tax percent", self._percent_places)
        yield from guarded("lines below zero", self._negative_lines)
        yield from guarded("emoji", self._emoji)
        for relied in RELIED:
            sample = {"client": self._client, "invoice": self._draft}.get(relied.entity)
            if sample is not None:
                yield from guarded(relied.setting, partial(probe_filter, self._account, relied, sample))
        yield from guarded("payment on a draft", self._payment_on_draft)
        yield from guarded("transactionid", self._transactionid)
        yield from guarded("payment below zero", self._negative_payment)
        yield from guarded("a used invoice number", self._duplicate_number)
        yield from guarded("the number of a deleted invoice", self._deleted_number)
        yield from guarded("a second client with the same e-mail", self._duplicate_email)
        self._account.pause(self._records.wait_s)
        for relied in RELIED:
            if relied.entity == "payment" and self._payment is not None:
                yield from guarded(relied.setting, partial(probe_filter, self._account, relied, self._payment))
        for entity, deleted in self._deleted.items():
            yield from guarded(f"{entity} vis_state", partial(vis_state, self._account, entity, deleted))
        for entity, field in _LENGTHS:
            yield from guarded(f"longest {entity} {field}", partial(self._length, entity, field))

    # --- records -------------------------------------------------------------------------------------------------

    def _new_client(self) -> Row:
        body = {"email": self._email(), "fname": "Mapper", "lname": "Doctor", "note": f"Note {self._records.marker}"}
        more = {"allow_late_fees": False, "allow_late_notifications": False}
        reply = self._records.create("client", {**body, **more})
        row = self._records.row(reply, "client")
        if not reply.ok or row.get("id") is None:
            raise NoTestClientError(f"the account refuses a test client: {reply.said()}")
        return row

    def _email(self) -> str:
        # Nobody receives mail at example.com (RFC 2606); both letter cases, so that searches can be told apart.
        return f"Mapper.Doctor.{self._records.run}@Example.com"

    def _number(self) -> str:
        self._numbers += 1
        return f"D{self._records.run}-{self._numbers}"

    def _new_invoice(self, lines: Any, number: str | None = None) -> Reply:
        wire = [amounts.wire_line(line, self._currency, f"Doctor {place}") for place, line in enumerate(lines, 1)]
        body = {
            "customerid": self._client["id"],
            "create_date": self._today,
            "invoice_number": number or self._number(),
            "currency_code": self._currency,
            "lines": wire,
        }
        return self._records.create("invoice", body)

    def _with_lines(self, lines: list[dict[str, Any]]) -> tuple[Reply, Row]:
        reply = self._records.change("invoice", self._draft, {"lines": lines})
        return reply, self._records.row(reply, "invoice")

    # --- probes --------------------------------------------------------------------------------------------------

    def _lag(self) -> Finding:
        probe = "time until a new record shows in searches"
        number, email = str(self._draft.get("invoice_number")), str(self._client.get("email"))
        client = self._account.client
        looks: tuple[tuple[Callable[[str], list[Row]], str, Any], ...] = (
            (client.find_invoices_by_number, number, self._draft["id"]),
            (client.find_clients_by_email, email, self._client["id"]),
        )
        began = self._clock()
        longest = 0.0
        for look, value, wanted in looks:
            while not any(row["id"] == wanted for row in look(value)):
                if self._clock() - began > LAG_LIMIT_S:
                    return not_known(probe, f"not within {LAG_LIMIT_S:.0f} s", "lag_s")
                self._sleep(_LAG_STEP_S)
                longest = self._clock() - began
        seconds = math.ceil(longest)
        self._records.wait_s = 2.0 * longest
        return Finding(probe, f"{seconds} s" if seconds else "at once", "lag_s", seconds, len(looks))

    def _rounding(self) -> Finding:
        probe = "rounding of invoice totals"
        observed = []
        for place, lines in enumerate(amounts.ROUNDING_PROBES):
            row = self._draft
            if place:
                wire = [amounts.wire_line(line, self._currency, "Doctor") for line in lines]
                reply, row = self._with_lines(wire)
                if not reply.ok:
                    return not_known(probe, f"a probe invoice is refused: {reply.said()}", "rounding")
            total = amounts.decimal_in(row, "amount")
            if total is not None:
                observed.append((lines, total))
        if not observed:
            return not_known(probe, "the answers carry no total", "rounding")
        modes = amounts.fitting_modes(observed)
        shown = ", ".join(f"{total:f}" for _, total in observed)
        if len(modes) == 1:
            return Finding(probe, f"{modes[0]} (totals {shown})", "rounding", modes[0], len(observed))
        what = f"several fit: {', '.join(modes)}" if modes else "no known rule fits"
        return not_known(probe, f"{what} (totals {shown})", "rounding")

    def _unit_cost_places(self) -> Finding:
        return self._places("decimals of a unit cost", "unit_cost_places", amounts.cost_line, amounts.cost_kept)

    def _percent_places(self) -> Finding:
        setting = "tax_percent_places"
        return self._places("decimals of a tax percent", setting, amounts.percent_line, amounts.percent_kept)

    def _places(
        self,
        probe: str,
        setting: str,
        make: Callable[[int, str], dict[str, Any]],
        kept: Callable[[Mapping[str, Any], int], bool],
    ) -> Finding:
        how = "kept, none more was tried"
        for places in range(amounts.MOST_PLACES + 1):
            reply, row = self._with_lines([make(places, self._currency)])
            lines = row.get("lines") or [{}]
            if reply.ok and kept(lines[0], places):
                continue
            if places == 0:
                return not_known(probe, f"a whole number is not kept: {reply.said()}", setting)
            how = "more are changed silently" if reply.ok else f"more are refused: {reply.said()}"
            return Finding(probe, f"{places - 1}; {how}", setting, places - 1, places + 1)
        return Finding(probe, f"{amounts.MOST_PLACES}; {how}", setting, amounts.MOST_PLACES, amounts.MOST_PLACES + 1)

    def _negative_lines(self) -> Finding:
        probe, setting = "lines below zero", "negative_lines"
        cost = {"name": "goods", "qty": "1", "unit_cost": {"amount": "10.00", "code": self._currency}}
        off = {"name": "discount", "qty": "1", "unit_cost": {"amount": "-1.00", "code": self._currency}}
        reply, row = self._with_lines([cost, off])
        if not reply.ok:
            return Finding(probe, f"refused: {reply.said()}", setting, value=False, evidence=1)
        total = amounts.decimal_in(row, "amount")
        if total != 9:
            return Finding(probe, f"accepted, but the total is {total} and not 9.00", setting, value=False, evidence=2)
        return Finding(probe, "accepted, and the total is right", setting, value=True, evidence=2)

    def _emoji(self) -> Finding:
        probe, setting = "characters outside the BMP (emoji)", "emoji"
        line = {"name": _EMOJI, "qty": "1", "unit_cost": {"amount": "1.00", "code": self._currency}}
        reply, row = self._with_lines([line])
        if not reply.ok:
            return Finding(probe, f"refused: {reply.said()}", setting, "refuse", 1)
        stored = (row.get("lines") or [{}])[0].get("name")
        kept = stored == _EMOJI
        return Finding(
            probe, "kept" if kept else "stored as something else", setting, "accept" if kept else "altered", 1
        )

    def _payment_on_draft(self) -> Finding:
        probe, setting = "payment on a draft", "payment_on_draft"
        # A draft of its own: an account that marks it as sent may take no changes of it any more.
        made = self._new_invoice(amounts.ROUNDING_PROBES[0][:1])
        draft = self._records.row(made, "invoice")
        if not made.ok:
            return not_known(probe, f"a second draft is refused: {made.said()}", setting)
        self._payable = draft["id"]
        reply = self._pay("0.50")
        if not reply.ok:
            return Finding(probe, f"refused: {reply.said()}", setting, "refuse", 1)
        self._payment = self._records.row(reply, "payment")
        after = self._records.row(self._account.ask("GET", "invoice", draft["id"]), "invoice")
        shown = ", ".join(f"{name} {after.get(name)}" for name in ("status", "display_status", "v3_status"))
        word = "stays-draft" if is_draft(after) else "becomes-sent"
        return Finding(probe, f"accepted; then {shown}", setting, word, 2)

    def _transactionid(self) -> Finding:
        probe, setting = "transactionid of a payment", "transactionid"
        if self._payment is None:
            return not_known(probe, "no payment was taken", setting)
        sent = f"md-{self._records.run}"
        reply = self._pay("0.25", transactionid=sent)
        if not reply.ok:
            return Finding(probe, f"refused: {reply.said()}", setting, "refuse", 1)
        stored = self._records.row(
            self._account.ask("GET", "payment", self._records.row(reply, "payment")["id"]), "payment"
        )
        word = "kept" if str(stored.get("transactionid")) == sent else "dropped"
        return Finding(probe, word, setting, word, 1)

    def _negative_payment(self) -> Finding:
        probe, setting = "payment below zero", "negative_payment"
        if self._payment is None:
            return not_known(probe, "no payment was taken", setting)
        reply = self._pay("-0.10")
        if not reply.ok:
            return Finding(probe, f"refused: {reply.said()}", setting, "refuse", 1)
        return Finding(probe, "accepted", setting, "accept", 1)

    def _pay(self, amount: str, **more: Any) -> Reply:
        body = {
            "invoiceid": self._payable,
            "amount": {"amount": amount, "code": self._currency},
            "date": self._today,
            "type": "Other",
            "note": f"{self._records.marker} Note {amount}",
        }
        return self._records.create("payment", {**body, **more})

    def _duplicate_number(self) -> Finding:
        return self._second_number("a used invoice number", "duplicate_number", str(self._draft["invoice_number"]))

    def _deleted_number(self) -> Finding:
        probe, setting = "the number of a deleted invoice", "deleted_number"
        first = self._new_invoice(amounts.ROUNDING_PROBES[0][:1])
        row = self._records.row(first, "invoice")
        if not first.ok or not self._records.remove("invoice", row["id"]).ok:
            return not_known(probe, f"a second draft is refused: {first.said()}", setting)
        self._deleted["invoice"] = row["id"]
        return self._second_number(probe, setting, str(row["invoice_number"]))

    def _second_number(self, probe: str, setting: str, number: str) -> Finding:
        reply = self._new_invoice(amounts.ROUNDING_PROBES[0][:1], number)
        if not reply.ok:
            return Finding(probe, f"refused: {reply.said()}", setting, "refuse", 1)
        row = self._records.row(reply, "invoice")
        self._records.remove("invoice", row["id"])
        if str(row.get("invoice_number")) != number:
            return Finding(probe, "another number is given silently", setting, "refuse", 1)
        return Finding(probe, "accepted a second time", setting, "accept", 1)

    def _duplicate_email(self) -> Finding:
        probe, setting = "a second client with the same e-mail", "duplicate_email"
        reply = self._records.create("client", {"email": self._email(), "fname": "Mapper", "lname": "Doctor"})
        if not reply.ok:
            return Finding(probe, f"refused: {reply.said()}", setting, "refuse", 1)
        second = self._records.row(reply, "client")["id"]
        if self._records.remove("client", second).ok:
            self._deleted["client"] = second
        return Finding(probe, "accepted", setting, "accept", 1)

    def _length(self, entity: str, field: str) -> Finding:
        probe, setting = f"longest {entity} {field}", f"max_lengths.{entity}.{field}"
        sample = self._client if entity == "client" else self._draft
        # The record must stay recognisable, and its number its own, while a field is tried: what is there leads.
        lead = str(sample[field]) if (entity, field) in _LED else ""

        def keeps(text: str) -> tuple[lengths.Verdict, str]:
            if len(text) <= len(lead):
                return "kept", text  # it was taken when the record was created
            sent = f"{lead}{text}"[: len(text)]
            reply, stored = self._store_text(entity, field, sent)
            if not reply.ok:
                return "refused", reply.problem.message
            return ("kept" if stored == sent else "cut"), stored

        limit = lengths.find_limit(keeps)
        if lead:
            self._records.change(entity, sample, {field: lead})
        if limit is None:
            return not_known(probe, "no text was kept", setting)
        if not limit.length:
            return Finding(probe, f"no limit met up to {lengths.LONGEST} characters", setting, 0, limit.tries)
        how = "longer ones are cut silently" if limit.cut else "longer ones are refused"
        return Finding(probe, f"{limit.length} characters; {how}", setting, limit.length, limit.tries)

    def _store_text(self, entity: str, field: str, text: str) -> tuple[Reply, str]:
        if entity == "line":
            cost = {"amount": "1.00", "code": self._currency}
            reply, row = self._with_lines([{"name": "n", "qty": "1", "unit_cost": cost, field: text}])
            return reply, str((row.get("lines") or [{}])[0].get(field) or "")
        sample = self._client if entity == "client" else self._draft
        reply = self._records.change(entity, sample, {field: text})
        return reply, str(self._records.row(reply, entity).get(field) or "")
