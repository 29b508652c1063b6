"""`mapper profile`: what samples, a live system or a contract say about each field."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapper_ai.cli.commands import DONE, USAGE, as_json, complain, note, say
from mapper_ai.cli.suggesting import positive
from mapper_ai.cli.tables import short, table

if TYPE_CHECKING:
    from mapper_ai.core.fields import FieldProfile, Profile
    from mapper_ai.services.masking import Masker

# A price list says 12 where it means 12.00: not two types.
_NUMBERS = {"integer": "number", "decimal": "number"}


def configure_profile(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper profile`."""
    parser.add_argument(
        "source",
        nargs="+",
        metavar="PATH|SYSTEM:ENTITY|SCHEMA[#ENTITY]",
        help="sample files or folders, a system's contract, or a JSON Schema or OpenAPI file",
    )
    parser.add_argument("--live", type=positive, metavar="N", help="of SYSTEM:ENTITY, fetch N records and profile them")
    parser.add_argument("--by-entity", action="store_true", help="one profile a kind of record, and what points where")
    parser.add_argument("--reveal", action="store_true", help="show personal values instead of pseudonyms")
    parser.add_argument("--json", action="store_true", help="for machines")


def run_profile(args: argparse.Namespace) -> int:
    """Print one row a field, then arrays, relations and orders of moments."""
    if args.live and (len(args.source) != 1 or ":" not in args.source[0] or args.by_entity):
        complain("profile --live: give one SYSTEM:ENTITY, such as clarity-rest:order")
        return USAGE
    if args.by_entity:
        return _by_entity(args)
    profile = _masked(_read(args), args)
    if args.json:
        say(as_json(_plain(profile)))
        return DONE
    _show(profile)
    note(f"{profile.record_count} record(s), {len(profile.fields)} field(s)")
    return DONE


def _read(args: argparse.Namespace) -> Profile:
    from mapper_ai.cli.suggesting import read_end
    from mapper_ai.services.profiling import fetch_samples, profile_paths
    from mapper_ai.services.schema_files import is_schema

    if args.live:
        from mapper_ai.core.profile import merge_profiles, profile_records
        from mapper_ai.services.sampling import without_secrets

        system, _, entity = args.source[0].partition(":")
        contract = read_end(args.source).profile
        records = [without_secrets(row) for row in fetch_samples(system, entity, args.live)]
        return merge_profiles(profile_records(records), contract)
    if any(not Path(name).exists() or is_schema(name) for name in args.source):
        return read_end(args.source).profile
    return profile_paths(args.source)


def _masked(profile: Profile, args: argparse.Namespace) -> Profile:
    return profile if args.reveal or not profile.record_count else _masker().mask_profile(profile)


def _masker() -> Masker:
    """With the key of the workspace, so that pseudonyms are those of the app; without one, with a key of this run."""
    from mapper_ai.services.masking import KEY_FILE, Masker
    from mapper_ai.services.studio_config import workspace_root

    root = workspace_root()
    return Masker.of_project(root) if (root / KEY_FILE).exists() else Masker(secrets.token_bytes(32))


def _by_entity(args: argparse.Namespace) -> int:
    from mapper_ai.errors import InputError
    from mapper_ai.services.profiling import profile_entities

    for name in args.source:
        if not Path(name).exists():
            raise InputError(f"{name}: no such file or folder")
    profiles, between = profile_entities(args.source)
    shown = {name: _masked(profile, args) for name, profile in profiles.items()}
    if args.json:
        entities = {
            name: {**_plain(profile), "points_at": _relations(between[name])} for name, profile in shown.items()
        }
        say(as_json({"entities": entities}))
        return DONE
    for name, profile in shown.items():
        say(f"{name}: {profile.record_count} record(s)")
        _show(profile)
        say()
    rows = [
        (name, row.source, f"{row.entity}.{row.target}", f"{row.share:.0%}")
        for name in between
        for row in between[name]
    ]
    if rows:
        table(("record", "field", "points at", "found"), rows)
    note(f"{len(profiles)} kind(s) of record, {len(rows)} relation(s) between them")
    return DONE


def _show(profile: Profile) -> None:
    table(
        ("field", "looks like", "present", "null", "empty", "distinct", "range", "", "examples or note"),
        [_row(entry, profile) for entry in profile.fields],
    )
    if profile.arrays:
        say()
        table(
            ("array", "present", "null", "empty", "items (least, median, most)"),
            [
                (
                    entry.path,
                    f"{entry.present_share:.0%}",
                    _share(entry.null_share),
                    _share(entry.empty_share),
                    f"{entry.min_length}, {entry.median_length}, {entry.max_length}",
                )
                for entry in profile.arrays
            ],
        )
    if profile.relations:
        say()
        table(
            ("field", "points at", "found"),
            [(row.source, row.target, f"{row.share:.0%}") for row in profile.relations],
        )
    for order in profile.time_orders:
        say(f"{order.earlier} never lies after {order.later}")


def _row(entry: FieldProfile, profile: Profile) -> Sequence[str]:
    contract = entry.contract
    seen = entry.occurrences > 0
    marks = " ".join(
        word
        for word, holds in (
            ("required", contract is not None and contract.required),
            ("read-only", contract is not None and contract.read_only),
            ("key", entry.is_key and profile.record_count > 1),
            ("enum", entry.is_enum),
            (f"rises with {entry.rises_with}", bool(entry.rises_with)),
            ("mixed types", len({_NUMBERS.get(name, name) for name in entry.types} - {"null"}) > 1),
        )
        if holds
    )
    examples = ", ".join(entry.examples[:3]) if seen else (contract.note if contract else "")
    return (
        entry.path,
        entry.format if seen else (contract.type if contract else ""),
        f"{entry.present_share:.0%}" if seen else "",
        _share(entry.null_share),
        _share(entry.empty_share),
        str(entry.distinct or ""),
        _range(entry),
        marks,
        short(examples, 60),
    )


def _range(entry: FieldProfile) -> str:
    """Of numbers their values, of texts their lengths."""
    if entry.minimum is not None and entry.format in ("integer", "decimal", "percent"):
        least, most = _number(entry.minimum), _number(entry.maximum)
        return least if least == most else f"{least} … {most}"
    if not entry.max_length:
        return ""
    least, most = str(entry.min_length), str(entry.max_length)
    return f"{least if least == most else f'{least} to {most}'} chars"


def _number(value: Any) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _share(share: float) -> str:
    return f"{share:.0%}" if share else ""


def _plain(profile: Profile) -> Mapping[str, Any]:
    return {
        "records": profile.record_count,
        "fields": [_field(entry) for entry in profile.fields],
        "arrays": [asdict(entry) for entry in profile.arrays],
        "relations": _relations(profile.relations),
        "time_orders": [asdict(order) for order in profile.time_orders],
    }


def _relations(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in asdict(row).items() if value != ""} for row in rows]


def _field(entry: FieldProfile) -> dict[str, Any]:
    kept = asdict(entry)
    for name in ("segments", "values", "contract", "addressable"):
        del kept[name]
    contract = asdict(entry.contract) if entry.contract else None
    return {**kept, "format": entry.format, "absent_share": round(1.0 - entry.present_share, 6), "contract": contract}
