"""What a spec makes of one record: documents for targets, or the reasons why nothing may be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mapspec.order_parts import PricedOrder

Decision = Literal["go", "skip", "wait", "hold"]


@dataclass(frozen=True)
class Reason:
    """Why a record does not go through as it is. `id` is stable and kebab-case; `message` has no customer values."""

    id: str
    message: str
    target: str = ""


@dataclass(frozen=True)
class Document:
    """One record for a target.

    Attributes:
        key: Last part of its natural key.
        index: Its place in the list the flow step runs over.
        body: Target-shaped members, ready for JSON but for `Output` placeholders.
        create_only: Members of the body that an update leaves alone.
        identity: What stays the same when the key changes; None where the step names nothing.
    """

    target: str
    key: str | None
    index: int
    body: dict[str, Any]
    create_only: tuple[str, ...] = ()
    identity: str | None = None


@dataclass(frozen=True)
class Lookup:
    """A read-only search that a flow step asks for."""

    step: str
    entity: str
    field: str
    value: str
    where: str


@dataclass(frozen=True)
class Draft:
    """What a spec makes of one record.

    Attributes:
        decision: go, or why not; with hold the documents show as much as could be made.
        documents: By target name, in the order of the step's list.
        keys: Natural key parts of `find` steps by step id.
        warnings: Things to know that do not stop the record.
        priced: The order's money as lines, where the spec has a money block.
        ends: A skipped record has ended at its source, and so has what was made of it.
    """

    id: str
    number: str | None
    updated: str | None
    decision: Decision
    reasons: tuple[Reason, ...]
    documents: Mapping[str, tuple[Document, ...]]
    keys: Mapping[str, str]
    lookups: tuple[Lookup, ...]
    warnings: tuple[Reason, ...]
    priced: PricedOrder | None
    currency: str | None
    ends: bool = False
