"""`mapper schema`: the JSON Schema of a spec, for editors."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mapper_ai.cli.commands import DONE, say


def configure_schema(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper schema`."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there (default: print it)")
    parser.add_argument(
        "--header",
        nargs="+",
        type=Path,
        metavar="SPEC",
        help="name the schema in these specs' first line: FILE's relative path, or its URN without --out",
    )


def run_schema(args: argparse.Namespace) -> int:
    """Print or write the schema, then the header lines."""
    from mapper_ai.services.atomic import write_text
    from mapper_ai.services.specs import read_spec, write_spec
    from mapspec.codec import with_schema
    from mapspec.schema import SCHEMA_ID, schema_text

    files = [read_spec(path) for path in args.header or ()]
    headed = []
    for file in files:
        reference = SCHEMA_ID if args.out is None else _relative(args.out, file.path)
        headed.append((file.path, with_schema(file.spec, _usable(reference))))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(args.out, schema_text())
        say(f"{args.out}: written")
    elif not files:
        say(schema_text().rstrip("\n"))
    for path, spec in headed:
        write_spec(path, spec)
        say(f"{path}: names {spec.schema_reference}")
    return DONE


def _relative(schema: Path, spec: Path) -> str:
    return Path(os.path.relpath(schema, spec.parent)).as_posix()


def _usable(reference: str) -> str:
    from mapper_ai.errors import InputError
    from mapspec.codec import is_schema_reference

    if not is_schema_reference(reference):
        raise InputError(
            f"--out: '{reference}' cannot stand in a header line; use letters, digits and . _ - / in names"
        )
    return reference
