"""Rules over a whole record, as functions: totals, presence, uniqueness, and the total FreshBooks will come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from mapspec.conditions import fold, is_present
from mapspec.errors import TransformError
from mapspec.model import Assertion, PredictedTotal
from mapspec.numbers import ZERO, Money, currency_digits, round_to, to_decimal
from mapspec.ops import text_of
from mapspec.paths import Path, Scope, compile_path, get_at
from mapspec.totals import HUNDRED, Tax, TotalLine, predict
from mapspec.validations import same_text

# Bodies made so far for a target, in order.
Bodies = Callable[[str], Sequence[Mapping[str, Any]]]
Agrees = Callable[[Scope, Bodies], bool]
_TRUE: Final = {"true", "1", "yes"}


def bind_assertion(rule: Assertion) -> Agrees:
    """The assertion's rule as a function; `each`, `when` and `on_fail` are the engine's.

    The function raises TransformError when what it looks at is no number or text.
    """
    if rule.equal is not None:
        left, right = (side.compile() for side in rule.equal)
        within = rule.within
        return lambda scope, bodies: abs(left(scope) - right(scope)) <= within
    if rule.at_most is not None:
        low, high = (side.compile() for side in rule.at_most)
        above = rule.within
        return lambda scope, bodies: low(scope) <= high(scope) + above
    if rule.same_text is not None:
        one, other = (compile_path(path) for path in rule.same_text)
        return lambda scope, bodies: same_text(one(scope), other(scope))
    if rule.required_together is not None:
        together = [_presence(path) for path in rule.required_together]
        return lambda scope, bodies: len({present(scope) for present in together}) == 1
    if rule.one_of_present is not None:
        any_of = [_presence(path) for path in rule.one_of_present]
        return lambda scope, bodies: any(present(scope) for present in any_of)
    if rule.not_empty is not None:
        filled = _presence(rule.not_empty)
        return lambda scope, bodies: filled(scope)
    if rule.unique is not None:
        return _unique(rule.unique)
    if rule.predicted_total is not None:
        return _predicted(rule.predicted_total, rule.within)
    raise ValueError(f"assertion '{rule.id}' says nothing")


def invoice_totals(body: Mapping[str, Any], lines: str, digits: int) -> set[Decimal]:
    """Every total that FreshBooks may come to for an invoice as it is sent, one for each plausible rounding rule.

    Facts §5: tax is on the line after the invoice's discount, the second tax on the first where compounded.

    Args:
        body: The invoice, money as {amount, code}.
        lines: The member that holds the lines.
        digits: Digits of the currency's minor unit.

    Raises:
        TransformError: `no-lines`, `bad-number`: there is nothing to add up, or a line has no quantity or price.
    """
    rows = body.get(lines)
    if not isinstance(rows, list) or not rows:
        raise TransformError("the invoice has no lines to add up", reason="no-lines")
    found = [_line(row, number) for number, row in enumerate(rows, start=1)]
    percent = _amount(body.get("discount_value"), "discount_value") or ZERO
    if not percent:
        return set(predict(found, digits).values())
    kept = (HUNDRED - percent) / HUNDRED
    lowered = [TotalLine(line.quantity, line.unit_cost * kept, line.taxes, line.compound) for line in found]
    untaxed = [TotalLine(line.quantity, line.unit_cost) for line in found]
    nets = predict([TotalLine(line.quantity, line.unit_cost) for line in lowered], digits)
    listed = predict(untaxed, digits)
    totals: set[Decimal] = set()
    for mode, total in predict(lowered, digits).items():
        # the discount is one rounded amount of the invoice (discount_total), or a part of every line
        whole = listed[mode] - round_to(listed[mode] * percent / HUNDRED, digits)
        totals |= {total, round_to(whole + total - nets[mode], digits)}
    return totals


def _predicted(rule: PredictedTotal, within: Decimal) -> Agrees:
    target, member = rule.lines.removesuffix("[]").split(".", 1)
    read_total, read_currency = compile_path(rule.total), compile_path(rule.currency)
    all_must = rule.rounding == "every"

    def agrees(scope: Scope, bodies: Bodies) -> bool:
        code = read_currency(scope)
        if not is_present(code):
            raise TransformError(f"{rule.currency.text} is empty", reason="currency-missing")
        digits = currency_digits(text_of(code).strip().upper())
        total = read_total(scope)
        if not is_present(total):
            raise TransformError(f"{rule.total.text} is empty", reason="bad-number")
        wanted = round_to(total.amount if isinstance(total, Money) else to_decimal(total, rule.total.text), digits)
        limit = within.scaleb(-digits)
        for body in bodies(target):
            near = [abs(found - wanted) <= limit for found in invoice_totals(body, member, digits)]
            if not (all(near) if all_must else any(near)):
                return False
        return True

    return agrees


def _line(row: Any, number: int) -> TotalLine:
    if not isinstance(row, Mapping):
        raise TransformError(f"line {number} is no object", reason="bad-line")
    quantity = _amount(row.get("qty"), f"line {number}: qty")
    price = get_at(row, "unit_cost.amount")
    unit_cost = _amount(price, f"line {number}: unit_cost")
    if quantity is None or unit_cost is None:
        raise TransformError(f"line {number} has no quantity or no price", reason="bad-number")
    taxes = []
    for place in "12":
        percent = _amount(row.get(f"taxAmount{place}"), f"line {number}: taxAmount{place}")
        if percent:
            taxes.append(Tax(fold(row.get(f"taxName{place}", "")), percent))
    return TotalLine(quantity, unit_cost, tuple(taxes), fold(row.get("compounded_tax", False)) in _TRUE)


def _amount(value: Any, what: str) -> Decimal | None:
    return to_decimal(value, what) if is_present(value) else None


def _presence(path: Path) -> Callable[[Scope], bool]:
    read = compile_path(path)
    if not path.many:
        return lambda scope: is_present(read(scope))
    return lambda scope: any(is_present(value) for value in read(scope))


def _unique(path: Path) -> Agrees:
    read = compile_path(path)

    def agrees(scope: Scope, bodies: Bodies) -> bool:
        texts = [fold(text_of(value)) for value in _present(read(scope))]
        return len(set(texts)) == len(texts)

    return agrees


def _present(values: Iterable[Any]) -> Iterable[Any]:
    return (value for value in values if is_present(value))
