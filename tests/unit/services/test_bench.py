"""`mapper bench` reads gold cases, leaves groups out where something is trained, and draws what it found."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.core.evaluation import Prediction
from mapper_ai.errors import InputError
from mapper_ai.services.bench import Predict, predictions, run_bench, suggested
from mapper_ai.services.bench_plots import write_report
from mapper_ai.services.learning.gold import Case, platform_pair, read_cases

ROOT = Path(__file__).resolve().parents[3]
SUGGEST = ROOT / "fixtures" / "suggest"
SCORER = ROOT.parent / "shared" / "benchmark" / "score.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cases of two pairs of systems, made of one pair of samples."""
    source = json.loads((SUGGEST / "web_order.json").read_text("utf-8"))
    target = json.loads((SUGGEST / "erp_invoice.json").read_text("utf-8"))
    gold = json.loads((SUGGEST / "gold_invoice.json").read_text("utf-8"))
    pairs = [
        {"source": found, "target": name, "kind": "equal"} for name, found in gold.items() if isinstance(found, str)
    ]
    for number, name in enumerate(("web_erp_order", "web_erp_invoice", "other_books_order")):
        content = {"domain": "commerce" if number < 2 else "other", "pairs": pairs[number:]}
        content["ignored_targets"] = [pair["target"] for pair in pairs[:number]]
        (tmp_path / name).mkdir()
        for file, value in (("source", source), ("target", target), ("gold", content)):
            (tmp_path / name / f"{file}.json").write_text(json.dumps(value), "utf-8")
    return tmp_path


def test_cases_are_read_grouped_and_scored(folder: Path) -> None:
    cases = read_cases([folder])
    assert [(case.name, case.group) for case in cases] == [
        ("other_books_order", "other_books"), ("web_erp_invoice", "web_erp"), ("web_erp_order", "web_erp"),
    ]  # fmt: skip
    report = run_bench(cases)
    assert report.groups == {"other_books": ("other_books_order",), "web_erp": ("web_erp_invoice", "web_erp_order")}
    assert all(score.mrr > 0.8 for score in report.cases.values())
    assert report == run_bench(cases[::-1])
    assert [case.name for case in read_cases([folder], domain="other")] == ["other_books_order"]
    assert read_cases([folder / "web_erp_order"])[0].name == "web_erp_order"
    assert platform_pair("stripe_xero_invoice") == "stripe_xero"


def test_a_trained_scorer_never_sees_the_group_it_is_asked_about(folder: Path) -> None:
    seen: list[tuple[set[str], str]] = []

    def train(cases: Sequence[Case]) -> Predict:
        learned = {case.group for case in cases}

        def predict(case: Case) -> list[Prediction]:
            seen.append((learned, case.group))
            return predictions(suggested(case))

        return predict

    cases = read_cases([folder])
    report = run_bench(cases, train=train)
    assert report.held_out
    assert sorted(group for _, group in seen) == ["other_books", "web_erp", "web_erp"]
    assert all(learned and group not in learned for learned, group in seen)
    with pytest.raises(InputError, match="two pairs of systems"):
        run_bench([case for case in cases if case.group == "web_erp"], train=train)


def test_plots_are_pictures_and_one_page_that_asks_nobody(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "deep"
    written = write_report(run_bench(read_cases([folder])), out)
    assert sorted(path.name for path in written) == ["bench.html", "cases.png", "reliability.png", "risk-coverage.png"]
    for path in written[:3]:
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert path.stat().st_size > 3000
    page = (out / "bench.html").read_text("utf-8")
    assert page.count("<svg") == 3 and "web_erp_order" in page
    assert not re.findall(r"(?:src|href|url|import)\s*[=(]\s*[\"']?(?:https?:)?//", page)
    assert "<script" not in page


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("{", "gold.json: no JSON"),
        ("[]", "gold.json: expected an object with a list of 'pairs'"),
        ('{"pairs": [{"target": "a"}]}', "gold.json: pair 1: expected 'source'"),
        ('{"pairs": [{"source": [], "target": "a"}]}', "gold.json: pair 1"),
    ],
)
def test_bad_gold_is_named(folder: Path, gold: str, message: str) -> None:
    (folder / "web_erp_order" / "gold.json").write_text(gold, "utf-8")
    with pytest.raises(InputError, match=message):
        read_cases([folder])


def test_a_folder_without_cases_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder with a gold\.json"):
        read_cases([tmp_path])
    with pytest.raises(InputError, match="no such folder"):
        read_cases([tmp_path / "none"])


@pytest.mark.skipif(not SCORER.is_file(), reason="the benchmark's own scorer is not beside this project")
def test_the_measures_are_those_of_the_benchmarks_scorer(folder: Path, tmp_path: Path) -> None:
    found = importlib.util.spec_from_file_location("score", SCORER)
    assert found is not None and found.loader is not None
    score: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(score)
    cases = read_cases([folder])
    for case in cases:
        rows = [
            {"source": list(row.sources), "target": row.target, "confidence": row.confidence, "accepted": row.accepted}
            for row in predictions(suggested(case))
        ]
        (tmp_path / f"{case.name}.json").write_text(json.dumps(rows), "utf-8")
    _, total = score.run(str(folder), str(tmp_path), quiet=True)
    report = run_bench(cases)
    for own, other in {
        **{name: name for name in ("MRR", "F1")},
        "Recall@1": "R@1",
        "Recall@3": "R@3",
        "Precision": "P",
        "Recall": "R",
        "Recall@GT": "R@GT",
        "ECE": "ECE_pooled",
        "AURC": "AURC_pooled",
        "P>=0.9": "P>=.9",
    }.items():
        assert report.figures[own].value == pytest.approx(total[other]), own
