"""docs/spec.md lists every member of a spec and what counts; here its list is compared with the code."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mapspec import model
from mapspec.fingerprint import digests, fingerprint
from mapspec.model import MappingSpec

DOC = Path(__file__).parents[3] / "docs/spec.md"
PLACES: list[tuple[str, type[BaseModel]]] = [
    ("", model.MappingSpec),
    ("source.", model.Source),
    ("tables.NAME.", model.TableRule),
    ("gate[].", model.GateRule),
    ("flow[].", model.FlowStep),
    ("assertions[].", model.Assertion),
    ("assertions[].predicted_total.", model.PredictedTotal),
    ("ignored[].", model.Ignored),
    ("suppressed[].", model.Suppression),
    ("RULE.", model.FieldRule),
    ("RULE.origin.", model.Origin),
    ("RULE.approval.", model.Approval),
    ("LIST.", model.ListBlock),
    ("LIST.money.", model.LineMoney),
    ("LIST.money.charges[].", model.ChargeRule),
]
SPEC: dict[str, Any] = {
    "spec": "shop/flow",
    "source": {"system": "s", "entity": "order"},
    "targets": {"client": "freshbooks/client", "invoice": "freshbooks/invoice"},
    "tables": {"kinds": {"rows": {"a": "A"}}, "rates": {"rows": {"TX": "8.25"}}},
    "gate": [{"id": "g", "do": "skip", "when": {"present": "x"}, "reason": "r"}],
    "flow": [
        {"id": "c", "do": "create_once", "target": "client", "key": ["{id}"]},
        {"id": "f", "do": "create_once", "target": "invoice", "key": ["{id}"]},
    ],
    "fields": {
        "client.email": {"steps": [{"path": "email"}, {"lookup_table": "kinds"}], "origin": {"by": "fuzzy"}},
        "client.fname": {"steps": [{"path": "name"}]},
        "invoice.lines[]": {
            "each": "items[]",
            "money": {"currency": "c", "quantity": ".q", "unit_price": ".p", "total": "$.t",
                      "charges": [{"name": "Shipping", "amount": "$.s"}]},
            "fields": {"qty": {"steps": [{"line_price": "quantity"}]}},
        },
    },
    "assertions": [
        {"id": "a", "equal": ["a", "b"], "message": "m"},
        {"id": "p", "predicted_total": {"lines": "invoice.lines[]", "total": "t", "currency": "c"}, "message": "m"},
    ],
    "ignored": [{"source": "x", "reason": "y"}],
    "suppressed": [{"id": "money-changed", "reason": "y", "until": "2027-01-31"}],
}  # fmt: skip
RULE = ("fields", "client.email")
LIST = ("fields", "invoice.lines[]")
# Another value for each member; the path to it is made from its name.
OTHERS: dict[str, Any] = {
    "spec": "shop/other", "version": 2, "description": "words", "settings": {"a": "b"},
    "source": {"system": "other", "entity": "order"},
    "source.system": "t", "source.entity": "e", "source.events": ["x"], "source.id": "uid", "source.number": "n",
    "source.updated": "u", "targets": {"client": "freshbooks/client@2", "invoice": "freshbooks/invoice"},
    "tables": {"kinds": {"rows": {"a": "B"}}, "rates": {"rows": {"TX": "8.25"}}},
    "tables.NAME.rows": {"b": "B"}, "tables.NAME.missing": "keep", "tables.NAME.default": "A",
    "gate": [], "gate[].id": "h", "gate[].do": "hold", "gate[].when": {"absent": "x"}, "gate[].reason": "s",
    "flow": SPEC["flow"][:1], "flow[].id": "d", "flow[].do": "upsert", "flow[].entity": "client",
    "flow[].target": "invoice", "flow[].of": "x", "flow[].key": ["{uid}"], "flow[].match": ["email"],
    "flow[].value": "v", "flow[].each": "e[]", "flow[].when": {"present": "x"}, "flow[].otherwise": "o",
    "flow[].needs": ["x"], "flow[].after": "x", "approval": {"state": "rejected"},
    "values": {"v": {"steps": [{"path": "v"}]}},
    "fields": SPEC["fields"] | {"client.lname": {"steps": [{"path": "last"}]}},
    "assertions": SPEC["assertions"][:1], "assertions[].id": "z", "assertions[].equal": ["a", "c"],
    "assertions[].at_most": ["a", "b"], "assertions[].same_text": ["a", "b"],
    "assertions[].required_together": ["a", "b"], "assertions[].one_of_present": ["a", "b"],
    "assertions[].not_empty": "a[]", "assertions[].unique": "a[].b",
    "assertions[].predicted_total": {"lines": "invoice.lines[]", "total": "t", "currency": "c"},
    "assertions[].predicted_total.lines": "invoice.rows[]", "assertions[].predicted_total.total": "u",
    "assertions[].predicted_total.currency": "d", "assertions[].predicted_total.rounding": "every",
    "assertions[].each": "e[]", "assertions[].when": {"present": "x"}, "assertions[].within": "1",
    "assertions[].on_fail": "warn", "assertions[].message": "n",
    "ignored": [], "ignored[].source": "z", "ignored[].reason": "z",
    "suppressed": [], "suppressed[].until": "2027-02-28",
    "RULE.steps": [{"path": "mail"}], "RULE.required": True, "RULE.only_on_create": True,
    "RULE.check": [{"format": "email"}], "RULE.on_fail": "warn", "RULE.note": "n", "RULE.origin": {"by": "llm"},
    "RULE.origin.by": "llm", "RULE.origin.confidence": "0.5", "RULE.origin.why": {"a": "b"},
    "RULE.approval": {"state": "rejected"}, "RULE.approval.state": "approved", "RULE.approval.by": "ana",
    "RULE.approval.at": "2026-01-01", "RULE.approval.digest": "x", "RULE.approval.comment": "c",
    "LIST.each": "rows[]", "LIST.money": None, "LIST.note": "n", "LIST.origin": {"by": "llm"},
    "LIST.fields": SPEC["fields"]["invoice.lines[]"]["fields"] | {"name": {"steps": [{"path": ".n"}]}},
    "LIST.approval": {"state": "rejected"}, "LIST.money.discount_kinds": ["rebate"], "LIST.money.rate_factor": "1",
    "LIST.money.totals_within": "0.02", "LIST.money.more_quantity": [".other"],
    "LIST.money.charges": [], "LIST.money.charges[].name": "Freight", "LIST.money.unit_cost_places": "4",
    "LIST.money.negative_lines": "true", "LIST.money.rates": "rates", "LIST.money.combined_taxes": "rates",
}  # fmt: skip
ASSERTION_RULES = {f"assertions[].{name}" for name in model.RECORD_RULES}


def members() -> list[str]:
    return [prefix + name for prefix, kind in PLACES for name in kind.model_fields]


def documented() -> dict[str, str]:
    """Member -> where it counts, from the table."""
    return dict(rows())


def rows() -> list[tuple[str, str]]:
    table = DOC.read_text(encoding="utf-8").split("| member | counts in |")[1].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \| ([^|]+) \|$", table, re.MULTILINE)


def test_every_member_is_listed_once_and_nothing_else() -> None:
    assert sorted(name for name, _ in rows()) == sorted(members())


def changed(name: str) -> dict[str, Any]:
    data = copy.deepcopy(SPEC)
    # a path nothing else names stands in where the member is just a path
    value = OTHERS.get(name, "$.other")
    names = name.replace("tables.NAME", "tables.kinds").replace("[]", ".0").split(".")
    if name.startswith("assertions[].predicted_total."):
        names[1] = "1"
    if names[0] in ("RULE", "LIST"):
        names = [*(RULE if names[0] == "RULE" else LIST), *names[1:]]
    if name == "tables.NAME.default":
        data["tables"]["kinds"]["missing"] = "default"
    if name in ASSERTION_RULES:
        data["assertions"][0].pop("equal")
    if name == "flow[].do":
        data["flow"][0]["match"] = ["email"]
    place: Any = data
    for part in names[:-1]:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[names[-1]] = value
    return data


def read(data: dict[str, Any], name: str = "") -> MappingSpec:
    if name not in ("flow[].needs", "flow[].of"):
        return MappingSpec.model_validate(data)
    # only earlier steps can be named, and the first step has none
    data["flow"][0].pop(name.removeprefix("flow[]."))
    data["flow"][1]["needs" if name.endswith("needs") else "of"] = ["c"] if name.endswith("needs") else "c"
    return MappingSpec.model_validate(data)


BEFORE = {
    "tables.NAME.default": {"tables": {"kinds": {"rows": {"a": "A"}, "missing": "default", "default": "Z"},
                                       "rates": {"rows": {"TX": "8.25"}}}},
    "flow[].do": {"flow": [SPEC["flow"][0] | {"match": ["email"]}, SPEC["flow"][1]]},
}  # fmt: skip
PARTS = {
    "flow": {"flow"},
    "flow and the target's parts": {"flow", "client.email", "client.fname"},
    "the parts that use it": {"client.email"},
    "the list": {"invoice.lines[]"},
    "the list and its fields": {"invoice.lines[]", "invoice.lines[].qty"},
    "fingerprint only": set(),
    "–": set(),
}
NEW_RULES = {"values": {"values.v"}, "fields": {"client.lname"}, "LIST.fields": {"invoice.lines[].name"}}


@pytest.mark.parametrize("name", [name for name in members() if name != "format"])
def test_a_member_counts_where_the_document_says(name: str) -> None:
    where = documented()[name]
    before, after = read(SPEC | BEFORE.get(name, {})), read(changed(name), name)
    assert before != after or name == "assertions[].equal"
    one, other = digests(before), digests(after)
    touched = {part for part in {*one, *other} if one.get(part) != other.get(part)}
    expected = NEW_RULES.get(name, {"client.email"}) if where == "the rule" else PARTS[where]
    assert touched == expected
    assert (fingerprint(before) != fingerprint(after)) == (where != "–")


def test_the_format_counts_in_the_fingerprint_only() -> None:
    spec = read(SPEC)
    later = spec.model_copy(update={"format": 2})
    assert documented()["format"] == "fingerprint only"
    assert digests(later) == digests(spec)
    assert fingerprint(later) != fingerprint(spec)


def test_the_schema_line_does_not_count() -> None:
    spec = read(SPEC)
    assert fingerprint(spec.with_schema_reference("spec.schema.json")) == fingerprint(spec)


def test_the_example_of_the_document_loads_and_compiles() -> None:
    from mapspec import compile_spec, dump_spec, load_spec

    text = DOC.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    spec = load_spec(text)
    draft = compile_spec(spec).apply({
        "id": "1", "status": "processing", "orderDate": "2026-03-01T09:00:00-06:00", "paymentTerms": "Net 30",
        "total": "25.00", "currency": "USD", "customer": {"id": "7", "email": " Ana@Example.com "},
        "lineItems": [{"name": "Cup", "quantity": "2", "unitPrice": "12.50"}],
    })  # fmt: skip
    assert (draft.decision, draft.warnings) == ("go", ())
    assert load_spec(dump_spec(spec)) == spec
