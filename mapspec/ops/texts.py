"""Operations on texts: blanks, case, markup, Unicode, length, parts, patterns, escaping, hashes."""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from typing import Final, Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from mapspec.errors import TransformError
from mapspec.ops.base import MAX_TEXT_LENGTH, SCALAR, CompileContext, Example, Operation, Step, each_text
from mapspec.ops.plaintext import Form, linear_pattern, normalized, strip_html, truncate, well_formed

_EMOJI: Final = re.compile("[\U00010000-\U0010ffff\u200d\ufe0f]")


class TextOperation(Operation):
    """Base of the operations that make a text of a single value."""

    takes = SCALAR
    gives = "text"


def _stripped(text: str) -> str | None:
    return text.strip() or None


class Trim(TextOperation):
    """Remove blanks at both ends; blank text becomes absent."""

    name = "trim"
    examples = (Example(value=" tea ", gives="tea"), Example(value="  ", gives=None))

    def bind(self, context: CompileContext) -> Step:
        return each_text(_stripped)


class Case(TextOperation):
    """Change case: lower or upper."""

    name = "case"
    main = "to"
    examples = (Example("lower", value="Ana@Example.com", gives="ana@example.com"),)
    to: Literal["lower", "upper"]

    def bind(self, context: CompileContext) -> Step:
        return each_text(str.lower if self.to == "lower" else str.upper)


class CollapseSpace(TextOperation):
    """Runs of white space become one blank, ends are trimmed."""

    name = "collapse_space"
    examples = (Example(value=" green \n  tea ", gives="green tea"),)

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: " ".join(text.split()) or None)


class StripHtml(TextOperation):
    """Remove tags, scripts and styles, turn entities into characters: descriptions of shops hold HTML."""

    name = "strip_html"
    examples = (
        Example(value="<p>Fine <b>tea</b></p><p>50&nbsp;g</p>", gives="Fine tea 50 g"),
        Example(value="<script>track()</script>Fine tea", gives="Fine tea"),
    )

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: strip_html(text) or None)


class CleanText(TextOperation):
    """Unicode NFC without control characters; `emoji: remove` drops characters outside the basic plane."""

    name = "clean_text"
    main = "emoji"
    examples = (
        Example(value="Nu\u0301n\u0303ez\x07", gives="Núñez"),
        Example("remove", value="tea \U0001f375", gives="tea"),
    )
    emoji: Literal["keep", "remove"] = "keep"

    def bind(self, context: CompileContext) -> Step:
        remove = self.emoji == "remove"

        def clean(text: str) -> str | None:
            # Printable texts have no character to be dropped but the emoji; of ASCII ones even the form is right.
            if text.isprintable():
                if not text.isascii():
                    text = normalized(text, "NFC")
                    text = _EMOJI.sub("", text) if remove else text
                return text.strip() or None
            kept = "".join(
                c
                for c in normalized(text, "NFC")
                if (c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn"})
                and not (remove and (ord(c) > 0xFFFF or c in "\u200d\ufe0f"))
            )
            return kept.strip() or None

        return each_text(clean)


class NormalizeUnicode(TextOperation):
    """A Unicode normal form: NFC (default), NFD, or NFKC and NFKD, which also turn look-alikes into plain letters."""

    name = "normalize_unicode"
    main = "form"
    examples = (
        Example(value="Nu\u0301n\u0303ez", gives="Núñez"),
        Example("NFKC", value="ﬁne １００ ㎏", gives="fine 100 kg"),
    )
    form: Form = "NFC"

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: normalized(text, self.form))


class MaxLength(TextOperation):
    """At most n characters: `over: truncate` cuts at a character boundary and marks the cut, `over: error` refuses."""

    name = "max_length"
    main = "n"
    examples = (
        Example({"n": "9", "over": "truncate"}, value="Darjeeling first flush", gives="Darjeeli…"),
        Example("9", value="Darjeeling", refused="too-long"),
    )
    n: int = Field(ge=1)
    over: Literal["truncate", "error"] = "error"

    def bind(self, context: CompileContext) -> Step:
        most = self.n

        def limit(text: str) -> str:
            if len(text) <= most:
                return text
            if self.over == "error":
                raise TransformError(f"expected at most {self.n} characters, got {len(text)}", reason="too-long")
            return truncate(text, self.n)

        return each_text(limit)


class ReplaceLiteral(TextOperation):
    """Replace a text by another, no patterns."""

    name = "replace_literal"
    examples = (Example({"find": "-", "with": ""}, value="78-7-01", gives="78701"),)
    find: str = Field(min_length=1)
    with_: str = Field(default="", alias="with")

    def bind(self, context: CompileContext) -> Step:
        find, by = self.find, self.with_
        growth = len(by) - len(find)

        def replace(text: str) -> str:
            if growth > 0 and len(text) + text.count(find) * growth > MAX_TEXT_LENGTH:
                raise TransformError(f"more than {MAX_TEXT_LENGTH} characters", reason="too-long")
            return text.replace(find, by)

        return each_text(replace)


class RegexExtract(TextOperation):
    """The first group (or the whole match) of a linear-time pattern; absent where it does not match."""

    name = "regex_extract"
    main = "pattern"
    examples = (Example(r"(?i)net (\d+)", value="Net 30 days", gives="30"), Example(r"\d+", value="none", gives=None))
    pattern: str = Field(max_length=500)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        linear_pattern(pattern)
        return pattern

    def bind(self, context: CompileContext) -> Step:
        compiled = linear_pattern(self.pattern)

        def extract(text: str) -> str | None:
            match = compiled.search(well_formed(text))
            if match is None:
                return None
            found = match.group(1) if match.re.groups else match.group(0)
            return str(found) if found is not None else None

        return each_text(extract)


class SplitPart(TextOperation):
    """One part of a text cut at a separator, counted from 1, or from the end with -1; absent where there is none."""

    name = "split_part"
    examples = (
        Example({"on": "-", "part": "2"}, value="WEB-26-10045", gives="26"),
        Example({"on": "-", "part": "-1"}, value="WEB-26-10045", gives="10045"),
        Example({"on": "-", "part": "4"}, value="WEB-26-10045", gives=None),
    )
    on: str = Field(min_length=1)
    part: int

    @field_validator("part")
    @classmethod
    def _not_zero(cls, part: int) -> int:
        if part == 0:
            raise ValueError("'part' counts from 1, or from the end with -1")
        return part

    def bind(self, context: CompileContext) -> Step:
        position = self.part - 1 if self.part > 0 else self.part

        def pick(text: str) -> str | None:
            parts = text.split(self.on)
            return parts[position].strip() or None if -len(parts) <= position < len(parts) else None

        return each_text(pick)


class Split(Operation):
    """A text cut at a separator, as a list; the parts are as they were, and `concat` joins them again."""

    name = "split"
    main = "on"
    takes = SCALAR
    gives = "list"
    examples = (Example(",", value="tea,green,loose", gives=["tea", "green", "loose"]),)
    on: str = Field(min_length=1)

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: text.split(self.on))


class UrlEncode(TextOperation):
    """The text as one part of a URL: every character but letters, digits and -._~ as %XX of its UTF-8."""

    name = "url_encode"
    examples = (Example(value="tea & more/50 g", gives="tea%20%26%20more%2F50%20g"),)

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: quote(well_formed(text), safe=""))


class EscapeHtml(TextOperation):
    """The text for use in HTML: & < > and both quotes as entities."""

    name = "escape_html"
    examples = (Example(value='Tea & "Co" <3', gives="Tea &amp; &quot;Co&quot; &lt;3"),)

    def bind(self, context: CompileContext) -> Step:
        return each_text(lambda text: html.escape(text, quote=True))


class Hash(TextOperation):
    """A SHA-256 prefix in hex of the text without case and extra blanks, keyed by the spec's id: a key that stays."""

    name = "hash"
    main = "length"
    examples = (
        Example(value="Ana@Example.com", gives="3ff27d5e68a7db80"),
        Example("8", value=" ana@example.com ", gives="3ff27d5e"),
    )
    length: int = Field(default=16, ge=8, le=64)

    def bind(self, context: CompileContext) -> Step:
        if not context.spec:
            raise ValueError("'hash' needs the spec's id, and none is given")
        key = context.spec + "\0"

        def digest(text: str) -> str | None:
            plain = " ".join(normalized(well_formed(text), "NFC").casefold().split())
            return hashlib.sha256((key + plain).encode()).hexdigest()[: self.length] if plain else None

        return each_text(digest)
