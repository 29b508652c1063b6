"""What a correction would do to the books, worked out in each way that FreshBooks offers. Pure; nothing is sent here.

A credit note's lines and taxes are the invoice's own, so that what is credited is taxed as it was invoiced. A way that
cannot be worked out to the cent under every rounding rule is not offered, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from mapspec.drafts import Claim
from mapspec.numbers import Money, currency_digits, minor_unit
from mapspec.totals import Tax, TotalLine, predict
from sync.plan import digest

Row = Mapping[str, Any]
Mix = tuple[tuple[Tax, ...], bool]
"""The taxes of a line, and whether the second one is compound."""

DELETED: Final = 1
ARCHIVED: Final = 2
ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Payment:
    """A payment as FreshBooks has it.

    Attributes:
        lowered: What our own corrections have taken from it.
        by_hand: What somebody else has taken from it since it was posted.
    """

    id: str
    amount: Decimal
    day: str
    lowered: Decimal = ZERO
    by_hand: Decimal = ZERO

    @property
    def gross(self) -> Decimal:
        """What was received by it."""
        return self.amount + self.lowered


@dataclass(frozen=True)
class Booked:
    """An invoice as FreshBooks has it, its payments, and what our own corrections of it have done so far.

    Attributes:
        state: vis_state.
        credits: Credit notes that were made of it, by kind of correction: their sum and their lines.
        lowered: What accepted refunds have taken from its payments.
    """

    id: str
    number: str
    client: str
    currency: str
    total: Decimal
    day: str
    draft: bool
    state: int
    lines: tuple[Row, ...]
    payments: tuple[Payment, ...]
    credits: Mapping[str, tuple[Decimal, tuple[Row, ...]]] = field(default_factory=dict)
    lowered: Decimal = ZERO

    def credited(self, *kinds: str) -> Decimal:
        """The sum of our credit notes, of some kinds of corrections or of all."""
        return sum((amount for kind, (amount, _) in self.credits.items() if not kinds or kind in kinds), ZERO)

    def credit_lines(self, *kinds: str) -> list[Row]:
        """Their lines."""
        return [line for kind, (_, lines) in self.credits.items() if not kinds or kind in kinds for line in lines]

    @property
    def paid(self) -> Decimal:
        """What stands as paid now."""
        return sum((one.amount for one in self.payments), ZERO)

    @property
    def refundable(self) -> Decimal:
        """What was received and not paid back yet."""
        return self.paid - self.credited("refund")

    def shown(self, *, credited: Decimal = ZERO, paid: Decimal = ZERO, total: Decimal = ZERO) -> dict[str, str]:
        """The amounts of the invoice, changed by so much."""
        made = {
            "invoice": self.total + total,
            "paid": self.paid + paid,
            "outstanding": self.total + total - self.paid - paid,
            "credit notes": self.credited() + credited,
        }
        return {name: self.money(amount) for name, amount in made.items()}

    def money(self, amount: Decimal) -> str:
        """With the currency's digits."""
        return Money(amount, self.currency).wire()["amount"]


@dataclass(frozen=True)
class Way:
    """One way to bring a correction into the books.

    Attributes:
        does: In words.
        amount: That it moves; positive.
        entity, remote_id, body: The request: of a new object where remote_id is None.
        before, after: Amounts of the invoice.
        why_not: Why it cannot be offered; the rest is empty then.
    """

    name: str
    does: str = ""
    amount: Decimal = ZERO
    entity: str = ""
    remote_id: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        if self.why_not:
            return {"name": self.name, "why_not": self.why_not}
        method = "POST" if self.remote_id is None else "PUT"
        request = {"method": method, "entity": self.entity, "id": self.remote_id, "body": dict(self.body)}
        shown = {"before": dict(self.before), "after": dict(self.after)}
        return {"name": self.name, "does": self.does, "amount": str(self.amount), **shown, "request": request}


class NotOfferedError(Exception):
    """A way cannot be worked out; the message says why."""


def basis(kind: str, booked: Booked, payment_id: str | None) -> str:
    """Digest of what a proposal stands on, without what our own corrections did to it.

    A refund does not depend on what else is paid or credited meanwhile; how much may be paid back is looked at anew.
    """
    own: list[Any] = [booked.money(booked.total), booked.currency, booked.client, booked.state, booked.draft]
    if kind == "refund":
        own += [[one.id, booked.money(one.gross), one.day] for one in booked.payments if one.id == payment_id]
    else:
        own += [[[one.id, booked.money(one.amount)] for one in booked.payments], list(map(dict, booked.lines))]
        own.append(booked.money(booked.credited()))
    return digest([str(part) for part in own])


def refund_ways(
    names: Sequence[str], claim: Claim, booked: Booked, credit: Row, *, payment: Payment | None, locked: str
) -> list[Way]:
    """The ways of a refund, each worked out or with why it is not offered.

    Args:
        credit: Members of the credit note that the mapping makes.
        payment: That it is about, where one is known.
        locked: Nothing dated before this day is changed; empty for no such day.
    """

    taken = sum((one.by_hand for one in ((payment,) if payment is not None else booked.payments)), ZERO)

    def way(name: str) -> Way:
        if taken >= claim.amount:
            raise NotOfferedError(f"{_amount(taken, booked)} was taken from the payment by hand: it may be this refund")
        if name == "lower_payment":
            return _lowered(claim, booked, payment, locked)
        if booked.credited() + claim.amount > booked.total:
            raise NotOfferedError("more would be credited than was invoiced")
        due = booked.credited("edit", "cancel") - booked.lowered
        if due > 0:
            raise NotOfferedError(f"{_amount(due, booked)} is credited already and not paid back: this may pay it")
        lines = refund_lines(claim, booked)
        return _credit(f"a credit note over {_amount(claim.amount, booked)}", claim.amount, lines, booked, credit)

    return [_tried(name, way) for name in names]


def edit_ways(
    names: Sequence[str], wanted: Row, total: Decimal, booked: Booked, credit: Row, *, locked: str
) -> list[Way]:
    """The ways of an edit: a credit note over what is less now, or the invoice changed."""
    standing = booked.total - booked.credited("edit")

    def way(name: str) -> Way:
        if name == "change_invoice":
            return _changed(wanted, total, booked, locked)
        if total >= standing:
            raise NotOfferedError("the order does not come to less")
        if booked.credited("refund"):
            already = _amount(booked.credited("refund"), booked)
            raise NotOfferedError(f"{already} is credited for refunds already: it may be the same money")
        less = standing - total
        lines = _difference(booked, wanted["lines"], less, ("edit",))
        return _credit(f"a credit note over {_amount(less, booked)}", less, lines, booked, credit)

    return [_tried(name, way) for name in names]


def cancel_ways(names: Sequence[str], booked: Booked, credit: Row, *, locked: str) -> list[Way]:
    """The ways of a cancellation: a credit note over all that stands, or the unpaid invoice archived."""

    def way(name: str) -> Way:
        if name == "archive":
            if booked.paid:
                raise NotOfferedError(f"{_amount(booked.paid, booked)} is paid: that has to be credited or paid back")
            if booked.state == ARCHIVED:
                raise NotOfferedError("it is archived already")
            _open(booked.day, locked, "invoice")
            does = f"invoice {booked.number} is archived: it leaves the lists, nothing is deleted"
            shown = booked.shown()
            body = {"vis_state": ARCHIVED}
            return Way(name, does, booked.total, "invoice", booked.id, body, shown, {**shown, "invoice": "archived"})
        if booked.draft:
            raise NotOfferedError("a draft is not in the books: there is nothing to credit")
        left = booked.total - booked.credited()
        if left <= 0:
            raise NotOfferedError("all of it is credited already")
        lines = _difference(booked, (), left, ())
        does = f"a credit note over {_amount(left, booked)}, all that stands of the invoice"
        kept = min(left, booked.refundable)
        if kept > 0:
            does += f"; {_amount(kept, booked)} of it was paid and is the client's credit until it is paid back"
        return _credit(does, left, lines, booked, credit)

    return [_tried(name, way) for name in names]


def refund_lines(claim: Claim, booked: Booked) -> list[Row]:
    """The lines of a refund's credit note: gross as refunded, each part taxed like the invoice's lines.

    Raises:
        NotOfferedError: What is not said cannot be told.
    """
    if claim.amount == booked.total and not booked.credits:
        return _mirrored(booked)
    made = []
    for position, (amount, tax) in enumerate(_parts(claim), start=1):
        name = f"Refund of invoice {booked.number}" + (f", part {position}" if position > 1 else "")
        made.append(_line(name, *_net_of(amount, tax, booked), booked.currency))
    _agrees(made, claim.amount, booked)
    return made


def _parts(claim: Claim) -> list[tuple[Decimal, Decimal | None]]:
    """The claim's lines where they are gross and each says its tax; what they leave is one more part."""
    rest, rest_tax = claim.amount, claim.tax
    parts: list[tuple[Decimal, Decimal | None]] = []
    for amount, tax in claim.lines:
        if tax is None or amount <= 0:
            return [(claim.amount, claim.tax)]
        parts.append((amount, tax))
        rest, rest_tax = rest - amount, None if rest_tax is None else rest_tax - tax
    if rest < 0 or (rest_tax is not None and rest_tax < 0):
        return [(claim.amount, claim.tax)]
    return [*parts, (rest, rest_tax)] if rest else parts


def _net_of(amount: Decimal, tax: Decimal | None, booked: Booked) -> tuple[Decimal, Mix]:
    """Net and taxes of a gross amount, by the one tax of the invoice that makes it."""
    digits = currency_digits(booked.currency)
    mixes = {_mix(line) for line in booked.lines}
    if tax is None and len(mixes) > 1:
        raise NotOfferedError("the refund does not say its tax, and the invoice has more than one")
    fitting = []
    for mix in sorted(mixes, key=str):
        net = amount - tax if tax is not None else _solved(amount, mix, digits)
        if net >= 0 and _totals([TotalLine(Decimal(1), net, *mix)], booked) == {amount}:
            fitting.append((net, mix))
    if len(fitting) == 1:
        return fitting[0]
    raise NotOfferedError("no single tax of the invoice makes the refund's tax")


def _solved(gross: Decimal, mix: Mix, digits: int) -> Decimal:
    """The net that a gross amount is made of."""
    taxes, compound = mix
    factor = Decimal(1)
    for position, tax in enumerate(taxes):
        factor += (factor if compound and position else Decimal(1)) * tax.percent / 100
    return (gross / factor).quantize(minor_unit(digits))


def _lowered(claim: Claim, booked: Booked, payment: Payment | None, locked: str) -> Way:
    if payment is None:
        raise NotOfferedError("it is not known which of the payments was paid back")
    if claim.amount > payment.amount:
        raise NotOfferedError(f"payment {payment.id} holds {_amount(payment.amount, booked)} only")
    _open(payment.day, locked, "payment")
    left = payment.amount - claim.amount
    body: dict[str, Any] = {"amount": Money(left, booked.currency).wire()} if left else {"vis_state": DELETED}
    does = (
        f"payment {payment.id} of {payment.day} is lowered from {_amount(payment.amount, booked)} to"
        f" {_amount(left, booked)} and keeps its date"
        if left
        else f"payment {payment.id} of {payment.day} over {_amount(payment.amount, booked)} is deleted"
    )
    after = booked.shown(paid=-claim.amount)
    return Way("lower_payment", does, claim.amount, "payment", payment.id, body, booked.shown(), after)


def _changed(wanted: Row, total: Decimal, booked: Booked, locked: str) -> Way:
    if booked.credited("edit"):
        raise NotOfferedError("an earlier edit was credited: the invoice stays as it is")
    if booked.paid > total:
        raise NotOfferedError(f"{_amount(booked.paid, booked)} is paid, more than it would come to")
    if str(wanted.get("currency_code")) != booked.currency:
        raise NotOfferedError(f"the order is in {wanted.get('currency_code')} now, the invoice in {booked.currency}")
    _open(booked.day, locked, "invoice")
    body = {name: value for name, value in wanted.items() if name not in ("customerid", "create_date")}
    more = total - booked.total
    does = f"invoice {booked.number} is changed from {_amount(booked.total, booked)} to {_amount(total, booked)}"
    lines = f" (lines: {len(booked.lines)}, then {len(wanted['lines'])}) and keeps its date"
    after = booked.shown(total=more)
    return Way("change_invoice", does + lines, abs(more), "invoice", booked.id, body, booked.shown(), after)


def _credit(does: str, amount: Decimal, lines: Sequence[Row], booked: Booked, credit: Row) -> Way:
    body = {**credit, "lines": [dict(line) for line in lines]}
    text = f"{does}, dated {credit.get('create_date')}; invoice and payments stay as they are"
    after = booked.shown(credited=amount)
    return Way("credit_note", text, amount, "credit_note", None, body, booked.shown(), after)


def _difference(booked: Booked, wanted: Iterable[Row], amount: Decimal, kinds: tuple[str, ...]) -> list[Row]:
    """Lines over what stands of the invoice and is not wanted any more, by taxes.

    Args:
        kinds: Of the corrections whose credit notes count; all of them when empty.

    Raises:
        NotOfferedError: Part of it became more, or it does not come to the amount.
    """
    if amount == booked.total and not booked.credited(*kinds):
        return _mirrored(booked)
    nets: dict[Mix, Decimal] = {}
    for sign, lines in ((1, booked.lines), (-1, booked.credit_lines(*kinds)), (-1, tuple(wanted))):
        for line in lines:
            net = Decimal(str(line.get("qty") or 1)) * _cost(line)
            nets[_mix(line)] = nets.get(_mix(line), ZERO) + sign * net
    left = {mix: net for mix, net in nets.items() if net}
    if any(net < 0 for net in left.values()):
        raise NotOfferedError("what is taxed in one way became less and in another more: one credit note cannot say it")
    name = f"Correction of invoice {booked.number}"
    made = [_line(name, left[mix], mix, booked.currency) for mix in sorted(left, key=str)]
    _agrees(made, amount, booked)
    return made


def _mirrored(booked: Booked) -> list[Row]:
    """All the lines of the invoice, as they stand there."""
    kept = ("name", "qty", "unit_cost", "taxName1", "taxAmount1", "taxName2", "taxAmount2", "compounded_tax")
    return [{name: line[name] for name in kept if line.get(name) not in (None, "", False)} for line in booked.lines]


def _agrees(lines: Iterable[Row], amount: Decimal, booked: Booked) -> None:
    rows = [_total_line(line) for line in lines]
    if _totals(rows, booked) != {amount}:
        raise NotOfferedError(f"its lines would not come to {_amount(amount, booked)} under every rounding rule")


def _totals(rows: Sequence[TotalLine], booked: Booked) -> set[Decimal]:
    """What lines come to, under every rounding rule by which the invoice comes to what it is."""
    digits = currency_digits(booked.currency)
    own = predict([_total_line(line) for line in booked.lines], digits)
    rules = [rule for rule, total in own.items() if total == booked.total] or list(own)
    made = predict(rows, digits)
    return {made[rule] for rule in rules}


def _total_line(line: Row) -> TotalLine:
    return TotalLine(Decimal(str(line.get("qty") or 1)), _cost(line), *_mix(line))


def _line(name: str, net: Decimal, mix: Mix, currency: str) -> Row:
    line: dict[str, Any] = {"name": name, "qty": "1", "unit_cost": Money(net, currency).wire()}
    for place, tax in zip("12", mix[0], strict=False):
        line |= {f"taxName{place}": tax.name, f"taxAmount{place}": f"{tax.percent.normalize():f}"}
    return {**line, "compounded_tax": True} if mix[1] else line


def _mix(line: Row) -> Mix:
    taxes = []
    for place in "12":
        name, percent = line.get(f"taxName{place}"), line.get(f"taxAmount{place}")
        if name and percent not in (None, "") and Decimal(str(percent)):
            taxes.append(Tax(str(name), Decimal(str(percent)).normalize()))
    return tuple(taxes), bool(line.get("compounded_tax")) and len(taxes) > 1


def _cost(line: Row) -> Decimal:
    cost = line.get("unit_cost")
    return Decimal(str(cost["amount"])) if isinstance(cost, Mapping) else ZERO


def _open(day: str, locked: str, what: str) -> None:
    if locked and day < locked:
        raise NotOfferedError(f"the {what} is dated {day}, before the lock date {locked}")


def _amount(amount: Decimal, booked: Booked) -> str:
    return f"{booked.money(amount)} {booked.currency}"


def _tried(name: str, way: Any) -> Way:
    try:
        made: Way = way(name)
    except NotOfferedError as error:
        return Way(name, why_not=str(error))
    return made
