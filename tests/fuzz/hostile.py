"""Hostile specs and payloads, each mapped in a process of its own that the system stops at a bound of memory and time.

`python -m tests.fuzz.hostile` prints one line of JSON a case: {"case", "ended": "bounded" | what went wrong}.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from connectors.profiles import load_profile
from mapspec import SpecError, compile_spec, load_spec, load_with_lines
from mapspec.checks import check_spec
from mapspec.codec import dump_spec
from mapspec.fingerprint import fingerprint
from sync.envelope import EnvelopeError, loads

MEMORY_MB: Final = 400  # over what the process has when a case begins
CPU_S: Final = 10  # of the processor's own time; a case takes a second or two
ROOT: Final = Path(__file__).resolve().parents[2]
ORDER_TEXT: Final = (ROOT / "fixtures/clarity/order__plain-card.json").read_text(encoding="utf-8")
SHIPPED: Final = {
    path.stem: compile_spec(load_spec(path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "mappings/clarity-freshbooks").glob("*.yaml"))
}
CONTRACTS: Final = {f"freshbooks/{name}": load_profile("freshbooks").fields(name) for name in ("client", "invoice")}
SOURCE: Final = [field.path for field in load_profile("clarity-rest").fields("order")]
HEAD: Final = "spec: a/b\nsource: {system: s, entity: order}\ntargets: {client: freshbooks/client}\n"
MANY: Final = 2_500
RECORD: Final[dict[str, Any]] = {
    "id": "1", "text": "a" * 100_000, "number": Decimal("999999999999999.999999999999"),
    "exponent": Decimal("1e999999999"), "rows": [{"x": "1", "y": [1, 2, 3]}] * 1000, "list": list(range(1000)),
}  # fmt: skip


def order(**changes: Any) -> dict[str, Any]:
    """A good order with members replaced."""
    record: dict[str, Any] = json.loads(ORDER_TEXT, parse_float=Decimal)
    return record | changes


def rule(steps: str) -> str:
    """A spec with one rule."""
    return f"{HEAD}fields:\n  client.note:\n    steps: [{steps}]\n"


def values(bodies: list[str]) -> str:
    """A spec with named values v0, v1, ... and a field that reads the last."""
    rows = "".join(f"  v{position}: {{steps: [{body}]}}\n" for position, body in enumerate(bodies))
    last = len(bodies) - 1
    return f"{HEAD}values:\n{rows}fields:\n  client.note: {{steps: [{{list: values.v{last}}}, {{count: }}]}}\n"


def anchors() -> str:
    """Ten levels of nine references: a billion texts, were they followed."""
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    return "a0: &a0 [x]\n" + "\n".join(levels) + "\n"


DOUBLED: Final = "{list: values.v%d}, {append: [{list: values.v%d}]}"
SQUARED: Final = "{list: values.v%d}, {each: [{list: values.v%d}]}, {flatten: }"
TWICE: Final = "{template: '{values.v%d}{values.v%d}'}"
TIMES: Final = "{path: values.v%d}, {multiply: values.v%d}"
TEXTS: Final[dict[str, Callable[[], str]]] = {
    "deep flow lists": lambda: "[" * 500_000,
    "deep flow objects": lambda: "{a: " * 200_000,
    "deep blocks": lambda: "\n".join(" " * depth + "a:" for depth in range(1500)),
    "deep conditions": lambda: rule(
        "{when: {if: " + "{not: " * 5000 + "{present: id}" + "}" * 5000 + ", then: []}}"
    ),
    "deep steps": lambda: rule("{each: [" * 5000 + "{trim: }" + "]}" * 5000),
    "ten megabytes": lambda: rule("{const: '" + "x" * 10_000_000 + "'}"),
    "a long text": lambda: rule("{const: '" + "x" * 1_900_000 + "'}"),
    "anchors and aliases": anchors,
    "merge keys": lambda: "base: &b {a: 1}\n" + "".join(f"k{number}: {{<<: *b}}\n" for number in range(MANY)),
    "tags": lambda: HEAD + "settings: !!python/object/apply:os.system ['true']\n",
    "very many lines": lambda: HEAD + "\n" * 1_900_000,
    "very many settings": lambda: HEAD + "settings:\n" + "".join(f"  s{n}: x\n" for n in range(MANY * 4)),
    "very many unknown names": lambda: (
        HEAD + "settings:\n" + "".join(f"  setting-{n}: x\n" for n in range(MANY))
        + "values:\n" + "".join(f"  v{n}: {{steps: [{{path: values.w{n}}}]}}\n" for n in range(MANY))
    ),
    "very many fields": lambda: HEAD + "fields:\n" + "".join(
        f"  client.field{n}: {{steps: [{{path: member{n}}}, {{lookup_table: table{n}}}]}}\n" for n in range(MANY)
    ),
    "very many flow steps": lambda: (
        HEAD + "flow:\n" + "".join(f"  - {{id: s{n}, do: find, entity: client, key: [x]}}\n" for n in range(MANY))
        + "fields:\n" + "".join(f"  client.f{n}: {{steps: [{{step_output: s{n}.id}}]}}\n" for n in range(MANY // 2))
    ),
    "very many gate rules": lambda: HEAD + "gate:\n" + "".join(
        f"  - {{id: g{n}, do: hold, when: {{in: [path{n}, [a, b]]}}, reason: r}}\n" for n in range(MANY)
    ),
    "very many assertions": lambda: HEAD + "assertions:\n" + "".join(
        f"  - {{id: a{n}, equal: [a, b], message: m}}\n" for n in range(MANY)
    ),
    "a wide condition": lambda: rule(
        "{when: {if: {any: [" + ", ".join(f"{{equal: [p{n}, x]}}" for n in range(MANY)) + "]}, then: [{const: x}]}}"
    ),
    "doubling conditions": lambda: rule(
        "{when: {if: " + "{any: [{present: a}, {absent: b}, {all: [{present: c}, " * 8 + "{present: id}" + "]}]}" * 8
        + ", then: [{const: x}]}}"
    ),
    "a giant template": lambda: rule("{template: '" + "{id}" * 400_000 + "'}"),
    "a template of long texts": lambda: rule("{template: '" + "{text}" * 1_600 + "'}"),
    "a join of long texts": lambda: rule("{join: {parts: [" + ", ".join(["[{path: text}]"] * 8_000) + "]}}"),
    "a replacement that grows": lambda: rule(
        "{path: text}, {replace_literal: {find: a, with: '" + "b" * 1_000_000 + "'}}"
    ),
    "lists that double": lambda: values(["{list: 'list[]'}", *(DOUBLED % (n, n) for n in range(60))]),
    "lists that square": lambda: values(["{list: 'list[]'}", *(SQUARED % (n, n) for n in range(6))]),
    "texts that double": lambda: values(
        ["{path: text}", *(TWICE % (n, n) for n in range(60))]
    ),
    "numbers that square": lambda: values(
        ["{path: number}", *(TIMES % (n, n) for n in range(60))]
    ),
    "a cycle of values": lambda: values([f"{{path: values.v{(n + 1) % 3}}}" for n in range(3)]),
    "a long chain of values": lambda: values(["{path: id}", *(f"{{path: values.v{n}}}" for n in range(5000))]),
    "exponents in steps": lambda: rule("{path: exponent}, {multiply: '1e999999999'}, {add: '1e999999999'}"),
    "exponents of the record": lambda: rule("{path: exponent}, {round: 2}"),
    "a scale beyond all range": lambda: rule("{path: number}, {scale: '999999999'}"),
    "exponents in checks": lambda: (rule("{path: number}, {decimal: }")
    + "    check: [{between: ['-1e999999999', '1e999999999']}]\n"),
    "exponents in conditions": lambda: rule("{when: {if: {gt: [number, '1e999999999']}, then: [{const: x}]}}"),
    "exponents in assertions": lambda: (
        HEAD + "assertions:\n  - {id: a, at_most: [number, number], within: '1e999999999', message: m}\n"
    ),
    "exponents in origins": lambda: rule("{path: id}") + "    origin: {by: llm, confidence: '1e-999999999'}\n",
    "a factor beyond all range": lambda: HEAD.replace("client", "invoice") + (
        "fields:\n  invoice.lines[]:\n    each: 'rows[]'\n    money: {currency: id, quantity: .x, unit_price: .x, "
        "total: number, "
        "taxes: '$.rows[]', tax_rate: .x, rate_factor: '1e999999999'}\n    fields: {}\n"
    ),
    "a regex bomb": lambda: rule("{path: text}, {regex_extract: '((a*)*)*b'}"),
    "a regex of repetitions": lambda: rule("{path: text}, {regex_extract: '((((a{1,99}){1,99}){1,99}){1,99}){1,99}'}"),
    "a regex in a check": lambda: rule("{path: text}") + "    check: [{regex: '(a|a|a|a)*(a|aa)+$'}]\n",
    "days beyond the calendar": lambda: rule("{path: id}, {parse_date: 'D'}, {add_days: '99999999999999999999'}"),
}  # fmt: skip


def nested(depth: int, opening: str, inner: str, closing: str) -> bytes:
    return (opening * depth + inner + closing * depth).encode()


BYTES: Final[dict[str, Callable[[], bytes]]] = {
    "JSON of deep lists": lambda: nested(1_000_000, "[", "", "]"),
    "JSON of deep objects": lambda: nested(300_000, '{"customer":', "1", "}"),
    "JSON of a long number": lambda: b'{"id": ' + b"9" * 5_000_000 + b"}",
    "JSON of an exponent": lambda: b'{"id": "1", "total": 1e999999999999999999999}',
    "JSON of a long text": lambda: b'{"id": "1", "notes": "' + b"x" * 10_000_000 + b'"}',
}


def deep(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"amount": value, "name": [value]} if depth < 100 else [value]
    return value


RECORDS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "texts of ten megabytes": lambda: dict.fromkeys(order(), "x" * 10000000),
    "a tree of shared parts": lambda: order(customer=deep(90), payments=[deep(90)], lineItems=[deep(90)]),
    "deep lists": lambda: order(lineItems=deep(200_000), customer=deep(200_000), customAttributes=deep(200_000)),
    "huge exponents": lambda: order(
        total=Decimal("1e999999999"), subtotal=Decimal("-1e-999999999"), taxTotal="1e999999999",
        lineItems=[{"quantity": Decimal("1e999999999"), "unitPrice": Decimal("1e-999999999"), "name": "x"}],
    ),
    "long numbers": lambda: order(
        total=10**2_000_000, lineItems=[{"quantity": 10**1_000_000, "unitPrice": "9" * 10**6}]
    ),
    "very many lines": lambda: order(lineItems=order()["lineItems"] * MANY),
    "very many payments": lambda: order(payments=order()["payments"] * MANY),
    "very many attributes": lambda: order(customAttributes=[{"key": f"k{n}", "value": "x"} for n in range(200_000)]),
    "very many taxes": lambda: order(lineItems=[{**order()["lineItems"][0], "taxLines": [{"rate": "1"}] * 100_000}]),
    "HTML that never closes": lambda: order(
        notes="<" * 99_000, lineItems=[{**order()["lineItems"][0], "name": "<!--" * 20_000}]
    ),
}  # fmt: skip


def map_text(text: str) -> None:
    """What the tools do with a spec: read, check, print, write, compile, map."""
    try:
        spec, lines = load_with_lines(text, where="f.yaml")
        check_spec(spec, lines=lines, contracts=CONTRACTS, source_fields=SOURCE)
        fingerprint(spec)
        assert load_spec(dump_spec(spec)) == spec
        compiled = compile_spec(spec)
    except SpecError as error:
        assert "\n" not in str(error)
        return
    show(compiled.apply(RECORD))


def map_bytes(raw: bytes) -> None:
    """What the runner does with a body."""
    try:
        record = loads(raw)
    except EnvelopeError as error:
        assert "\n" not in str(error)
        return
    map_record(record)


def map_record(record: Any) -> None:
    for compiled in SHIPPED.values():
        show(compiled.apply(record))


def show(draft: Any) -> None:
    assert draft.decision in {"go", "skip", "wait", "hold"}
    for documents in draft.documents.values():
        for document in documents:
            assert len(json.dumps(document.body, default=str)) < 50_000_000


CASES: Final[dict[str, Callable[[], None]]] = {
    **{f"spec: {name}": (lambda make=make: map_text(make())) for name, make in TEXTS.items()},
    **{f"body: {name}": (lambda make=make: map_bytes(make())) for name, make in BYTES.items()},
    **{f"record: {name}": (lambda make=make: map_record(make())) for name, make in RECORDS.items()},
}


def bounded(case: Callable[[], None]) -> str:
    """How a case ends in a child that the system bounds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
            limit = used + MEMORY_MB * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
            case()
            told = "bounded"
        except BaseException as error:
            told = f"{type(error).__name__}: {str(error)[:300]}"
        os.write(writing, told.encode("utf-8", "replace"))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return told if os.WIFEXITED(status) and told else f"ended by signal {os.WTERMSIG(status)}"


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for name, case in CASES.items():
        if not wanted or any(word in name for word in wanted):
            sys.stdout.write(json.dumps({"case": name, "ended": bounded(case)}) + "\n")
            sys.stdout.flush()
