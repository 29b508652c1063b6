"""What a flow for another shop needs beside its paths: its statuses, its guests, and the order's one payment. Pure.

`rewrite` finds for every path of a blueprint the other shop's field. Some things are not a matter of paths: which
words mean that an order is to be invoiced, that customer 0 is nobody, and that a shop without a list of payments tells
by a date or a status that all is paid. Words that are not known are held at the gate, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from mapper_ai.core.profile import Profile
from mapper_ai.services.sources import read_at
from mapspec import MappingSpec
from mapspec.conditions import fold
from mapspec.model import FieldRule, FlowStep, GateRule, TableRule
from mapspec.ops import Operation
from mapspec.yamltext import read_yaml

Record = Mapping[str, Any]
Told = list[tuple[str, str]]

_STATUS: Final = ("status", "paymentStatus", "payments[].status")
PAYMENTS: Final = "payments[]."
"""Where the blueprint's source has its payments."""
_CANCELLED_AT: Final = re.compile(r"(?i)(cancell?ed|voided)[_ ]?(at|on|date)|date[_ ]?(cancell?ed|voided)")
_PAID_AT: Final = re.compile(r"(?i)(^|_|\b|date)(paid|captured|settled)")
_REFUNDS: Final = re.compile(r"(?i)^(refunds|credit_?memos|credit_?notes|returns)$")


@cache
def words() -> Mapping[str, Any]:
    """The trade's words for statuses and ways to pay."""
    text = resources.files("mapper_ai.services").joinpath("blueprints/other-shops.yaml").read_text(encoding="utf-8")
    data: Mapping[str, Any] = read_yaml(text, where="blueprints/other-shops.yaml")[0]
    return data


def pays_as_a_whole(found: Mapping[str, str]) -> bool:
    """Whether the shop's order has no list of payments of its own."""
    return "[]" not in found.get(PAYMENTS + "amount", "")


def is_payment_as_a_whole(spec: MappingSpec, target: str) -> bool:
    """Whether a target is the one payment of a whole order, whose fields no list of the order feeds."""
    return any(step.target == target and step.do == "create_once" and step.each is None for step in spec.flow) and (
        spec.entity_of(target) == "payment" and spec.source.entity == "order"
    )


def without_payments(found: Mapping[str, str]) -> dict[str, str]:
    """The correspondences of everything but payments, for a shop whose order has no list of them."""
    return {old: new for old, new in found.items() if not old.startswith(PAYMENTS)}


def for_other_shop(
    spec: MappingSpec, found: Mapping[str, str], profile: Profile, records: Sequence[Record]
) -> tuple[MappingSpec, Told]:
    """The rewritten order flow with the other shop's statuses, guests and payment; and what a person must know.

    Args:
        spec: As `rewrite_spec` left it.
        found: All correspondences, those of payments too.
        profile: Of the samples.
        records: The samples.
    """
    told: Told = []
    spec = _with_gate(spec, found, profile, records, told)
    spec = _with_guests(spec, records)
    if pays_as_a_whole(found) and not any(step.target == "payment" for step in spec.flow):
        spec = _with_payment(spec, found, records, told)
    return spec, told


def named_after(spec: MappingSpec, system: str) -> MappingSpec:
    """The spec with the shop's name where the blueprint's text names Clarity: the markers in FreshBooks' notes."""
    name = system.replace("-", " ").title()

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("Clarity", name)
        if isinstance(value, tuple | list):
            return type(value)(renamed(part) for part in value)
        return _texts(value, renamed) if isinstance(value, Operation) else value

    def rule(entry: FieldRule) -> FieldRule:
        return entry.model_copy(update={"steps": renamed(entry.steps)})

    fields = {t: rule(entry) if isinstance(entry, FieldRule) else entry for t, entry in spec.fields.items()}
    return spec.model_copy(update={"fields": fields})


def _texts(step: Operation, change: Any) -> Operation:
    changed = {key: change(value) for key, value in step.__dict__.items() if isinstance(value, str | tuple | list)}
    return step.model_copy(update=changed)


def _with_gate(
    spec: MappingSpec, found: Mapping[str, str], profile: Profile, records: Sequence[Record], told: Told
) -> MappingSpec:
    statuses = list(dict.fromkeys(found[name] for name in _STATUS if name in found and "[]" not in found[name]))
    known: Mapping[str, Sequence[str]] = words()["statuses"]
    tops = [path for path in profile.paths if "." not in path and "[]" not in path]
    cancelled = [path for path in tops if _CANCELLED_AT.search(path) and _is_moment(profile, path)]
    refunds = [array.path for array in profile.arrays if _REFUNDS.match(array.path.removesuffix("[]"))]

    def said(name: str) -> list[dict[str, Any]]:
        return [{"in": [path, list(known[name])]} for path in statuses]

    rules: list[dict[str, Any]] = []

    def rule(name: str, do: str, conditions: list[dict[str, Any]], reason: str) -> None:
        if conditions:
            when = conditions[0] if len(conditions) == 1 else {"any": conditions}
            rules.append({"id": name, "do": do, "when": when, "reason": reason})

    moments = [{"present": path} for path in cancelled]
    rule("cancelled", "skip", [*moments, *said("cancelled")], "a cancelled order is never invoiced")
    rule("refunded", "skip", said("refunded"), "a refunded order is never invoiced")
    rule("unfinished", "wait", said("unfinished"), "the checkout is not finished or the payment failed")
    rule("on-hold", "wait", said("on-hold"), "the order is on hold")
    # A refund never edits an invoice; what becomes of it is a person's decision (rule 15).
    held = [*[{"present": path} for path in refunds], *said("partly-refunded")]
    rule("has-refunds", "hold", held, "a part of the order was refunded: decide what to invoice and what to credit")
    own = {gate.id: gate for gate in spec.gate}
    before = [own[name] for name in ("test-order",) if name in own]
    after = [own[name] for name in ("missing-order-number",) if name in own]
    go: list[dict[str, Any]] = []
    if statuses:
        go.append({"id": "status", "do": "go", "when": _known(statuses, known["go"]), "reason": "known status"})
        go.append({"id": "unknown-status", "do": "hold", "when": {"present": "$"}, "reason": "the status is not known"})
        every = {word for group in known.values() for word in group}
        for path in statuses:
            seen = {fold(value) for record in records if (value := read_at(record, path)) not in (None, "")}
            if unknown := sorted(seen - every):
                told.append(
                    ("flow", f"{path}: orders that say {', '.join(unknown)} are held until the gate names them")
                )
    else:
        told.append(("flow", "no status was found: every order that is not cancelled is invoiced"))
    gate = (*before, *map(GateRule.model_validate, rules), *after, *map(GateRule.model_validate, go))
    settings = {name: text for name, text in spec.settings.items() if name != "pending_unpaid"}
    return spec.model_copy(update={"gate": gate, "settings": settings})


def _with_guests(spec: MappingSpec, records: Sequence[Record]) -> MappingSpec:
    """Customer 0 is no customer: a shop that numbers its customers gives it to every guest."""
    rule = spec.values.get("customer_id")
    if rule is None or len(rule.steps) != 1 or not (path := getattr(rule.steps[0], "path", None)):
        return spec
    held = [read_at(record, path.source_path()) for record in records]
    if not any(isinstance(value, int) for value in held) and "0" not in held:
        return spec
    steps = [{"when": {"if": {"not_equal": [path.text, "0"]}, "then": [{"path": path.text}], "else": []}}]
    made = FieldRule.model_validate(
        {**rule.model_dump(mode="python", exclude={"steps", "check", "origin"}), "steps": steps}
    )
    return spec.model_copy(update={"values": {**spec.values, "customer_id": made}})


def _with_payment(spec: MappingSpec, found: Mapping[str, str], records: Sequence[Record], told: Told) -> MappingSpec:
    """One payment of the whole total, where a status or a date says that the order is paid."""
    total, number = found.get("total"), spec.source.number
    status = [found[name] for name in ("paymentStatus", PAYMENTS + "status") if name in found]
    moment = next((found[n] for n in (PAYMENTS + "paidAt", PAYMENTS + "createdAt") if n in found), None)
    paid_words = list(words()["statuses"]["paid"])
    saying = next((path for path in status if _ever(records, path, paid_words)), None)
    paid_at = moment if moment and _PAID_AT.search(moment.rsplit(".", 1)[-1]) else None
    paid: dict[str, Any] | None = None
    if saying is not None:
        paid = {"in": [saying, paid_words]}
    elif paid_at is not None:
        paid = {"present": paid_at}
    if total is None or paid is None:
        told.append(
            ("flow", "step payment is left out: the order has no list of payments, and nothing says that it is paid")
        )
        return spec
    marker = f"{{{number.text}}}" if number else "{id}"
    transaction = found.get(PAYMENTS + "transactionId")
    transaction = transaction if transaction and "[]" not in transaction else None
    method = found.get(PAYMENTS + "method")
    dates = [path for path in (paid_at or moment, found.get("orderDate")) if path and "[]" not in path]
    step = {
        "id": "payment",
        "do": "create_once",
        "target": "payment",
        "key": [f"{{{spec.source.id.text}}}-paid"],
        "when": {"all": [paid, {"gt": [total, "0"]}]},
        "otherwise": "no payment is posted: the order does not say that it is paid in full",
        "needs": ["send"],
    }
    fields: dict[str, dict[str, Any]] = {
        "payment.invoiceid": {"required": True, "steps": [{"step_output": "invoice.id"}]},
        "payment.amount": {
            "required": True,
            "steps": [{"path": total}, {"money": "values.currency"}],
            "check": [{"money": "positive"}],
        },
        "payment.date": {
            "required": True,
            "steps": [{"coalesce": dates}, {"parse_instant": None}, {"to_date": "settings.timezone"}],
            "check": [{"format": "date"}],
        },
        "payment.type": {
            "required": True,
            "steps": [{"path": method}, {"lookup_table": "payment_types"}, {"default": "Other"}]
            if method
            else [{"const": "Other"}],
        },
        "payment.note": {
            "required": True,
            "steps": [
                {
                    "join": [
                        [{"template": f"Order {marker}, paid in the shop"}],
                        *([[{"path": transaction}]] if transaction else []),
                    ]
                }
            ],
        },
    }
    if transaction:
        fields["payment.transactionid"] = {"steps": [{"path": transaction}]}
    tables = dict(spec.tables)
    if method:
        rows = {**_blueprint_types(), **words()["payment_types"]}
        tables["payment_types"] = TableRule(rows=rows, missing="default", default="Other")
    rules = {name: FieldRule.model_validate(rule) for name, rule in fields.items()}
    return spec.model_copy(
        update={
            "flow": (*spec.flow, FlowStep.model_validate(step)),
            "targets": {**spec.targets, "payment": "freshbooks/payment"},
            "tables": tables,
            "fields": {**spec.fields, **rules},
        }
    )


def _blueprint_types() -> Mapping[str, str]:
    from mapper_ai.services.kinds import blueprint

    return blueprint("order-to-invoice").tables["payment_types"].rows


def _ever(records: Sequence[Record], path: str, said: Sequence[str]) -> bool:
    """Whether the field ever says one of the words; without a sample that does, a name alone is no proof."""
    return any(fold(read_at(record, path)) in said for record in records)


def _known(statuses: Sequence[str], go: Sequence[str]) -> dict[str, Any]:
    """The order has a status, and each that it has is a known one."""
    if len(statuses) == 1:
        return {"in": [statuses[0], list(go)]}
    each = [{"any": [{"absent": path}, {"in": [path, list(go)]}]} for path in statuses]
    return {"all": [{"any": [{"present": path} for path in statuses]}, *each]}


def _is_moment(profile: Profile, path: str) -> bool:
    """Whether a field holds dates, or nothing at all in these samples."""
    entry = profile.field(path)
    return entry.format in ("instant", "date") or not entry.examples
