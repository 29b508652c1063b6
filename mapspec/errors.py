"""Errors of the contract: a spec that cannot be used, a value that does not fit."""

from __future__ import annotations


class SpecError(Exception):
    """A spec is malformed, unapproved or altered.

    Attributes:
        where: File name as given by the caller, or "<spec>".
        line: 1-based line, None where the error has no place in the text; `yamltext.column_of` tells its column.
    """

    def __init__(self, message: str, *, where: str = "<spec>", line: int | None = None) -> None:
        place = where if line is None else f"{where}:{line}"
        super().__init__(f"{place}: {message}")
        self.message = message
        self.where = where
        self.line = line


class TransformError(Exception):
    """One value does not fit its rule. The message names expectation and shape, never the value.

    Attributes:
        reason: Stable kebab-case id.
        target: Target path of the rule, empty until the engine knows it.
    """

    def __init__(self, message: str, *, reason: str = "bad-value", target: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.target = target
