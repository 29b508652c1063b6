"""Pseudonyms that keep the format: equal inputs become equal outputs, and only the holder of the key can repeat it.

Nothing is random: every letter and digit is chosen by an HMAC of what it replaces. Words are replaced one by one, so
that a full name still consists of the first and the last one. Comparing ignores case, the result keeps it.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOWELS: Final = "aeiou"
_CONSONANTS: Final = "bcdfghjklmnprstvwz"
# Calling codes of one and two digits; all others have three (ITU-T E.164).
_SHORT_CODES: Final = _set(
    """1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84
    86 90 91 92 93 94 95 98"""
)
_LEGAL_FORMS: Final = _set(
    """ab ag aps as asa bv co company corp corporation cv eirl ev gbr gmbh inc incorporated kft kg kgaa limited llc llp
    ltd ltda mbh nv ohg oy oyj pbc plc pte pty pvt sa sarl sas sca sl spa sprl srl srls se ug zoo"""
)
_MAX_LOCAL: Final = 57
_WORD: Final = re.compile(r"[^\W\d_]+|\d+", re.UNICODE)
EMAIL: Final = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)+")
PHONE: Final = re.compile(r"(?<![\w+])(?:\+\d|\(\d{2,4}\) ?\d)[\d ()./-]{5,18}\d(?!\w)")
_IP: Final = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|(?=.*:.*:)[0-9a-fA-F:.]{3,45}")
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(.*)", re.DOTALL)
_URL: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|mailto:|www\.", re.IGNORECASE)


class Pseudonyms:
    """Replaces values under one key; `kind` says what a value is (see KINDS)."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._by_kind: Mapping[str, Callable[[str], str]] = {
            "email": self.email,
            "name": self.words,
            "company": self.company,
            "phone": self.phone,
            "address": self.words,
            "postcode": self.code,
            "taxid": self.tax_id,
            "text": self.free_text,
            "birth": self.birth_date,
            "ip": self.ip,
            "place": self.place,
            "link": self.link,
        }

    def replace(self, kind: str, text: str) -> str:
        """The pseudonym of one value; blanks around it stay, an empty one stays empty.

        Raises:
            KeyError: No such kind.
        """
        return self._by_kind[kind](text) if text.strip() else text

    def words(self, text: str) -> str:
        """Every word and every run of digits by one of the same script, case and length."""
        return _WORD.sub(lambda found: self._digits(found[0]) if found[0].isdigit() else self._word(found[0]), text)

    def company(self, text: str) -> str:
        """As words; legal forms such as GmbH stay."""
        return _WORD.sub(lambda found: found[0] if found[0].casefold() in _LEGAL_FORMS else self.words(found[0]), text)

    def email(self, text: str) -> str:
        """An address at a domain that cannot exist; what is no address is treated as free text."""
        found = EMAIL.fullmatch(text.strip())
        return text.replace(found[0], self._email(found[0])) if found else self.free_text(text)

    def phone(self, text: str) -> str:
        """The same punctuation, country code and count of digits; equal numbers stay equal however they are written."""
        digits = "".join(sign for sign in text if sign.isascii() and sign.isdigit())
        international = text.strip().startswith("+") or digits.startswith("00")
        kept = 2 if digits.startswith("00") else 0
        if international:
            kept += next((size for size in (1, 2) if digits[kept : kept + size] in _SHORT_CODES), 3)
        elif digits.startswith("0"):
            kept = 1
        stream = self._stream("phone", digits[kept:])
        made = [
            digit if place < kept else str(next(stream) % 8 + 2 if place < kept + 2 else next(stream) % 10)
            for place, digit in enumerate(digits)
        ]
        parts = iter(made)
        return "".join(next(parts) if sign.isascii() and sign.isdigit() else sign for sign in text)

    def code(self, text: str) -> str:
        """Letter by letter and digit by digit: a postcode keeps its form."""
        return self._signs("code", text, 0)

    def tax_id(self, text: str) -> str:
        """As code; the country's letters in front stay."""
        head = re.match(r"\s*[A-Za-z]{2}(?=[\s\d])", text)
        return self._signs("code", text, head.end() if head else 0)

    def free_text(self, text: str) -> str:
        """Addresses and phone numbers by theirs, every other word as in words."""
        parts, position = [], 0
        for found in _merged(EMAIL.finditer(text), PHONE.finditer(text)):
            parts.append(self.words(text[position : found.start()]))
            parts.append(self._email(found[0]) if found.re is EMAIL else self.phone(found[0]))
            position = found.end()
        return "".join((*parts, self.words(text[position:])))

    def contacts(self, text: str) -> str:
        """Only the e-mail addresses and phone numbers inside a text; the rest stays."""
        if "@" in text:
            text = EMAIL.sub(lambda found: self._email(found[0]), text)
        return PHONE.sub(lambda found: self.phone(found[0]), text) if "+" in text or "(" in text else text

    def birth_date(self, text: str) -> str:
        """Another day of the same year; what is no ISO date loses its digits."""
        found = _DATE.fullmatch(text.strip())
        if found is None:
            return self.code(text)
        stream = self._stream("birth", "".join(found.groups()[:3]))
        return f"{found[1]}-{next(stream) % 12 + 1:02}-{next(stream) % 28 + 1:02}{found[4]}"

    def ip(self, text: str) -> str:
        """An address of a private (IPv4) or documentation (IPv6) network."""
        if not _IP.fullmatch(text.strip()):
            return self.free_text(text)
        stream = self._stream("ip", text.strip().casefold())
        if ":" in text:
            return "2001:db8::" + ":".join(f"{next(stream) * 256 + next(stream):x}" for _ in range(2))
        return "10." + ".".join(str(next(stream)) for _ in range(3))

    def place(self, text: str) -> str:
        """A coordinate keeps its degrees only."""
        whole, point, rest = text.partition(".")
        return whole + point + self._digits(rest) if rest.isdigit() else self.code(text)

    def link(self, text: str) -> str:
        """A link with other words, at a domain that cannot exist."""
        head = _URL.match(text.strip())
        if head is None:
            return self.free_text(text)
        host, slash, rest = text.strip()[head.end() :].partition("/")
        return head[0] + self._domain(host) + slash + self.words(rest)

    def _email(self, address: str) -> str:
        local, _, domain = address.rpartition("@")
        # Short words have few pseudonyms; the mark keeps two people from sharing an address.
        stream = self._stream("email", address)
        mark = "".join(f"{next(stream):02x}" for _ in range(3))
        return f"{self.words(local)[:_MAX_LOCAL].rstrip('.')}-{mark}@{self._domain(domain)}"

    def _domain(self, domain: str) -> str:
        # RFC 2606: nobody can own a name below .example, so nothing is ever sent to a stranger.
        *labels, _ = domain.split(".") if "." in domain else (domain, "")
        return ".".join((*(self.words(label) for label in labels), "example"))

    def _word(self, word: str) -> str:
        stream = self._stream("word", word)
        return "".join(_letter_like(sign, next(stream)) for sign in word)

    def _digits(self, digits: str) -> str:
        stream = self._stream("digits", digits)
        return "".join(
            str(next(stream) % 9 + 1) if place == 0 and sign != "0" else str(next(stream) % 10)
            for place, sign in enumerate(digits)
        )

    def _signs(self, kind: str, text: str, kept: int) -> str:
        stream = self._stream(kind, "".join(sign for sign in text if sign.isalnum()))
        made = []
        for place, sign in enumerate(text):
            if place < kept or not sign.isalnum():
                made.append(sign)
            else:
                made.append(_digit_like(sign, next(stream)) if sign.isdigit() else _letter_like(sign, next(stream)))
        return "".join(made)

    def _stream(self, kind: str, text: str) -> Iterator[int]:
        """Endless bytes that belong to a text, whatever its case and composition."""
        plain = unicodedata.normalize("NFC", text).casefold().encode("utf-8", "surrogatepass")
        block = 0
        while True:
            yield from hmac.digest(self._key, f"{kind}:{block}:".encode() + plain, "sha256")
            block += 1


def _merged(*found: Iterator[re.Match[str]]) -> Iterator[re.Match[str]]:
    """Matches of several patterns from left to right, without those that overlap an earlier one."""
    end = 0
    for match in sorted((match for matches in found for match in matches), key=lambda item: item.start()):
        if match.start() >= end:
            yield match
            end = match.end()


def _digit_like(sign: str, number: int) -> str:
    """0 for 0, so that no number gets or loses a leading one."""
    return sign if sign == "0" else str(number % 9 + 1)


def _letter_like(sign: str, number: int) -> str:
    choice = _kin(sign)
    return choice[number % len(choice)]


@lru_cache(maxsize=4096)
def _kin(sign: str) -> str:
    """Letters that may stand for one: of its script and case, vowels for vowels; never empty."""
    lower = sign.lower()
    base = unicodedata.normalize("NFKD", lower)[:1] or lower
    if base.isascii() and base.isalpha():
        kin = _VOWELS if base in _VOWELS + "y" else _CONSONANTS
        return kin.upper() if sign.isupper() else kin
    category = unicodedata.category(sign)
    script = unicodedata.name(sign, "").split(" ")[0]
    start = ord(sign) & ~0x3F
    kin = "".join(
        letter
        for letter in map(chr, range(start, start + 0x40))
        if unicodedata.category(letter) == category
        and unicodedata.name(letter, "").split(" ")[0] == script
        and unicodedata.normalize("NFC", letter) == letter
    )
    return kin or sign


KINDS: Final = tuple(Pseudonyms(b"")._by_kind)
