"""Runs the suggester on a folder of gold cases and measures it.

A case is a folder with `source.json`, `target.json` and `gold.json` (`pairs` of source, target and kind,
`unmatched_targets`, `ignored_targets`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mapper_ai.core.evaluation import (
    CaseScore,
    Figure,
    Gold,
    Prediction,
    area_under_risk,
    figures,
    plain_path,
    pooled,
    score_case,
)
from mapper_ai.core.profile import Profile, profile_records
from mapper_ai.core.suggest import suggest
from mapper_ai.errors import InputError
from mapper_ai.services.sampling import SampleError, read_samples

# Words of a case's name that say which record, not which systems: `stripe_xero_invoice` belongs to stripe_xero.
_RECORDS = frozenset(
    {
        *("order", "customer", "client", "invoice", "payment", "item", "address", "product"),
        *("contact", "refund", "quote", "bill", "receipt"),
    }
)


@dataclass(frozen=True)
class BenchCase:
    """One gold case; `group` names its pair of systems."""

    name: str
    group: str
    source: Profile
    target: Profile
    gold: Gold


Predict = Callable[[BenchCase], Sequence[Prediction]]
# Learns from cases; what it gives is only ever asked about cases of other groups.
Train = Callable[[Sequence[BenchCase]], Predict]


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        cases: Case -> its score, by name.
        groups: Group -> its cases.
        figures: Measure -> value and interval over all cases.
        held_out: Every case was scored by a scorer that had not seen its group.
    """

    cases: Mapping[str, CaseScore]
    groups: Mapping[str, tuple[str, ...]]
    figures: Mapping[str, Figure]
    held_out: bool = False

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        return {
            "held_out": self.held_out,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
            "groups": {name: list(cases) for name, cases in self.groups.items()},
            "cases": {
                name: {
                    **{key: value for key, value in asdict(score).items() if key != "points"},
                    "ece": score.ece,
                    "aurc": area_under_risk(score.points),
                }
                for name, score in self.cases.items()
            },
            "points": [[confidence, right] for confidence, right in pooled(list(self.cases.values()))],
        }


def read_cases(folder: Path, *, domain: str = "") -> list[BenchCase]:
    """The cases in a folder (or the one it is), by name; with `domain` only those of it.

    Raises:
        InputError, SampleError: No case, or a file of one is missing or malformed.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; give a folder of cases with source.json, target.json and gold.json"
        )
    places = [folder] if (folder / "gold.json").is_file() else sorted(folder.iterdir())
    found = [_read_case(place) for place in places if (place / "gold.json").is_file()]
    chosen = [case for case, of in found if not domain or of == domain]
    if not chosen:
        known = ", ".join(sorted({of for _, of in found if of}))
        raise InputError(
            f"{folder}: no case{f' of domain {domain}; known: {known}' if domain else ' (gold.json) in it'}"
        )
    return chosen


def run_bench(cases: Sequence[BenchCase], *, predict: Predict | None = None, train: Train | None = None) -> Report:
    """Score all cases.

    Args:
        cases: At least one.
        predict: The suggester; the product's own when None.
        train: Makes one for each group from the cases of all others, in place of `predict`.

    Raises:
        InputError: `train` is given and all cases are of one group.
    """
    groups: dict[str, list[BenchCase]] = {}
    for case in sorted(cases, key=lambda case: case.name):
        groups.setdefault(case.group, []).append(case)
    if train is not None and len(groups) < 2:
        raise InputError("leaving one group out needs cases of two pairs of systems at least")
    scores: dict[str, CaseScore] = {}
    for name, members in groups.items():
        others = [case for other, rest in groups.items() if other != name for case in rest]
        ask = train(others) if train is not None else predict or predictions
        for case in members:
            scores[case.name] = score_case(case.gold, ask(case), targets=case.target.paths)
    return Report(
        dict(sorted(scores.items())),
        {name: tuple(case.name for case in members) for name, members in sorted(groups.items())},
        figures({name: [scores[case.name] for case in members] for name, members in groups.items()}),
        train is not None,
    )


def predictions(case: BenchCase) -> list[Prediction]:
    """What `mapper suggest` proposes for a case."""
    return [
        Prediction(
            tuple(map(plain_path, row.sources)),
            plain_path(row.target),
            row.confidence,
            suggestion.accepted and place == 0,
        )
        for suggestion in suggest(case.source, case.target)
        for place, row in enumerate(suggestion.candidates)
    ]


def group_of(name: str) -> str:
    """The pair of systems in a case's name."""
    kept = [word for word in name.split("_") if word not in _RECORDS]
    return "_".join(kept) or name


def _read_case(folder: Path) -> tuple[BenchCase, str]:
    where = folder / "gold.json"
    try:
        data = json.loads(where.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: is not readable JSON ({str(error)[:80]})") from None
    pairs = data.get("pairs") if isinstance(data, dict) else None
    if not isinstance(pairs, list):
        raise InputError(f"{where}: pairs: expected a list of objects with source and target")
    sources: dict[str, frozenset[str]] = {}
    combined = set()
    for number, pair in enumerate(pairs, 1):
        given = pair.get("source") if isinstance(pair, dict) else None
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not names or not isinstance(pair.get("target"), str):
            raise InputError(f"{where}: pairs: entry {number}: expected a source (a path or several) and a target")
        target = plain_path(pair["target"])
        sources[target] = frozenset(plain_path(str(name)) for name in names)
        if pair.get("kind") == "combined":
            combined.add(target)
    ignored = frozenset(plain_path(str(name)) for name in data.get("ignored_targets") or ())
    case = BenchCase(
        folder.name,
        str(data.get("group") or group_of(folder.name)),
        _profile(folder / "source.json"),
        _profile(folder / "target.json"),
        Gold(sources, frozenset(combined), ignored),
    )
    return case, str(data.get("domain", ""))


def _profile(path: Path) -> Profile:
    try:
        return profile_records(read_samples(path))
    except SampleError:
        raise
    except ValueError as error:
        raise SampleError(str(error), where=str(path)) from None
