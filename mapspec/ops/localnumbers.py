"""Reading numbers as people of different countries write them. What could be read in two ways is refused."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, Literal

from mapspec.errors import TransformError
from mapspec.numbers import shape, to_decimal
from mapspec.ops.base import NUMBER, CompileContext, Example, Operation, Step
from mapspec.ops.codes import AMBIGUOUS, currencies
from mapspec.ops.operands import number_of
from mapspec.ops.plaintext import bare
from mapspec.paths import Scope

# Locale -> its decimal mark and the marks it parts thousands with (Unicode CLDR, with the plain characters that
# keyboards have). Blanks of every kind count as one.
LOCALES: Final[dict[str, tuple[str, str]]] = {
    "en": (".", ","),
    "en-IN": (".", ","),
    "en-ZA": (",", " "),
    "ja": (".", ","),
    "zh": (".", ","),
    "de": (",", ". "),
    "de-AT": (",", ". "),
    "de-CH": (".", "'"),
    "fr": (",", " "),
    "fr-CA": (",", " "),
    "fr-CH": (",", " '"),
    "es": (",", ". "),
    "es-MX": (".", ","),
    "it": (",", "."),
    "it-CH": (".", "'"),
    "nl": (",", "."),
    "pt": (",", ". "),
    "pt-BR": (",", "."),
    "da": (",", "."),
    "nb": (",", " "),
    "sv": (",", " "),
    "fi": (",", " "),
    "pl": (",", " "),
    "cs": (",", " "),
    "tr": (",", "."),
}
Locale = Literal[
    "auto", "en", "en-IN", "en-ZA", "ja", "zh", "de", "de-AT", "de-CH", "fr", "fr-CA", "fr-CH", "es", "es-MX", "it",
    "it-CH", "nl", "pt", "pt-BR", "da", "nb", "sv", "fi", "pl", "cs", "tr",
]  # fmt: skip
_MAX_WRITTEN: Final = 80  # characters; no amount is longer
_BLANKS: Final = str.maketrans({**dict.fromkeys("\u00a0\u2007\u2009\u202f", " "), "\u2019": "'", "\u2212": "-"})
# A sign, a currency, the number, a currency, a sign; or all of it in brackets, which book-keepers mean as minus.
_WRITTEN: Final = re.compile(
    r"(?P<sign>[+-])?\s*(?P<before>[^\d.,'()+\-\s][^\d.,'()+\-]{0,8})?\s*(?P<sign2>[+-])?\s*"
    r"(?P<number>[0-9.,][0-9., ']*?)\s*(?P<after>[^\d.,'()+\-\s][^\d.,'()+\-]{0,8})?\s*(?P<sign3>-)?"
)
_PLAIN_GROUPS: Final = r"[0-9]{1,3}(?:G[0-9]{3})+"
_INDIAN_GROUPS: Final = r"[0-9]{1,2}(?:G[0-9]{2})*G[0-9]{3}"


class ParseNumber(Operation):
    """A number as a locale writes it (en, de, fr, pt-BR, ...), with currency sign or code, minus or brackets.

    `auto`, the default, reads what can be read in one way only: 1,234 and 1.234 are refused.
    """

    name = "parse_number"
    main = "locale"
    takes = NUMBER
    gives = "decimal"
    examples = (
        Example("de", value="1.234,50 €", gives=Decimal("1234.50")),
        Example("en", value="$1,234", gives=Decimal(1234)),
        Example(value="1 234,5", gives=Decimal("1234.5")),
        Example(value="(12.50)", gives=Decimal("-12.50")),
        Example(value="1,234", refused="ambiguous-number"),
        Example("en", value="1,23", refused="bad-number"),
    )
    locale: Locale = "auto"

    def bind(self, context: CompileContext) -> Step:
        marks = LOCALES.get(self.locale)
        indian = self.locale in ("en-IN", "auto")

        def step(value: Any, scope: Scope) -> Any:
            if isinstance(value, str):
                return parse_number(value, marks, indian=indian) if value.strip() else None
            return None if value is None else number_of(value)

        return step


def parse_number(text: str, marks: tuple[str, str] | None, *, indian: bool = False) -> Decimal:
    """The number that a text stands for.

    Args:
        text: With or without currency and sign.
        marks: Decimal mark, and the marks that may part thousands; None where the text has to tell by itself.
        indian: Groups of two before the last group of three may be there.

    Raises:
        TransformError: `bad-number`, or `ambiguous-number` where the text can be read in two ways.
    """
    if len(text) > _MAX_WRITTEN:
        raise _misfit(text)
    written = text.translate(_BLANKS).strip()
    bracketed = written.startswith("(") and written.endswith(")")
    match = _WRITTEN.fullmatch(written[1:-1].strip() if bracketed else written)
    if match is None:
        raise _misfit(text)
    signs = [sign for sign in (match["sign"], match["sign2"], match["sign3"]) if sign]
    currency = [found for found in (match["before"], match["after"]) if found]
    if len(signs) + bracketed > 1 or len(currency) > 1 or any(not _is_currency(found) for found in currency):
        raise _misfit(text)
    number = match["number"].strip()
    decimal_mark, groups = marks or _marks_of(number, text)
    whole, mark, fraction = number.partition(decimal_mark)
    if not re.fullmatch(r"[0-9]*", fraction) or not (whole or fraction) or (mark and not fraction):
        raise _misfit(text)
    plain = to_decimal(f"{_ungrouped(whole, groups, text, indian=indian) or '0'}.{fraction or '0'}", "value")
    exact = plain if fraction else plain.to_integral_value()
    return -exact if bracketed or "-" in signs else exact


def _is_currency(text: str) -> bool:
    return bare(text) in currencies() or bare(text) in AMBIGUOUS


def _marks_of(number: str, text: str) -> tuple[str, str]:
    """The marks of a number that tells by itself which is which."""
    points, commas = number.count("."), number.count(",")
    parted = {mark for mark in " '" if mark in number}
    if points and commas:
        decimal_mark = max(".,", key=number.rfind)
        group = "," if decimal_mark == "." else "."
        return decimal_mark, group
    mark = "." if points else ","
    if points + commas > 1:
        return ("," if mark == "." else "."), mark
    if points + commas == 1 and not parted:
        whole, _, fraction = number.partition(mark)
        if len(fraction) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0"):
            message = "the number can be read in two ways: say with 'locale' which is meant"
            raise TransformError(message, reason="ambiguous-number")
    return mark, "".join(parted)


def _ungrouped(whole: str, groups: str, text: str, *, indian: bool) -> str:
    used = {character for character in whole if not character.isdigit()}
    if not used:
        return whole
    if len(used) > 1 or not used <= set(groups):
        raise _misfit(text)
    group = re.escape(used.pop())
    patterns = [_PLAIN_GROUPS, _INDIAN_GROUPS] if indian else [_PLAIN_GROUPS]
    if not any(re.fullmatch(pattern.replace("G", group), whole) for pattern in patterns):
        raise _misfit(text)
    return re.sub(r"[^0-9]", "", whole)


def _misfit(text: str) -> TransformError:
    return TransformError(f"value: expected a number, got {shape(text)}", reason="bad-number")
