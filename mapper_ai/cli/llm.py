"""`mapper llm`: whether an endpoint does what is needed, and questions about a spec. Nothing here writes a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapper_ai.cli.commands import DONE, FINDINGS, as_json, complain, note, say

if TYPE_CHECKING:
    from mapper_ai.llm.asking import Outcome
    from mapper_ai.llm.colleague import Colleague
    from mapper_ai.llm.settings import LlmSettings

_VALUES: Final = ("synthetic", "none")


def configure_llm(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper llm`."""
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    check = tasks.add_parser("check", help="whether the endpoint holds answers to a schema, and how")
    check.add_argument("--json", action="store_true", help="for machines")
    explain = _about_part(tasks, "explain", "where a target field comes from, in a sentence")
    steps = _about_part(tasks, "steps", "steps that do what you say in plain words")
    steps.add_argument("request", metavar="WORDS", help="what the steps shall do; values of samples in it do not leave")
    checks = _about_part(tasks, "checks", "checks for a target field that hold on the samples")
    for one in (explain, steps, checks):
        one.add_argument(
            "--samples", nargs="+", default=[], metavar="PATH", help="source records that judge the answer"
        )
    summary = tasks.add_parser("summary", help="what a change of a mapping means, for a pull request")
    summary.add_argument("old", type=Path, metavar="OLD.yaml")
    summary.add_argument("new", type=Path, metavar="NEW.yaml")
    for one in (explain, steps, checks, summary):
        one.add_argument("--llm-values", choices=_VALUES, help="what is shown of values: made up ones, or none")


def _about_part(tasks: Any, name: str, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = tasks.add_parser(name, help=words)
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml")
    parser.add_argument("part", metavar="PART", help="such as invoice.create_date")
    return parser


def run_llm(args: argparse.Namespace) -> int:
    """Run one task."""
    return {
        "check": _check,
        "explain": _explain,
        "steps": _steps,
        "checks": _checks,
        "summary": _summary,
    }[args.task](args)


@contextmanager
def open_colleague(records: Sequence[dict[str, Any]], values: str | None) -> Iterator[Colleague | None]:
    """The language model of the settings; None, and a line that says why, when none is set up.

    Raises:
        LlmError: The settings do not fit.
    """
    from mapper_ai.llm.errors import NotSetUpError

    try:
        colleague = _colleague(records, values)
    except NotSetUpError as error:
        note(f"language model not used: {error}; the result without it stands")
        yield None
        return
    with colleague:
        yield colleague


def _colleague(records: Sequence[dict[str, Any]], values: str | None) -> Colleague:
    from mapper_ai.llm.colleague import Colleague

    return Colleague(_settings(values), records, tell=note, progress=_progress())


def _settings(values: str | None) -> LlmSettings:
    from mapper_ai.llm.settings import load_llm_settings

    settings = load_llm_settings()
    return settings if values is None else settings.model_copy(update={"values": values})


def _progress() -> Callable[[int, int], None] | None:
    """Shows the count on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        width = 24
        bar = "#" * (width * done // max(1, total))
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r  [{bar:<{width}}] {done} of {total} question(s){end}")
        sys.stderr.flush()

    return show


def _check(args: argparse.Namespace) -> int:
    from mapper_ai.llm.budget import in_words
    from mapper_ai.llm.check import check
    from mapper_ai.llm.errors import WORDS

    settings = _settings(None)
    found = check(settings)
    if args.json:
        ways = [
            {"mode": way.held, "works": way.works, "enforced": way.enforced, "trouble": way.trouble, "note": way.note}
            for way in found.ways
        ]
        document = {"server": found.server, "model": settings.model, "listed": found.listed, "ways": ways}
        say(as_json({**document, "best": found.best, "failure": found.failure, "detail": found.detail}))
        return DONE if found.best else FINDINGS
    if found.ways:
        say(f"{settings.base_url}: {found.server}, model {settings.model}{_listed(found.listed)}")
    for way in found.ways:
        held = {True: "enforced", False: "works, but is not enforced", None: "works"}[way.enforced]
        text = held if way.works else f"does not work: {way.trouble}"
        say(f"  {way.held:<12} {text}{'; ' + way.note if way.note else ''}")
    if found.failure is not None:
        complain(f"{settings.base_url}: {WORDS[found.failure]}{': ' + found.detail if found.detail else ''}")
        return FINDINGS
    say(f"{in_words(found.spent, settings)}")
    if found.best is None:
        complain(f"{settings.model} answers in no usable form; choose another model")
        return FINDINGS
    say(f'usable; set mode = "{found.best}" in [llm], or leave it at "auto"')
    return DONE


def _listed(listed: bool | None) -> str:
    return {True: "", False: " (not in its list of models)", None: " (it lists no models)"}[listed]


def _explain(args: argparse.Namespace) -> int:
    spec, records = _read(args)
    return _one(args, records, lambda colleague: colleague.explain(spec, args.part), str)


def _steps(args: argparse.Namespace) -> int:
    spec, records = _read(args)
    return _one(args, records, lambda colleague: colleague.write_steps(spec, args.part, args.request), _rule_text)


def _checks(args: argparse.Namespace) -> int:
    spec, records = _read(args)
    return _one(args, records, lambda colleague: colleague.propose_checks(spec, args.part), _rule_text)


def _summary(args: argparse.Namespace) -> int:
    from mapper_ai.services.specs import read_spec

    old, new = read_spec(args.old).spec, read_spec(args.new).spec

    def shown(summary: Any) -> str:
        return "\n".join([summary.text, *(f"- {part}: {why}" for part, why in summary.risks)])

    def ask(colleague: Colleague) -> Outcome[Any] | None:
        return colleague.summarise(old, new)

    return _one(args, [], ask, shown)


def _read(args: argparse.Namespace) -> tuple[Any, list[dict[str, Any]]]:
    from mapper_ai.errors import UnknownPartError
    from mapper_ai.services.sampling import read_samples
    from mapper_ai.services.specs import read_spec

    spec = read_spec(args.spec).spec
    if args.task != "steps" and args.part not in spec.rules():
        raise UnknownPartError(f"{args.spec}: there is no rule for '{args.part}'; mapper show lists them")
    return spec, [record for path in args.samples for record in read_samples(path)]


def _one(
    args: argparse.Namespace,
    records: list[dict[str, Any]],
    ask: Callable[[Colleague], Outcome[Any] | None],
    shown: Callable[[Any], str],
) -> int:
    with _colleague(records, args.llm_values) as colleague:
        outcome = ask(colleague)
        if outcome is None:
            say("nothing that carries meaning changed")
            return DONE
        for line in colleague.tally.lines(colleague.settings, "there is no answer"):
            note(line)
        if outcome.value is None:
            return FINDINGS
        say(shown(outcome.value))
    return DONE


def _rule_text(offer: Any) -> str:
    """Steps and checks as in a spec file, with the words; for an analyst to copy or to leave."""
    from mapper_ai.services.words import rule_in_words
    from mapspec.ops import write_step
    from mapspec.yamltext import flow

    lines = ["steps:", *(f"  - {flow(write_step(step))}" for step in offer.rule.steps)]
    if offer.rule.check:
        lines += ["check:", *(f"  - {flow(check.plain())}" for check in offer.rule.check)]
    words = rule_in_words(offer.rule)
    return "\n".join([*lines, f"# {words}", *([f"# {offer.why}"] if offer.why else [])])
