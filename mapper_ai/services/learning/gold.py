"""Gold cases on disk: two sets of records and what a person knows about them.

A case is a folder with `source.json`, `target.json` and `gold.json`: `pairs` of source (a path, or several), target
and kind (`equal`, `alternative`, `combined`), `unmatched_targets` and `ignored_targets`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from mapper_ai.core.profile import Profile, profile_records
from mapper_ai.errors import InputError

# Last words of a case's name that say which record, not which systems: `stripe_xero_invoice` belongs to stripe_xero.
_ENTITIES = frozenset(
    [
        "order",
        "customer",
        "client",
        "invoice",
        "payment",
        "item",
        "address",
        "product",
        "contact",
        "refund",
        "quote",
        "bill",
        "receipt",
    ]
)


@dataclass(frozen=True)
class Case:
    """One pair of record sets with its gold.

    Attributes:
        name: Of the folder.
        group: The pair of platforms; cases of one group are never trained and tested against each other.
        gold: Target -> its right sources.
        combined: Targets whose sources feed them together.
        ignored: Targets about which the gold says nothing.
    """

    name: str
    group: str
    source: Profile
    target: Profile
    gold: Mapping[str, frozenset[str]]
    combined: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()

    def right(self, sources: Sequence[str], target: str) -> bool:
        """Whether every source proposed for the target is one of its gold sources."""
        return bool(sources) and set(sources) <= self.gold.get(target, frozenset())


def read_cases(folders: Sequence[Path], *, domain: str = "commerce") -> list[Case]:
    """All cases of the folders, sorted by name; a folder is a case itself or holds cases.

    Cases of another domain are left out.

    Raises:
        InputError: No case found, or a file is missing, no JSON or of another shape.
    """
    found: dict[str, Case] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give a folder with gold.json, or one of such folders")
        inside = [folder] if (folder / "gold.json").is_file() else sorted(folder.iterdir())
        for place in inside:
            if (place / "gold.json").is_file():
                case = _read_case(place, domain)
                if case is not None:
                    found[case.name] = case
    if not found:
        raise InputError(f"{', '.join(map(str, folders))}: no folder with a gold.json in it")
    return [found[name] for name in sorted(found)]


def platform_pair(name: str) -> str:
    """The part of a case's name that names the two systems: `stripe_xero_invoice` -> `stripe_xero`."""
    words = name.split("_")
    # `clarity_rest_order_freshbooks_invoice` names the record on both sides.
    kept = [word for word in words if word not in _ENTITIES]
    return "_".join(kept) or name


def _read_case(folder: Path, domain: str) -> Case | None:
    gold = _read(folder / "gold.json")
    if not isinstance(gold, dict) or not isinstance(gold.get("pairs"), list):
        raise InputError(f"{folder / 'gold.json'}: expected an object with a list of 'pairs'")
    if str(gold.get("domain", domain)) != domain:
        return None
    pairs: dict[str, frozenset[str]] = {}
    combined = set()
    for number, pair in enumerate(gold["pairs"], 1):
        try:
            sources, target = pair["source"], str(pair["target"])
        except (TypeError, KeyError):
            raise InputError(f"{folder / 'gold.json'}: pair {number}: expected 'source' and 'target'") from None
        pairs[target] = frozenset([sources] if isinstance(sources, str) else map(str, sources))
        if pair.get("kind") == "combined":
            combined.add(target)
    return Case(
        name=folder.name,
        group=platform_pair(folder.name),
        source=_profile(folder / "source.json"),
        target=_profile(folder / "target.json"),
        gold=pairs,
        combined=frozenset(combined),
        ignored=frozenset(map(str, gold.get("ignored_targets", []))) - pairs.keys(),
    )


def _profile(path: Path) -> Profile:
    records = _read(path)
    if not isinstance(records, list):
        raise InputError(f"{path}: expected a list of records")
    try:
        return profile_records(records)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"), parse_float=Decimal)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}") from None
