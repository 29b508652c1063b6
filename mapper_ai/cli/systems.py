"""`mapper systems`: what systems there are, what their profiles say, and adding one."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapper_ai.cli.commands import DONE, USAGE, Parser, as_json, complain, note, say

if TYPE_CHECKING:
    from connectors.profiles import ContractField
    from connectors.registry import Known
    from mapper_ai.services.carried import Carried


def configure_systems(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper systems`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=Parser)
    listing = commands.add_parser("list", help="every system and where it comes from")
    show = commands.add_parser("show", help="settings by number, entities, or the fields of one entity")
    show.add_argument("system", metavar="NAME")
    show.add_argument("entity", nargs="?", metavar="ENTITY")
    show.add_argument("--settings", action="store_true", help="the settings alone")
    show.add_argument("--mappings", type=Path, metavar="DIR", help="specs to compare with (default MAPPER_MAPPINGS)")
    add = commands.add_parser("add", help="make a profile from an API description, a schema or samples")
    add.add_argument("system", metavar="NAME", help="small letters, digits and hyphens: acme-shop")
    given = add.add_mutually_exclusive_group(required=True)
    given.add_argument("--openapi", type=Path, metavar="FILE", help="OpenAPI 3.0 or 3.1, JSON or YAML")
    given.add_argument("--json-schema", type=Path, metavar="FILE", help="JSON Schema, draft-07 or 2020-12")
    given.add_argument("--samples", type=Path, metavar="DIR", help="records as JSON, NDJSON or CSV")
    add.add_argument("--entity", action="append", default=[], metavar="NAME", help="only this one (repeatable)")
    add.add_argument("--out", type=Path, metavar="FILE", help="default: NAME.yaml in the folder mapper.toml names")
    add.add_argument("--force", action="store_true", help="replace an existing profile")
    for command in (listing, show, add):
        command.add_argument("--json", action="store_true", help="for machines")
        command.add_argument("--config", type=Path, metavar="FILE", help="default: MAPPER_CONFIG, else mapper.toml")


def run_systems(args: argparse.Namespace) -> int:
    """Run one action."""
    return {"list": _list, "show": _show, "add": _add}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from connectors.registry import registry

    found = registry(args.config)
    systems = [found.get(name) for name in found.names()]
    for warning in found.warnings:
        complain(warning)
    if args.json:
        rows = [
            {
                "system": known.name,
                "title": known.profile.title,
                "origin": known.origin,
                "entities": list(known.profile.entities),
                "settings": len(known.profile.settings),
                "connects": known.connect is not None or known.origin == "shipped",
            }
            for known in systems
        ]
        say(as_json({"systems": rows, "source": found.config.source, "warnings": found.warnings}))
        return DONE
    width = max(len(known.name) for known in systems)
    for known in systems:
        mark = "  (the source that is polled)" if known.name == found.config.source else ""
        say(f"{known.name:<{width}}  {_cut(known.profile.title, 40)}, from {known.origin}{mark}")
        for line in _wrapped(", ".join(known.profile.entities), width + 2):
            say(line)
    return DONE


def _show(args: argparse.Namespace) -> int:
    from connectors.registry import registry

    known = registry(args.config).get(args.system)
    if args.entity and args.entity not in known.profile.entities:
        from mapper_ai.errors import InputError

        raise InputError(f"{known.name} has no entity {args.entity!r}; known: {', '.join(known.profile.entities)}")
    carried = _carried(args.mappings, known)
    if args.json:
        say(as_json(_plain(known, args.entity, carried)))
    elif args.entity:
        say(f"{known.name}:{args.entity}  {known.profile.entity(args.entity).path}")
        for field in known.profile.fields(args.entity):
            _show_field(field)
    else:
        profile = known.profile
        say(f"{known.name}  {profile.title}, version {profile.version}, from {known.origin}")
        if not args.settings:
            for name, entity in profile.entities.items():
                say(f"  {name:<12} {len(profile.fields(name)):>4} fields  {entity.path}")
        for name in profile.settings:
            _show_setting(name, known, [row for row in carried if row.number == name])
        for tag, text in () if args.settings else profile.sources.items():
            for line in _wrapped(f"source {tag}: {text}", 4, first=2):
                say(line)
    for row in carried:
        if not row.agrees:
            wanted = _value(known.profile.settings[row.number].value)
            note(f"mapper: warning: {row.spec}, {row.where}: {row.says}; setting {row.number} says {wanted}")
    return DONE


def _show_setting(name: str, known: Known, carried: list[Carried]) -> None:
    from connectors.kinds import describe, parse_kind

    setting = known.profile.settings[name]
    say()
    if setting.elsewhere:
        say(f"{name}  (a setting of {setting.elsewhere})")
    else:
        for line in _wrapped(f"{name}  {_value(setting.value)}", 5, first=0):
            say(line)
    for line in _wrapped(setting.text, 5):
        say(line)
    if setting.elsewhere:
        return
    kind = describe(parse_kind(setting.type)) if setting.type else ""
    read_by = ", ".join(setting.read_by)
    parts = [f"from {setting.origin}", f"source {setting.source or _tag(name)}", read_by and f"read by {read_by}", kind]
    for line in _wrapped("; ".join(part for part in parts if part), 5):
        say(line)
    for row in carried:
        for line in _wrapped(f"{'=' if row.agrees else '≠'} {row.spec}, {row.where}: {row.says}", 5):
            say(line)


def _show_field(row: ContractField) -> None:
    marks = [
        row.type,
        "required" if row.required else "",
        "read-only" if row.read_only else "",
        f"at most {row.max_length} characters" if row.max_length else "",
        f"one of {', '.join(map(str, row.enum))}" if row.enum else "",
        f"also {', '.join(row.aliases)}" if row.aliases else "",
        row.note,
        f"[{row.source}]" if row.source else "",
    ]
    lines = list(_wrapped("; ".join(mark for mark in marks if mark), 36))
    if len(row.path) < 34:
        say(f"  {row.path:<34}{lines[0].strip()}")
        lines = lines[1:]
    else:
        say(f"  {row.path}")
    for line in lines:
        say(line)


def _plain(known: Known, entity: str | None, carried: list[Carried]) -> dict[str, Any]:
    profile = known.profile
    names = [entity] if entity else list(profile.entities)
    settings = {
        name: {
            "value": setting.value,
            "text": setting.text,
            "type": setting.type,
            "origin": setting.origin,
            "source": setting.source or _tag(name),
            "read_by": list(setting.read_by),
            "elsewhere": setting.elsewhere or None,
            "carried": [
                {"spec": row.spec, "where": row.where, "says": row.says, "agrees": row.agrees}
                for row in carried
                if row.number == name
            ],
        }
        for name, setting in profile.settings.items()
    }
    fields = {name: [row.model_dump() for row in profile.fields(name)] for name in names}
    return {
        "system": known.name,
        "title": profile.title,
        "version": profile.version,
        "origin": known.origin,
        "sources": profile.sources,
        "settings": settings,
        "entities": {
            name: {"path": profile.entity(name).path, "note": profile.entity(name).note, "fields": fields[name]}
            for name in names
        },
    }


def _carried(folder: Path | None, known: Known) -> list[Carried]:
    """What the mappings at hand say; a folder that was named must be readable, a spec that is not is passed over."""
    from mapper_ai.errors import InputError
    from mapper_ai.services.carried import carried_by
    from mapspec import SpecError, load_spec

    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: no such folder of mappings")
    place = folder or Path(os.environ.get("MAPPER_MAPPINGS", "").strip() or "mappings")
    found = []
    for path in sorted(place.rglob("*.yaml")) if place.is_dir() else ():
        try:
            found += carried_by(load_spec(path.read_text("utf-8"), where=str(path)), known.profile)
        except (SpecError, OSError, UnicodeDecodeError):
            continue
    return found


def _add(args: argparse.Namespace) -> int:
    from connectors.registry import NAME, read_profile, registry
    from mapper_ai.services.atomic import write_text
    from mapper_ai.services.new_systems import Described, from_json_schema, from_openapi, from_samples, profile_text

    if NAME.fullmatch(args.system) is None:
        complain(f"{args.system}: a system's name is small letters, digits and hyphens, such as acme-shop")
        return USAGE
    known = registry(args.config)
    out = args.out or known.config.folder / f"{args.system}.yaml"
    if args.system in known.names() and known.get(args.system).origin == "shipped":
        complain(f"{args.system}: a shipped system has this name; take another one")
        return USAGE
    if out.exists() and not args.force:
        complain(f"{out}: exists already; give another --out, or --force")
        return USAGE
    made: Described
    if args.openapi:
        made = from_openapi(args.openapi, only=args.entity)
    elif args.json_schema:
        made = from_json_schema(args.json_schema, only=args.entity)
    else:
        made = from_samples(args.samples, only=args.entity)
    out.parent.mkdir(parents=True, exist_ok=True)
    text = profile_text(args.system, made)
    write_text(out, text)
    profile = read_profile(out) if out.stem == args.system else None
    for told in made.notes:
        complain(f"note: {told}")
    entities = {name: len(profile.fields(name)) for name in profile.entities} if profile else list(made.entities)
    if args.json:
        say(as_json({"system": args.system, "file": str(out), "entities": entities, "notes": made.notes}))
        return DONE
    say(f"{out}: {len(made.entities)} entities: {', '.join(made.entities)}")
    if made.settings:
        note(f'mapper: to run its orders write in mapper.toml: [systems] source = "{args.system}"')
    if out.parent.resolve() != known.config.folder.resolve():
        folder = known.config.folder
        note(f"mapper: profiles are looked for in {folder}; name {out.parent} in mapper.toml ([systems] folder)")
    return DONE


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_value(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tag(name: str) -> str:
    return "assumption" if name.startswith("A") and name[1:].isdigit() else "unknown"


def _wrapped(text: str, indent: int, *, first: int | None = None) -> Iterator[str]:
    import textwrap

    yield from textwrap.wrap(
        text,
        98,
        initial_indent=" " * (indent if first is None else first),
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    ) or [""]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
