"""A draft over its samples: which field and check passes on which, what would be sent, what differs."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mapper_ai.services.drafts import Sample
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.testing import SampleRun, difference, matrix_chart, run_samples, sums_of
from mapspec import dump_spec, load_spec

PROJECT = Path(__file__).resolve().parents[3]
FIXTURES = PROJECT / "fixtures/clarity"


@pytest.fixture(scope="module")
def text() -> str:
    return (PROJECT / "mappings/clarity-freshbooks/order-to-invoice.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    files = sorted(FIXTURES.glob("order__*.json"))
    return [Sample(file.stem.removeprefix("order__"), row) for file in files for row in read_samples(file)]


@pytest.fixture(scope="module")
def tested(text: str, samples: list[Sample]) -> SampleRun:
    return run_samples(text, samples)


def test_every_line_has_a_state_for_every_sample(tested: SampleRun, samples: list[Sample]) -> None:
    assert tested.samples == tuple(sample.name for sample in samples)
    assert all(len(line.states) == len(samples) for line in tested.lines)
    assert {line.name for line in tested.lines} >= {"invoice.lines[].qty", "client.email", "invoice.create_date"}


def test_a_failure_stands_at_its_field_with_the_sample_and_comes_first(text: str, samples: list[Sample]) -> None:
    (plain,) = [sample for sample in samples if sample.name == "plain-card"]
    broken = Sample("broken", {**plain.record, "orderDate": "yesterday"})
    tested = run_samples(text, [plain, broken])
    (line,) = [line for line in tested.lines if line.name == "invoice.create_date"]
    assert line.states == ("pass", "fail")
    assert line.first.startswith("broken: ")
    assert "fail" in tested.lines[0].states
    assert tested.failed >= 1
    assert {call.sample for call in tested.planned} == {"plain-card"}


def test_what_the_gate_stops_is_not_reached_and_not_planned(text: str, samples: list[Sample]) -> None:
    (plain,) = [sample for sample in samples if sample.name == "plain-card"]
    tested = run_samples(text, [Sample("gone", {**plain.record, "status": "Cancelled", "payments": []})])
    assert {line.states for line in tested.lines} <= {("not reached",), ("warn",)}
    assert tested.planned == ()


def test_planned_calls_are_counted_and_summed(text: str, samples: list[Sample]) -> None:
    (plain,) = [sample for sample in samples if sample.name == "plain-card"]
    found = {name: (count, sums) for name, count, sums in sums_of(run_samples(text, [plain]).planned)}
    assert found["create once: invoice"] == (1, {"USD": Decimal("11.80")})
    assert found["create once: payment"] == (1, {"USD": Decimal("11.80")})
    assert found["mark as sent: invoice"] == (1, {})


def test_a_draft_that_does_not_compile_says_why(text: str, samples: list[Sample]) -> None:
    tested = run_samples(text.replace("lookup_table: ", "lookup_table: no_such_"), samples[:1])
    assert tested.lines == ()
    assert tested.error


def test_the_difference_names_what_the_draft_makes_otherwise(text: str, samples: list[Sample]) -> None:
    (plain,) = [sample for sample in samples if sample.name == "plain-card"]
    assert difference(text, text, plain.record) == ""
    spec = load_spec(text)
    changed = dump_spec(spec.model_copy(update={"settings": {**spec.settings, "invoice_prefix": "X-"}}))
    found = difference(text, changed, plain.record)
    assert '+      "invoice_number": "X-' in found
    assert difference("", text, plain.record).startswith("--- saved")


def test_the_picture_has_a_cell_for_every_line_and_sample(tested: SampleRun) -> None:
    cells = matrix_chart(tested, most=10)["data"]["values"]
    assert len(cells) == 10 * len(tested.samples)
    assert set(cells[0]) == {"field", "sample", "state"}
