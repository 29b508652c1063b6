"""Products as items, one for each SKU: SKUs that change, SKUs that several claim, variants that are gone."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sync import endings, ledger, records
from sync.masked import shown_key
from sync.outcome import held
from sync.plan import Action
from sync.upserts import Upserter

if TYPE_CHECKING:
    from sync.apply import Applier
    from sync.ledger import Entry

log = logging.getLogger(__name__)


def one_for_each_sku(actions: Sequence[Action]) -> list[Action]:
    """The actions of a product, a variant's before that of its parent where both have one SKU.

    Raises:
        EndedError: Two variants have one SKU.
    """
    counted = Counter((action.step, action.key) for action in actions if action.entity == "item" and action.key)
    twice = sorted({shown_key(key) for (_, key), count in counted.items() if count > 1})
    if twice:
        raise held("duplicate-sku", f"two variants of this product have one SKU ({', '.join(twice)})")
    last = {action.key: action for action in actions if action.key}
    return [action for action in actions if not action.key or last[action.key] is action]


def claim(applier: Applier, actions: Sequence[Action]) -> None:
    """Before items are written: see that their SKUs are this product's, and take items along whose SKU has changed.

    Raises:
        EndedError: Another product has the SKU.
    """
    record_key = applier.event.record_key
    items = [action for action in actions if action.entity == "item" and action.key]
    known = _items_of(applier, record_key)
    for action in items:
        entry = applier.entry(action.key)
        if entry is not None and not endings.is_of(entry, record_key) and _still_has(applier, entry):
            message = f"SKU {sku_of(entry)} is that of {entry.record_key} already"
            raise held("sku-of-another-product", message, waits_for=entry.record_key)
    if applier.context.settings.policies.items.new_sku == "new":
        return
    wanted = {action.key for action in items}
    for action in items:
        if applier.entry(action.key) is not None or action.identity is None:
            continue
        former = next((e for e in known if e.detail.get("identity") == action.identity and e.key not in wanted), None)
        if former is not None and not _is_there(applier, action, former):
            _rename(applier, former, action)


def end_others(applier: Applier, actions: Sequence[Action]) -> None:
    """After the items are written: what this product was before and is no more ends.

    Raises:
        EndedError: A person has to decide.
    """
    applier.tell()
    wanted = {action.key for action in actions}
    gone = [entry for entry in _items_of(applier, applier.event.record_key) if entry.key not in wanted]
    told = endings.end_all(Upserter(applier), gone, applier.source_version)
    if told is not None:
        applier.missing.append(("sku-gone", f"a SKU of this product is gone: {told}", "sku"))


def _items_of(applier: Applier, record_key: str) -> list[Entry]:
    known = ledger.known(applier.context.store, record_key).values()
    return [entry for entry in known if entry.entity == "item" and entry.remote_id is not None]


def _still_has(applier: Applier, entry: Entry) -> bool:
    """Whether the product that made an item is still there with this SKU."""
    if "ended" in entry.detail:
        return False
    snapshot = records.latest(applier.context.store, entry.record_key)
    if snapshot is None or not snapshot.payload:
        return True
    return sku_of(entry) in _texts(snapshot.payload, applier.context.exact_skus)


def sku_of(entry: Entry) -> str:
    """The SKU in an item's natural key."""
    return entry.key.split(":", 2)[2]


def _texts(value: Any, exact: bool) -> set[str]:
    """Every text of a product, as a SKU is compared: which member holds a SKU is the mapping's business."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return {text for part in parts for text in _texts(part, exact)}
    text = str(value).strip()
    return {text if exact else text.lower()}


def _is_there(applier: Applier, action: Action, former: Entry) -> bool:
    """Whether FreshBooks has another item with the new SKU: then that one is this product's from now on."""
    sku = str((action.body or {}).get("sku") or "")
    rows = Upserter(applier).rows("item", "sku", sku) if sku else []
    return any(str(row["id"]) != former.remote_id for row in rows)


def _rename(applier: Applier, former: Entry, action: Action) -> None:
    if former.state != "confirmed" or applier.context.dry_run:
        return
    moved = ledger.rekey(applier.context.store, former, action.key, now=applier.now)
    applier.enter(moved)
    log.info("SKU changed", extra={"key": shown_key(action.key), "was": shown_key(former.key)})
