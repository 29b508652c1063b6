"""Gold cases on disk: two sets of records and what a person knows about them.

A case is a folder with `source.json`, `target.json` and `gold.json`: `pairs` of source (a path, or several), target
and kind (`equal`, `alternative`, `combined`), `unmatched_targets` and `ignored_targets`; optionally `domain` and
`group`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from mapper_ai.core.evaluation import Gold, Prediction, plain_path
from mapper_ai.core.profile import Profile, profile_records
from mapper_ai.errors import InputError

# Words of a case's name that say which record, not which systems: `stripe_xero_invoice` belongs to stripe_xero.
_RECORDS = frozenset(
    {
        *("order", "customer", "client", "invoice", "payment", "item", "address", "product"),
        *("contact", "refund", "quote", "bill", "receipt"),
    }
)


@dataclass(frozen=True)
class Case:
    """One pair of record sets with its gold.

    Attributes:
        name: Of the folder.
        group: The pair of platforms; cases of one group are never trained and tested against each other.
        gold: What is right.
        domain: Such as "commerce"; "" when the case does not say.
    """

    name: str
    group: str
    source: Profile
    target: Profile
    gold: Gold
    domain: str = ""

    def right(self, sources: Sequence[str], target: str) -> bool:
        """Whether every source proposed for the target is one of its gold sources."""
        return self.gold.right(Prediction(tuple(map(plain_path, sources)), plain_path(target), 0.0))


def read_cases(folders: Sequence[Path], *, domain: str = "") -> list[Case]:
    """All cases of the folders, sorted by name; a folder is a case itself or holds cases.

    Args:
        folders: Two cases of one name count once, the last one found.
        domain: Leave out cases that name another one; "" keeps all.

    Raises:
        InputError: No case found, or a file is missing, no JSON or of another shape.
    """
    found: dict[str, Case] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give a folder with gold.json, or one of such folders")
        inside = [folder] if (folder / "gold.json").is_file() else sorted(folder.iterdir())
        found |= {place.name: _read_case(place) for place in inside if (place / "gold.json").is_file()}
    where = ", ".join(map(str, folders))
    if not found:
        raise InputError(f"{where}: no folder with a gold.json in it")
    kept = [found[name] for name in sorted(found) if not domain or found[name].domain in ("", domain)]
    if not kept:
        known = ", ".join(sorted({case.domain for case in found.values()}))
        raise InputError(f"{where}: no case of domain {domain}; known: {known}")
    return kept


def platform_pair(name: str) -> str:
    """The part of a case's name that names the two systems: `stripe_xero_invoice` -> `stripe_xero`."""
    # `clarity_rest_order_freshbooks_invoice` names the record on both sides.
    kept = [word for word in name.split("_") if word not in _RECORDS]
    return "_".join(kept) or name


def _read_case(folder: Path) -> Case:
    where = folder / "gold.json"
    data = _read(where)
    if not isinstance(data, dict) or not isinstance(data.get("pairs"), list):
        raise InputError(f"{where}: expected an object with a list of 'pairs'")
    sources: dict[str, frozenset[str]] = {}
    combined = set()
    for number, pair in enumerate(data["pairs"], 1):
        given = pair.get("source") if isinstance(pair, dict) else None
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not names or not isinstance(pair.get("target"), str):
            raise InputError(f"{where}: pair {number}: expected 'source' (a path or several) and 'target'")
        target = plain_path(pair["target"])
        sources[target] = frozenset(plain_path(str(name)) for name in names)
        if pair.get("kind") == "combined":
            combined.add(target)
    ignored = frozenset(plain_path(str(name)) for name in data.get("ignored_targets") or ())
    return Case(
        name=folder.name,
        group=str(data.get("group") or platform_pair(folder.name)),
        source=_profile(folder / "source.json"),
        target=_profile(folder / "target.json"),
        gold=Gold(sources, frozenset(combined), ignored - sources.keys()),
        domain=str(data.get("domain") or ""),
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
        return json.loads(path.read_text("utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {str(error)[:80]}") from None
