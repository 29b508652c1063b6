"""`mapper suggest`: what is known of two systems, and what goes where."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapper_ai.cli.commands import DONE, FINDINGS, USAGE, as_json, complain, note, say
from mapper_ai.cli.tables import short, table

if TYPE_CHECKING:
    from mapper_ai.core.model import Model
    from mapper_ai.core.profile import Profile
    from mapper_ai.core.suggest import Ranker, TargetSuggestion
    from mapper_ai.llm.colleague import Colleague
    from mapper_ai.services.goals import Goal
    from mapper_ai.services.targets import Recall
    from mapspec import MappingSpec

# More samples make a profile no better, only slower.
_MAX_RECORDS: Final = 1000


@dataclass(frozen=True)
class End:
    """One end of a mapping: samples, a contract, or both.

    Attributes:
        name: `clarity-rest/order`, or the stem of a file.
        system: Whether `name` is one of the shipped profiles.
    """

    name: str
    system: bool
    profile: Profile
    records: list[dict[str, Any]]

    def goals(self) -> list[Goal]:
        """The fields as targets."""
        from mapper_ai.services.goals import contract_goals, profile_goals

        if self.system:
            system, _, entity = self.name.partition("/")
            return contract_goals(system, entity)
        return profile_goals(self.profile)


def configure_suggest(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper suggest`."""
    end = "sample files or folders, a system's contract, or a JSON Schema or OpenAPI file (FILE#ENTITY)"
    parser.add_argument("--source", nargs="+", required=True, metavar="PATH|SYSTEM:ENTITY", help=end)
    parser.add_argument("--target", nargs="+", required=True, metavar="PATH|SYSTEM:ENTITY", help=end)
    parser.add_argument("--no-history", action="store_true", help="leave earlier decisions out of account")
    parser.add_argument("--samples", nargs="+", default=[], metavar="PATH", help="source records beside a contract")
    parser.add_argument("--top", type=positive, default=5, metavar="N", help="candidates a target (default 5)")
    parser.add_argument("--json", metavar="OUT", help="write the ranked candidates as JSON; - for standard output")
    parser.add_argument("--spec", type=Path, metavar="OUT.yaml", help="write a proposed spec; existing files are kept")
    parser.add_argument("--force", action="store_true", help="let --spec replace a file")
    accept = "accept alone what is at least this sure, never money, tax or keys; says how often that went wrong"
    parser.add_argument("--accept-at", type=float, metavar="P", help=accept)
    parser.add_argument(
        "--llm", action="store_true", help="ask a language model about what is in doubt, see docs/llm.md"
    )
    shown = "what it is shown of values: made up ones (default), or none"
    parser.add_argument("--llm-values", choices=("synthetic", "none"), help=shown)
    parser.add_argument("--scorer", type=Path, metavar="FILE", help="a scorer of mapper train (default: the shipped)")


def run_suggest(args: argparse.Namespace) -> int:
    """Suggest, and write what was asked for; a table for people otherwise."""
    if args.spec is not None and args.spec.exists() and not args.force:
        complain(f"{args.spec}: exists already and may hold approvals; give another name, or --force")
        return USAGE
    if args.accept_at is not None and not 0.5 <= args.accept_at <= 1.0:
        complain(f"--accept-at {args.accept_at:g}: expected a confidence from 0.5 to 1")
        return USAGE
    if args.scorer is not None and args.spec is not None:
        complain("--scorer is for looking at suggestions; a spec is proposed by the shipped scorer")
        return USAGE
    if args.llm_values and not args.llm:
        complain("--llm-values goes with --llm")
        return USAGE
    model = _scorer(args.scorer)
    source = read_end([*args.source, *args.samples])
    target = read_end(args.target)
    recall = None if args.no_history else _recall()
    with _asked(args, source) as colleague:
        code = _suggest(args, source, target, model, recall, colleague)
        if colleague is not None:
            for line in colleague.tally.lines(colleague.settings):
                note(line)
    return code


@contextmanager
def _asked(args: argparse.Namespace, source: End) -> Iterator[Colleague | None]:
    """A language model to ask, None when nobody wants one or none is set up."""
    if not args.llm:
        yield None
        return
    from mapper_ai.cli.llm import open_colleague

    with open_colleague(source.records, args.llm_values) as colleague:
        yield colleague


def _suggest(
    args: argparse.Namespace,
    source: End,
    target: End,
    model: Model | None,
    recall: Recall | None,
    colleague: Colleague | None,
) -> int:
    code = DONE
    if args.json or args.spec is None:
        from mapper_ai.core.suggest import suggest

        rank: Ranker = suggest if colleague is None else colleague.rank
        names = {goal.leaf: goal.path for goal in target.goals()}
        history = recall(source.name, target.name).naming(names) if recall else ()
        suggestions = rank(source.profile, target.profile, top=args.top, history=history, model=model)
        if args.accept_at is not None:
            from mapper_ai.core.promise import auto_accept, in_words

            accepted = auto_accept(suggestions, args.accept_at, model)
            suggestions = list(accepted.suggestions)
            for line in in_words(accepted):
                note(line)
        if args.json:
            words = colleague.words if colleague is not None else {}
            _write(args.json, as_json(list(_rows(suggestions, words))))
        if args.json is None:
            _show(suggestions, source.profile, target.profile)
    if args.spec is not None:
        code = _write_spec(
            args.spec, source, target, recall, colleague, quiet=args.json == "-", accept_at=args.accept_at
        )
    return code


def read_end(names: Sequence[str]) -> End:
    """A contract or schema, samples, or a contract followed by samples of it.

    Raises:
        InputError: Unknown system or entity.
        SampleError: A file cannot be read.
    """
    from mapper_ai.core.profile import merge_profiles, profile_contract, profile_records
    from mapper_ai.errors import InputError
    from mapper_ai.services.sampling import SampleError, iter_samples
    from mapper_ai.services.schema_files import is_schema, schema_fields

    first = names[0]
    contract, name, system = None, _stem(Path(first)), False
    if is_schema(first):
        name, fields = schema_fields(first)
        contract = profile_contract(fields)
    elif not Path(first).exists() and ":" in first:
        contract, name, system = _contract(first), first.replace(":", "/"), True
    paths = names if contract is None else names[1:]
    for path in paths:
        if not Path(path).exists():
            mend = "give a JSON, NDJSON or CSV file, a folder, a schema, or SYSTEM:ENTITY such as freshbooks:invoice"
            raise InputError(f"{path}: no such file or folder; {mend}")
    chosen = _at_most((record for path in paths for record in iter_samples(path)), _MAX_RECORDS)
    try:
        samples = profile_records(chosen)
    except ValueError as error:
        raise SampleError(str(error), where=paths[0]) from None
    if contract is None:
        return End(name, False, samples, chosen)
    return End(name, system, merge_profiles(samples, contract) if chosen else contract, chosen)


def _at_most(records: Iterable[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """All records, in their order, or the ones that sampling chooses; more than twice `limit` are never in memory."""
    from mapper_ai.services.sampling import choose

    kept: list[dict[str, Any]] = []
    thinned = False
    for record in records:
        kept.append(record)
        if len(kept) >= 2 * limit:
            kept, thinned = [dict(row) for row in choose(kept, limit)], True
    return [dict(row) for row in choose(kept, limit)] if thinned or len(kept) > limit else kept


def _contract(name: str) -> Profile:
    from connectors.registry import load_system
    from mapper_ai.core.profile import profile_contract
    from mapper_ai.errors import InputError

    system, _, entity = name.partition(":")
    try:
        return profile_contract(load_system(system).fields(entity))
    except ValueError as error:
        raise InputError(f"{name}: neither a file nor a contract: {error}") from None


def _stem(path: Path) -> str:
    """A name for samples; a `source.json` or `target.json` takes its folder's name along."""
    resolved = path.resolve()
    if resolved.stem in ("source", "target", "samples"):
        return f"{resolved.parent.name}-{resolved.stem}"
    return resolved.stem


def _rows(suggestions: Iterable[TargetSuggestion], words: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    for suggestion in suggestions:
        for position, row in enumerate(suggestion.candidates):
            yield {
                "source": row.source if not row.joined_with else list(row.sources),
                "target": row.target,
                "confidence": row.confidence,
                "accepted": suggestion.accepted and position == 0,
                "state": suggestion.state,
                "no_match": suggestion.no_match,
                **({"how": row.how} if row.how else {}),
                **({"lookup": row.lookup} if row.lookup else {}),
                "evidence": dict(row.evidence),
                **({"llm": words[row.target]} if "llm" in row.evidence and row.target in words else {}),
            }


def _show(suggestions: Sequence[TargetSuggestion], source: Profile, target: Profile) -> None:
    from mapper_ai.core.explain import Explainer

    explainer = Explainer(source, target)
    rows = []
    for suggestion in suggestions:
        for position, row in enumerate(suggestion.candidates):
            chosen = ("=" if suggestion.accepted else "-" if suggestion.why else "?") if position == 0 else "?"
            name = suggestion.target if position == 0 else ""
            reason = short(explainer.reason(row), 70)
            rows.append((name, chosen, " + ".join(row.sources), f"{row.confidence:.2f}", reason))
        if not suggestion.candidates:
            why = suggestion.why or "no source comes near"
            rows.append((suggestion.target, "-" if suggestion.why else "", f"({why})", "", ""))
    table(("target", "", "source", "sure", "why"), rows)
    accepted = sum(row.accepted for row in suggestions)
    idle = sum(row.state == "not-tried" for row in suggestions)
    left = f"; {idle} not tried (-)" if idle else ""
    note(f"{accepted} of {len(suggestions)} target fields have a source (=){left}; ? are further candidates")


def _recall() -> Recall | None:
    """What was decided before; None where nothing was."""
    from mapper_ai.services.studio_config import decisions_file

    path = decisions_file()
    if not path.exists():
        return None
    from mapper_ai.services.decisions import DecisionStore

    return DecisionStore(path).recall(datetime.now(UTC))


def _write_spec(
    path: Path,
    source: End,
    target: End,
    recall: Recall | None,
    colleague: Colleague | None,
    *,
    quiet: bool,
    accept_at: float | None,
) -> int:
    from mapper_ai.core.suggest import suggest
    from mapper_ai.services.kinds import KINDS, SYSTEMS, blueprint, kind_for
    from mapper_ai.services.plain_spec import propose_plain, slug
    from mapper_ai.services.propose import propose
    from mapper_ai.services.specs import write_spec

    rank: Ranker = suggest if colleague is None else colleague.rank
    kind = kind_for(target.name) if target.system else None
    flavour = ""
    if kind is not None and source.system:
        wanted = blueprint(kind).source.entity
        flavour = next((name for name in SYSTEMS if source.name == f"{name}/{wanted}"), "")
        # A contract alone shows no values to carry a flow over by; samples of another system's same entity do.
        kind = kind if flavour or (source.records and source.name.endswith(f"/{wanted}")) else None
    if kind is not None:
        name = source.name.partition("/")[0] if source.system else _named_by(path) or slug(source.name)
        proposal = propose(kind, source.records, system=name, recall=recall, rank=rank, flavour=flavour)
    else:
        proposal = propose_plain(
            source.profile,
            source.records,
            target.goals(),
            source_name=source.name,
            target_name=target.name,
            target=target.profile if target.records else None,
            recall=recall,
            rank=rank,
        )
    if colleague is not None:
        from mapper_ai.llm.improving import improve

        proposal = improve(proposal, colleague)
    tell = note if quiet else say
    spec = _accepted(path, proposal.spec, accept_at, tell)
    write_spec(path, spec)
    for row in proposal.findings:
        tell(f"{path}: {row.level} {row.id}: {row.message}")
    rules = len(proposal.spec.rules())
    like = f" by the blueprint {kind}" if kind in KINDS else ""
    waiting = "nothing is approved yet" if spec is proposal.spec else "those not accepted wait for a person"
    tell(f"{path}: proposed {rules} rule(s){like}; {waiting}")
    return FINDINGS if any(row.level == "error" for row in proposal.findings) else DONE


def _named_by(path: Path) -> str:
    """The source system that a spec's place tells: `mappings/acme-freshbooks/order-to-invoice.yaml` is of `acme`."""
    match = re.fullmatch(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)*)-freshbooks", path.absolute().parent.name)
    return match.group(1) if match else ""


def _accepted(path: Path, spec: MappingSpec, at: float | None, tell: Callable[[str], None]) -> MappingSpec:
    """The spec with what may go without a person approved, and what that is worth."""
    if at is None:
        return spec
    from mapper_ai.core.model import load_model
    from mapper_ai.core.promise import promise_lines
    from mapper_ai.services.autoaccept import approve_safe

    done = approve_safe(spec, at, when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    count = len(done.parts)
    taken = f"{count} of {len(spec.rules())} rules{': ' if count else ''}{', '.join(done.parts)}"
    for line in promise_lines(at, taken, count, done.expected, load_model().promise(at), done.left):
        tell(f"{path}: {line}")
    return done.spec


def _scorer(path: Path | None) -> Model | None:
    if path is None:
        return None
    import json

    from mapper_ai.core.model import read_model
    from mapper_ai.errors import InputError

    try:
        return read_model(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: no scorer: {error}; write one with mapper train --out") from None


def _write(where: str, text: str) -> None:
    from mapper_ai.services.atomic import write_text

    if where == "-":
        say(text)
    else:
        write_text(Path(where), text + "\n")


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got '{text}'")
    return int(text)
