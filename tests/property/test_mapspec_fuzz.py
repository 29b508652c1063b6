"""The shipped specs, damaged at random: every text is a spec or one clear line, every spec gives drafts."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.profiles import load_profile
from mapspec import SpecError, compile_spec, digests, dump_spec, load_spec, load_with_lines
from mapspec.checks import check_spec
from tests.property.test_mapspec_engine import FIXTURES, ROOT, assert_sound

TEXTS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "mappings/clarity-freshbooks").glob("*.yaml"))]
BOOKS = load_profile("freshbooks")
CONTRACTS = {f"freshbooks/{name}": BOOKS.fields(name) for name in ("client", "invoice", "payment", "item")}
SOURCE = [field.path for field in load_profile("clarity-rest").fields("order")]
# What stands in specs, and what should not: each replaces a word, a value or a line.
WORDS = [
    "", "~", ".", "$", ".a", "$.a", "a[]", "a[].b[]", "values.a", "values.currency", "settings.timezone", "settings.",
    "lineItems[]", "payments[]", ".sku", "-1", "0", "1e999999999", "9" * 400, "NaN", "0.5", "true", "on_fail", "warn",
    "[]", "{}", "[[]]", "{a: 1}", "{path: .a}", "{when: {if: {all: []}, then: []}}", "{each: [{path: .}]}",
    "{allocate: {amount: a, over: a[], weight: ., places: 99999}}", "{decimal: {places: 99999999}}", "{round: 99}",
    "{regex_extract: '((a*)*)*b'}", "{max_length: {n: 99999999999999999999}}", "{template: '{a} {.b} {#}'}",
    "{lookup_table: payment_terms}", "{step_output: client.id}", "{lookup_remote: items.name}", "{scale: '999999999'}",
    "{add_days: '999999999'}", "{money: values.currency}", "{list: a[]}", "{sum: []}", "{divide: '0'}", "{hash: }",
    "{line_price: quantity}", "{parse_date: 'YYYY'}", "{split: ','}", "{concat: '\u2028'}", "{append: [{const: x}]}",
    "{format: email}", "{unique_in_list: }", "{date_window: {from: a, to: {path: b, days: '99999'}}}", "\x85",
    "é\u0301", "*a", "&a x", "!!python/object:os.system x", "<<: *a", "? a", "|", ">-", "# x", "'", '"', "\ttab", "---",
    "...",
]  # fmt: skip


@st.composite
def damaged(draw: Any) -> str:
    """A shipped spec with up to three changes."""
    rows = draw(st.sampled_from(TEXTS)).split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(rows) - 1))
        row = rows[at]
        word = draw(st.sampled_from(WORDS) | st.text(max_size=6))
        match draw(st.integers(0, 6)):
            case 0:
                del rows[at : at + draw(st.integers(1, 4))]
                rows = rows or [""]
            case 1:
                rows.insert(at, rows[draw(st.integers(0, len(rows) - 1))])
            case 2:
                rows[at] = row[: row.find(":") + 1] + " " + word
            case 3:
                rows[at] = row.replace(draw(st.sampled_from(row.split() or [" "])), word, 1)
            case 4:
                cut = draw(st.integers(0, len(row)))
                rows[at] = row[:cut] + word + row[cut + draw(st.integers(0, 5)) :]
            case 5:
                rows[at] = draw(st.sampled_from(["  ", " ", ""])) + row.lstrip()
            case _:
                other = draw(st.integers(0, len(rows) - 1))
                rows[at], rows[other] = rows[other], rows[at]
    return "\n".join(rows)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(damaged(), st.sampled_from(FIXTURES))
def test_a_damaged_spec_works_or_says_why_in_one_line(text: str, record: dict[str, Any]) -> None:
    try:
        spec, lines = load_with_lines(text, where="f.yaml")
        found = check_spec(spec, lines=lines, contracts=CONTRACTS, source_fields=SOURCE)
        compiled = compile_spec(spec)
    except SpecError as error:
        assert "\n" not in str(error)
        return
    last = text.count("\n") + 1
    for finding in found:
        assert finding.message
        assert finding.mend
        assert "\n" not in finding.message + finding.mend
        assert finding.line is not None
        assert 1 <= finding.line <= last
        assert finding.column is not None
        assert finding.column >= 1
    assert load_spec(dump_spec(spec)) == spec
    assert digests(load_spec(dump_spec(spec))) == digests(spec)
    assert_sound(compiled.apply(record))
