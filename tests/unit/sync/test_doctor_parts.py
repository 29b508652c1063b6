"""The doctor's pure parts: probe invoices, limits, the file, and what follows from findings."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from mapspec.totals import MODES, Tax, TotalLine, predict
from sync.doctor import amounts, lengths
from sync.doctor.file import NOTE, read_section, settings_of, write_section
from sync.doctor.finding import Finding
from sync.doctor.judge import SpecAmounts, judge
from sync.errors import InputError
from sync.findings import FreshBooksFindings, refusals

TODAY = date(2026, 3, 1)
ACCOUNT = {"date": TODAY, "url": "https://api.freshbooks.com", "account": "ABC"}


@pytest.mark.parametrize("lines", amounts.ROUNDING_PROBES)
def test_a_probe_invoice_tells_every_mode_from_every_other(lines: Any) -> None:
    totals = predict(lines, 2)
    assert all(totals[one] != totals[other] for one, other in combinations(MODES, 2))


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_behind_the_totals_is_the_only_one_left(mode: Any) -> None:
    observed = [(lines, predict(lines, 2)[mode]) for lines in amounts.ROUNDING_PROBES]
    assert amounts.fitting_modes(observed) == [mode]


def test_an_invoice_that_rounds_alike_under_all_modes_leaves_them_all() -> None:
    lines = [TotalLine(Decimal(1), Decimal("10.00"), (Tax("A", Decimal(10)),))]
    assert amounts.fitting_modes([(lines, Decimal("11.00"))]) == list(MODES)


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 49, 50, 255, 256, 1000, 4095])
@pytest.mark.parametrize("kind", ["names", "silent", "cuts"])
def test_a_limit_is_found_however_the_server_shows_it(limit: int, kind: str) -> None:
    def keeps(text: str) -> tuple[lengths.Verdict, str]:
        if len(text) <= limit:
            return "kept", text
        if kind == "cuts":
            return "cut", text[:limit]
        return "refused", f"at most {limit} characters" if kind == "names" else "too long"

    found = lengths.find_limit(keeps)
    assert found is not None
    assert (found.length, found.cut) == (limit, kind == "cuts")
    assert found.tries <= (13 if kind == "silent" else 3)


def test_a_number_in_a_message_that_is_no_limit_misleads_nobody() -> None:
    said = "error 1017: 60 seconds"
    found = lengths.find_limit(lambda text: ("kept" if len(text) <= 77 else "refused", said))
    assert found is not None
    assert found.length == 77


def test_a_field_that_keeps_nothing_has_no_limit() -> None:
    assert lengths.find_limit(lambda _text: ("refused", "")) is None


BEFORE = """# Settings of the runner
[policies]   # do not touch
lock_date = 2026-01-01

# about polling
[poll]
interval_s = 60
note = '''
[systems.freshbooks.findings]
'''
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_section_is_replaced_and_the_rest_stays_to_the_byte(tmp_path: Path, newline: str) -> None:
    text = BEFORE.replace("note = '''\n[systems.freshbooks.findings]\n'''\n", "").replace("\n", newline)
    path = tmp_path / "mapper.toml"
    path.write_bytes(text.encode())
    write_section(path, "freshbooks", {**ACCOUNT, "filters": {"client.email": "equals"}})
    after = path.read_bytes().decode()
    assert after.startswith(text)
    path.write_bytes((after + newline + "# the end" + newline + "[last]" + newline + "a = 1" + newline).encode())
    write_section(path, "freshbooks", {**ACCOUNT, "emoji": "refuse", "checked": {"emoji": TODAY}})
    write_section(path, "clarity", {"date": TODAY, "url": "x"})
    write_section(path, "freshbooks", {**ACCOUNT, "emoji": "accept", "filters": {"a.b": "like"}})
    final = path.read_bytes().decode()
    assert final.startswith(text)
    assert newline.join(["# the end", "[last]", "a = 1", ""]) in final
    assert final.count(NOTE) == 2
    assert read_section(path, "freshbooks") == {**ACCOUNT, "emoji": "accept", "filters": {"a.b": "like"}}
    assert "\n\n\n" not in final.replace("\r", "")


def test_a_section_written_another_way_is_refused_and_kept(tmp_path: Path) -> None:
    for text in ('systems = {freshbooks = {findings = {emoji = "accept"}}}\n', BEFORE):
        path = tmp_path / "mapper.toml"
        path.write_text(text)
        if text is BEFORE:
            # A header inside a multi-line text is no header; rather nothing is written than something broken.
            with pytest.raises(InputError):
                write_section(path, "freshbooks", ACCOUNT)
        else:
            with pytest.raises(InputError, match=r"write the section as \[systems.freshbooks.findings\]"):
                write_section(path, "freshbooks", ACCOUNT)
        assert path.read_text() == text
        assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "doctor.toml"
    real.write_text("")
    real.chmod(0o600)
    link.symlink_to(real)
    write_section(link, "freshbooks", ACCOUNT)
    assert link.is_symlink()
    assert tomllib.loads(real.read_text())["systems"]["freshbooks"]["findings"] == ACCOUNT
    assert real.stat().st_mode & 0o777 == 0o600


def test_what_was_not_asked_again_keeps_its_day() -> None:
    old = date(2025, 1, 1)
    before = {**ACCOUNT, "date": old, "rounding": "tax", "checked": {"rounding": old, "emoji": old}, "emoji": "refuse"}
    content = settings_of([Finding("emoji", "kept", "emoji", "accept", 1)], before, ACCOUNT, TODAY)
    assert content["rounding"] == "tax"
    assert content["emoji"] == "accept"
    assert content["checked"] == {"rounding": old, "emoji": TODAY}


def findings(**known: Any) -> FreshBooksFindings:
    return FreshBooksFindings.model_validate({**ACCOUNT, **known})


def invoice(**line: Any) -> dict[str, Any]:
    cost = {"amount": "1.00", "code": "USD"}
    return {"currency_code": "USD", "lines": [{"name": "Mug", "qty": "1", "unit_cost": cost, **line}]}


def cost(amount: str) -> dict[str, str]:
    return {"amount": amount, "code": "USD"}


@pytest.mark.parametrize(
    ("known", "entity", "body", "part"),
    [
        ({"unit_cost_places": 2}, "invoice", invoice(unit_cost=cost("1.005")), "unit_cost has 3 decimals"),
        ({"negative_lines": False}, "invoice", invoice(unit_cost=cost("-1.00")), "below zero"),
        ({"tax_percent_places": 2}, "invoice", invoice(taxAmount1="8.125"), "taxAmount1 has 3 decimals"),
        ({"emoji": "refuse"}, "invoice", invoice(name="\U0001f642"), "line.name holds a character"),
        ({"emoji": "altered"}, "client", {"fname": "\U0001f642"}, "client.fname holds a character"),
        ({"max_lengths": {"client.fname": 3}}, "client", {"fname": "Anna"}, "client.fname has 4 characters"),
        ({"max_lengths": {"line.name": 2}}, "invoice", invoice(), "line.name has 3 characters"),
    ],
)
def test_what_the_account_would_refuse_or_change_is_told(
    known: dict[str, Any], entity: str, body: dict[str, Any], part: str
) -> None:
    (told,) = refusals(findings(**known), entity, body)
    assert part in told
    assert refusals(findings(), entity, body) == []
    assert refusals(None, entity, body) == []


def test_trailing_zeros_and_other_currencies_are_not_too_many_decimals() -> None:
    known = findings(unit_cost_places=2, tax_percent_places=2)
    assert refusals(known, "invoice", invoice(unit_cost=cost("1.5000"), taxAmount1="8.2500")) == []
    dinar = invoice(unit_cost={"amount": "1.005", "code": "KWD"})
    assert refusals(known, "invoice", {**dinar, "currency_code": "KWD"}) == []


@pytest.mark.parametrize(
    ("known", "spec", "part"),
    [
        ({"unit_cost_places": 2}, (3, False), "unit_cost_places is 3, the account keeps 2"),
        ({"negative_lines": False}, (2, True), "negative_lines is true"),
        ({"duplicate_number": "accept"}, (2, False), "duplicate invoice numbers are accepted"),
        ({"filters": {"invoice.vis_state": "ignored"}}, (2, False), "deleted invoices cannot be searched"),
        ({"tax_percent_places": 2}, (2, False), "the profile promises 3"),
    ],
)
def test_contradictions_are_named(known: dict[str, Any], spec: tuple[int, bool], part: str) -> None:
    verdict = judge(findings(**known), [SpecAmounts("order.yaml", *spec)], settle_s=20)
    (told,) = verdict.contradictions
    assert part in told


def test_findings_that_agree_contradict_nothing() -> None:
    agreeing = findings(unit_cost_places=2, negative_lines=True, duplicate_number="refuse", lag_s=1)
    assert judge(agreeing, [SpecAmounts("order.yaml", 2, True)], settle_s=20).contradictions == ()
