"""A table from a source's codes to the values a target allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mapper_ai.llm.asking import Question
from mapper_ai.llm.facts import FieldFacts
from mapper_ai.llm.prompts import Brief, compose, told_field
from mapper_ai.llm.tasks.kept import question_or_kept
from mapper_ai.llm.tasks.steps import Offer, offer
from mapper_ai.llm.trial import Place, problem_with
from mapper_ai.llm.wire import answer_type, list_of, one_of, text
from mapspec.model import FieldRule, TableRule

_BRIEF: Final = Brief(
    "propose_table",
    "To which value of the target does each value of the source belong? Every value of the source once; none where no "
    "value of the target means the same.",
    {"rows": [{"source": "paid_out", "target": "Paid"}, {"source": "lost", "target": "none"}], "why": "same states"},
)


def question(
    place: Place,
    target: FieldFacts,
    source: FieldFacts,
    rule: FieldRule,
    table: str,
    guarded: frozenset[str],
    taken: Sequence[str] = (),
) -> Question[Offer]:
    """Ask for the rows of a table that a rule looks up.

    Args:
        place: Where the rule is to stand.
        target: With the allowed values.
        source: With the values that may leave; values that may not stay out of the table, and hold the record.
        rule: With its lookup step.
        table: Name of the table.
        guarded: Values that must not leave.
        taken: Values that the table maps already, by rule.
    """
    values = tuple(value for value in source.values if value not in taken)
    row = answer_type("TableRow", source=one_of(values or ("none",)), target=one_of((*target.values, "none")))
    kind = answer_type("Table", rows=list_of(row, max(1, len(values))), why=text(120))

    def judge(answer: Any) -> tuple[Offer | None, str]:
        given = [one.source for one in answer.rows]
        twice = sorted({value for value in given if given.count(value) > 1})
        missing = [value for value in values if value not in given]
        if twice or missing:
            return None, f"every source value once; {'twice' if twice else 'missing'}: {', '.join(twice or missing)}"
        old = place.spec.tables.get(table)
        rows = dict(old.rows) if old else {}
        rows.update({one.source.casefold(): one.target for one in answer.rows if one.target != "none"})
        made = old.model_copy(update={"rows": rows}) if old else TableRule(rows=rows)
        # Without a row for it a value holds the record: that is wanted, and no failure of the proposal.
        lenient = made.model_copy(update={"missing": "absent", "default": None})
        problem = problem_with(place, rule.model_copy(update={"required": False}), {table: lenient})
        if problem and not problem.startswith("gives nothing"):
            return None, problem
        return offer(rule, answer.why, {table: made}), ""

    return question_or_kept(
        place.part,
        _BRIEF.name,
        lambda: compose(_BRIEF, {"target": told_field(target), "source_field": told_field(source)}, guarded),
        kind,
        120 + 40 * max(1, len(values)),
        judge,
    )
