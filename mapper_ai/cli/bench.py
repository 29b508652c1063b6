"""`mapper bench`: how good the suggestions are on a folder of gold cases."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mapper_ai.cli.commands import DONE, as_json, note, say
from mapper_ai.cli.tables import table

if TYPE_CHECKING:
    from mapper_ai.core.evaluation import Figure


def configure_bench(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper bench`."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="a case (source.json, target.json, gold.json) or a folder of",
    )
    left = "train and calibrate on the other pairs of systems for each case, instead of asking the shipped scorer"
    parser.add_argument("--leave-out", action="store_true", help=left)
    parser.add_argument("--domain", default="", metavar="NAME", help="only cases of this domain, such as commerce")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the plots there: PNG files and bench.html")
    parser.add_argument("--json", action="store_true", help="for machines")


def run_bench(args: argparse.Namespace) -> int:
    """Measure, print, draw."""
    from mapper_ai.services.bench import run_bench as measured
    from mapper_ai.services.learning.gold import read_cases

    cases = read_cases(args.folders, domain=args.domain)
    if args.leave_out:
        from mapper_ai.services.learning.training import leave_out

        report = leave_out(cases, tell=note)
    else:
        report = measured(cases)
    if args.json:
        say(as_json(report.as_data()))
    else:
        table(
            ("case", "gold", "accepted", "right", "MRR", "R@1", "F1", "ECE"),
            [
                (
                    name,
                    *(str(score.gold), str(score.accepted), str(score.right)),
                    *(f"{score.mrr:.3f}", f"{score.recall_at_1:.3f}", f"{score.f1:.3f}", _number(score.ece)),
                )
                for name, score in report.cases.items()
            ],
        )
        say()
        table(
            ("measure", "value", "95 % interval"),
            [(name, _number(figure.value), _interval(figure)) for name, figure in report.figures.items()],
        )
    if args.out:
        from mapper_ai.services.bench_plots import write_report

        for path in write_report(report, args.out):
            note(f"written: {path}")
    how = "each left out of training" if report.held_out else "by the shipped scorer, which has learned from some cases"
    note(f"{len(report.cases)} case(s), {len(report.groups)} pair(s) of systems, {how}")
    return DONE


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(figure: Figure) -> str:
    return "" if figure.low is None or figure.high is None else f"{figure.low:.3f} to {figure.high:.3f}"
