"""Coverage-guided fuzzing of spec texts and payloads: `python -m tests.fuzz.coverage_guided [-runs=N] [-seed=N]`.

Nothing but SpecError may come out of a text, nothing at all out of a payload.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import atheris

with atheris.instrument_imports(include=["mapspec"]):
    from mapspec import SpecError, compile_spec, dump_spec, load_spec, load_with_lines
    from mapspec.checks import check_spec

from tests.fuzz.hostile import CONTRACTS, ROOT, SHIPPED, SOURCE, order

TEXTS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "mappings/clarity-freshbooks").glob("*.yaml"))]
SPECS = list(SHIPPED.values())
NAMES = ["name", "amount", "rate", "sku", "quantity", "unitPrice", "key", "value", "id", "email", "x"]
SCALARS = [None, True, False, 0, -1, "", " ", "0", "1.10", "1e999", "USD", "captured", "2026-03-01T00:00:00Z", "NaN"]


def one_run(data: bytes) -> None:
    """One input."""
    given = atheris.FuzzedDataProvider(data)
    if given.ConsumeIntInRange(0, 15) == 0:  # reading a spec takes twenty times as long as mapping a record
        a_text(given)
    else:
        a_record(given)


def a_text(given: Any) -> None:
    text = given.PickValueInList(TEXTS)
    for _ in range(given.ConsumeIntInRange(1, 3)):
        at = given.ConsumeIntInRange(0, len(text))
        cut = given.ConsumeIntInRange(0, 40)
        text = text[:at] + given.ConsumeUnicode(given.ConsumeIntInRange(0, 24)) + text[at + cut :]
    try:
        spec, lines = load_with_lines(text, where="f.yaml")
        check_spec(spec, lines=lines, contracts=CONTRACTS, source_fields=SOURCE)
        compiled = compile_spec(spec)
    except SpecError as error:
        assert "\n" not in str(error)
        return
    assert load_spec(dump_spec(spec)) == spec
    compiled.apply(order())


def a_record(given: Any) -> None:
    record: Any = order()
    for _ in range(given.ConsumeIntInRange(1, 4)):
        place: Any = record
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = given.PickValueInList(keys)
            if not isinstance(place[key], dict | list) or not place[key] or given.ConsumeBool():
                place[key] = a_value(given, 3)
                break
            place = place[key]
    given.PickValueInList(SPECS).apply(record)


def a_value(given: Any, depth: int) -> Any:
    match given.ConsumeIntInRange(0, 6 if depth else 4):
        case 0:
            return given.PickValueInList(SCALARS)
        case 1:
            return given.ConsumeUnicode(given.ConsumeIntInRange(0, 40))
        case 2:
            return given.ConsumeInt(given.ConsumeIntInRange(1, 12))
        case 3:
            return Decimal(given.ConsumeInt(6)).scaleb(given.ConsumeIntInRange(-40, 40))
        case 4:
            return Decimal(given.PickValueInList(["NaN", "sNaN", "Infinity", "1e999999999", "-0"]))
        case 5:
            return [a_value(given, depth - 1) for _ in range(given.ConsumeIntInRange(0, 3))]
        case _:
            return {given.PickValueInList(NAMES): a_value(given, depth - 1) for _ in range(3)}


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_run)
    atheris.Fuzz()
