"""What the runner asks of a Clarity store, whichever of its two flavours answers.

The flavours share no names: `rest` writes camelCase, `cef` (the framework itself) PascalCase. Records pass through
as the store wrote them; only their id and their time of change are read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

Row = dict[str, Any]
Flavour = Literal["rest", "cef"]
FLAVOURS: tuple[Flavour, ...] = ("rest", "cef")


@dataclass(frozen=True)
class Head:
    """What a record is filed under.

    Attributes:
        id: As text; None when the record names none.
        updated: ISO 8601, with offset when the zone is known; None when the record does not say.
    """

    id: str | None
    updated: str | None


@dataclass(frozen=True)
class Changes:
    """What a digest says of an entity.

    Attributes:
        ids: New records and records whose hash changed, in the server's order.
        gone: Known before, no longer listed.
        hashes: Id to hash of everything listed, to be handed in the next time; None where the server has no hash.
    """

    ids: tuple[str, ...]
    gone: tuple[str, ...]
    hashes: Mapping[str, int | None]


@runtime_checkable
class DigestPort(Protocol):
    """A store that can also tell what changed by comparing hashes."""

    def list_changed(
        self, entity: str, known: Mapping[str, int | None], since: datetime | None = None
    ) -> tuple[Changes, Iterator[Row]] | None:
        """What changed since `known`, with its rows; None where this store has no digests, or none are wanted."""
        ...


@dataclass(frozen=True)
class Page:
    """Some records of a list, as lists carry them.

    Attributes:
        rows: Perhaps without their inside, where lists are flat: `PagedPort.whole` completes one.
        position: Where to go on after them; None where only the beginning can be gone back to.
    """

    rows: list[Row]
    position: str | None


class PagedPort(Protocol):
    """What a source of many records may offer besides: to go on where a reader was interrupted."""

    def pages(self, entity: str, since: datetime | None, position: str | None = None) -> Iterator[Page]:
        """As `ClarityPort.list_updated`, page by page, from a position that an earlier page told."""
        ...

    def whole(self, entity: str, rows: Iterable[Row], /) -> Iterator[Row]:
        """Rows of pages as `ClarityPort.list_updated` would have brought them."""
        ...

    def count(self, entity: str, since: datetime | None) -> int | None:
        """How many records the list has; None when the server does not say."""
        ...


class ClarityPort(Protocol):
    """A store that can be polled and asked for one record, in either flavour, or what a plug-in brings."""

    def list_updated(self, entity: str, since: datetime | None) -> Iterator[Row]:
        """Records changed at or after an aware instant, None for all; see each flavour for the order."""
        ...

    def get(self, entity: str, id: int | str) -> Row:  # noqa: A002  API's word
        """One record; RejectedError with status 404 when there is none."""
        ...

    def head(self, row: Mapping[str, Any]) -> Head: ...

    def close(self) -> None: ...


def detect_flavour(records: Iterable[Mapping[str, Any]]) -> Flavour:
    """Tell the flavour of sample records by the first letter's case of their keys; `rest` when nothing tells."""
    letters = [key[0] for record in records for key in record if key[:1].isalpha()]
    upper = sum(letter.isupper() for letter in letters)
    return "cef" if upper * 2 > len(letters) else "rest"
