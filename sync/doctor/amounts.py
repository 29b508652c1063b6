"""Rounding, decimals and lines below zero: what an account makes of amounts. Probe lines, and what answers mean. Pure.

Each probe invoice comes to another total under every mode of ``mapspec.totals`` (a test says so), so one answer
leaves at most one mode; three different ones show whether the rule holds for quantities and fractions too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from mapspec.totals import MODES, Mode, Tax, TotalLine, predict

MOST_PLACES: Final = 6
MANY: Final = Decimal(100_000)
"""Quantity that lifts the sixth decimal of a unit cost above the cent."""


def _line(quantity: str, unit_cost: str, *taxes: Tax) -> TotalLine:
    return TotalLine(Decimal(quantity), Decimal(unit_cost), taxes)


def _tax(letter: str, percent: str) -> Tax:
    return Tax(f"Doctor {letter}", Decimal(percent))


_A25, _A5, _B5, _B125 = _tax("A", "2.5"), _tax("A", "5"), _tax("B", "5"), _tax("B", "12.5")

ROUNDING_PROBES: Final[tuple[tuple[TotalLine, ...], ...]] = (
    (_line("1", "7.30", _B5), _line("1", "9.00", _A25, _B5), _line("1", "1.70", _B5), _line("1", "3.70", _B5)),
    (
        _line("3", "7.00", _A25, _B125),
        _line("2", "3.80", _A25, _B125),
        _line("3", "2.20", _A25, _B125),
        _line("2", "5.70", _A25, _B125),
    ),
    (
        _line("1.5", "3.67", _A5),
        _line("0.5", "1.93", _B125),
        _line("0.5", "3.03", _A5, _B125),
        _line("0.5", "5.13", _A5, _B125),
        _line("1.5", "7.51", _A5, _B125),
    ),
)


def fitting_modes(observed: Sequence[tuple[Sequence[TotalLine], Decimal]]) -> list[Mode]:
    """The modes under which every invoice comes to the total the server gave it, in the order of ``MODES``."""
    return [mode for mode in MODES if all(predict(lines, 2)[mode] == total for lines, total in observed)]


def wire_line(line: TotalLine, currency: str, name: str) -> dict[str, Any]:
    """A line as FreshBooks takes it."""
    body: dict[str, Any] = {"name": name, "qty": str(line.quantity), "unit_cost": _money(line.unit_cost, currency)}
    for number, tax in enumerate(line.taxes, start=1):
        body |= {f"taxName{number}": tax.name, f"taxAmount{number}": str(tax.percent)}
    return body


def cost_line(places: int, currency: str) -> dict[str, Any]:
    """A line whose unit cost has so many decimals, in a quantity that shows each of them in its amount."""
    return {"name": "unit cost", "qty": str(MANY), "unit_cost": _money(_ones(places), currency)}


def cost_kept(line: Mapping[str, Any], places: int) -> bool:
    """Whether the stored line has the unit cost that was sent, and calculates with it."""
    return decimal_in(line, "unit_cost") == _ones(places) and decimal_in(line, "amount") == MANY * _ones(places)


def percent_line(places: int, currency: str) -> dict[str, Any]:
    """A line whose tax percent has so many decimals."""
    body = {"name": "tax", "qty": "1", "unit_cost": _money(MANY, currency)}
    return {**body, "taxName1": "Doctor A", "taxAmount1": str(_ones(places))}


def percent_kept(line: Mapping[str, Any], places: int) -> bool:
    """Whether the stored line has the percent that was sent."""
    try:
        return Decimal(str(line.get("taxAmount1"))) == _ones(places)
    except ArithmeticError:
        return False


def decimal_in(row: Mapping[str, Any], member: str) -> Decimal | None:
    """The amount of a money member; None when there is none."""
    money = row.get(member)
    try:
        return Decimal(str(money["amount"])) if isinstance(money, Mapping) else None
    except (ArithmeticError, KeyError):
        return None


def _ones(places: int) -> Decimal:
    """1.111 for three places."""
    return Decimal("1." + "1" * places) if places else Decimal(1)


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"amount": f"{amount:f}", "code": currency}
