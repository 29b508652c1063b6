"""`mapper review` as a command: exit codes, and comparisons that fail and must not look clean."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from mapper_ai.__main__ import main
from tests.review_repo import MAPPING, SAMPLES, SPEC, Repo, approved, make_repo, order

NOTES = ("- {path: notes}", "- {path: customerNotes}")
TODAY = ["--today", "2026-11-21"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    made = make_repo(tmp_path / "repo")
    made.git("checkout", "--quiet", "-b", "change")
    monkeypatch.chdir(made.root)
    return made


def failed(arguments: list[str], code: int, capsys: Captured, *, says: str) -> None:
    """The command ends with the code, one line on stderr, and nothing that reads like a result."""
    assert main(["review", *TODAY, *arguments]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1 and shown.err.startswith("mapper: "), shown.err
    assert says in shown.err


def test_exit_codes_follow_fail_on(repo: Repo, capsys: Captured) -> None:
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    codes = {
        what: main(["review", "--base", "main", "--fail-on", what, *TODAY])
        for what in ("high", "medium", "unapproved", "never")
    }
    assert codes == {"high": 0, "medium": 1, "unapproved": 0, "never": 0}
    repo.commit({MAPPING: repo.edit(("- {path: poNumber}", "- {path: po}"))})
    codes = {
        what: main(["review", "--base", "main", "--fail-on", what, *TODAY]) for what in ("high", "unapproved", "never")
    }
    assert codes == {"high": 1, "unapproved": 1, "never": 0}
    assert "digest-mismatch: invoice.po_number" in capsys.readouterr().out


def test_it_writes_a_file_and_works_from_a_folder_inside(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    monkeypatch.chdir(repo.root / "mappings")
    out = tmp_path / "review.json"
    assert main(["review", "acme", "--base", "main", "--format", "json", "--output", str(out), *TODAY]) == 0
    assert capsys.readouterr().out == ""
    data = json.loads(out.read_text("utf-8"))
    assert [row["id"] for row in data["specs"][0]["findings"]] == ["source-changed"]
    assert data["specs"][0]["effects"]["samples"] == 5


def test_what_counts_is_where_the_branch_left_the_base(repo: Repo, capsys: Captured) -> None:
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    repo.git("checkout", "--quiet", "main")
    repo.commit({MAPPING: approved(repo.edit(("- {path: poNumber}", "- {path: po}")))})
    repo.git("checkout", "--quiet", "change")
    assert main(["review", "--base", "main", *TODAY]) == 0
    out = capsys.readouterr().out
    assert "invoice.notes" in out and "invoice.po_number" not in out


def test_a_moved_file_is_no_change_and_a_removed_one_is(repo: Repo, capsys: Captured) -> None:
    repo.git("mv", MAPPING, "mappings/orders.yaml")
    repo.commit({}, "move")
    assert main(["review", "--base", "main", "--fail-on", "medium", *TODAY]) == 0
    assert f"moved from {MAPPING}" in capsys.readouterr().out
    repo.commit({"mappings/orders.yaml": None}, "remove")
    assert main(["review", "--base", "main", *TODAY]) == 1
    assert "spec-removed" in capsys.readouterr().out


def test_a_new_mapping_has_to_be_approved(repo: Repo, capsys: Captured) -> None:
    other = SPEC.replace("acme/order-to-invoice", "acme/other")
    repo.commit({"mappings/acme/other.yaml": other})
    assert main(["review", "--base", "main", *TODAY]) == 1
    out = capsys.readouterr().out
    assert "spec-added" in out and "not-approved: invoice.notes" in out


def test_what_is_not_committed_is_said_to_be_left_out(repo: Repo, capsys: Captured) -> None:
    repo.write({MAPPING: repo.edit(NOTES)})
    assert main(["review", "--base", "main", *TODAY]) == 0
    assert "not committed are not reviewed" in capsys.readouterr().err


def test_an_unknown_base_fails(repo: Repo, capsys: Captured) -> None:
    failed(["--base", "origin/main"], 4, capsys, says="base 'origin/main': there is no such commit here")
    failed(["--base=--all"], 4, capsys, says="is no name of a commit")


def test_an_invalid_mapping_fails(repo: Repo, capsys: Captured) -> None:
    repo.commit({MAPPING: repo.edit(("- {path: notes}", "- {pathh: notes}"))})
    failed(["--base", "main"], 3, capsys, says="did you mean 'path'?")


def test_a_base_that_is_no_mapping_fails(repo: Repo, capsys: Captured) -> None:
    good = repo.text()
    repo.git("checkout", "--quiet", "main")
    repo.commit({MAPPING: "spec: [\n"})
    repo.git("checkout", "--quiet", "-B", "change")
    repo.commit({MAPPING: good})
    failed(["--base", "main"], 4, capsys, says="at the base")


def test_a_damaged_object_of_the_base_fails(repo: Repo, capsys: Captured) -> None:
    blob = repo.git("rev-parse", f"main:{MAPPING}")
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    path = repo.root / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    path.write_bytes(b"\x78\x9c damaged")
    failed(["--base", "main"], 4, capsys, says="git")
    path.unlink()
    failed(["--base", "main"], 4, capsys, says="missing or damaged in git")


def test_missing_samples_fail(repo: Repo, capsys: Captured) -> None:
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    failed(["--base", "main", "--samples", "nowhere"], 4, capsys, says="nowhere: no such folder of samples")
    gone = {str(path.relative_to(repo.root)): None for path in (repo.root / "samples").iterdir()}
    repo.commit(dict(gone))
    failed(["--base", "main"], 4, capsys, says="all samples were removed")


def test_a_malformed_sample_fails(repo: Repo, capsys: Captured) -> None:
    repo.commit({"samples/order__bad.json": "{"})
    failed(["--base", "main"], 3, capsys, says="samples/order__bad.json")


@pytest.mark.parametrize("depth", ["1", "2"])
def test_a_shallow_clone_fails(
    repo: Repo, depth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for number in range(4):
        repo.commit({"readme": str(number)}, "more")
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    clone = tmp_path / "clone"
    subprocess.run(
        [
            "git",
            "clone",
            "--quiet",
            "--no-single-branch",
            "--depth",
            depth,
            "--branch",
            "change",
            repo.root.as_uri(),
            str(clone),
        ],
        check=True,
    )
    monkeypatch.chdir(clone)
    failed(["--base", "origin/main"], 4, capsys, says="fetch-depth: 0")
    # Even where both sides are one commit: what came before it is not known.
    failed(["--base", "HEAD~9"], 4, capsys, says="fetch-depth: 0")
    if depth == "1":
        failed(["--base", "HEAD"], 4, capsys, says="shallow")


def test_two_histories_without_a_common_commit_fail(repo: Repo, capsys: Captured) -> None:
    repo.git("checkout", "--quiet", "--orphan", "other")
    repo.commit({}, "orphan")
    failed(["--base", "main"], 4, capsys, says="no common ancestor")


def test_outside_a_repository_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    failed(["--base", "main"], 4, capsys, says="is in no git repository")


def test_no_mapping_where_one_was_named_is_wrong_usage(repo: Repo, capsys: Captured) -> None:
    failed(["--base", "main", "mapings"], 2, capsys, says="mapings: no mapping file there on either side")
    failed(["--base", "main", "/"], 2, capsys, says="is outside the repository")


def test_other_yaml_in_a_folder_is_left_alone_and_a_mapping_that_lost_its_name_is_not(
    repo: Repo, capsys: Captured
) -> None:
    repo.commit({"mappings/chart.yaml": "name: chart\nreplicas: 3\n", MAPPING: approved(repo.edit(NOTES))})
    assert main(["review", "--base", "main", "."]) == 0
    assert "source-changed" in capsys.readouterr().out
    failed(["--base", "main", "mappings/chart.yaml"], 3, capsys, says="mappings/chart.yaml")
    repo.commit({MAPPING: repo.edit(("spec: acme", "spc: acme"))})
    failed(["--base", "main"], 3, capsys, says=MAPPING)


def test_a_folder_may_tell_the_system_of_its_samples(repo: Repo, capsys: Captured) -> None:
    repo.commit({MAPPING: approved(repo.edit(NOTES)), "samples/clarity-rest/order__9.json": json.dumps(order(9))})
    other = approved(
        SPEC.replace("acme/order-to-invoice", "acme/cef").replace("clarity-rest", "clarity-cef"), bump=False
    )
    repo.commit({"mappings/acme/cef.yaml": other})
    assert main(["review", "--base", "main", "--format", "json", "--fail-on", "never", *TODAY]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {spec["spec"]: spec["effects"]["samples"] for spec in data["specs"]} == {
        "acme/cef": 5,
        "acme/order-to-invoice": 6,
    }


def test_names_with_blanks_and_umlauts_are_quoted_where_they_must_be(repo: Repo, capsys: Captured) -> None:
    repo.git("mv", "mappings", "Zuordnungen für Bücher")
    repo.commit({}, "move")
    name = "Zuordnungen für Bücher/acme/order-to-invoice.yaml"
    repo.commit({name: approved(repo.edit(NOTES, name=name))})
    assert main(["review", "--base", "HEAD~1", "--format", "sarif", "Zuordnungen für Bücher", *TODAY]) == 0
    result = json.loads(capsys.readouterr().out)["runs"][0]["results"][0]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "Zuordnungen%20f%C3%BCr%20B%C3%BCcher/acme/order-to-invoice.yaml"
    assert main(["review", "--base", "HEAD~1", "Zuordnungen für Bücher", *TODAY]) == 0
    assert f"{name}:" in capsys.readouterr().out


def test_two_files_with_one_id_fail(repo: Repo, capsys: Captured) -> None:
    repo.commit({"mappings/acme/copy.yaml": repo.text()})
    failed(["--base", "main"], 3, capsys, says="give each mapping its own")


POLICY = """\
[review]
four_eyes = true
[review.owners]
"*" = ["ana@example.com", "ben@example.com"]
"payment.*" = ["eva@example.com"]
"""


def policed(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.commit({"mapper.toml": POLICY}, "policy")
    repo.git("checkout", "--quiet", "-B", "change")


def ids(capsys: Captured) -> list[str]:
    return re.findall(r"(?:high|medium|low) ([a-z-]+): ", capsys.readouterr().out)


def test_who_changed_a_part_does_not_approve_it(repo: Repo, capsys: Captured) -> None:
    policed(repo)
    changed = repo.edit(NOTES)
    repo.commit({MAPPING: changed}, author="Ana")
    repo.commit({MAPPING: approved(changed, by="Ana")}, author="Ben")
    assert main(["review", "--base", "main", *TODAY]) == 1
    assert sorted(ids(capsys)) == ["approver-not-owner", "self-approval", "source-changed"]
    repo.commit({MAPPING: approved(changed, by="ben@example.com")}, author="Ben")
    assert main(["review", "--base", "main", *TODAY]) == 0
    assert ids(capsys) == ["source-changed"]


def test_only_an_owner_of_the_part_approves_it_and_a_change_cannot_name_itself_owner(
    repo: Repo, capsys: Captured
) -> None:
    policed(repo)
    changed = repo.edit(("- {path: .method}", "- {path: .kind}"))
    repo.commit({MAPPING: changed, "mapper.toml": "[review]\nfour_eyes = false\n"})
    repo.commit({MAPPING: approved(changed, by="BEN@example.com")}, author="Ben")
    assert main(["review", "--base", "main", *TODAY]) == 1
    assert sorted(ids(capsys)) == ["approver-not-owner", "source-changed"]
    repo.commit({MAPPING: approved(changed, by="Eva@example.com")}, author="Ben")
    assert main(["review", "--base", "main", *TODAY]) == 0


def test_a_policy_that_cannot_be_read_fails(repo: Repo, capsys: Captured) -> None:
    repo.commit({"mapper.toml": "[review]\nfour_eye = true\n"})
    failed(["--base", "main"], 3, capsys, says="mapper.toml: review.four_eye: unknown key")


def test_personal_values_are_masked_in_every_format(repo: Repo, capsys: Captured) -> None:
    plain = order(1, notes="Call Jane Roe-Smith on 555-0199", customerNotes="jane.roe@example.com")
    plain["customer"] |= {"firstName": "Jacqueline", "email": "jacqueline@example.org"}
    repo.git("checkout", "--quiet", "main")
    others = {f"samples/{name}.json": None for name in SAMPLES if name != "order__plain"}
    repo.commit({"samples/order__plain.json": json.dumps(plain), **others})
    repo.git("checkout", "--quiet", "-B", "change")
    repo.commit(
        {
            MAPPING: repo.edit(
                NOTES,
                ("- {path: customer.firstName}", "- {path: customer.firstName}\n      - {case: upper}"),
                ("{coalesce: [customer.id, customer.email]}", "{path: customer.email}"),
            )
        }
    )
    for name in ("markdown", "text", "json", "sarif", "github", "gitlab", "junit"):
        main(["review", "--base", "main", "--format", name, *TODAY])
        shown = capsys.readouterr().out.casefold()
        assert "order__plain" in shown
        assert not re.search("jacqueline|roe-smith|555-0199|jane", shown)
