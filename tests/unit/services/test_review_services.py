"""What the review works with, without any page."""

from __future__ import annotations

import pytest

from mapper_ai.services import step_forms
from mapper_ai.services.approving import why_not
from mapper_ai.services.kept import Kept, meaning, same_meaning
from mapper_ai.services.lookups import proposed_value
from mapper_ai.services.review.policy import Policy
from mapspec.ops import parse_step
from mapspec.yamltext import read_yaml

STEPS = "- {path: customer.email}\n- {max_length: {n: 255, over: truncate}}"


def test_every_operation_can_be_added_and_shown_as_a_form() -> None:
    for _, name, words in step_forms.operations():
        text = step_forms.with_step(STEPS, name)
        forms = step_forms.forms_of(text)
        assert forms is not None and forms[-1].name == name and words, text
        assert step_forms.forms_of(step_forms.without_step(text, 2)) == step_forms.forms_of(STEPS)


def test_an_argument_is_changed_and_left_out() -> None:
    longer = step_forms.with_argument(STEPS, 1, "n", 20)
    step = parse_step(read_yaml(longer, where="t")[0][1])
    assert step.arguments() == {"n": 20, "over": "truncate"}
    assert step_forms.forms_of(step_forms.with_argument(longer, 1, "over", None)) is not None
    assert step_forms.moved_up(STEPS, 1).splitlines()[1] == "- {path: customer.email}"
    assert step_forms.forms_of("- {tirm: }") is None


@pytest.mark.parametrize(
    ("by", "changed_by", "problem"),
    [
        ("ben@example.com", "ana@example.com", ""),
        ("ana@example.com", "ana@example.com", "another person"),
        ("ANA@example.com", "ana", "another person"),
        ("eve@example.com", "", "is approved by"),
    ],
)
def test_owners_and_the_second_pair_of_eyes(by: str, changed_by: str, problem: str) -> None:
    policy = Policy(four_eyes=True, owners={"*": ("ana@example.com", "ben@example.com")})
    found = why_not(policy, "client.email", by, changed_by)
    assert problem in found and bool(found) == bool(problem)


def test_a_row_is_proposed_from_keys_values_and_what_the_target_takes() -> None:
    rows = {"credit_card": "Credit Card", "wire": "Bank Transfer"}
    assert proposed_value("CreditCard", rows, ()) == "Credit Card"
    assert proposed_value("bank transfers", rows, ()) == "Bank Transfer"
    assert proposed_value("pay pal", rows, ("PayPal", "Other")) == "PayPal"
    assert proposed_value("zzz", rows, ("PayPal",)) == ""


def test_what_was_kept_longest_ago_goes_first_and_errors_are_not_kept() -> None:
    kept: Kept[int] = Kept(2)
    assert [kept.get(key, lambda key=key: len(key)) for key in ("a", "bb", "a", "ccc")] == [1, 2, 1, 3]
    assert (kept.get("a", lambda: 9), kept.get("bb", lambda: 9)) == (1, 9)
    with pytest.raises(ValueError):
        kept.get("x", lambda: int("x"))
    assert kept.get("x", lambda: 7) == 7


def test_a_decided_text_means_what_the_first_one_did() -> None:
    same_meaning("test: second", "test: first")
    same_meaning("test: third", "test: second")
    assert meaning("test: third") == meaning("test: first") == "test: first"
    assert meaning("test: other") == "test: other"
