"""Changes of a mapping that proposes corrections: exactly the expected findings, in words people know."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from mapper_ai.services.review.formats import FORMATS
from mapper_ai.services.review.report import Review
from mapper_ai.services.review.run import review
from mapspec import dump_spec, load_spec
from mapspec.diff_corrections import of_member, said_of
from mapspec.diff_rules import RULES
from tests.flows import MAPPINGS
from tests.review_repo import Repo, approved, make_repo

FILES = Path(__file__).parent / "files"
MAPPING = "mappings/acme/refund-to-correction.yaml"
WAYS, MONEY = (
    "ways: [credit_note, lower_payment]",
    "money: {amount: amount, tax: taxAmount, currency: currency, payment: paymentId",
)
Review_ = Callable[[str, str, str], Review]


@dataclass(frozen=True)
class Change:
    """One change; `found` is rule, risk and what the message says."""

    name: str
    old: str
    new: str
    found: tuple[tuple[str, str, str], ...]


CHANGES = (
    Change(
        "way-removed", WAYS, "ways: [credit_note]", (("way-removed", "low", "no longer offers a way: lower_payment"),)
    ),
    Change(
        "ways-turned",
        WAYS,
        "ways: [lower_payment, credit_note]",
        (("way-first-changed", "medium", "proposes lower_payment first, not credit_note"),),
    ),
    Change(
        "way-exchanged",
        WAYS,
        "ways: [lower_payment]",
        (
            ("way-first-changed", "medium", "proposes lower_payment first, not credit_note"),
            ("way-removed", "low", "no longer offers a way: credit_note"),
        ),
    ),
    Change(
        "amount-tax-and-payment",
        MONEY,
        "money: {amount: total, currency: currency, payment: chargeId",
        (
            ("key-changed", "high", "which payment is paid back: read from chargeId, not from paymentId"),
            ("money-changed", "high", "the amount to be paid back: read from total, not from amount"),
            ("tax-changed", "high", "the tax in what is paid back: no longer read"),
        ),
    ),
)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Review_:
    repo: Repo = make_repo(tmp_path_factory.mktemp("corrections") / "repo")
    spec = load_spec((MAPPINGS / "refund-to-correction.yaml").read_text("utf-8"))
    text = dump_spec(spec.model_copy(update={"spec": "acme/refund-to-correction"}))
    repo.commit({MAPPING: approved(text)}, "corrections")
    base = repo.git("rev-parse", "HEAD")

    def made(name: str, old: str, new: str) -> Review:
        repo.git("checkout", "--quiet", "-B", name, base)
        before = (repo.root / MAPPING).read_text("utf-8")
        assert old in before
        after = before.replace(old, new).replace("version: 1", "version: 2")
        repo.commit({MAPPING: approved(after)}, name)
        return review(repo.root, base, today=date(2026, 11, 21))

    return made


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_of_a_proposing_step_says_what_it_means(reviewed: Review_, change: Change) -> None:
    found = reviewed(change.name, change.old, change.new)
    told = sorted((row.id, row.risk, row.message) for row in found.findings if row.path == MAPPING)
    assert [row[:2] for row in told] == [row[:2] for row in change.found]
    for row, (_, _, says) in zip(told, change.found, strict=True):
        assert says in row[2]
    assert {row[0] for row in told} <= RULES.keys()
    shown = "".join(f"=== {name}\n{FORMATS[name](found, 'high')}" for name in ("text", "markdown"))
    shown = re.sub(found.head, "HEAD", shown).replace(found.base, "BASE")
    shown = shown.replace(found.head[:10], "HEAD").replace(found.base[:10], "BASE")
    golden = FILES / f"review__correction-{change.name}.txt"
    if os.environ.get("MAPPER_UPDATE_GOLDEN"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text("utf-8")


def test_one_more_way_and_another_kind_are_grave() -> None:
    more = list(of_member("r", "ways", ["credit_note"], ["credit_note", "lower_payment"]))
    assert more == [("way-added", "lower_payment", "step 'r' offers one more way: lower_payment")]
    ((rule, _, message),) = of_member("r", "correction", "edit", "cancel")
    assert message == "step 'r' proposes corrections of another kind: cancel, not edit"
    assert RULES["way-added"].risk == RULES[rule].risk == "high"


def test_a_renamed_step_is_no_change_and_a_new_one_says_what_it_proposes(reviewed: Review_) -> None:
    found = reviewed("renamed", "id: refund\n    do: propose", "id: pay_back\n    do: propose")
    assert [row.id for row in found.findings if row.path == MAPPING] == []
    assert said_of({"correction": "refund", "ways": ["credit_note"]}) == "proposes each refund to a person: credit_note"
