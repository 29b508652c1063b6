"""Checks of values in plain words, to stand after `must be`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from mapper_ai.services.words_conditions import listed, path_in_words
from mapspec import validations
from mapspec.formats import NAMES
from mapspec.yamltext import flow as one_line


def checks_in_words(checks: Sequence[validations.Check]) -> str:
    """What a value must be, to stand after `must be`; empty without checks."""
    return listed([check_in_words(check) for check in checks], "and")


def check_in_words(check: validations.Check) -> str:
    """One check, to stand after `must be`."""
    words = _CHECKS.get(type(check))
    text = words(check) if words else one_line(check.plain())
    if check.on_fail is None:
        return text
    return f"{text} (or it is noted)" if check.on_fail == "warn" else f"{text} (or the record is held)"


def _window(check: Any) -> str:
    ends = [
        f"not {'before' if name == 'from' else 'after'} {_bound(b)}" for name, b in check.date_window.bounds().items()
    ]
    return f"a date {listed(ends, 'and')}"


def _bound(bound: validations.DateBound) -> str:
    if bound.path is None:
        return bound.in_words()
    moved = f"{abs(bound.days)} days {'after' if bound.days > 0 else 'before'} " if bound.days else ""
    return moved + path_in_words(bound.path)


_CHECKS: Final[dict[type[validations.Check], Callable[[Any], str]]] = {
    validations.FormatCheck: lambda check: NAMES[check.format],
    validations.MinLengthCheck: lambda check: f"at least {check.min_length} characters long",
    validations.LengthCheck: lambda check: f"at most {check.max_length} characters long",
    validations.BetweenCheck: lambda check: f"from {check.between[0]} to {check.between[1]}",
    validations.AtLeastCheck: lambda check: f"at least {check.argument()}",
    validations.AtMostCheck: lambda check: f"at most {check.argument()}",
    validations.IntegerCheck: lambda check: f"a whole number{check.integer.in_words()}",
    validations.EnumCheck: lambda check: f"one of {listed([f'“{value}”' for value in check.enum], 'or')}",
    validations.PatternCheck: lambda check: f"of the form {check.regex}",
    validations.MoneyCheck: lambda check: (
        "an amount above zero" if check.money == "positive" else "an amount that is not negative"
    ),
    validations.DateWindowCheck: _window,
    validations.UniqueCheck: lambda check: "different from every other element of the list",
}
