"""Words about a mapping: why a part is as it is, and what a change of a mapping means. Words only, nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from mapper_ai.llm.asking import Question
from mapper_ai.llm.facts import FieldFacts, one_line
from mapper_ai.llm.prompts import Brief, compose, told_changes, told_field, told_fields, told_names, told_rule
from mapper_ai.llm.tasks.kept import question_or_kept
from mapper_ai.llm.wire import Wire, answer_type, list_of, one_of, text
from mapspec.model import FieldRule

_SENTENCE: Final = 240
_SUMMARY: Final = 500
_RISK: Final = 120
MAX_CHANGES: Final = 25
_EXPLAIN: Final = Brief(
    "explain_mapping",
    "Explain to a bookkeeper in one or two short sentences where the target field comes from and what is done to it.",
    {"sentence": "The client's e-mail is the buyer's, without blanks and in small letters."},
)
_SUMMARISE: Final = Brief(
    "summarise_change",
    "Summarise for a reviewer what this change of a mapping means for the target records, in at most four sentences, "
    "and name the changed parts that deserve a second look, with the reason.",
    {"summary": "Invoices take their date from the shipment.", "risks": [{"part": "a.b", "why": "dates move"}]},
)


class Sentence(Wire):
    """Answer with a sentence."""

    sentence: Annotated[str, Field(max_length=_SENTENCE)]


@dataclass(frozen=True)
class Summary:
    """What a change means.

    Attributes:
        text: A few sentences.
        risks: Changed parts to look at again, each with its reason.
    """

    text: str
    risks: tuple[tuple[str, str], ...]


def explain_question(
    part: str, target: FieldFacts, sources: Sequence[FieldFacts], rule: FieldRule, guarded: frozenset[str]
) -> Question[str]:
    """Ask for an explanation of a rule."""

    def judge(answer: Any) -> tuple[str | None, str]:
        told = one_line(answer.sentence, _SENTENCE)
        return (told, "") if told else (None, "the sentence is empty")

    parts = {"target": told_field(target), "source_fields": told_fields(sources), "rule": told_rule(rule)}
    return question_or_kept(part, _EXPLAIN.name, lambda: compose(_EXPLAIN, parts, guarded), Sentence, 160, judge)


def summary_question(
    name: str, changes: Sequence[tuple[str, FieldRule | None, FieldRule | None]], others: Sequence[str]
) -> Question[Summary]:
    """Ask for a summary of changed parts; `others` are changed parts that are no rules (the flow, a list's head)."""
    known = tuple([*(part for part, _, _ in changes), *others][:MAX_CHANGES])
    risk = answer_type("Risk", part=one_of(known), why=text(_RISK))
    kind = answer_type("Summary", summary=text(_SUMMARY), risks=list_of(risk, 4))

    def judge(answer: Any) -> tuple[Summary | None, str]:
        told = one_line(answer.summary, _SUMMARY)
        risks = tuple((row.part, one_line(row.why, _RISK)) for row in answer.risks)
        return (Summary(told, risks), "") if told else (None, "the summary is empty")

    parts = {"changes": told_changes(changes[:MAX_CHANGES]), "also_changed": told_names(others)}
    return question_or_kept(name, _SUMMARISE.name, lambda: compose(_SUMMARISE, parts), kind, 420, judge)
