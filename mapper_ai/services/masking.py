"""Masks samples before they are stored or shown: card data and secrets go, personal values become pseudonyms.

The key belongs to the project and stays in its folder, so that the same customer has the same pseudonym in every
sample, and in no other project.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from connectors.scrub import REMOVED, scrub
from mapper_ai.core.fields import FieldProfile, Profile
from mapper_ai.core.formats import recognise
from mapper_ai.core.personal import SOMEBODY, kind_of_field, label_of_row, squeeze
from mapper_ai.core.pseudonyms import EMAIL, Pseudonyms
from mapper_ai.errors import InputError

KEY_FILE: Final = "masking.key"
_KEY_BYTES: Final = 32
# Shorter names are parts of other words too often to be looked for in texts.
_MIN_KNOWN: Final = 4
_OF_TEXTS: Final = frozenset({"", "text", "name", "company", "link", SOMEBODY})
# A single word there is one of a fixed list, even if somebody is called like it.
_ENUMS: Final = (
    "status",
    "state",
    "type",
    "kind",
    "method",
    "currency",
    "language",
    "locale",
    "code",
    "country",
    "unit",
)
_ID_LIKE: Final = frozenset({"integer", "uuid", "code", "decimal", "bool", "instant", "date"})


def project_key(root: Path) -> bytes:
    """The masking key of a project folder, made at first use; readable by its owner alone.

    Raises:
        InputError: The file is damaged.
    """
    path = root / KEY_FILE
    root.mkdir(parents=True, exist_ok=True)
    # A link is atomic and never replaces: of two processes that start together, both use the first one's key.
    fresh = root / f".{KEY_FILE}.{secrets.token_hex(8)}"
    if not path.exists():
        handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_KEY_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(fresh)
        finally:
            fresh.unlink()
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise InputError(f"{path}: is no masking key; restore it, or delete it together with the stored samples")
    return key


class _Done(str):
    """A text that is a pseudonym already."""

    __slots__ = ()


class Masker:
    """Masks records under one key; holds no record."""

    def __init__(self, key: bytes) -> None:
        self._pseudonyms = Pseudonyms(key)

    @classmethod
    def of_project(cls, root: Path) -> Masker:
        """With the key of a project folder."""
        return cls(project_key(root))

    def mask(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A copy without card data and secrets, personal values as pseudonyms; amounts, dates, codes, states stay."""
        return self.mask_named("", record)[1]

    def mask_named(self, name: str, record: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """A record and what it is called; people of the record are found in its name, too."""
        known: dict[str, str] = {}
        masked = self._masked(scrub(record), (), (), known)
        finder = _finder(known)
        result: dict[str, Any] = self._swept(masked, finder, known)
        return str(self._swept(name, finder, known)), result

    def mask_profile(self, profile: Profile) -> Profile:
        """The profile with pseudonyms as examples and values; statistics stay."""
        beside: dict[tuple[tuple[str, bool], ...], set[str]] = {}
        for entry in profile.fields:
            for end in range(1, len(entry.segments) + 1):
                beside.setdefault(entry.segments[: end - 1], set()).add(entry.segments[end - 1][0])
        fields = (self._masked_field(entry, beside[entry.segments[:-1]]) for entry in profile.fields)
        return replace(profile, fields=tuple(fields))

    def _masked_field(self, entry: FieldProfile, siblings: set[str]) -> FieldProfile:
        names = [name.removesuffix("[]") for name, _ in entry.segments]
        kind = kind_of_field(names, siblings)
        if not kind and label_of_row(siblings, names[-1]):
            kind = "text"

        def changed(text: str) -> str:
            clean = scrub({names[-1]: text})[names[-1]]
            return str(self._value(kind, clean)) if isinstance(clean, str) else text

        numeric = bool(kind) and entry.format in ("integer", "decimal")
        return replace(
            entry,
            values=tuple(sorted(changed(text) for text in entry.values)),
            examples=tuple(changed(text) for text in entry.examples),
            minimum=None if numeric else entry.minimum,
            maximum=None if numeric else entry.maximum,
            mean=None if numeric else entry.mean,
        )

    def _masked(self, value: Any, names: Sequence[str], siblings: Sequence[str], known: dict[str, str]) -> Any:
        if isinstance(value, Mapping):
            label = next((str(value[name]) for name in value if _names_a_row(name, value)), "")
            members: dict[str, Any] = {}
            beside = tuple(map(str, value))
            for name, item in value.items():
                told = label if label and label_of_row(value.keys(), name) else str(name)
                shown = self._pseudonyms.contacts(str(name)) if EMAIL.search(str(name)) else name
                members[shown] = self._masked(item, (*names, told), beside, known)
            return members
        if isinstance(value, list | tuple):
            return [self._masked(item, names, siblings, known) for item in value]
        if value is None or isinstance(value, bool) or value == REMOVED:
            return value
        kind = kind_of_field(names, siblings)
        if not kind:
            return value
        new = self._value(kind, value)
        if kind in ("name", "company", SOMEBODY) and isinstance(value, str) and new != value:
            for word in (value.strip(), *(value.split() if kind != "company" else ())):
                if len(word) >= _MIN_KNOWN and EMAIL.fullmatch(word) is None:
                    known[word.casefold()] = self._pseudonyms.words(word) if kind != "company" else new.strip()
        return _Done(new) if isinstance(new, str) and new != value else new

    def _value(self, kind: str, value: Any) -> Any:
        if isinstance(value, str):
            look = recognise(value)
            if not kind or (kind == SOMEBODY and look in _ID_LIKE):
                return self._pseudonyms.contacts(value)
            if kind == "taxid" and look == "decimal":
                return value  # `vat` may be an amount as well as a number
            if kind == SOMEBODY:
                kind = "phone" if look == "phone" else "name"
            return self._pseudonyms.replace("email" if EMAIL.fullmatch(value.strip()) else kind, value)
        if value is None or isinstance(value, bool) or kind in _OF_TEXTS:
            return value  # a number there is an id or a count
        if isinstance(value, Decimal | float) != (kind == "place"):
            return value  # phone numbers and postcodes are whole, coordinates are not
        try:
            made = Decimal(self._pseudonyms.replace(kind, str(value)))
        except InvalidOperation:
            return value
        return int(made) if isinstance(value, int) else made

    def _swept(self, value: Any, finder: re.Pattern[str] | None, known: Mapping[str, str], name: str = "") -> Any:
        """What the names in a record are known by, found again in its other texts."""
        if isinstance(value, Mapping):
            return {key: self._swept(item, finder, known, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._swept(item, finder, known, name) for item in value]
        if isinstance(value, _Done):
            return str(value)
        if not isinstance(value, str):
            return value
        word_of_a_list = " " not in value.strip() and squeeze(name).endswith(_ENUMS)
        if finder is not None and not word_of_a_list and recognise(value) not in _ID_LIKE:
            value = finder.sub(lambda found: known.get(found[0].casefold(), found[0]), value)
        return self._pseudonyms.contacts(value)


def _names_a_row(name: Any, row: Mapping[str, Any]) -> bool:
    return (
        str(name).casefold() in ("key", "name", "label", "field")
        and isinstance(row[name], str)
        and any(str(other).casefold() == "value" for other in row)
    )


def _finder(known: Mapping[str, str]) -> re.Pattern[str] | None:
    if not known:
        return None
    longest_first = sorted(known, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
