"""Which record of Clarity one of FreshBooks was made from, by the id map of the ledger; never by a name or a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.freshbooks import normalised
from sync import ledger
from sync.ledger import Entry
from sync.outcome import held
from sync.plan import CONNECTION
from sync.store import Store

PREFIX: Final = "freshbooks-"
"""Of the entities under which FreshBooks' callbacks are filed."""
ENTITIES: Final[Mapping[str, str]] = {"freshbooks-invoice": "order", "freshbooks-client": "customer"}
"""Filed entity -> entity of Clarity that it was made from."""


@dataclass(frozen=True)
class Pair:
    """A record of FreshBooks and the one of Clarity behind it.

    Attributes:
        entity: Of Clarity: order or customer.
        id: There.
        made: The ledger's entry of the FreshBooks record.
        sure: False where only the key tells the id, which may be a company's: the record has to agree.
    """

    entity: str
    id: str
    made: Entry
    sure: bool

    @property
    def key(self) -> str:
        """Natural key of what is written back."""
        return f"freshbooks:{self.entity}:{self.id.lower()}"

    @property
    def record_key(self) -> str:
        """Of Clarity's record."""
        return f"{self.entity}:{self.id}"


def pair_of(store: Store, entity: str, remote_id: str) -> Pair | None:
    """The pair of a FreshBooks record; None for one that came from no record of Clarity, as a guest's client.

    Args:
        entity: "freshbooks-invoice" or "freshbooks-client".

    Raises:
        EndedError: One client stands for several customers.
    """
    found = [
        pair
        for entry in ledger.of_remote(store, entity.removeprefix(PREFIX), remote_id)
        if (pair := _pair(entity, entry)) is not None
    ]
    ids = sorted({pair.id for pair in found})
    if len(ids) > 1:
        message = (
            f"client {remote_id} of FreshBooks stands for the customers {', '.join(ids)} of Clarity: change them there"
        )
        raise held("several-customers", message)
    return next((pair for pair in found if pair.sure), found[0] if found else None)


def followed(store: Store, entity: str, remote_id: str) -> str | None:
    """The record of Clarity in whose lane the work on a FreshBooks record belongs; None when nobody knows."""
    name = entity.removeprefix(PREFIX)
    for entry in ledger.of_remote(store, name, remote_id):
        if name == "payment":
            invoice = str(entry.detail.get("invoice") or "")
            return followed(store, "freshbooks-invoice", invoice) if invoice else None
        pair = _pair(entity, entry)
        if pair is not None:
            return pair.record_key
    return None


def agrees(pair: Pair, customer: Mapping[str, Any], client: Mapping[str, Any]) -> bool:
    """Whether a client that an order has made belongs to this very customer: his own, and with his e-mail."""
    if pair.sure:
        return True
    emails = [normalised(str(row.get("email") or "")) for row in (customer, client)]
    return not customer.get("accountId") and bool(emails[0]) and emails[0] == emails[1]


def _pair(entity: str, entry: Entry) -> Pair | None:
    target = ENTITIES.get(entity)
    named = entry.key.partition(f"{CONNECTION}:{entry.entity}:")[2]
    if target is None or not named or not entry.stands:
        return None
    source, _, source_id = entry.record_key.partition(":")
    if source == target and source_id.strip().lower() == named:
        return Pair(target, source_id, entry, sure=True)
    if target == "order" or "@" in named or named.startswith("guest"):
        return None
    return Pair(target, named, entry, sure=False)
