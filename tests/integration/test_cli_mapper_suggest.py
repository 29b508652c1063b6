"""`mapper profile` and `mapper suggest` as processes: samples and contracts in, candidates and specs out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from mapper_ai.services.kinds import blueprint
from mapspec import compile_spec, digests, load_spec, unapproved
from tests.integration.test_cli_mapper_specs import FIXTURES, ORDER, mapper

SOURCE = [
    {"id": "A-1", "customer": {"firstName": "Ana", "lastName": "Nunez"}, "items": [{"sku": "X-1", "quantity": 2}]},
    {"id": "A-2", "customer": {"firstName": "Bo", "lastName": "Lund"}, "items": [{"sku": "X-2", "quantity": 1}]},
]
TARGET = [{"client": {"first_name": "C", "last_name": "D"}, "lines": [{"item_sku": "Q-9", "qty": 4}]}]


def files(folder: Path) -> tuple[Path, Path]:
    source, target = folder / "source.json", folder / "target.json"
    source.write_text(json.dumps(SOURCE), encoding="utf-8")
    target.write_text(json.dumps(TARGET), encoding="utf-8")
    return source, target


def suggest(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    result = mapper("suggest", *arguments)
    assert result.returncode == 0, result.stderr
    return result


def test_candidates_are_ranked_and_one_a_target_is_accepted(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    rows: list[dict[str, Any]] = json.loads(suggest("--source", source, "--target", target, "--json", "-").stdout)
    keys = {"source", "target", "confidence", "accepted", "state", "no_match", "evidence"}
    assert all(set(row) - {"how", "lookup"} == keys for row in rows)
    assert all(0 <= row["confidence"] <= 1 for row in rows)
    accepted = {row["target"]: row["source"] for row in rows if row["accepted"]}
    assert accepted["client.first_name"] == "customer.firstName"
    assert accepted["lines[].item_sku"] == "items[].sku"
    assert accepted["lines[].qty"] == "items[].quantity"
    for target_path in {row["target"] for row in rows}:
        sure = [row["confidence"] for row in rows if row["target"] == target_path]
        assert sure == sorted(sure, reverse=True)


def test_json_goes_to_a_file_and_top_limits_the_candidates(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    out = tmp_path / "matches.json"
    result = suggest("--source", source, "--target", target, "--json", out, "--top", "1")
    assert result.stdout == ""
    rows = json.loads(out.read_text(encoding="utf-8"))
    targets = [row["target"] for row in rows]
    assert len(targets) == len(set(targets))


def test_sure_matches_are_accepted_with_a_measured_promise_and_never_keys(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    result = suggest("--source", source, "--target", target, "--accept-at", "0.6", "--json", "-")
    accepted = {row["target"] for row in json.loads(result.stdout) if row["accepted"]}
    assert accepted == {"client.first_name", "client.last_name"}
    assert "measured error on platforms left out of training, at 0.6: " in result.stderr
    assert "95 % interval" in result.stderr
    assert "left to a person, being money, tax or keys: lines[].item_sku, lines[].qty" in result.stderr
    assert mapper("suggest", "--source", source, "--target", target, "--accept-at", "0.3").returncode == 2


def test_a_spec_carries_who_accepted_what(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    out = tmp_path / "out.yaml"
    result = suggest("--source", source, "--target", target, "--spec", out, "--accept-at", "0.6")
    assert "accepted at 0.6 without a person: " in result.stdout
    spec = load_spec(out.read_text(encoding="utf-8"))
    (entity,) = spec.targets
    by = {part: rule.approval.by for part, rule in spec.rules().items()}
    assert by[f"{entity}.client.first_name"] == "auto-accept at 0.6"
    assert by[f"{entity}.lines[].qty"] is None


def test_another_scorer_may_be_tried(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    scorer = tmp_path / "scorer.json"
    scorer.write_text("{}", encoding="utf-8")
    result = mapper("suggest", "--source", source, "--target", target, "--scorer", scorer)
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert "scorer.json: no scorer" in result.stderr


def test_people_see_a_table(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    result = suggest("--source", source, "--target", target)
    assert result.stdout.startswith("target")
    assert "customer.firstName" in result.stdout
    assert "have a source" in result.stderr


def test_a_spec_between_two_files_works_on_its_samples(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    out = tmp_path / "out.yaml"
    suggest("--source", source, "--target", target, "--spec", out)
    spec = load_spec(out.read_text(encoding="utf-8"))
    (entity,) = spec.targets
    assert spec.blocks()[f"{entity}.lines[]"].each.text == "items[]"
    assert compile_spec(spec).apply(SOURCE[0]).decision == "go"
    assert unapproved(spec)
    assert mapper("validate", out).returncode == 0


def test_clarity_orders_become_the_blueprints_flow(tmp_path: Path) -> None:
    out = tmp_path / "order-to-invoice.yaml"
    result = suggest("--source", ORDER, "--target", "freshbooks:invoice", "--spec", out)
    assert "by the blueprint order-to-invoice" in result.stdout
    assert digests(load_spec(out.read_text(encoding="utf-8"))) == digests(blueprint("order-to-invoice"))


def test_a_contract_may_come_with_samples(tmp_path: Path) -> None:
    out = tmp_path / "spec.yaml"
    samples = FIXTURES / "payments.json"
    suggest(
        "--source", "clarity-rest:payment", "--samples", samples, "--target", "freshbooks:payment", "--spec", out
    )  # fmt: skip
    assert digests(load_spec(out.read_text(encoding="utf-8"))) == digests(blueprint("payment-to-payment"))


def test_a_spec_with_decisions_in_it_is_not_overwritten(tmp_path: Path) -> None:
    source, target = files(tmp_path)
    out = tmp_path / "out.yaml"
    out.write_text("kept", encoding="utf-8")
    result = mapper("suggest", "--source", source, "--target", target, "--spec", out)
    assert result.returncode == 2
    assert "--force" in result.stderr
    assert out.read_text(encoding="utf-8") == "kept"


def test_a_profile_of_samples_and_of_a_contract() -> None:
    result = mapper("profile", ORDER, "--json")
    shown = {row["path"]: row for row in json.loads(result.stdout)["fields"]}
    assert shown["customer.email"]["format"] == "email"
    assert shown["lineItems[].quantity"]["present_share"] == 1.0
    contract = {
        row["path"]: row for row in json.loads(mapper("profile", "freshbooks:invoice", "--json").stdout)["fields"]
    }
    assert contract["create_date"]["contract"]["required"] is True
    assert contract["due_date"]["contract"]["read_only"] is True


def test_a_missing_file_names_what_could_be_given() -> None:
    result = mapper("suggest", "--source", "none.json", "--target", "freshbooks:invoice")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert "none.json: no such file" in result.stderr
    assert "freshbooks:invoice" in result.stderr
