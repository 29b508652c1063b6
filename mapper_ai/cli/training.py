"""`mapper train`: fit the scorer on gold cases and say how well it does on platforms it has not seen."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapper_ai.cli.commands import DONE, as_json, note, say

if TYPE_CHECKING:
    from mapper_ai.core.evaluation import Figure


def configure_train(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper train`."""
    parser.add_argument(
        "--gold", nargs="+", type=Path, required=True, metavar="DIR", help="gold cases, or folders of such"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scorer, for mapper suggest --scorer")
    parser.add_argument("--generated", type=int, default=3, metavar="N", help="variations of each case (default 3)")
    parser.add_argument("--compare", action="store_true", help="measure other kinds of models beside it")
    parser.add_argument("--json", action="store_true", help="for machines")


def run_train(args: argparse.Namespace) -> int:
    """Train, measure with every platform pair left out in turn, and write the artefact."""
    from mapper_ai.errors import InputError
    from mapper_ai.services.atomic import write_text
    from mapper_ai.services.learning.gold import read_cases
    from mapper_ai.services.learning.training import train

    if not 0 <= args.generated <= 20:
        raise InputError(f"--generated {args.generated}: expected 0 to 20")
    trained = train(read_cases(args.gold, domain="commerce"), generated=args.generated, compare=args.compare, tell=note)
    if args.out is not None:
        write_text(args.out, as_json(trained.document) + "\n")
        note(f"{args.out}: written")
    if args.json:
        say(as_json(trained.document["record"]))
        return DONE
    others = trained.others if args.compare else {}
    _table({"learned": trained.learned, "hand weights": trained.hand, **others})
    say()
    say("left out, per case: MRR, Recall@1, F1")
    for name, row in trained.cases.items():
        say(f"  {name:<44} {row.mrr:.3f}  {row.recall_at_1:.3f}  {row.f1:.3f}")
    return DONE


def _table(columns: Mapping[str, Mapping[str, Figure]]) -> None:
    """Measures down, scorers across; each with its 95 % interval."""
    say(f"{'':<14} " + "  ".join(f"{name:<24}" for name in columns))
    first: Mapping[str, Any] = next(iter(columns.values()))
    for measure in first:
        say(f"{measure:<14} " + "  ".join(f"{figures[measure]!s:<24}" for figures in columns.values()))
