"""What the shipped mappings make of the project's own payloads. `make golden` writes the files again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mapper_ai.services.draft_data import draft_as_data
from mapper_ai.services.sampling import read_samples
from mapspec import compile_spec, load_spec

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(__file__).parent / "files"
ORDERS = sorted((ROOT / "fixtures" / "clarity").glob("order__*.json"))
CEF = ROOT / "fixtures" / "clarity-cef"
CEF_ORDERS = sorted(CEF.glob("order__*.json"))
LISTS = [
    ("customer-to-client", "customers.json"),
    ("payment-to-payment", "payments.json"),
    ("product-to-item", "products.json"),
]


def compare(name: str, flow: str, sample: Path, mappings: str = "clarity-freshbooks") -> None:
    text = (ROOT / "mappings" / mappings / f"{flow}.yaml").read_text(encoding="utf-8")
    spec = compile_spec(load_spec(text, where=flow))
    made = [draft_as_data(spec.apply(record)) for record in read_samples(sample)]
    shown = json.dumps(made, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    golden = FILES / f"preview__{name}.json"
    if os.environ.get("MAPPER_UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(shown, encoding="utf-8")
    assert golden.is_file(), f"{golden.name} is missing: make golden"
    assert shown == golden.read_text(encoding="utf-8"), f"{golden.name} differs: read `make golden && git diff`"


@pytest.mark.parametrize("sample", ORDERS, ids=lambda path: path.stem)
def test_an_order_maps_as_before(sample: Path) -> None:
    compare(sample.stem, "order-to-invoice", sample)


@pytest.mark.parametrize(("flow", "file"), LISTS)
def test_a_list_maps_as_before(flow: str, file: str) -> None:
    compare(flow, flow, ROOT / "fixtures" / "clarity" / file)


@pytest.mark.parametrize("sample", CEF_ORDERS, ids=lambda path: path.stem)
def test_an_order_of_the_framework_maps_as_before(sample: Path) -> None:
    compare(f"cef__{sample.stem}", "order-to-invoice", sample, "clarity-cef-freshbooks")


@pytest.mark.parametrize(("flow", "file"), LISTS)
def test_a_list_of_the_framework_maps_as_before(flow: str, file: str) -> None:
    compare(f"cef__{flow}", flow, CEF / file, "clarity-cef-freshbooks")
