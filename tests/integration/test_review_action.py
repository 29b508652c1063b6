"""The GitHub action: its shell steps run for real on a repository, against a stand-in of GitHub's API for comments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from mapspec import load_spec
from tests.review_repo import MAPPING, Repo, approved, make_repo

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
NOTES = ("- {path: notes}", "- {path: customerNotes}")
TAX = ("- {line_price: tax_percent_1}", '- {line_price: tax_percent_1}\n          - {multiply: "1.1"}')
MARKER = "<!-- mapper-review -->"


@dataclass
class GitHub:
    """The comments of one pull request."""

    url: str
    comments: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)


@pytest.fixture
def github() -> Iterator[GitHub]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self, body: Any) -> None:
            raw = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def _body(self) -> str:
            known.calls.append((self.command, self.path, self.headers["Authorization"]))
            return str(json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}").get("body"))

        def do_GET(self) -> None:  # http.server's name
            self._body()
            page = int(re.findall(r"[?&]page=(\d+)", self.path)[0])
            self._answer(known.comments[(page - 1) * 100 : page * 100])

        def do_POST(self) -> None:
            text = self._body()
            known.comments.append({"id": len(known.comments) + 1, "user": {"type": "Bot"}, "body": text})
            self._answer({})

        def do_PATCH(self) -> None:
            text = self._body()
            number = int(self.path.rpartition("/")[2])
            next(row for row in known.comments if row["id"] == number)["body"] = text
            self._answer({})

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = GitHub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Job:
    """A run of the action, step by step, as the runner does it."""

    repo: Repo
    temp: Path
    github: GitHub
    event: str = "pull_request"
    fork: bool = False
    inputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    code: int = 0

    @property
    def summary(self) -> str:
        return (self.temp / "summary").read_text("utf-8")

    def run(self) -> Job:
        """Every step that has a script; a step that fails ends the job."""
        self.temp.mkdir(exist_ok=True)
        (self.temp / "summary").write_text("", encoding="utf-8")
        outputs: dict[str, str] = {}
        for step in ACTION["runs"]["steps"]:
            if not self._wanted(step.get("if", "")) or "run" not in step:
                continue
            (self.temp / "output").write_text("", encoding="utf-8")
            env = {name: self._value(text, outputs) for name, text in step.get("env", {}).items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
                cwd=self.repo.root,
                env={**self._runner(), **env},
                capture_output=True,
                text=True,
                check=False,
            )
            self.log += done.stdout + done.stderr
            for row in (self.temp / "output").read_text("utf-8").splitlines():
                name, _, value = row.partition("=")
                outputs[f"steps.{step['id']}.outputs.{name}"] = value
            if done.returncode:
                self.code = done.returncode
                break
        return self

    def _runner(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(self.temp / "output"),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary"),
            "GITHUB_REPOSITORY": "acme/books",
            "GITHUB_API_URL": self.github.url,
        }

    def _known(self) -> dict[str, str]:
        inputs = {name: str(row["default"]) for name, row in ACTION["inputs"].items()}
        inputs |= {"base": "main", "command": f"{sys.executable} -m mapper_ai", "token": "t-0k3n", **self.inputs}
        return {
            **{f"inputs.{name}": value for name, value in inputs.items()},
            "github.event_name": self.event,
            "github.action_path": str(ROOT),
            "github.repository": "acme/books",
            "github.event.pull_request.number": "7",
            "github.event.pull_request.head.repo.full_name": "eve/books" if self.fork else "acme/books",
        }

    def _value(self, text: str, outputs: dict[str, str]) -> str:
        known = {**self._known(), **outputs}
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known.get(found[1], ""), text)

    def _wanted(self, condition: str) -> bool:
        """Conditions of the action are comparisons joined by && alone, but for those of steps without a script."""
        inside = condition.removeprefix("${{").removesuffix("}}").strip()
        if not inside or "||" in inside:
            return not inside
        known = self._known()
        for part in inside.split("&&"):
            left, right = (side.strip() for side in part.split("=="))
            wanted = right.strip("'") if right.startswith("'") else known[right]
            if known[left] != wanted:
                return False
        return True


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = make_repo(tmp_path / "repo")
    made.git("checkout", "--quiet", "-b", "change")
    return made


def test_a_risky_change_fails_and_is_shown_everywhere(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    repo.commit({MAPPING: approved(repo.edit(TAX))})
    job = Job(repo, tmp_path / "temp", github).run()
    assert job.code == 1
    assert "tax-changed" in job.summary
    assert re.search(rf"::error file={MAPPING},line=\d+,col=\d+,title=high%3A tax-changed::", job.log)
    assert [row["body"] for row in github.comments] == [job.summary]
    assert job.summary.startswith(MARKER)
    sarif = json.loads((tmp_path / "temp" / "mapper-review-out" / "review.sarif").read_text("utf-8"))
    assert "tax-changed" in {row["ruleId"] for row in sarif["runs"][0]["results"]}
    assert {call[2] for call in github.calls} == {"Bearer t-0k3n"}
    assert "t-0k3n" not in job.log


def test_the_one_comment_is_updated_wherever_it_stands(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    others = [{"id": n, "user": {"type": "User"}, "body": MARKER + " not ours"} for n in range(1, 131)]
    github.comments += others
    repo.commit({MAPPING: approved(repo.edit(TAX))})
    assert Job(repo, tmp_path / "temp", github).run().code == 1
    repo.commit({MAPPING: approved(repo.edit((TAX[1], TAX[0]), NOTES))})
    job = Job(repo, tmp_path / "temp", github).run()
    assert job.code == 0
    assert len(github.comments) == 131
    assert github.comments[130]["body"] == job.summary and "tax-changed" not in job.summary
    assert all(row["body"] == MARKER + " not ours" for row in github.comments[:130])


def test_the_limit_is_an_input(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    assert Job(repo, tmp_path / "temp", github, inputs={"fail-on": "medium"}).run().code == 1


def test_a_fork_gets_the_summary_and_no_comment(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    repo.commit({MAPPING: approved(repo.edit(TAX))})
    job = Job(repo, tmp_path / "temp", github, fork=True, inputs={"sarif": "true"}).run()
    assert job.code == 1 and "tax-changed" in job.summary
    assert github.calls == []


def test_it_never_runs_on_pull_request_target(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    job = Job(repo, tmp_path / "temp", github, event="pull_request_target").run()
    assert job.code == 2 and github.calls == []
    assert "pull_request_target" in job.log


@pytest.mark.parametrize(
    ("inputs", "files", "code", "says"),
    [
        ({"base": "nowhere"}, {}, 4, "there is no such commit here"),
        ({"samples": "nowhere"}, {}, 4, "no such folder of samples"),
        ({"paths": "nowhere"}, {}, 2, "no mapping file there"),
        ({}, {MAPPING: "spec: [`$(touch hacked)`"}, 3, "not YAML"),
        ({"command": "/no/such/program"}, {}, 127, "Nothing was compared"),
    ],
    ids=["base", "samples", "paths", "invalid", "command"],
)
def test_a_comparison_that_failed_never_looks_clean(
    repo: Repo, tmp_path: Path, github: GitHub, inputs: dict[str, str], files: dict[str, str], code: int, says: str
) -> None:
    repo.commit(files)
    job = Job(repo, tmp_path / "temp", github, inputs=inputs).run()
    assert job.code == code
    assert f"Mapping review failed (exit code {code})" in job.summary and says in job.summary
    assert "::error title=mapper review failed::" in job.log
    assert [row["body"] for row in github.comments] == [job.summary]
    assert not (repo.root / "hacked").exists()


def test_errors_of_validate_fail_it_too(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    # Required by FreshBooks' contract; no risk of the review's rules by itself.
    text = repo.edit(("  client.fname:\n", "  client.nosuchfield:\n"))
    repo.commit({MAPPING: approved(text)})
    job = Job(repo, tmp_path / "temp", github).run()
    assert job.code == 3
    assert "mapper validate found errors" in job.summary and "unknown-target-path" in job.summary


def test_a_comment_that_fails_does_not_hide_the_result(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    repo.commit({MAPPING: approved(repo.edit(TAX))})
    github.url = "http://127.0.0.1:9"
    job = Job(repo, tmp_path / "temp", github).run()
    assert job.code == 1
    assert "::warning::the review is in the job's summary" in job.log


def test_paths_and_refs_are_never_read_as_shell_or_options(repo: Repo, tmp_path: Path, github: GitHub) -> None:
    repo.commit({MAPPING: approved(repo.edit(NOTES))})
    inputs = {"paths": "mappings\n$(touch hacked)", "base": "$(touch hacked)"}
    assert Job(repo, tmp_path / "temp", github, inputs=inputs).run().code == 4
    assert Job(repo, tmp_path / "temp", github, inputs={"base": "--output=hacked"}).run().code == 4
    assert not (repo.root / "hacked").exists()


def test_no_step_puts_an_expression_into_a_script() -> None:
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert len(scripts) >= 4
    assert not [script for script in scripts if "${{" in script]
    workflow = yaml.safe_load((ROOT / "ci/github-workflow.example.yml").read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert list(workflow[True]) == ["pull_request"]  # YAML 1.1 reads `on` so


def test_the_gitlab_job_runs(repo: Repo, tmp_path: Path) -> None:
    repo.commit({MAPPING: approved(repo.edit(TAX))})
    job = yaml.safe_load((ROOT / "ci/gitlab-mapper-review.yml").read_text("utf-8"))["mapper-review"]
    assert job["variables"]["GIT_DEPTH"] == "0"
    program = tmp_path / "bin" / "mapper"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mapper_ai "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": repo.git("rev-parse", "main"),
        **{name: str(value) for name, value in job["variables"].items()},
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(job["script"])],
        cwd=repo.root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    reports = [repo.root / name for name in job["artifacts"]["reports"].values()]
    assert all("tax-changed" in report.read_text("utf-8") for report in reports)


def test_hooks_accept_good_mappings_and_refuse_others(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    from mapper_ai.__main__ import main

    monkeypatch.chdir(repo.root)
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert [hook["id"] for hook in hooks] == ["mapper-fmt", "mapper-validate"]
    for hook in hooks:
        assert re.match(hook["files"], MAPPING)
        assert main([*hook["entry"].split()[1:], MAPPING]) == 0
    spec = load_spec(repo.text())
    repo.write({MAPPING: repo.text().replace(f"version: {spec.version}", f'version: "{spec.version}"') + "# end\n"})
    assert main([*hooks[0]["entry"].split()[1:], MAPPING]) == 1
    repo.write({MAPPING: "spec: ["})
    assert main([*hooks[1]["entry"].split()[1:], MAPPING]) == 3
