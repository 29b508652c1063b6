"""From draft and ledger to actions: pure, and what a dry run prints.

A natural key is `connection:entity:key` (rules 12). What the ledger knows turns a step into "already done", into the
rest of what was begun, or into a new write.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from mapspec import Draft, Lookup, MappingSpec
from mapspec.model import FlowStep
from mapspec.ops import Output
from sync.outcome import held

CONNECTION: Final = "clarity"
ActionKind = Literal[
    "create_if_missing", "create_once", "upsert", "find", "lookup", "mark_as_sent", "propose", "update"
]


@dataclass(frozen=True)
class Action:
    """One step of a flow for one document.

    Attributes:
        key: Natural key; empty for lookup and mark_as_sent.
        body: Target-shaped members; `Output` stands for what earlier steps bring.
        fields: Digest of each member, so that a later change can be named without keeping values.
        of: For mark_as_sent the step id of the invoice.
        total: What the invoice must come to, the amount of a payment.
        weak_key: The source gave the payment no id, so its key is made of the order's.
        identity: What stays the same when the key changes, as a product's id does beside its SKU.
        via: Of a correction: the FreshBooks entity that is written for it.
        changes: Of a correction: the id of the object that is changed for it; None where one is made.
    """

    kind: ActionKind
    step: str
    entity: str
    key: str = ""
    body: Mapping[str, Any] | None = None
    create_only: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    fields: Mapping[str, str] | None = None
    of: str | None = None
    total: Decimal | None = None
    currency: str | None = None
    lookups: tuple[Lookup, ...] = ()
    weak_key: bool = False
    identity: str | None = None
    via: str | None = None
    changes: str | None = None

    @property
    def content_hash(self) -> str:
        """Digest of the whole body."""
        return digest(sorted((self.fields or {}).items()))


def natural_key(entity: str, key: str, *, exact_skus: bool = False) -> str:
    """The readable key that outlives spec versions; e-mails, and SKUs unless they are exact (A36), without case."""
    text = key.strip()
    return f"{CONNECTION}:{entity}:{text if exact_skus and entity == 'item' else text.lower()}"


def plan_actions(spec: MappingSpec, draft: Draft, *, exact_skus: bool = False) -> list[Action]:
    """The actions of a draft that goes through, in the order of the flow's steps."""
    actions: list[Action] = []
    for step in spec.flow:
        if step.do == "lookup":
            wanted = tuple(lookup for lookup in draft.lookups if lookup.step == step.id)
            actions.append(Action("lookup", step.id, step.entity or "", lookups=wanted))
        elif step.do == "find":
            entity = step.entity or ""
            actions.append(Action("find", step.id, entity, key=natural_key(entity, draft.keys[step.id])))
        elif step.do == "mark_as_sent":
            actions.append(Action("mark_as_sent", step.id, "invoice", of=step.of))
        elif step.do == "update":
            raise held("no-way-back", f"the step '{step.id}' (update) is for mappings of the way back only")
        else:
            actions += _documents(spec, step, draft, exact_skus)
    return actions


def _documents(spec: MappingSpec, step: FlowStep, draft: Draft, exact_skus: bool) -> list[Action]:
    target = step.target or ""
    entity = spec.entity_of(target)
    made = []
    for document in draft.documents.get(target, ()):
        total, currency = _amount(entity, document.body, draft)
        made.append(
            Action(
                kind=step.do,
                step=step.id,
                entity=entity,
                key=natural_key(step.correction or entity, document.key or "", exact_skus=exact_skus),
                body=document.body,
                create_only=document.create_only,
                match=step.match,
                fields={name: digest(value) for name, value in document.body.items()},
                total=total,
                currency=currency,
                identity=document.identity,
                weak_key=entity == "payment" and (document.key or "").startswith(f"{draft.id}-"),
            )
        )
    return made


def _amount(entity: str, body: Mapping[str, Any], draft: Draft) -> tuple[Decimal | None, str | None]:
    if entity == "invoice":
        return (draft.priced.total if draft.priced else None), body.get("currency_code")
    if entity == "payment":
        money = body.get("amount", {})
        return Decimal(money["amount"]), money["code"]
    return None, None


def digest(value: Any) -> str:
    """Short digest of JSON-like content."""
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def filled(body: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The body with what earlier steps brought in place of `Output`, wherever it stands.

    Raises:
        EndedError: A step brought no such thing: held, because a body that lacks it is another record.
    """
    return {name: _filled(value, outputs) for name, value in body.items()}


def _filled(value: Any, outputs: Mapping[str, Mapping[str, Any]]) -> Any:
    if isinstance(value, Output):
        found = outputs.get(value.step, {}).get(value.member)
        if found is None:
            raise held("no-such-output", f"the step '{value.step}' brought no '{value.member}': mend the mapping")
        return found
    if isinstance(value, Mapping):
        return {name: _filled(part, outputs) for name, part in value.items()}
    return [_filled(part, outputs) for part in value] if isinstance(value, list) else value


def id_on_wire(remote_id: str | None) -> int | str | None:
    """Ids are integers on FreshBooks' wire."""
    return int(remote_id) if remote_id is not None and remote_id.isdigit() else remote_id
