"""The commands by name, and what they share: exit codes, output, one-line errors. Imports nothing heavy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

DONE: Final = 0
FINDINGS: Final = 1
USAGE: Final = 2
INVALID: Final = 3
NOT_COMPARED: Final = 4
INTERRUPTED: Final = 130

Run = Callable[[argparse.Namespace], int]


@dataclass(frozen=True)
class Command:
    """A command: where its module is and what it is for.

    Attributes:
        module: Below `mapper_ai.cli`; has `configure_NAME(parser)` and `run_NAME(args) -> exit code`.
        example: Stands at the end of its --help.
    """

    module: str
    summary: str
    example: str
    raw: bool = False


COMMANDS: Final[dict[str, Command]] = {
    "demo": Command(
        "serving",
        "both systems as a sandbox, sample orders, and the app",
        "mapper demo\n  mapper demo --headless     seed, run once, print what it did, end",
        raw=True,
    ),
    "app": Command(
        "serving",
        "the studio in a browser, on this machine only",
        "mapper app --port 8501 --mappings mappings/clarity-freshbooks",
    ),
    "sandbox": Command(
        "serving",
        "stand-ins of FreshBooks and Clarity on this machine",
        "mapper sandbox --json --seed 7 --orders 50",
    ),
    "profile": Command(
        "profiling",
        "what samples, a live system or a contract say about each field",
        "mapper profile fixtures/clarity/order__plain-card.json\n  mapper profile exports/orders.ndjson.gz --json\n"
        "  mapper profile freshbooks:invoice\n  mapper profile clarity-rest:order --live 100",
    ),
    "suggest": Command(
        "suggesting",
        "propose a source for every target field",
        "mapper suggest --source orders.json --target freshbooks:invoice\n"
        "  mapper suggest --source orders.json --target target.json --json matches.json\n"
        "  mapper suggest --source orders.json --target target.json --accept-at 0.95\n"
        "  mapper suggest --source clarity-rest:order --samples fixtures/clarity/order__*.json"
        " --target freshbooks:invoice --spec order-to-invoice.yaml\n"
        "  mapper suggest --source orders.json --target freshbooks:invoice --llm",
    ),
    "llm": Command(
        "llm",
        "ask a language model: check it, explain, steps, checks, summary",
        "mapper llm check\n"
        "  mapper llm explain order-to-invoice.yaml invoice.create_date\n"
        "  mapper llm steps order-to-invoice.yaml invoice.notes 'the order number after the word Order'"
        " --samples orders/\n"
        "  mapper llm checks order-to-invoice.yaml client.email --samples orders/\n"
        "  mapper llm summary old.yaml new.yaml",
    ),
    "systems": Command(
        "systems",
        "list systems, show their settings and fields, add one",
        "mapper systems list\n  mapper systems show clarity-rest --settings\n  mapper systems show clarity-rest order\n"
        "  mapper systems add acme-shop --openapi acme.yaml --entity order",
    ),
    "train": Command(
        "training",
        "fit the scorer on gold cases, and measure it on platforms left out",
        "mapper train --gold fixtures/gold\n  mapper train --gold fixtures/gold my-cases --out scorer.json",
    ),
    "validate": Command(
        "specs",
        "check specs, and list what is not approved",
        "mapper validate mappings/clarity-freshbooks/*.yaml",
    ),
    "preview": Command(
        "preview",
        "what a spec makes of one payload; no network",
        "mapper preview mappings/clarity-freshbooks/order-to-invoice.yaml"
        " --sample fixtures/clarity/order__plain-card.json",
    ),
    "show": Command(
        "show",
        "a spec in words, or one line a part for comparing versions",
        "mapper show --one-line-per-field mappings/clarity-freshbooks/order-to-invoice.yaml",
    ),
    "explain": Command(
        "explain",
        "where one target field comes from, and who approved it",
        "mapper explain mappings/clarity-freshbooks/order-to-invoice.yaml invoice.create_date",
    ),
    "schema": Command(
        "schema",
        "the JSON Schema of a spec, for editors",
        "mapper schema --out spec.schema.json --header order-to-invoice.yaml",
    ),
    "approve": Command(
        "specs",
        "approve parts of a spec as they stand",
        "mapper approve order-to-invoice.yaml --part invoice.create_date invoice.terms --by ana\n"
        "  MAPPER_USER=ana mapper approve order-to-invoice.yaml --all",
    ),
    "review": Command(
        "review",
        "what a mapping change means: risk, approvals, effect on samples",
        "mapper review --base origin/main --samples samples --format markdown\n"
        "  mapper review --base HEAD~1 mappings/acme --fail-on medium",
    ),
    "drift": Command(
        "drift",
        "what changed in payloads since a mapping was approved, and a change to propose",
        "mapper drift mappings/acme/order-to-invoice.yaml --samples new/ --known samples/ --branch drift-november",
    ),
    "install-git": Command(
        "gitting",
        "let this clone compare and merge mappings part by part",
        "mapper install-git\n  mapper install-git --remove",
    ),
    "git-driver": Command(
        "gitting",
        "what git calls after install-git: a mapping as lines, or a merge of two",
        "mapper git-driver textconv mappings/acme/order-to-invoice.yaml",
    ),
    "decisions": Command(
        "decisions",
        "what suggestions learned from people's decisions: list, forget, export",
        "mapper decisions list --field customer.email\n  mapper decisions forget 12 13\n"
        "  mapper decisions export --out decisions.csv",
    ),
    "bench": Command(
        "bench",
        "how good the suggestions are on a folder of gold cases, with plots",
        "mapper bench fixtures/gold --out bench-report\n  mapper bench fixtures/gold --leave-out",
    ),
    "fmt": Command(
        "specs",
        "write specs in canonical form",
        "mapper fmt mappings/clarity-freshbooks/*.yaml\n  mapper fmt --check mappings/clarity-freshbooks/*.yaml",
    ),
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name --help."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with exit code 2."""
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def command_parser(name: str) -> Parser:
    """The parser of one command, its example at the end of the help."""
    command = COMMANDS[name]
    return Parser(
        prog=f"mapper {name}",
        description=command.summary[0].upper() + command.summary[1:] + ".",
        epilog=f"example:\n  {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def overview() -> str:
    """The text of `mapper --help`."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    return (
        "usage: mapper COMMAND [options]\n\n"
        "Proposes mappings between Clarity eCommerce and FreshBooks, for people to review, approve and run.\n\n"
        f"commands:\n{rows}\n\n"
        "mapper COMMAND --help shows its options and an example. Approved mappings are run by mapper-sync.\n"
        "exit codes: 0 done, 1 findings or aborted, 2 usage, 3 invalid input, 4 could not compare\n"
    )


def say(text: str = "") -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """A line beside the result."""
    sys.stderr.write(text + "\n")


def complain(error: object) -> None:
    """One line on stderr, whatever line breaks the message has."""
    note("mapper: " + " ".join(str(error).split()))


def as_json(value: Any) -> str:
    """JSON for machines; exact decimals as texts."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
