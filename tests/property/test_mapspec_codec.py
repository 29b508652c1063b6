"""load(dump(spec)) == spec, and the fingerprint with it, for generated specs."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapspec.approval import approve, unapproved
from mapspec.codec import dump_spec, load_spec, with_schema
from mapspec.errors import SpecError
from mapspec.fingerprint import fingerprint
from mapspec.model import MappingSpec

# every text that UTF-8 can carry; half surrogate pairs cannot stand in a file
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
awkward = st.sampled_from(
    ["NO", "no", "010", "1e3", "12:30", "null", "~", "true", "- a", "a: b", "# x", "{", "]", "&a", "*a", "\n"]
)
words = texts | awkward
some = words.filter(lambda text: text.strip() != "")
idents = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
paths = st.sampled_from(
    ["id", "customer.email", ".sku", "$.total", "lineItems[].sku", "values.code", "settings.zone", "."]
)
literals = st.text("abc {}#,:'\"\\é茶\U0001f375-", max_size=12).filter(lambda t: "{" not in t and "}" not in t)

conditions: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.builds(lambda p, w: {"equal": [p, w]}, paths, words),
        st.builds(lambda p, w: {"not_equal": [p, w]}, paths, words),
        st.builds(lambda p, w: {"in": [p, w]}, paths, st.lists(words, max_size=3)),
        st.builds(lambda p: {"present": p}, paths),
        st.builds(lambda p: {"absent": p}, paths),
        st.builds(lambda p, n: {"lte": [p, str(n)]}, paths, st.decimals(-99, 99, places=2)),
    ),
    lambda inner: st.one_of(
        st.builds(lambda c: {"all": c}, st.lists(inner, max_size=2)),
        st.builds(lambda c: {"any": c}, st.lists(inner, max_size=2)),
        st.builds(lambda c: {"not": c}, inner),
    ),
    max_leaves=4,
)
simple = st.one_of(
    st.builds(lambda p: {"path": p}, paths),
    st.builds(lambda w: {"const": w}, words),
    st.builds(lambda p: {"coalesce": p}, st.lists(paths, min_size=1, max_size=3)),
    st.builds(lambda a, b: {"template": a + "{id}" + b}, literals, literals),
    st.builds(lambda w: {"default": w}, some),
    st.builds(
        lambda n, o: {"max_length": {"n": str(n), "over": o}},
        st.integers(1, 99),
        st.sampled_from(["truncate", "error"]),
    ),
    st.builds(lambda f, w: {"replace_literal": {"find": f, "with": w}}, some, words),
    st.builds(lambda w: {"clean_text": w}, st.sampled_from(["keep", "remove"])),
    st.builds(lambda n: {"multiply": str(n)}, st.decimals(-99, 99, places=3)),
    st.builds(lambda n: {"decimal": {"places": str(n), "rounding": "down"}}, st.integers(0, 4)),
    st.sampled_from(
        [
            {"trim": None},
            {"decimal": None},
            {"case": "lower"},
            {"to_date": "settings.zone"},
            {"lookup_table": "kinds"},
            {"step_output": "client.id"},
            {"regex_extract": r"(\d{1,3}): [a-z]+"},
            {"money": "values.code"},
        ]
    ),
)
steps: st.SearchStrategy[Any] = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(
            lambda p, w: {"join": {"parts": p, "with": w}}, st.lists(st.lists(inner, max_size=2), max_size=2), words
        ),
        st.builds(
            lambda c, a, b: {"when": {"if": c, "then": a, "else": b}},
            conditions,
            st.lists(inner, max_size=2),
            st.lists(inner, max_size=2),
        ),
    ),
    max_leaves=3,
)
checks = st.sampled_from([{"format": "email"}, {"max_length": "5"}, {"between": ["0", "1.5"]}, {"enum": ["a: b", "NO"]},
                          {"regex": "[a-z]+: \\d"}, {"money": "positive"}, {"format": "country", "on_fail": "warn"},
                          {"min_length": "2"}, {"integer": ""}, {"integer": {"from": "-3"}, "on_fail": "hold"},
                          {"at_least": "0.50"}, {"at_most": "-1"}, {"unique_in_list": ""}, {"unique_in_list": "exact"},
                          {"date_window": {"from": "2026-01-01", "to": {"path": ".at", "days": "-30"}}},
                          {"date_window": {"to": "$.orderDate"}}])  # fmt: skip
record_rules = st.sampled_from([{"required_together": ["a", ".b"]}, {"one_of_present": ["a"]}, {"not_empty": "rows[]"},
                                {"unique": "rows[].sku"}, {"same_text": ["a", "$.b"]},
                                {"predicted_total": {"lines": "invoice.lines[]", "total": "$.total",
                                                     "currency": "values.code", "rounding": "every"},
                                 "within": "5"}])  # fmt: skip


@st.composite
def rules(draw: Any) -> dict[str, Any]:
    rule: dict[str, Any] = {"steps": draw(st.lists(steps, max_size=3))}
    optional = {
        "required": st.booleans(),
        "check": st.lists(checks, max_size=2),
        "on_fail": st.sampled_from(["hold", "warn"]),
        "note": words,
        "origin": st.just({"by": "llm", "confidence": "0.25", "why": {"names: #": "0.5"}}),
        "approval": st.builds(lambda w: {"state": "rejected", "by": w, "comment": w}, words),
    }
    return rule | {name: draw(value) for name, value in optional.items() if draw(st.booleans())}


@st.composite
def specs(draw: Any) -> MappingSpec:
    fields: dict[str, Any] = draw(st.dictionaries(idents.map(lambda name: f"client.{name}"), rules(), max_size=3))
    if draw(st.booleans()):
        block: dict[str, Any] = {"each": "lineItems[]", "fields": draw(st.dictionaries(idents, rules(), max_size=2))}
        if draw(st.booleans()):
            charge = {"name": draw(some), "amount": "$.shipping", "rows": "$.rows[]", "row_amount": ".amount"}
            block["money"] = {"currency": "values.code", "quantity": ".q", "unit_price": ".p", "total": "$.total",
                              "discount_kinds": draw(st.lists(words, max_size=2)), "charges": [charge],
                              "rate_factor": "1", "rates": "kinds"}  # fmt: skip
        fields["invoice.lines[]"] = block
    data: dict[str, Any] = {
        "spec": "shop/flow",
        "source": {"system": draw(some), "entity": "order", "events": draw(st.lists(words, max_size=2))},
        "targets": {"client": "freshbooks/client", "invoice": "freshbooks/invoice"},
        "settings": draw(st.dictionaries(idents, words, max_size=3)),
        "tables": {"kinds": {"rows": draw(st.dictionaries(words, words, max_size=4)), "missing": "keep"}},
        "gate": [
            {"id": draw(some), "do": "hold", "when": condition, "reason": draw(literals)}
            for condition in draw(st.lists(conditions, max_size=2))
        ],
        "flow": [{"id": "client", "do": "upsert", "target": "client", "key": ["{id}"], "match": ["email"],
                  "otherwise": draw(literals)}],
        "values": draw(st.dictionaries(idents, rules(), max_size=2)),
        "fields": fields,
        "assertions": [
            {"id": "sum", "at_most": [{"sum": ["total", {"path": "rows[].amount", "where": condition}]}, {"abs": "b"}],
             "within": "0.01", "message": draw(words)}
            for condition in draw(st.lists(conditions, max_size=1))
        ] + [{"id": draw(some), "message": draw(words), "on_fail": "warn", **rule}
             for rule in draw(st.lists(record_rules, max_size=2))],
        "ignored": [{"source": "tags", "reason": draw(words)}],
    }  # fmt: skip
    if draw(st.booleans()):
        data["description"] = draw(words)
    spec = MappingSpec.model_validate(data)
    return with_schema(spec, draw(st.none() | st.sampled_from(["../spec.schema.json", "urn:mapper-ai:spec:1"])))


FAST = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@FAST
@given(specs())
def test_a_spec_survives_its_file(spec: MappingSpec) -> None:
    text = dump_spec(spec)
    read = load_spec(text)
    assert read == spec
    assert dump_spec(read) == text
    assert fingerprint(read) == fingerprint(spec)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(specs(), words)
def test_approvals_survive_the_file(spec: MappingSpec, by: str) -> None:
    approved = load_spec(dump_spec(approve(spec, None, by=by, at="2026-03-01T00:00:00Z")))
    assert unapproved(approved) == []
    assert fingerprint(approved) == fingerprint(spec)


@settings(max_examples=150, deadline=None)
@given(st.text("abc: -[]{}#&*!|>'\"%@`\n\t,?\\é\x00\ud800", max_size=60))
def test_any_text_is_a_spec_or_one_clear_line(text: str) -> None:
    try:
        load_spec(text, where="f.yaml")
    except SpecError as error:
        assert "\n" not in str(error)
        assert str(error).startswith("f.yaml")
