"""Reads the money of a correction from a record; what is no number is told, never guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mapspec.conditions import is_present
from mapspec.drafts import Claim
from mapspec.errors import TransformError
from mapspec.model import CorrectionMoney
from mapspec.numbers import to_decimal
from mapspec.ops import plain_text
from mapspec.paths import Path, Scope, compile_path, rows_of


class ClaimReader:
    """A step's `money`, compiled."""

    def __init__(self, money: CorrectionMoney) -> None:
        self._money = money
        paths = {*money.paths(), money.line_amount, money.line_tax}
        self._read = {path: compile_path(path) for path in paths}
        self._lines = compile_path(money.lines) if money.lines is not None else None

    def read(self, scope: Scope) -> Claim:
        """The claim of the record, or of the element that the scope is at.

        Raises:
            TransformError: The amount is missing or not above zero, or something is no number.
        """
        money = self._money
        amount = self._number(money.amount, scope)
        if amount is None or amount <= 0:
            raise TransformError(f"{money.amount.text}: expected an amount above zero", reason="bad-number")
        lines: list[tuple[Decimal, Decimal | None]] = []
        item, index = scope.item, scope.index
        for position, row in enumerate(rows_of(self._lines(scope)) if self._lines is not None else ()):
            scope.item, scope.index = row, position
            line = self._number(money.line_amount, scope)
            if line is not None:
                lines.append((line, self._number(money.line_tax, scope)))
        scope.item, scope.index = item, index
        return Claim(
            amount=amount,
            tax=self._number(money.tax, scope),
            currency=(self._text(money.currency, scope) or "").strip().upper() or None,
            payment=self._text(money.payment, scope),
            transaction=self._text(money.transaction, scope),
            lines=tuple(lines),
        )

    def _value(self, path: Path | None, scope: Scope) -> Any:
        value = None if path is None else self._read[path](scope)
        return value if is_present(value) else None

    def _number(self, path: Path | None, scope: Scope) -> Decimal | None:
        value = self._value(path, scope)
        return None if value is None or path is None else to_decimal(value, path.text)

    def _text(self, path: Path | None, scope: Scope) -> str | None:
        value = self._value(path, scope)
        return None if value is None else plain_text(value)
