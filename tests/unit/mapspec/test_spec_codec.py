"""Text to spec and back: the canonical form, and errors that say where and what."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mapspec.approval import approve
from mapspec.codec import dump_spec, load_spec, load_with_lines, part_line, with_schema
from mapspec.errors import SpecError
from mapspec.fingerprint import digests, fingerprint

SHIPPED = sorted((Path(__file__).parents[3] / "mappings/clarity-freshbooks").glob("*.yaml"))
SMALL = """\
spec: shop/flow
source: {system: clarity-rest, entity: order}
targets:
  client: freshbooks/client
fields:
  client.email:
    steps:
      - {path: customer.email}
      - {trim: }
    check: [{format: email}]
"""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_specs_stand_in_canonical_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    spec = load_spec(text, where=path.name)
    assert dump_spec(spec) == text
    assert load_spec(dump_spec(spec)) == spec


def test_the_canonical_form_is_idempotent() -> None:
    messy = (
        "fields: {client.email: {note: kept, check: [{format: email}], steps: [{path: 'customer.email'}, {trim: }]}}\n"
        "targets: {client: freshbooks/client}\nsource: {entity: order, system: clarity-rest}\nspec: 'shop/flow'\n"
    )
    once = dump_spec(load_spec(messy))
    assert dump_spec(load_spec(once)) == once
    assert load_spec(once) == load_spec(messy)
    assert once.startswith("spec: shop/flow\nformat: 1\nversion: 1\nsource: {system: clarity-rest, entity: order}\n")


def test_country_codes_and_numbers_stay_texts() -> None:
    table = "tables:\n  codes:\n    rows:\n      NO: 010\n      12:30: yes\nfields"
    spec = load_spec(SMALL.replace("fields", table))
    assert spec.tables["codes"].rows == {"NO": "010", "12:30": "yes"}
    assert load_spec(dump_spec(spec)) == spec


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("- {trim: }", "- {trimm: }", 9, "unknown operation 'trimm'; did you mean 'trim'?"),
        ("- {trim: }", "- {case: title}", 9, "operation 'case': 'to': input should be 'lower' or 'upper'"),
        ("{path: customer.email}", "{path: customer..email}", 8, "'customer..email' is not a path"),
        ("[{format: email}]", "[{format: mail}]", 10, "check 'format': 'format': input should be"),
        ("[{format: email}]", "[{fomat: email}]", 10, "unknown check 'fomat'"),
        ("    check:", "    checks:", 10, "unknown key 'checks'"),
        ("spec: shop/flow", "spec: Shop Flow", 1, "'spec': string should match pattern"),
        ("client.email:", "invoice.email:", 5, "field 'invoice.email' must start with a target name and a dot"),
        ("spec: shop/flow", "spec: shop/flow\nformat: 2", 2, "format 2 is not known to this version"),
        (
            "fields:",
            "gate:\n  - {id: a, do: stop, when: {present: id}, reason: b}\nfields:",
            6,
            "'do': input should be",
        ),
        ("fields:", "gate:\n  - {id: a, do: skip, when: {has: id}, reason: b}\nfields:", 6, "unknown key 'has'"),
        ("fields:", "gate:\n  - {id: a, do: skip, when: {present: id}, reason: '{a..b}'}\nfields:", 6, "is not a path"),
        ("fields:", "flow:\n  - {id: a, do: upsert, target: client, key: ['{id}']}\nfields:", 6, "needs 'match'"),
        ("fields:", "flow:\n  - {id: a, do: find, entity: client, key: ['{i..d}']}\nfields:", 6, "is not a path"),
        (
            "fields:",
            "assertions:\n  - {id: a, at_most: [{path: total, where: {present: .a}}, total], message: m}\nfields:",
            6,
            "'where' needs a path to a member inside a list",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_cure(old: str, new: str, line: int, message: str) -> None:
    text = SMALL.replace(old, new)
    assert text != SMALL
    with pytest.raises(SpecError) as caught:
        load_spec(text, where="flow.yaml")
    shown = str(caught.value)
    assert message in shown
    assert "\n" not in shown
    found = re.match(r"flow\.yaml:(\d+): ", shown)
    assert found
    # a rule over the whole spec can only name its section
    assert int(found[1]) in (line, 1) if "must start" in shown else int(found[1]) == line


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b\n", "5"])
def test_what_is_no_mapping_is_no_spec(text: str) -> None:
    with pytest.raises(SpecError, match=r"^f\.yaml:1: a spec is a YAML mapping"):
        load_spec(text, where="f.yaml")


def test_several_mistakes_are_counted() -> None:
    with pytest.raises(SpecError, match=r"\(and 1 more\)"):
        load_spec(SMALL.replace("trim: ", "trimm: ").replace("check:", "checks:"))


def test_parts_have_lines() -> None:
    order = next(path for path in SHIPPED if path.stem == "order-to-invoice")
    text = order.read_text(encoding="utf-8")
    _, lines = load_with_lines(text)
    rows = text.splitlines()
    for part, shown in {
        "flow": "flow:",
        "values.currency": "  currency:",
        "client.email": "  client.email:",
        "invoice.lines[]": "  invoice.lines[]:",
        "invoice.lines[].qty": "      qty:",
    }.items():
        line = part_line(lines, part)
        assert line is not None
        assert rows[line - 1] == shown


def test_layout_does_not_count() -> None:
    assert fingerprint(load_spec(SMALL)) == fingerprint(load_spec(dump_spec(load_spec(SMALL))))


HEADER = "# yaml-language-server: $schema=../spec.schema.json\n"


@pytest.mark.parametrize("reference", ["../spec.schema.json", "schemas/spec-1.json", "urn:mapper-ai:spec:1"])
def test_the_schema_line_for_editors_survives_and_counts_for_nothing(reference: str) -> None:
    canonical = dump_spec(load_spec(SMALL))
    headed = f"# yaml-language-server: $schema={reference}\n{canonical}"
    spec = load_spec(headed)
    assert spec.schema_reference == reference
    assert dump_spec(spec) == headed
    assert load_spec(dump_spec(spec)) == spec
    assert digests(spec) == digests(load_spec(canonical))
    assert dump_spec(approve(spec, None, by="ana", at="2026-03-01T00:00:00Z")).startswith(headed[: headed.index("\n")])


@pytest.mark.parametrize(
    "line",
    [
        "# yaml-language-server: $schema=https://example.com/spec.json",
        "# yaml-language-server: $schema=/home/ana/spec.json",
        "# yaml-language-server: $schema=C:\\spec.json",
        "# yaml-language-server: $schema=~/spec.json",
        "# yaml-language-server: $schema=a b",
        "# yaml-language-server: $schema=",
        "# any other comment",
    ],
)
def test_an_address_of_one_machine_is_not_kept(line: str) -> None:
    canonical = dump_spec(load_spec(SMALL))
    assert dump_spec(load_spec(f"{line}\n{canonical}")) == canonical
    with pytest.raises(ValueError, match="neither a relative path"):
        with_schema(load_spec(SMALL), line.partition("$schema=")[2] or line)


def test_the_schema_line_is_the_first_line_or_none() -> None:
    canonical = dump_spec(load_spec(SMALL))
    assert load_spec("\n" + HEADER + canonical).schema_reference is None
    assert load_spec(HEADER + canonical).schema_reference == "../spec.schema.json"
    assert load_spec(HEADER.replace("\n", "\r\n") + canonical).schema_reference == "../spec.schema.json"
    assert with_schema(load_spec(HEADER + canonical), None) == load_spec(canonical)
