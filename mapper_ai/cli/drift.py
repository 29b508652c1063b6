"""`mapper drift`: what changed in payloads since a mapping was approved, and what to do about it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapper_ai.cli.commands import DONE, FINDINGS, as_json, note, say

if TYPE_CHECKING:
    from mapspec import MappingSpec

KNOWN: Final = "samples"
_ENTITIES: Final = ("order", "customer", "client", "payment", "product", "item", "invoice", "refund")
_WORDS: Final = {"missing": "missing", "changed": "another type", "value": "new value", "new": "new"}


def configure_drift(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper drift`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="mapping file")
    parser.add_argument("--samples", type=Path, required=True, metavar="NEW", help="payloads as they are now")
    parser.add_argument(
        "--known", type=Path, metavar="OLD", help=f"payloads it was approved with (default: {KNOWN}, where it is)"
    )
    parser.add_argument("--patch", type=Path, metavar="FILE", help="write the proposed change as a patch")
    parser.add_argument("--branch", metavar="NAME", help="commit the proposed change on a new branch")
    parser.add_argument("--json", action="store_true", help="for machines")


def run_drift(args: argparse.Namespace) -> int:
    """Print what changed; exit code 1 when something did."""
    from mapper_ai.services.atomic import write_text
    from mapper_ai.services.drift_git import as_patch, name_in_repository, write_branch
    from mapper_ai.services.drifting import find_drift, propose
    from mapper_ai.services.specs import compile_file, read_spec
    from mapspec import dump_spec

    file = read_spec(args.spec)
    compile_file(file)
    records = _records(args.samples, file.spec)
    known = args.known or (Path(KNOWN) if Path(KNOWN).is_dir() else None)
    earlier = _records(known, file.spec) if known is not None else []
    drifts = find_drift(file.spec, records, earlier)
    proposal = propose(file.spec, drifts, records, earlier)
    text = dump_spec(proposal.spec) if proposal.done else file.text
    written: dict[str, str] = {}
    if args.patch is not None:
        write_text(args.patch, as_patch(name_in_repository(args.spec), file.text, text))
        written["patch"] = str(args.patch)
    if args.branch and proposal.done:
        message = f"Follow drift of the payloads in {file.spec.name}\n\n" + "".join(
            f"- {row}\n" for row in proposal.done
        )
        written["commit"] = write_branch(args.spec, text, args.branch, message)
    if args.json:
        rows = [asdict(row) for row in drifts]
        say(as_json({"spec": file.spec.spec, "drift": rows, "done": proposal.done, "left": proposal.left, **written}))
    else:
        _show(drifts, proposal, len(records), len(earlier))
        if "commit" in written:
            say(f"branch {args.branch}: {written['commit'][:10]}; look at it with mapper review --head {args.branch}")
    if (args.patch or args.branch) and not proposal.done:
        note("mapper: there is no change to propose")
    return FINDINGS if drifts else DONE


def _records(path: Path, spec: MappingSpec) -> list[dict[str, Any]]:
    from mapper_ai.errors import InputError
    from mapper_ai.services.review.samples import Kinds, chosen, samples_at

    samples = samples_at(path)
    entities = Kinds(frozenset({spec.source.entity.casefold(), *_ENTITIES}), frozenset({spec.source.system.casefold()}))
    found = (
        [row.record for row in chosen(spec, samples, entities)] if path.is_dir() else [row.record for row in samples]
    )
    if not found:
        raise InputError(f"{path}: no record of the kind '{spec.source.entity}' among {len(samples)}")
    return found


def _show(drifts: Any, proposal: Any, records: int, earlier: int) -> None:
    beside = f"{earlier} earlier ones" if earlier else "its contract alone; give --known for types and usual fields"
    say(f"{records} payload(s) against {beside}")
    for row in drifts:
        detail = f" ({row.detail})" if row.detail else ""
        parts = f"; read by {', '.join(row.parts)}" if row.parts else ""
        say(f"{_WORDS[row.kind]}: {row.path}{detail} in {row.count} of {row.records}{parts}")
    if not drifts:
        say("nothing changed")
    for line in proposal.done:
        say(f"proposed: {line}")
    for line in proposal.left:
        say(f"to look at: {line}")
