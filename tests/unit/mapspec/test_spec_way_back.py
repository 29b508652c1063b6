"""What the way back adds to the spec: who prevails in a conflict, and steps that only change what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.registry import load_system
from mapper_ai.services.kinds import kind_for
from mapper_ai.services.propose import propose
from mapspec import digests, load_spec
from mapspec.checks import check_spec
from mapspec.codec import load_with_lines
from mapspec.diff import diff_specs

MAPPINGS = Path(__file__).resolve().parents[3] / "mappings"
CLIENT = (MAPPINGS / "freshbooks-clarity" / "client-to-customer.yaml").read_text("utf-8")


def test_a_rule_without_a_conflict_policy_has_the_digest_it_had() -> None:
    spec = load_spec((MAPPINGS / "clarity-freshbooks" / "customer-to-client.yaml").read_text("utf-8"))
    assert digests(spec)["client.fname"] == spec.rules()["client.fname"].approval.digest


def test_another_policy_is_another_meaning_and_is_told() -> None:
    old = load_spec(CLIENT)
    new = load_spec(CLIENT.replace("conflict: newest_wins", "conflict: source_wins", 1))
    assert digests(old)["customer.firstName"] != digests(new)["customer.firstName"]
    changes = diff_specs(old, new).changes
    assert [(c.aspect, c.part, c.before, c.after) for c in changes] == [
        ("conflict", "customer.firstName", "newest_wins", "source_wins")
    ]


def test_a_policy_where_nothing_is_updated_is_an_error() -> None:
    text = CLIENT.replace("do: update, target: customer", "do: upsert, target: customer, key: ['{id}'], match: [email]")
    spec, lines = load_with_lines(text)
    fields = load_system("clarity-rest").fields("customer")
    found = check_spec(spec, lines=lines, contracts={"clarity-rest/customer": fields}, source_fields=None)
    assert "conflict-without-update" in {finding.id for finding in found}


@pytest.mark.parametrize(
    ("target", "folder", "file"),
    [
        ("clarity-rest:order", "freshbooks-clarity", "invoice-paid"),
        ("clarity-rest:customer", "freshbooks-clarity", "client-to-customer"),
        ("clarity-cef:order", "freshbooks-clarity-cef", "invoice-paid"),
    ],
)
def test_the_shipped_mappings_are_what_the_tool_proposes(target: str, folder: str, file: str) -> None:
    kind = kind_for(target)
    assert kind == file
    proposal = propose(kind, [], flavour=target.partition(":")[0])
    shipped = load_spec((MAPPINGS / folder / f"{file}.yaml").read_text("utf-8"))
    assert digests(proposal.spec) == digests(shipped)
    assert [finding for finding in proposal.findings if finding.level == "error"] == []
